import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { type KernelConfig, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { poolGeometry } from '../max-pool-gradient.js';

type Config = Parameters<KernelConfig['kernelFunc']>[0];

/**
 * The gradient of a max pool, gathered: each cell of `x` looks at the windows over it and takes the `dy` of those whose first maximum,
 * in row order, it is. Runs as a program of tfjs's backend, which declares `getX`, `getDy` and `setOutputAtIndex`.
 */
const WGSL = /* wgsl */ `
  fn isFirstMaximum(cell : vec4<i32>, corner : vec2<i32>, value : f32) -> bool {
    let begin = max(corner, vec2<i32>(0));
    let end = min(corner + uniforms.window, uniforms.xShape.yz);
    for (var r = begin.x; r < end.x; r++) {
      for (var s = begin.y; s < end.y; s++) {
        let other = getX(cell.x, r, s, cell.w);
        let before = r < cell.y || (r == cell.y && s < cell.z);
        if (other > value || (before && other == value)) {
          return false;
        }
      }
    }
    return true;
  }

  fn main(index : i32) {
    if (index >= uniforms.size) {
      return;
    }
    let cell = getCoordsFromIndex(index);
    let value = getX(cell.x, cell.y, cell.z, cell.w);
    let place = cell.yz + uniforms.margin;
    let last = min(place / uniforms.strides, uniforms.dyShape.yz - vec2<i32>(1));
    let first = max(place - uniforms.window + uniforms.strides, vec2<i32>(0)) / uniforms.strides;
    var sum = 0.0;
    for (var i = first.x; i <= last.x; i++) {
      for (var j = first.y; j <= last.y; j++) {
        let corner = vec2<i32>(i, j) * uniforms.strides - uniforms.margin;
        if (isFirstMaximum(cell, corner, value)) {
          sum += getDy(cell.x, i, j, cell.w);
        }
      }
    }
    setOutputAtIndex(index, sum);
  }
`;

const WORKGROUP = 64;

/** Replaces tfjs's `MaxPoolGrad`, which gives the gradient to the last of equal maxima where every other backend gives it to the first. */
export function maxPoolGrad({ inputs, attrs, backend }: Config): TensorInfo {
  const { dy, input } = inputs as { dy: TensorInfo; input: TensorInfo };
  const geometry = poolGeometry(input, attrs);
  const program = {
    variableNames: ['x', 'dy'],
    uniforms: 'strides : vec2<i32>, margin : vec2<i32>, window : vec2<i32>,',
    workgroupSize: [WORKGROUP, 1, 1] as [number, number, number],
    size: true,
    outputShape: input.shape,
    dispatchLayout: { x: input.shape.map((_, axis) => axis) },
    dispatch: [Math.ceil(util.sizeFromShape(input.shape) / WORKGROUP), 1, 1] as [number, number, number],
    shaderKey: 'vgg_maxPoolGrad',
    getUserCode: () => WGSL,
  };
  const pair = (y: number, x: number) => ({ type: 'int32', data: [y, x] });
  return (backend as WebGPUBackend).runWebGPUProgram(program, [input, dy], 'float32', [
    pair(geometry.strideY, geometry.strideX),
    pair(geometry.top, geometry.left),
    pair(geometry.sizeY, geometry.sizeX),
  ]);
}
