import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import {
  backend_util,
  engine,
  type KernelConfig,
  registerKernel,
  type Tensor,
  type TensorInfo,
  tidy,
  unregisterKernel,
} from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { maxPoolGradient, poolGeometry } from '../max-pool-gradient.js';
import { filterGradient } from './filter-gradient.js';

type Config = Parameters<KernelConfig['kernelFunc']>[0];

/**
 * Puts right what tfjs-backend-wasm 4.22 lacks or gets wrong in the backward pass, under tfjs's own kernel names, so that
 * gradients of tfjs's operations are served too: `Conv2DBackpropFilter` is not there at all (tfjs issue 8474), and
 * `MaxPoolGrad` is wrong where a window's maximum is negative or not unique.
 */
export function fillWasmKernels(): void {
  const registered = engine().registry.wasm as (BackendWasm & { vggFilled?: boolean }) | undefined;
  if (!registered || registered.vggFilled) return;
  registered.vggFilled = true;
  unregisterKernel('MaxPoolGrad', 'wasm');
  registerKernel({ kernelName: 'MaxPoolGrad', backendName: 'wasm', kernelFunc: maxPoolGrad });
  registerKernel({ kernelName: 'Conv2DBackpropFilter', backendName: 'wasm', kernelFunc: conv2DBackpropFilter });
}

function maxPoolGrad({ inputs, attrs, backend }: Config): TensorInfo {
  const wasm = backend as BackendWasm;
  const { dy, input } = inputs as { dy: TensorInfo; input: TensorInfo };
  const geometry = poolGeometry(input, attrs);
  const out = wasm.makeOutput(input.shape, 'float32');
  // Views are taken after the last allocation: the heap may have grown.
  maxPoolGradient(
    wasm.typedArrayFromHeap(input) as Float32Array,
    wasm.typedArrayFromHeap(dy) as Float32Array,
    wasm.typedArrayFromHeap(out) as Float32Array,
    geometry,
  );
  return out;
}

function conv2DBackpropFilter({ inputs, attrs }: Config): TensorInfo {
  const { x, dy } = inputs as unknown as { x: Tensor; dy: Tensor };
  const { strides, pad, dataFormat, dimRoundingMode, filterShape } = attrs as unknown as {
    strides: [number, number] | number;
    pad: number;
    dataFormat: 'NHWC' | 'NCHW';
    dimRoundingMode?: 'floor';
    filterShape: [number, number, number, number];
  };
  if (dataFormat && dataFormat !== 'NHWC') {
    throw new VggError(
      'VGG_SHAPE',
      `conv2d: expected dataFormat NHWC for a filter gradient on wasm, received ${dataFormat}; transpose the maps`,
    );
  }
  const info = backend_util.computeConv2DInfo(x.shape as [number, number, number, number], filterShape, strides, 1, pad, dimRoundingMode);
  const { top, left } = info.padInfo;
  return tidy(() => filterGradient(x, dy, filterShape, { top, left, strides: [info.strideHeight, info.strideWidth] }));
}
