import { type ConvexOptions, type ConvexTrained, FAR, type HeldRows, heldOutOf, L2_DEFAULT, lowest, TOLERANCE } from './convex.js';
import { minimize } from './lbfgs.js';
import { type Design, designOf, GIVE_UP, L2_GRID, type L2Trial, type Parameters, penalisedObjective, scoreLinear } from './linear.js';
import { affine } from './matrix.js';
import { entryOf } from './minibatch.js';
import { CHUNK, type Pace } from './pace.js';
import type { LabelledRows } from './rows.js';
import { softmaxInPlace } from './softmax.js';
import type { Standard } from './standardize.js';
import { startParameters } from './start.js';

/**
 * Linear classifiers that give each class a score W x + b:
 * - `svm`: one support vector machine for each class against the rest, squared hinge: max(0, 1 - t s)^2 for the target t = 1 or -1;
 * - `ridge`: least squares to the same targets, (s - t)^2;
 * - `nearest-mean`: the class whose mean is nearest: m x - |m|^2 / 2, which orders classes as the distance does.
 */
export type ScoreSolver = 'svm' | 'ridge' | 'nearest-mean';
export const SCORE_SOLVERS: readonly ScoreSolver[] = ['svm', 'ridge', 'nearest-mean'];

export interface ScoreTrained extends ConvexTrained {
  /** What scores are multiplied by before the softmax makes probabilities of them; it is in the net's weights already. */
  readonly temperature: number;
}

interface Fitted {
  readonly parameters: Parameters;
  readonly steps: number;
  readonly converged: boolean;
}

interface ScoreTrial extends L2Trial {
  readonly temperature: number;
}

/**
 * Fits one of the score solvers. The L2 strength is the one with the lowest cross-entropy on the validation, or on a part of the training
 * examples held out for it; so is the temperature, the one factor that makes the softmax of the scores probabilities (Guo et al. 2017).
 */
export async function trainScores(
  train: LabelledRows,
  validation: LabelledRows | undefined,
  standard: Standard,
  classes: number,
  { solver, ...options }: ConvexOptions & { solver: ScoreSolver },
  pace: Pace,
): Promise<ScoreTrained> {
  const { labels, count } = train;
  const design = await designOf(train, standard, pace);
  const held = validation && { x: await design.project(validation), labels: validation.labels };
  const trial = held ? { design, labels, held } : await heldOutOf(train, classes, options.seed, pace);
  const strengths = solver === 'nearest-mean' ? [0] : options.l2 === undefined ? L2_GRID : [options.l2];
  const chosen = trial && lowest(await search(solver, trial, strengths, classes, pace, options.onTrial));
  const l2 = chosen?.l2 ?? options.l2 ?? (solver === 'nearest-mean' ? 0 : L2_DEFAULT);

  const start = options.start && (await startParameters(options.start, standard, classes, design.width, design.project));
  const limits = { tolerance: TOLERANCE, maxIterations: options.epochs };
  const { parameters, steps, converged } = await fit(solver, design, labels, classes, l2, pace, limits, start);
  // With too few examples to hold any out, the temperature is that of the examples themselves.
  const temperature = chosen?.temperature ?? (await fitTemperature(parameters, { x: design.x, labels }, design.width, classes, pace));
  const scaled = parameters.map((value) => value * temperature);
  const own = await scoreLinear(scaled, design.x, labels, design.width, classes, pace);
  const val = held && (await scoreLinear(scaled, held.x, held.labels, design.width, classes, pace));
  const entry = entryOf(Math.max(1, steps), own, count, val, held?.labels.length);
  await options.onEpoch?.(entry);
  await pace();

  const weights = await design.lift(scaled.subarray(0, classes * design.width), classes);
  const bias = Float32Array.from(scaled.subarray(classes * design.width));
  const heldOut = chosen && !held && { images: trial.held.labels.length, valLoss: chosen.valLoss, valAccuracy: chosen.valAccuracy };
  return {
    net: [{ inputs: train.dimensions, outputs: classes, weights: Float32Array.from(weights), bias }],
    history: [entry],
    best: entry,
    l2,
    temperature,
    ...(heldOut && { heldOut }),
    converged,
  };
}

async function search(
  solver: ScoreSolver,
  { design, labels, held }: { design: Design; labels: ArrayLike<number>; held: HeldRows },
  strengths: readonly number[],
  classes: number,
  pace: Pace,
  onTrial: ConvexOptions['onTrial'],
): Promise<ScoreTrial[]> {
  const trials: ScoreTrial[] = [];
  let start: Parameters | undefined;
  let best = 0;
  for (const l2 of strengths) {
    start = (await fit(solver, design, labels, classes, l2, pace, { tolerance: 1e-5 }, start)).parameters;
    const temperature = await fitTemperature(start, held, design.width, classes, pace);
    const scaled = start.map((value) => value * temperature);
    const { loss, correct } = await scoreLinear(scaled, held.x, held.labels, design.width, classes, pace);
    const trial = { l2, temperature, valLoss: loss / held.labels.length, valAccuracy: correct / held.labels.length };
    trials.push(trial);
    onTrial?.(trial, trials.length - 1);
    if (trial.valLoss < trials[best]!.valLoss) best = trials.length - 1;
    if (trials.length - 1 - best >= GIVE_UP) break;
  }
  return trials;
}

async function fit(
  solver: ScoreSolver,
  design: Design,
  labels: ArrayLike<number>,
  classes: number,
  l2: number,
  pace: Pace,
  options: { tolerance: number; maxIterations?: number },
  start: Parameters = new Float64Array(classes * (design.width + 1)),
): Promise<Fitted> {
  if (solver === 'nearest-mean') return { parameters: await meansOf(design, labels, classes, pace), steps: 1, converged: true };
  const lossOf = solver === 'svm' ? squaredHinge : squaredError;
  const objective = penalisedObjective(design, classes, l2, pace, (scores, rows, from) => {
    let loss = 0;
    for (let i = 0; i < rows; i++) {
      for (let c = 0; c < classes; c++) {
        const at = i * classes + c;
        const target = labels[from + i] === c ? 1 : -1;
        const miss = lossOf(scores[at]!, target);
        loss += miss * miss;
        scores[at] = -2 * target * miss;
      }
    }
    return loss;
  });
  const found = await minimize(objective, start, options);
  return { parameters: found.x, steps: found.iterations, converged: found.gradient <= FAR };
}

/** How far a score falls short of its target's side; its square is the loss. */
const squaredHinge = (score: number, target: number): number => Math.max(0, 1 - target * score);
const squaredError = (score: number, target: number): number => 1 - target * score;

/** Class means m as weights and -|m|^2 / 2 as biases, in the design's coordinates, which keep distances. */
async function meansOf({ x, count, width }: Design, labels: ArrayLike<number>, classes: number, pace: Pace): Promise<Parameters> {
  const parameters = new Float64Array(classes * (width + 1));
  const counts = new Float64Array(classes);
  for (let i = 0; i < count; i++) {
    const label = labels[i]!;
    counts[label]!++;
    for (let k = 0; k < width; k++) parameters[label * width + k]! += x[i * width + k]!;
    await pace();
  }
  for (let c = 0; c < classes; c++) {
    let square = 0;
    for (let k = 0; k < width; k++) {
      const mean = parameters[c * width + k]! / counts[c]!;
      parameters[c * width + k] = mean;
      square += mean * mean;
    }
    parameters[classes * width + c] = -square / 2;
  }
  return parameters;
}

/** No factor makes scores more extreme than this many, root mean square: a few pictures all told apart would have it be infinite. */
const MOST_EXTREME = 30;
const GOLDEN = (Math.sqrt(5) - 1) / 2;
/** Golden sections: they leave 1e-8 of the range. */
const SECTIONS = 40;

/** The factor of the scores with the least cross-entropy, which is convex in it: golden-section search over its logarithm. */
export async function fitTemperature(
  parameters: Parameters,
  { x, labels }: HeldRows,
  width: number,
  classes: number,
  pace: Pace,
): Promise<number> {
  const scores = new Float64Array(labels.length * classes);
  const chunk = Math.max(4, Math.floor(CHUNK / Math.max(1, width * classes)) & ~3);
  for (let from = 0; from < labels.length; from += chunk) {
    const rows = Math.min(chunk, labels.length - from);
    const part = x.subarray(from * width, (from + rows) * width);
    const out = scores.subarray(from * classes, (from + rows) * classes);
    affine(part, rows, width, parameters, parameters.subarray(classes * width), classes, out);
    await pace();
  }
  const size = Math.sqrt(scores.reduce((sum, score) => sum + score * score, 0) / scores.length);
  if (!(size > 0)) return 1;
  const work = new Float64Array(scores.length);
  const lossAt = async (logarithm: number) => {
    const factor = Math.exp(logarithm);
    for (let i = 0; i < scores.length; i++) work[i] = factor * scores[i]!;
    await pace();
    return softmaxInPlace(work, labels.length, classes, labels).loss;
  };
  let [low, high] = [Math.log(1e-4 / size), Math.log(MOST_EXTREME / size)];
  let [left, right] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
  let [atLeft, atRight] = [await lossAt(left), await lossAt(right)];
  for (let section = 0; section < SECTIONS; section++) {
    if (atLeft <= atRight) {
      [high, right, atRight] = [right, left, atLeft];
      left = high - GOLDEN * (high - low);
      atLeft = await lossAt(left);
    } else {
      [low, left, atLeft] = [left, right, atRight];
      right = low + GOLDEN * (high - low);
      atRight = await lossAt(right);
    }
  }
  return Math.exp((low + high) / 2);
}
