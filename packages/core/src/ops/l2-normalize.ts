import { broadcastTo, div, greater, maximum, mul, sqrt, square, sub, sum, type Tensor, where, zerosLike } from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { differentiable } from './differentiable.js';
import { written } from './shapes.js';

/**
 * Scales each vector of the last axis to length 1: `x / sqrt(max(sum of x^2, epsilon))`; a vector of zeros stays one.
 *
 * @throws VggError `VGG_SHAPE` when there is no axis to sum over
 */
export function l2Normalize<T extends Tensor>(x: T, epsilon = 1e-12): T {
  if (x.rank < 1) throw new VggError('VGG_SHAPE', `l2Normalize: expected input [..., C], received ${written(x.shape)}`);
  return differentiable({
    inputs: { x },
    forward: (save) => {
      const squares = sum(square(x), -1, true);
      const length = sqrt(maximum(squares, epsilon));
      const y = div(x, length);
      save([y, length, squares]);
      return y;
    },
    gradient: (dy, [y, length, squares]) => ({
      x: () => {
        // Below epsilon the length is a constant and only scales.
        const along = mul(y, sum(mul(dy, y), -1, true));
        const moved = where(broadcastTo(greater(squares, epsilon), y.shape), along, zerosLike(y));
        return div(sub(dy, moved), length);
      },
    }),
  }) as T;
}
