import { VggError } from '@vgg/errors';
import type { StoredHead } from './head-file.js';
import { neighbourProbabilities } from './train/knn.js';
import { probabilitiesOf } from './train/minibatch.js';
import { parameterCount } from './train/net.js';
import { CHUNK, type Pace } from './train/pace.js';
import type { Rows } from './train/rows.js';

/** What predicts: of a head its rule and its numbers. */
export type Predictor = Pick<StoredHead, 'standard' | 'net' | 'kept'> & {
  readonly info: Pick<StoredHead['info'], 'classes' | 'training'>;
};

/** Rows at a time for {@link predictRows}: some ms of work. */
export function rowsAtATime({ net }: Predictor): number {
  return net.length === 0 ? 4 : Math.max(4, Math.floor((2 * CHUNK) / parameterCount(net)) & ~3);
}

/**
 * Probabilities [count, classes] of rows `from` and on, and the summed cross-entropy of `labels` where it is known from logits.
 *
 * @param labels the classes of all rows
 */
export async function predictRows(
  { info, standard, net, kept }: Predictor,
  rows: Rows,
  from: number,
  count: number,
  pace: Pace,
  labels?: ArrayLike<number>,
): Promise<{ probabilities: Float32Array; loss?: number }> {
  const { neighbours } = info.training;
  if (!neighbours) return probabilitiesOf(net, standard, rows, from, count, labels);
  if (!kept) throw new VggError('VGG_HEAD', 'head: expected the examples of a k-NN head, received none');
  return { probabilities: await neighbourProbabilities(kept, neighbours, info.classes.length, rows, from, count, pace) };
}
