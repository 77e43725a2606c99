import { matMul, type Tensor } from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { kernel } from '../ops/differentiable.js';
import { type Rules, unbroadcast } from './rule.js';

/** `C = op(A) . op(B)`; all four cases follow from `dA = dC . B^T` and `dB = A^T . dC`. */
function products(dy: Tensor, a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Record<'a' | 'b', () => Tensor> {
  return {
    a: () => unbroadcast(transposeA ? matMul(b, dy, transposeB, true) : matMul(dy, b, false, !transposeB), a.shape),
    b: () => unbroadcast(transposeB ? matMul(dy, a, true, transposeA) : matMul(a, dy, !transposeA, false), b.shape),
  };
}

interface ConvAttributes {
  strides: number | [number, number];
  pad: unknown;
  dataFormat: string;
  dilations: number | [number, number];
  dimRoundingMode?: string;
}

function convolutions(dy: Tensor, x: Tensor, filter: Tensor, attributes: ConvAttributes): Record<'x' | 'filter', () => Tensor> {
  const { strides, pad, dataFormat, dimRoundingMode, dilations } = attributes;
  if ([dilations].flat().some((dilation) => dilation !== 1)) {
    throw new VggError('VGG_SHAPE', `conv2d: expected dilations of 1 for a gradient, received ${dilations}`);
  }
  const shared = { strides, pad, dataFormat, dimRoundingMode };
  return {
    x: () => kernel('Conv2DBackpropInput', { dy, filter }, { ...shared, inputShape: x.shape }),
    filter: () => kernel('Conv2DBackpropFilter', { x, dy }, { ...shared, filterShape: filter.shape }),
  };
}

/** d(op)/d(input) of tfjs's own products, convolutions and pools, for those who compute with them beside ours. */
export const LAYERS: Rules = {
  BatchMatMul: {
    save: ['a', 'b'],
    gradient: (dy, [a, b], { transposeA, transposeB }) => products(dy, a, b, transposeA, transposeB),
  },
  Conv2D: {
    save: ['x', 'filter'],
    gradient: (dy, [x, filter], attributes) => convolutions(dy, x, filter, attributes as unknown as ConvAttributes),
  },
  MaxPool: {
    save: ['x'],
    saveOutput: true,
    gradient: (dy, [input, output], attributes) => ({ x: () => kernel('MaxPoolGrad', { dy, input, output }, attributes) }),
  },
  AvgPool: {
    save: ['x'],
    gradient: (dy, [input], attributes) => ({ x: () => kernel('AvgPoolGrad', { dy, input }, attributes) }),
  },
  LRN: {
    save: ['x'],
    saveOutput: true,
    gradient: (dy, [x, y], attributes) => ({ x: () => kernel('LRNGrad', { x, y, dy }, attributes) }),
  },
  ResizeBilinear: {
    save: ['images'],
    gradient: (dy, [images], attributes) => ({ images: () => kernel('ResizeBilinearGrad', { images, dy }, attributes) }),
  },
};
