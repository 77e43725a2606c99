import { VggError } from '@vgg/errors';
import type { LabelledRows } from './train/rows.js';

/** A head's kept features take at most this much. */
const MOST_KEPT = 2 ** 28;

/**
 * Training examples as a head keeps them, so that it can be extended without its pictures.
 *
 * @throws VggError `VGG_MEMORY` for more than 256 MiB
 */
export function keptFeatures({ vectors, labels, targets, count, dimensions }: LabelledRows): LabelledRows {
  if (vectors.byteLength > MOST_KEPT) {
    throw new VggError(
      'VGG_MEMORY',
      `trainHead: expected at most ${MOST_KEPT / 2 ** 20} MiB of features to keep, received ${count} x ${dimensions} (${Math.ceil(vectors.byteLength / 2 ** 20)} MiB); use pooling 'average' or a later layer, or do not keep them`,
    );
  }
  return { vectors, labels, count, dimensions, ...(targets && { targets }) };
}
