import { probabilitiesOf } from '../train/minibatch.js';
import { type Net, parameterCount } from '../train/net.js';
import { CHUNK, type Pace } from '../train/pace.js';
import type { LabelledRows } from '../train/rows.js';
import type { Standard } from '../train/standardize.js';
import { type Evaluation, evaluateProbabilities } from './evaluation.js';

/** Compares a head's predictions for rows of features with their classes. */
export async function evaluateRows(
  { net, standard }: { readonly net: Net; readonly standard: Standard },
  rows: LabelledRows & Partial<Pick<Evaluation, 'failed' | 'skipped'>>,
  classes: readonly string[],
  wait: Pace,
): Promise<Evaluation> {
  const width = classes.length;
  const probabilities = new Float32Array(rows.count * width);
  const step = Math.max(4, Math.floor((2 * CHUNK) / parameterCount(net)) & ~3);
  let loss = 0;
  for (let from = 0; from < rows.count; from += step) {
    const part = probabilitiesOf(net, standard, rows, from, Math.min(step, rows.count - from), rows.labels);
    probabilities.set(part.probabilities, from * width);
    loss += part.loss;
    await wait();
  }
  const { failed, skipped } = rows;
  return evaluateProbabilities(probabilities, rows.labels, classes, { loss: loss / rows.count, failed, skipped });
}
