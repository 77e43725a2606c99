import { type Predictor, predictRows, rowsAtATime } from '../predict-rows.js';
import type { Pace } from '../train/pace.js';
import type { LabelledRows } from '../train/rows.js';
import { type Evaluation, evaluateProbabilities } from './evaluation.js';

/** Compares a head's predictions for rows of features with their classes. */
export async function evaluateRows(
  head: Predictor,
  rows: LabelledRows & Partial<Pick<Evaluation, 'failed' | 'skipped'>>,
  wait: Pace,
): Promise<Evaluation> {
  const { classes } = head.info;
  const width = classes.length;
  const probabilities = new Float32Array(rows.count * width);
  const step = rowsAtATime(head);
  let loss: number | undefined = 0;
  for (let from = 0; from < rows.count; from += step) {
    const part = await predictRows(head, rows, from, Math.min(step, rows.count - from), wait, rows.labels);
    probabilities.set(part.probabilities, from * width);
    loss = part.loss === undefined || loss === undefined ? undefined : loss + part.loss;
    await wait();
  }
  const { failed, skipped } = rows;
  return evaluateProbabilities(probabilities, rows.labels, classes, {
    ...(loss !== undefined && { loss: loss / rows.count }),
    ...(failed && { failed }),
    ...(skipped && { skipped }),
  });
}
