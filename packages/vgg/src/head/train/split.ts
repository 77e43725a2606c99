import { VggError } from '@vgg/errors';
import { random } from '../../random.js';

/** Examples to fit and examples held out, by their places, each in rising order. */
export interface Split {
  readonly fitted: Int32Array;
  readonly held: Int32Array;
}

/**
 * Holds out the same part of every class, at least one example and not all; a class with a single example keeps it for fitting.
 *
 * @param fraction in (0, 1)
 * @throws VggError `VGG_OPTION` for another fraction
 */
export function stratifiedSplit(labels: ArrayLike<number>, classes: number, fraction: number, seed: number): Split {
  if (!(fraction > 0 && fraction < 1)) {
    throw new VggError('VGG_OPTION', `trainHead: expected a validation fraction between 0 and 1, received ${fraction}`);
  }
  const places: number[][] = Array.from({ length: classes }, () => []);
  for (let i = 0; i < labels.length; i++) places[labels[i]!]!.push(i);
  const rng = random(seed);
  const fitted: number[] = [];
  const held: number[] = [];
  for (const own of places) {
    rng.shuffle(own);
    const out = own.length < 2 ? 0 : Math.min(own.length - 1, Math.max(1, Math.round(own.length * fraction)));
    held.push(...own.slice(0, out));
    fitted.push(...own.slice(out));
  }
  return { fitted: Int32Array.from(fitted).sort(), held: Int32Array.from(held).sort() };
}
