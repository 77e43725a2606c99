import { VggError } from '@vgg/errors';

/**
 * Part of the examples whose label is among the `k` most probable classes; of equally probable classes the one with the lower number
 * comes first.
 *
 * @param scores [count, classes], probabilities or logits
 * @param labels class numbers, one for each row
 * @throws VggError `VGG_INPUT` for a label that is no class number
 * @example topAccuracy([0.2, 0.5, 0.3, 0.6, 0.3, 0.1], [2, 0], 3, 1); // 0.5
 */
export function topAccuracy(scores: ArrayLike<number>, labels: ArrayLike<number>, classes: number, k: number): number {
  checkLabels(labels, classes);
  let hits = 0;
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    const own = scores[i * classes + label]!;
    let ahead = 0;
    for (let c = 0; c < classes; c++) {
      const other = scores[i * classes + c]!;
      if (other > own || (other === own && c < label)) ahead++;
    }
    // A score that is not a number is never right.
    if (ahead < k && !Number.isNaN(own)) hits++;
  }
  return hits / labels.length;
}

/** The class with the largest score of each row, the first of equals. */
export function mostProbable(scores: ArrayLike<number>, count: number, classes: number): Int32Array {
  const chosen = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    let best = 0;
    for (let c = 1; c < classes; c++) if (scores[i * classes + c]! > scores[i * classes + best]!) best = c;
    chosen[i] = best;
  }
  return chosen;
}

/** How many examples of each class (row) were given each class (column). @throws VggError `VGG_INPUT` for a label that is no class number */
export function confusionMatrix(predicted: ArrayLike<number>, labels: ArrayLike<number>, classes: number): number[][] {
  checkLabels(labels, classes);
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) matrix[labels[i]!]![predicted[i]!]!++;
  return matrix;
}

/** Part of each class's examples (rows of a confusion matrix) that were found; `undefined` for a class without examples. */
export function recalls(confusion: readonly (readonly number[])[]): (number | undefined)[] {
  return confusion.map((row, c) => {
    const examples = row.reduce((a, b) => a + b, 0);
    return examples === 0 ? undefined : row[c]! / examples;
  });
}

/** -log of a probability, which counts as float32's smallest normal number where it is below it. */
export function surprise(probability: number): number {
  return -Math.log(Math.max(probability, 2 ** -126));
}

/**
 * Mean of -log of the label's probability (natural logarithm); probabilities below float32's smallest normal number count as it.
 * @throws VggError `VGG_INPUT` for a label that is no class number
 */
export function crossEntropy(probabilities: ArrayLike<number>, labels: ArrayLike<number>, classes: number): number {
  checkLabels(labels, classes);
  let sum = 0;
  for (let i = 0; i < labels.length; i++) sum += surprise(probabilities[i * classes + labels[i]!]!);
  return sum / labels.length;
}

/**
 * Expected calibration error: the mean distance between confidence and accuracy over bins of equal width, (i / bins, (i + 1) / bins],
 * weighted by their examples (Guo et al. 2017, "On Calibration of Modern Neural Networks"). 0 is perfect.
 * @throws VggError `VGG_INPUT` for a label that is no class number
 */
export function calibrationError(probabilities: ArrayLike<number>, labels: ArrayLike<number>, classes: number, bins = 15): number {
  checkLabels(labels, classes);
  const predicted = mostProbable(probabilities, labels.length, classes);
  const confidences = Float64Array.from(predicted, (best, i) => probabilities[i * classes + best]!);
  return calibrationOf(confidences, (i) => predicted[i] === labels[i], bins);
}

/** {@link calibrationError} from the probability of each example's most probable class, and whether it is the right one. */
export function calibrationOf(confidences: ArrayLike<number>, isRight: (example: number) => boolean, bins = 15): number {
  const gaps = new Float64Array(bins);
  for (let i = 0; i < confidences.length; i++) {
    const bin = Math.min(bins - 1, Math.max(0, Math.ceil(confidences[i]! * bins) - 1));
    gaps[bin]! += confidences[i]! - (isRight(i) ? 1 : 0);
  }
  return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / confidences.length;
}

/**
 * Area under the steps of the precision-recall curve of one class: the sum over its thresholds of precision times the gain in recall.
 * Examples of equal scores share a threshold. 1 is perfect.
 *
 * @param truth 1 for examples of the class, 0 for others
 * @returns undefined without any example of the class
 * @example averagePrecision([0.9, 0.8, 0.1], [1, 0, 1]); // 0.8333333333333333
 */
export function averagePrecision(scores: ArrayLike<number>, truth: ArrayLike<number>): number | undefined {
  const order = Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  let hits = 0;
  let before = 0;
  let area = 0;
  for (const [place, i] of order.entries()) {
    if (truth[i]! > 0.5) hits++;
    const next = order[place + 1];
    if (next !== undefined && scores[next] === scores[i]) continue;
    area += ((hits - before) * hits) / (place + 1);
    before = hits;
  }
  return hits === 0 ? undefined : area / hits;
}

function checkLabels(labels: ArrayLike<number>, classes: number): void {
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    if (!(Number.isInteger(label) && label >= 0 && label < classes))
      throw new VggError('VGG_INPUT', `metrics: expected labels from 0 to ${classes - 1}, received ${label} for example ${i}`);
  }
}
