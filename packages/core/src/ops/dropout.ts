import { mul, type Tensor, tensor } from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { dropoutMask, maskKeys } from '../kernels/dropout-mask.js';
import { DROPOUT } from '../kernels/names.js';
import { differentiable, hasKernel, kernel } from './differentiable.js';
import { checkBinding } from './shapes.js';

export interface DropoutOptions {
  /** The probability that a value is kept, above 0 and at most 1: 0.5 behind fc6 and fc7 of VGG. */
  keep: number;
  /**
   * 32-bit words, such as the seed, the step and the number of the layer. The mask is a function of them and of the place of each value
   * alone, so that every backend drops the same ones, and a run that is resumed drops what it would have dropped.
   */
  key: readonly number[];
}

/**
 * Inverted dropout: each value is divided by `keep` with this probability, and 0 otherwise, so that its mean stays. Any shape.
 *
 * @throws VggError `VGG_OPTION` when `keep` is no such probability, or a word of the key no integer
 * @example
 * dropout(x, { keep: 0.5, key: [seed, step, 6] });
 */
export function dropout<T extends Tensor>(x: T, { keep, key }: DropoutOptions): T {
  if (!(keep > 0 && keep <= 1)) {
    throw new VggError('VGG_OPTION', `dropout: expected keep above 0 and at most 1, received ${keep}`);
  }
  const wrong = key.find((word) => !Number.isInteger(word) || Math.abs(word) >= 2 ** 32);
  if (wrong !== undefined) throw new VggError('VGG_OPTION', `dropout: expected a key of 32-bit integers, received ${wrong}`);
  checkBinding('dropout', { input: x.shape });
  if (hasKernel(DROPOUT)) {
    const drop = (values: Tensor) => kernel(DROPOUT, { x: values }, { keep, key });
    return differentiable({ inputs: { x }, forward: () => drop(x), gradient: (dy) => ({ x: () => drop(dy) }) }) as T;
  }
  return differentiable({
    inputs: { x },
    forward: (save) => {
      const mask = tensor(dropoutMask(x.size, keep, maskKeys(key)), x.shape);
      save([mask]);
      return mul(x, mask);
    },
    gradient: (dy, [mask]) => ({ x: () => mul(dy, mask) }),
  }) as T;
}
