import type { Skipped } from '../../data/photographs.js';
import { type Predictor, predictRows, rowsAtATime } from '../predict-rows.js';
import type { Failed } from '../train/features.js';
import type { Pace } from '../train/pace.js';
import type { TargetRows } from '../train/rows.js';
import { measure } from '../train/targets-fit.js';
import { averagePrecision, surprise } from './metrics.js';

/** How the probabilities of a multi-label head compare with the labels of pictures. */
export interface LabelsEvaluation {
  readonly images: number;
  /** Mean of the average precisions of the classes that have pictures. */
  readonly meanAveragePrecision: number;
  /** Mean cross-entropy of all decisions, natural logarithm. */
  readonly loss: number;
  /** Part of all decisions, of each class for each picture, that are right at probability 0.5. */
  readonly accuracy: number;
  /** `images` have the label; `averagePrecision` is left out for a class without any. */
  readonly perClass: readonly { readonly label: string; readonly images: number; readonly averagePrecision?: number }[];
  readonly failed: readonly Failed[];
  readonly skipped: readonly Skipped[];
}

/** How the numbers of a regression head compare with the true ones. */
export interface NumbersEvaluation {
  readonly images: number;
  /** Root of the mean squared error, in the targets' units. */
  readonly rmse: number;
  /** Part of the targets' variance that is explained: 1 is perfect, 0 as good as their mean. */
  readonly r2: number;
  readonly failed: readonly Failed[];
  readonly skipped: readonly Skipped[];
}

type Rows = TargetRows & { readonly failed: readonly Failed[]; readonly skipped: readonly Skipped[] };

async function outputsOf(head: Predictor, rows: Rows, wait: Pace): Promise<Float32Array> {
  const outputs = new Float32Array(rows.targets.length);
  const step = rowsAtATime(head);
  for (let from = 0; from < rows.count; from += step) {
    const part = await predictRows(head, rows, from, Math.min(step, rows.count - from), wait);
    outputs.set(part.probabilities, from * head.info.classes.length);
    await wait();
  }
  return outputs;
}

/** Evaluates a multi-label head on features. */
export async function evaluateLabels(head: Predictor, rows: Rows, wait: Pace): Promise<LabelsEvaluation> {
  const { classes } = head.info;
  const { targets, count, failed, skipped } = rows;
  const probabilities = await outputsOf(head, rows, wait);
  let loss = 0;
  let right = 0;
  targets.forEach((target, at) => {
    const probability = probabilities[at]!;
    loss += surprise(target > 0.5 ? probability : 1 - probability);
    if (probability > 0.5 === target > 0.5) right++;
  });
  const column = (values: Float32Array, c: number) => Float32Array.from({ length: count }, (_, i) => values[i * classes.length + c]!);
  const perClass = classes.map((label, c) => {
    const truth = column(targets, c);
    const precision = averagePrecision(column(probabilities, c), truth);
    const images = truth.reduce((sum, value) => sum + value, 0);
    return { label, images, ...(precision !== undefined && { averagePrecision: precision }) };
  });
  const known = perClass.flatMap(({ averagePrecision }) => averagePrecision ?? []);
  return {
    images: count,
    meanAveragePrecision: known.reduce((a, b) => a + b, 0) / known.length,
    loss: loss / targets.length,
    accuracy: right / targets.length,
    perClass,
    failed,
    skipped,
  };
}

/** Evaluates a regression head on features. */
export async function evaluateNumbers(head: Predictor, rows: Rows, wait: Pace): Promise<NumbersEvaluation> {
  const { targets, count, failed, skipped } = rows;
  const { loss, accuracy } = measure(await outputsOf(head, rows, wait), targets, 'number');
  return { images: count, rmse: Math.sqrt(loss), r2: accuracy, failed, skipped };
}
