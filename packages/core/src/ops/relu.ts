import type { Tensor } from '@tensorflow/tfjs-core';
import { differentiable, kernel } from './differentiable.js';
import { reluGradient } from './masked-gradient.js';
import { checkBinding } from './shapes.js';

/** `max(x, 0)`, any shape; its gradient at 0 is 0. */
export function relu<T extends Tensor>(x: T): T {
  checkBinding('relu', { input: x.shape });
  return differentiable({
    inputs: { x },
    forward: (save) => {
      const y = kernel('Relu', { x }, {});
      save([y]);
      return y;
    },
    gradient: (dy, [y]) => ({ x: () => reluGradient(dy, y) }),
  }) as T;
}
