import { mul, sub, sum, type Tensor } from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { differentiable, kernel } from './differentiable.js';
import { written } from './shapes.js';

/**
 * Probabilities over the last axis: `exp(x - max) / sum of exp(x - max)`; `[..., C]` in and out.
 *
 * @throws VggError `VGG_SHAPE` when there is no axis to sum over
 */
export function softmax<T extends Tensor>(x: T): T {
  if (x.rank < 1) throw new VggError('VGG_SHAPE', `softmax: expected input [..., C], received ${written(x.shape)}`);
  return differentiable({
    inputs: { x },
    forward: (save) => {
      const y = kernel('Softmax', { logits: x }, { dim: x.rank - 1 });
      save([y]);
      return y;
    },
    gradient: (dy, [y]) => ({
      x: () => {
        const weighted = mul(dy, y);
        return sub(weighted, mul(sum(weighted, -1, true), y));
      },
    }),
  }) as T;
}
