import type { Skipped } from '../../data/photographs.js';
import { type Predictor, predictRows, rowsAtATime } from '../predict-rows.js';
import type { Failed } from '../train/features.js';
import type { Pace } from '../train/pace.js';
import type { TargetRows } from '../train/rows.js';
import { measure } from '../train/targets-fit.js';
import { averagePrecision, surprise } from './metrics.js';

/** How a multi-label head does on one label; what there is nothing to tell from is left out. */
export interface LabelEvaluation {
  readonly label: string;
  /** Pictures that have it. */
  readonly images: number;
  readonly averagePrecision?: number;
  /** At probability 0.5: part of the pictures that it is given to which have it, part of those which have it that it is given to, and F1 of both. */
  readonly precision?: number;
  readonly recall?: number;
  readonly f1?: number;
}

/** How the probabilities of a multi-label head compare with the labels of pictures. */
export interface LabelsEvaluation {
  readonly images: number;
  /** Mean of the average precisions of the classes that have pictures. */
  readonly meanAveragePrecision: number;
  /** Mean cross-entropy of all decisions, natural logarithm. */
  readonly loss: number;
  /** Part of all decisions, of each class for each picture, that are right at probability 0.5. */
  readonly accuracy: number;
  /** Part of the pictures whose decisions are all right. */
  readonly subsetAccuracy: number;
  /** Mean of the F1 of the classes that have pictures, at probability 0.5. */
  readonly meanF1: number;
  readonly perClass: readonly LabelEvaluation[];
  readonly failed: readonly Failed[];
  readonly skipped: readonly Skipped[];
}

/** How the numbers of a regression head compare with the true ones. */
export interface NumbersEvaluation {
  readonly images: number;
  /** Mean absolute error, in the targets' units. */
  readonly mae: number;
  /** Root of the mean squared error, in the targets' units. */
  readonly rmse: number;
  /** Part of the targets' variance that is explained: 1 is perfect, 0 as good as their mean. */
  readonly r2: number;
  /** What each picture was taken for. */
  readonly pictures: readonly { readonly name: string; readonly target: number; readonly predicted: number }[];
  readonly failed: readonly Failed[];
  readonly skipped: readonly Skipped[];
}

type Rows = TargetRows & { readonly names: readonly string[]; readonly failed: readonly Failed[]; readonly skipped: readonly Skipped[] };

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
  const perClass = classes.map((label, c) => labelEvaluation(label, column(probabilities, c), column(targets, c)));
  const isRight = (probability: number, at: number) => probability > 0.5 === targets[at]! > 0.5;
  const whole = Array.from({ length: count }, (_, i) => i * classes.length).filter((from) =>
    probabilities.subarray(from, from + classes.length).every((probability, c) => isRight(probability, from + c)),
  );
  return {
    images: count,
    meanAveragePrecision: mean(perClass.flatMap(({ averagePrecision }) => averagePrecision ?? [])),
    meanF1: mean(perClass.flatMap(({ images, f1 }) => (images > 0 ? (f1 ?? []) : []))),
    subsetAccuracy: whole.length / count,
    loss: loss / targets.length,
    accuracy: right / targets.length,
    perClass,
    failed,
    skipped,
  };
}

function labelEvaluation(label: string, probabilities: Float32Array, truth: Float32Array): LabelEvaluation {
  const averaged = averagePrecision(probabilities, truth);
  const images = truth.reduce((sum, value) => sum + value, 0);
  const given = probabilities.filter((probability) => probability > 0.5).length;
  const right = probabilities.filter((probability, i) => probability > 0.5 && truth[i]! > 0.5).length;
  return {
    label,
    images,
    ...(averaged !== undefined && { averagePrecision: averaged }),
    ...(given > 0 && { precision: right / given }),
    ...(images > 0 && { recall: right / images }),
    ...(given + images > 0 && { f1: (2 * right) / (given + images) }),
  };
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Evaluates a regression head on features. */
export async function evaluateNumbers(head: Predictor, rows: Rows, wait: Pace): Promise<NumbersEvaluation> {
  const { targets, count, names, failed, skipped } = rows;
  const outputs = await outputsOf(head, rows, wait);
  const { loss, accuracy } = measure(outputs, targets, 'number');
  const pictures = names.map((name, i) => ({ name, target: targets[i]!, predicted: outputs[i]! }));
  const mae = mean(pictures.map(({ target, predicted }) => Math.abs(predicted - target)));
  return { images: count, mae, rmse: Math.sqrt(loss), r2: accuracy, pictures, failed, skipped };
}
