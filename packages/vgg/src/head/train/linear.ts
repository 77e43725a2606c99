import { VggError } from '@vgg/errors';
import { basisOf } from './basis.js';
import { minimize, type Objective } from './lbfgs.js';
import { addCombinations, affine } from './matrix.js';
import { CHUNK, type Pace } from './pace.js';
import type { Rows } from './rows.js';
import { type Scored, softmaxInPlace } from './softmax.js';
import { type Standard, standardizeInto } from './standardize.js';

/** Up to this many examples, fewer than features, the problem is solved in their own basis: it costs count^2 x dimensions once. */
const MOST_IN_BASIS = 2000;
/** The largest float64 copy of the features that the solver makes. */
const MOST_BYTES = 2 ** 30;

/** Standardised examples, in the features' own coordinates or in a basis of fewer. */
export interface Design {
  /** [count, width] */
  readonly x: Float64Array;
  readonly count: number;
  readonly width: number;
  /** Weights [classes, width] to weights of the standardised features [classes, dimensions]. */
  lift(weights: Float64Array, classes: number): Promise<Float64Array>;
  /** Other rows in the same coordinates. */
  project(rows: Rows): Promise<Float64Array>;
}

/**
 * @param basis whether to work in the examples' own basis; default where that is less work
 * @throws VggError `VGG_MEMORY` where the float64 copy would be too large
 */
export async function designOf(rows: Rows, standard: Standard, pace: Pace, basis?: boolean): Promise<Design> {
  const { count, dimensions } = rows;
  if (basis ?? (count < dimensions && count <= MOST_IN_BASIS)) {
    const { coordinates, rank, lift, project } = await basisOf(rows, standard, pace);
    return { x: coordinates, count, width: rank, lift, project };
  }
  if (count * dimensions * 8 > MOST_BYTES) {
    throw new VggError(
      'VGG_MEMORY',
      `trainHead: the lbfgs solver would copy ${count} x ${dimensions} features in float64 (${Math.round((count * dimensions) / 2 ** 17)} MiB, its limit is ${MOST_BYTES / 2 ** 20}); use pooling 'average' or solver 'adam'`,
    );
  }
  const project = async (others: Rows) => {
    const out = new Float64Array(others.count * dimensions);
    const step = Math.max(1, Math.floor(CHUNK / dimensions));
    for (let from = 0; from < others.count; from += step) {
      const part = Math.min(step, others.count - from);
      standardizeInto(others, standard, from, part, out.subarray(from * dimensions, (from + part) * dimensions));
      await pace();
    }
    return out;
  };
  return { x: await project(rows), count, width: dimensions, lift: async (weights) => weights, project };
}

/** Weights [classes, width], then biases [classes], in one array. */
export type Parameters = Float64Array;

/**
 * The regularised multinomial logistic loss, and its gradient:
 *
 * mean over examples of -log softmax(W x + b)[label]  +  l2 / 2 |W|^2      (biases are not penalised)
 */
export function logisticObjective(design: Design, labels: ArrayLike<number>, classes: number, l2: number, pace: Pace): Objective {
  return penalisedObjective(design, classes, l2, pace, (logits, rows, from) => {
    const { loss } = softmaxInPlace(logits, rows, classes, labels, from);
    // The gradient by a logit is probability - [class is the label].
    for (let i = 0; i < rows; i++) logits[i * classes + labels[from + i]!]! -= 1;
    return loss;
  });
}

/**
 * The mean over examples of a loss of their scores W x + b, plus l2 / 2 |W|^2, and its gradient; biases are not penalised.
 *
 * @param lossOf the summed loss of scores [rows, classes] of the examples `from` and on; it puts the loss's derivative by each score there
 */
export function penalisedObjective(
  design: Design,
  classes: number,
  l2: number,
  pace: Pace,
  lossOf: (scores: Float64Array, rows: number, from: number) => number,
): Objective {
  const { x, count, width } = design;
  const chunk = Math.max(4, Math.floor(CHUNK / Math.max(1, width * classes)) & ~3);
  const scores = new Float64Array(Math.min(chunk, count) * classes);
  return async (parameters, gradient) => {
    const weights = parameters.subarray(0, classes * width);
    const bias = parameters.subarray(classes * width);
    const weightGradient = gradient.subarray(0, classes * width);
    const biasGradient = gradient.subarray(classes * width);
    gradient.fill(0);
    let loss = 0;
    for (let from = 0; from < count; from += chunk) {
      const rows = Math.min(chunk, count - from);
      const part = x.subarray(from * width, (from + rows) * width);
      affine(part, rows, width, weights, bias, classes, scores);
      loss += lossOf(scores, rows, from);
      for (let i = 0; i < rows; i++) for (let c = 0; c < classes; c++) biasGradient[c]! += scores[i * classes + c]! /= count;
      addCombinations(scores, 1, classes, part, rows, weightGradient, classes, width);
      await pace();
    }
    let penalty = 0;
    for (let i = 0; i < weights.length; i++) {
      penalty += weights[i]! * weights[i]!;
      weightGradient[i]! += l2 * weights[i]!;
    }
    return loss / count + (l2 / 2) * penalty;
  };
}

/** Cross-entropy and hits of parameters on rows [count, width] that are in a design's coordinates. */
export async function scoreLinear(
  parameters: Parameters,
  x: Float64Array,
  labels: ArrayLike<number>,
  width: number,
  classes: number,
  pace: Pace,
): Promise<Scored> {
  const count = labels.length;
  const chunk = Math.max(4, Math.floor(CHUNK / Math.max(1, width * classes)) & ~3);
  const logits = new Float64Array(Math.min(chunk, count) * classes);
  const total = { loss: 0, correct: 0 };
  for (let from = 0; from < count; from += chunk) {
    const rows = Math.min(chunk, count - from);
    affine(x.subarray(from * width, (from + rows) * width), rows, width, parameters, parameters.subarray(classes * width), classes, logits);
    const part = softmaxInPlace(logits, rows, classes, labels, from);
    total.loss += part.loss;
    total.correct += part.correct;
    await pace();
  }
  return total;
}

/** L2 strengths that are tried, strongest first: half decades from 100 to 1e-5, on the scale of the mean loss. */
export const L2_GRID: readonly number[] = Array.from({ length: 15 }, (_, i) => 10 ** (2 - i / 2));

/** How one L2 strength did on examples that were not fitted. */
export interface L2Trial {
  readonly l2: number;
  readonly valLoss: number;
  readonly valAccuracy: number;
}

/** Strengths in a row that are worse than the best, after which weaker ones (the slowest to fit) are not tried. */
export const GIVE_UP = 4;

/** The optimum for each strength of the grid, strongest first and each started from the one before, scored on held-out rows. */
export async function searchL2(
  design: Design,
  labels: ArrayLike<number>,
  held: { x: Float64Array; labels: ArrayLike<number> },
  classes: number,
  pace: Pace,
  onTrial?: (trial: L2Trial, index: number) => void,
): Promise<L2Trial[]> {
  let parameters: Parameters = new Float64Array(classes * (design.width + 1));
  const trials: L2Trial[] = [];
  let best = 0;
  for (const l2 of L2_GRID) {
    const found = await minimize(logisticObjective(design, labels, classes, l2, pace), parameters, { tolerance: 1e-5 });
    parameters = found.x;
    const { loss, correct } = await scoreLinear(parameters, held.x, held.labels, design.width, classes, pace);
    const trial = { l2, valLoss: loss / held.labels.length, valAccuracy: correct / held.labels.length };
    trials.push(trial);
    onTrial?.(trial, trials.length - 1);
    if (trial.valLoss < trials[best]!.valLoss) best = trials.length - 1;
    if (trials.length - 1 - best >= GIVE_UP) break;
  }
  return trials;
}
