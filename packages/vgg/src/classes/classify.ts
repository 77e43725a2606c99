import { VggError } from '@vgg/errors';
import type { ClassName } from './classes.js';

/** One class that a picture may be of. */
export interface Classification {
  readonly index: number;
  /** The WordNet id, such as `n02123159`, where the class names are known. */
  readonly wnid?: string;
  readonly label: string;
  /** Softmax over all classes. */
  readonly probability: number;
  readonly logit: number;
}

/**
 * The `top` likeliest of these logits, with softmax probabilities summed in float64; ties by index.
 * @throws VggError `VGG_OPTION` if `top` is no whole number above 0
 */
export function topClasses(logits: Float32Array, top: number, classes: readonly ClassName[] | undefined): Classification[] {
  if (!(Number.isInteger(top) && top > 0))
    throw new VggError('VGG_OPTION', `classify: expected a whole number above 0 as top, received ${top}`);
  const highest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = Float64Array.from(logits, (logit) => Math.exp(logit - highest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return Array.from(logits, (logit, index) => ({ index, logit, probability: powers[index] / sum }))
    .sort((a, b) => b.logit - a.logit || a.index - b.index)
    .slice(0, top)
    .map(({ index, logit, probability }) => ({
      index,
      wnid: classes?.[index]?.wnid,
      label: classes?.[index]?.label ?? `class ${index}`,
      probability,
      logit,
    }));
}
