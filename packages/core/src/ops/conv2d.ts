import {
  engine,
  getBackend,
  getKernel,
  matMul,
  mirrorPad,
  pad,
  reshape,
  reverse,
  type Tensor,
  type Tensor2D,
  type Tensor4D,
  tensor1d,
  transpose,
} from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { CONV_MAX_POOL, FILTER_GRADIENT, INPUT_GRADIENT, ONE_OFF_CONVOLUTION } from '../kernels/names.js';
import { differentiable, kernel, kernelOfMany } from './differentiable.js';
import { biasGradient, reluGradient } from './masked-gradient.js';
import { type PoolOptions, pool } from './pool.js';
import { reflectGradient } from './reflect-gradient.js';
import { checkBinding, checkShape, written } from './shapes.js';

export interface Conv2dOptions {
  /** `relu` is computed with the convolution, not after it. */
  activation?: 'linear' | 'relu';
  /** `zero` and `reflect` keep the size, `valid` loses KH - 1 rows and KW - 1 columns. */
  padding?: 'zero' | 'reflect' | 'valid';
}

/**
 * A convolution of stride 1 with bias and activation: input `[N, H, W, C]`, filter `[KH, KW, C, K]`, bias `[K]` or null, result
 * `[N, H, W, K]` (smaller with padding `valid`). Differentiable in input, filter and bias on every backend.
 *
 * @throws VggError `VGG_SHAPE` when the shapes do not go together
 * @throws VggError `VGG_MEMORY` when the device cannot bind the input, filter or result whole
 */
export function conv2d(x: Tensor4D, filter: Tensor4D, bias: Tensor | null, options: Conv2dOptions = {}): Tensor4D {
  const { activation = 'linear', padding = 'zero' } = options;
  checkConv2d(x, filter, bias, padding);
  const margins = marginsOf(filter.shape[0], filter.shape[1]);
  if (padding === 'reflect') checkReflection(x, margins);

  const relu = activation === 'relu';
  const operation = {
    forward: (save: (tensors: Tensor[]) => void) => {
      const seen = padding === 'reflect' ? (mirrorPad(x, [[0, 0], margins[0], margins[1], [0, 0]], 'reflect') as Tensor4D) : x; // biome-ignore format: one axis a pair
      const y = convolve(seen, filter, bias, activation, padding === 'zero' ? 'same' : 'valid');
      save(relu ? [x, filter, y] : [x, filter]);
      return y;
    },
    gradient: (dy: Tensor, [savedX, savedFilter, savedY]: Tensor[]) => {
      const saved = { x: savedX as Tensor4D, filter: savedFilter as Tensor4D };
      const outer: Outer = { dy: dy as Tensor4D, y: relu ? (savedY as Tensor4D) : undefined };
      // Some kernels have the bias's gradient with the filter's, which comes first; a tensor would not outlive that.
      const beside: Beside = {};
      return {
        x: () => inputGradient(outer, saved.filter, saved.x.shape, padding, margins),
        filter: () => filterGradient(saved.x, outer, filter.shape, padding, margins, bias ? beside : undefined),
        bias: () => (beside.bias ? tensor1d(beside.bias) : biasGradient(dy, outer.y)),
      };
    },
  };
  return (
    bias
      ? differentiable<'x' | 'filter' | 'bias'>({ inputs: { x, filter, bias }, ...operation })
      : differentiable<'x' | 'filter'>({ inputs: { x, filter }, ...operation })
  ) as Tensor4D;
}

/** @returns the shape of the result */
function checkConv2d(x: Tensor4D, filter: Tensor4D, bias: Tensor | null, padding: Conv2dOptions['padding']): number[] {
  checkShape('conv2d', 'filter', filter, ['KH', 'KW', 'C', 'K']);
  const [kernelY, kernelX, inputs, outputs] = filter.shape;
  checkShape('conv2d', 'input', x, ['N', 'H', 'W', inputs]);
  if (bias) checkShape('conv2d', 'bias', bias, [outputs]);
  const [batch, height, width] = x.shape;
  const shrink = padding === 'valid' ? 1 : 0;
  const outShape = [batch, height - shrink * (kernelY - 1), width - shrink * (kernelX - 1), outputs];
  if (outShape[1] < 1 || outShape[2] < 1) {
    throw new VggError(
      'VGG_SHAPE',
      `conv2d: expected an input of at least ${kernelY} x ${kernelX} for padding valid, received ${written(x.shape)}`,
    );
  }
  checkBinding('conv2d', { input: x.shape, filter: filter.shape, result: outShape });
  return outShape;
}

type Margin = [number, number];

/** Cells before and after, along height and width; an even kernel has one more after, as in TensorFlow. */
function marginsOf(kernelY: number, kernelX: number): [Margin, Margin] {
  const margin = (size: number): Margin => [(size - 1) >> 1, size >> 1];
  return [margin(kernelY), margin(kernelX)];
}

/**
 * A max pool behind a {@link conv2d}, both in one kernel where there is one: the map between them is then never written. With another
 * pool, or while gradients are recorded, the two are computed one after the other, with the same result.
 *
 * @throws VggError as {@link conv2d} and {@link pool} do
 * @example
 * conv2dPool(x, filter, bias, { activation: 'relu' }, { pool: 'max', size: 2, stride: 2 }); // x [1, 224, 224, 64] to [1, 112, 112, 64]
 */
export function conv2dPool(x: Tensor4D, filter: Tensor4D, bias: Tensor | null, options: Conv2dOptions, pooling: PoolOptions): Tensor4D {
  const { activation = 'linear', padding = 'zero' } = options;
  // Only a differentiated call keeps what its gradient needs.
  const recorded = engine().state.gradientDepth > 0;
  if (!recorded && padding !== 'reflect' && getKernel(CONV_MAX_POOL, getBackend())) {
    const [, height, width] = checkConv2d(x, filter, bias, padding);
    const even = height % 2 === 0 && width % 2 === 0;
    const { pool: kind, size, stride, rounding } = pooling;
    if (kind === 'max' && size === 2 && stride === 2 && height > 1 && width > 1 && (even || rounding !== 'ceil'))
      return convolve(x, filter, bias, activation, padding === 'zero' ? 'same' : 'valid', CONV_MAX_POOL);
  }
  return pool(conv2d(x, filter, bias, options), pooling);
}

function convolve(
  x: Tensor4D,
  filter: Tensor4D,
  bias: Tensor | null,
  activation: string,
  padding: 'same' | 'valid',
  name = 'FusedConv2D',
): Tensor4D {
  const attributes = { strides: [1, 1], pad: padding, dataFormat: 'NHWC', dilations: [1, 1], activation };
  return kernel(name, bias ? { x, filter, bias } : { x, filter }, attributes) as Tensor4D;
}

/** Below this many pixels a Winograd transform of the filter (75 ns a weight) costs more than it saves (0.036 ns a weight and pixel). */
const WORTH_A_TRANSFORM = 2048;

/** A convolution with a filter that was made for this call. */
function convolveOnce(x: Tensor4D, filter: Tensor4D, padding: 'same' | 'valid'): Tensor4D {
  const [batch, height, width] = x.shape;
  const small = batch * height * width < WORTH_A_TRANSFORM;
  const name = small && getKernel(ONE_OFF_CONVOLUTION, getBackend()) ? ONE_OFF_CONVOLUTION : 'FusedConv2D';
  return convolve(x, filter, null, 'linear', padding, name);
}

/** The gradient of a convolution's result, and behind a ReLU that result. */
interface Outer {
  dy: Tensor4D;
  y: Tensor4D | undefined;
}

function masked({ dy, y }: Outer): Tensor4D {
  return (y ? reluGradient(dy, y) : dy) as Tensor4D;
}

/** Whether the backend has gradients of ours for a filter: they mask `dy` as they read it. */
function hasOwnGradients([kernelY, kernelX]: number[]): boolean {
  return kernelY === 3 && kernelX === 3 && getKernel(INPUT_GRADIENT, getBackend()) !== undefined;
}

/** Whether a convolution is a product of matrices: of pixels and a 1x1 filter, or of whole maps and a filter of their size. */
function isProduct([kernelY, kernelX]: number[], [, height, width]: number[], padding: string): boolean {
  return (kernelY === 1 && kernelX === 1) || (padding === 'valid' && kernelY === height && kernelX === width);
}

function asMatrix(x: Tensor, columns: number): Tensor2D {
  return reshape(x, [-1, columns]) as Tensor2D;
}

/**
 * The gradient of the input is a convolution of `dy` with the filter turned by 180 degrees and its channels exchanged. The forward
 * kernel does it: tfjs's own `Conv2DBackpropInput` is ten times slower on wasm.
 */
function inputGradient(outer: Outer, filter: Tensor4D, shape: Tensor4D['shape'], padding: string, margins: [Margin, Margin]): Tensor4D {
  const [kernelY, kernelX, inputs, outputs] = filter.shape;
  const [[top, bottom], [left, right]] = margins;
  if (isProduct(filter.shape, shape, padding)) {
    return reshape(matMul(asMatrix(masked(outer), outputs), asMatrix(filter, outputs), false, true), shape) as Tensor4D;
  }
  if (hasOwnGradients(filter.shape)) {
    const [batch, height, width] = shape;
    const inputShape = padding === 'reflect' ? [batch, height + top + bottom, width + left + right, inputs] : shape;
    const attributes = { ...ONE_STEP, pad: padding === 'zero' ? 'same' : 'valid', inputShape };
    const seen = kernel(INPUT_GRADIENT, withoutNone({ ...outer, filter }), attributes) as Tensor4D;
    return padding === 'reflect' ? reflectGradient(seen, shape, margins) : seen;
  }
  const dy = masked(outer);
  const turned = transpose(reverse(filter, [0, 1]), [0, 1, 3, 2]) as Tensor4D;
  if (padding === 'zero' && top === bottom && left === right) return convolveOnce(dy, turned, 'same');
  if (padding === 'zero') {
    const widened = pad(dy, [[0, 0], [bottom, top], [right, left], [0, 0]]); // biome-ignore format: one axis a pair
    return convolveOnce(widened, turned, 'valid');
  }
  const full = convolveOnce(pad(dy, [[0, 0], [kernelY - 1, kernelY - 1], [kernelX - 1, kernelX - 1], [0, 0]]), turned, 'valid'); // biome-ignore format: one axis a pair
  return padding === 'valid' ? full : reflectGradient(full, shape, margins);
}

/** What a kernel computes beside the gradient of a filter. */
interface Beside {
  bias?: Float32Array;
}

/** @param beside is filled where it is wanted and the kernel has it */
function filterGradient(
  x: Tensor4D,
  outer: Outer,
  filterShape: number[],
  padding: string,
  margins: [Margin, Margin],
  beside: Beside | undefined,
): Tensor {
  const outputs = filterShape[3];
  if (isProduct(filterShape, x.shape, padding)) {
    const left = asMatrix(x, filterShape[0] * filterShape[1] * filterShape[2]);
    return reshape(matMul(left, asMatrix(masked(outer), outputs), true, false), filterShape);
  }
  const seen = padding === 'reflect' ? mirrorPad(x, [[0, 0], margins[0], margins[1], [0, 0]], 'reflect') : x; // biome-ignore format: one axis a pair
  const attributes = { ...ONE_STEP, pad: padding === 'zero' ? 'same' : 'valid', filterShape };
  if (hasOwnGradients(filterShape)) {
    const [gradient, sums] = kernelOfMany(FILTER_GRADIENT, withoutNone({ ...outer, x: seen }), {
      ...attributes,
      sums: beside !== undefined,
    });
    if (beside) beside.bias = sums.dataSync() as Float32Array;
    return gradient;
  }
  return kernel('Conv2DBackpropFilter', { x: seen, dy: masked(outer) }, attributes);
}

const ONE_STEP = { strides: [1, 1], dataFormat: 'NHWC' };

function withoutNone(inputs: Record<string, Tensor | undefined>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(inputs).filter(([, tensor]) => tensor)) as Record<string, Tensor>;
}

function checkReflection(x: Tensor4D, [[, bottom], [, right]]: [Margin, Margin]): void {
  const [, height, width] = x.shape;
  if (height > bottom && width > right) return;
  throw new VggError(
    'VGG_SHAPE',
    `conv2d: expected an input of at least ${bottom + 1} x ${right + 1} for padding reflect, received ${written(x.shape)}`,
  );
}
