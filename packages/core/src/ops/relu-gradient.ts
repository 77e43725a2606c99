import { mul, step, type Tensor } from '@tensorflow/tfjs-core';
import { RELU_GRADIENT } from '../kernels/names.js';
import { hasKernel, kernel } from './differentiable.js';

/** The gradient of the input of a ReLU, from that of its output `y`: `dy` where `y` is above 0, else 0. Both of one shape, float32. */
export function reluGradient(dy: Tensor, y: Tensor): Tensor {
  return hasKernel(RELU_GRADIENT) ? kernel(RELU_GRADIENT, { dy, y }, {}) : mul(dy, step(y));
}
