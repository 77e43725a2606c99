import type { Skipped } from '../../data/photographs.js';
import type { Failed } from '../train/features.js';
import { calibrationError, confusionMatrix, crossEntropy, mostProbable, recalls, topAccuracy } from './metrics.js';

/** How predictions compare with the truth. */
export interface Evaluation {
  /** Pictures that were evaluated; failed and skipped ones are not counted. */
  readonly images: number;
  /** Part whose most probable class is right. */
  readonly top1: number;
  /** Part whose class is among the five most probable. */
  readonly top5: number;
  /** Mean cross-entropy, natural logarithm. */
  readonly loss: number;
  /** Expected calibration error over 15 bins. */
  readonly calibrationError: number;
  /** Mean of the recalls of the classes that have pictures. */
  readonly meanRecall: number;
  /** `recall` is left out for a class without pictures. */
  readonly perClass: readonly { readonly label: string; readonly images: number; readonly recall?: number }[];
  /** `matrix[truth][prediction]`, counts, in the order of `classes`. */
  readonly confusion: { readonly classes: readonly string[]; readonly matrix: readonly (readonly number[])[] };
  readonly failed: readonly Failed[];
  readonly skipped: readonly Skipped[];
}

/**
 * Evaluates probabilities [count, classes] against labels.
 *
 * @param labels class numbers, one for each row
 * @param loss the mean cross-entropy where it is known from the logits; else it is taken from the probabilities
 * @throws VggError `VGG_INPUT` for a label that is no class number
 * @example
 * evaluateProbabilities([0.9, 0.1, 0.4, 0.6], [0, 0], ['ant', 'bee']).top1; // 0.5
 */
export function evaluateProbabilities(
  probabilities: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: readonly string[],
  { loss, failed = [], skipped = [] }: { loss?: number; failed?: readonly Failed[]; skipped?: readonly Skipped[] } = {},
): Evaluation {
  const width = classes.length;
  const matrix = confusionMatrix(mostProbable(probabilities, labels.length, width), labels, width);
  const recall = recalls(matrix);
  const known = recall.filter((part) => part !== undefined);
  return {
    images: labels.length,
    top1: topAccuracy(probabilities, labels, width, 1),
    top5: topAccuracy(probabilities, labels, width, 5),
    loss: loss ?? crossEntropy(probabilities, labels, width),
    calibrationError: calibrationError(probabilities, labels, width),
    meanRecall: known.reduce((a, b) => a + b, 0) / known.length,
    perClass: classes.map((label, c) => ({
      label,
      images: matrix[c]!.reduce((a, b) => a + b, 0),
      ...(recall[c] === undefined ? {} : { recall: recall[c] }),
    })),
    confusion: { classes, matrix },
    failed,
    skipped,
  };
}
