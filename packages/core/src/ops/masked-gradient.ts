import { mul, step, sum, type Tensor } from '@tensorflow/tfjs-core';
import { CHANNEL_SUMS, RELU_GRADIENT } from '../kernels/names.js';
import { hasKernel, kernel } from './differentiable.js';

/** The gradient of a ReLU from its result `y`: `dy`, and 0 where `y` is 0. */
export function reluGradient(dy: Tensor, y: Tensor): Tensor {
  return hasKernel(RELU_GRADIENT) ? kernel(RELU_GRADIENT, { dy, y }, {}) : mul(dy, step(y));
}

/** The gradient of a bias: the sums of `dy` over all but its last axis; behind a ReLU with result `y`, without the places where it is 0. */
export function biasGradient(dy: Tensor, y?: Tensor): Tensor {
  if (hasKernel(CHANNEL_SUMS)) return kernel(CHANNEL_SUMS, y ? { dy, y } : { dy }, {});
  return sum(y ? reluGradient(dy, y) : dy, [...dy.shape.keys()].slice(0, -1));
}
