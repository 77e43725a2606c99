import { VggError } from '@vgg/errors';
import type { StoredHead } from './head-file.js';
import { neighbourProbabilities } from './train/knn.js';
import { logitsOf, probabilitiesOf } from './train/minibatch.js';
import { parameterCount } from './train/net.js';
import { CHUNK, type Pace } from './train/pace.js';
import type { Rows } from './train/rows.js';
import { targetKind } from './train/settings.js';
import { sigmoid } from './train/targets-fit.js';

/** What predicts: of a head its rule and its numbers. */
export type Predictor = Pick<StoredHead, 'standard' | 'net' | 'kept'> & {
  readonly info: Pick<StoredHead['info'], 'classes' | 'training'>;
};

/** Rows at a time for {@link predictRows}: some ms of work. */
export function rowsAtATime({ net }: Predictor): number {
  return net.length === 0 ? 64 : Math.max(4, Math.floor((2 * CHUNK) / parameterCount(net)) & ~3);
}

/**
 * Probabilities [count, classes] of rows `from` and on (of a regression head numbers), and the summed cross-entropy of `labels` where it is known from logits.
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
  const kind = targetKind(info.training.solver);
  if (kind) {
    const outputs = logitsOf(net, standard, rows, from, count);
    return { probabilities: kind === 'labels' ? outputs.map(sigmoid) : outputs };
  }
  if (!neighbours) return probabilitiesOf(net, standard, rows, from, count, labels);
  if (!kept) throw new VggError('VGG_HEAD', 'head: expected the examples of a k-NN head, received none');
  return { probabilities: await neighbourProbabilities(kept, neighbours, info.classes.length, rows, from, count, pace) };
}
