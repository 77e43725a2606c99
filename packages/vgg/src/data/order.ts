import { VggError } from '@vgg/errors';
import { random } from '../random.js';
import { derivedSeed } from '../seed.js';

/**
 * The order in which an epoch takes the examples 0 to count - 1: a permutation that depends on nothing but the seed and the epoch, so that a run
 * that was stopped goes on where it was.
 *
 * @throws VggError `VGG_OPTION` for a count, seed or epoch that is no whole number
 * @example epochOrder(5, { seed: 1, epoch: 0 }); // Int32Array [3, 4, 1, 2, 0]
 */
export function epochOrder(count: number, { seed, epoch }: { seed: number; epoch: number }): Int32Array {
  if (!(Number.isInteger(count) && count >= 0 && count < 2 ** 31 && Number.isSafeInteger(seed) && Number.isInteger(epoch) && epoch >= 0))
    throw new VggError('VGG_OPTION', `order: expected a count, a seed and an epoch, received ${count}, ${seed} and ${epoch}`);
  return random(derivedSeed(seed, epoch)).shuffle(Int32Array.from({ length: count }, (_, i) => i));
}
