import type { TargetKind } from '../targets.js';
import { type ConvexOptions, type ConvexTrained, FAR, L2_DEFAULT, lowest, splitOff, TOLERANCE } from './convex.js';
import { minimize } from './lbfgs.js';
import { type Design, designOf, GIVE_UP, L2_GRID, type L2Trial, type Parameters, penalisedObjective } from './linear.js';
import { affine } from './matrix.js';
import type { Pace } from './pace.js';
import type { TargetRows } from './rows.js';
import { type Standard, standardOf } from './standardize.js';
import { startParameters } from './start.js';

/** Numbers are fitted as parts of their own spread. */
interface Scale {
  readonly mean: number;
  readonly deviation: number;
}

/** Rows in a design's coordinates with their targets. */
interface Aimed {
  readonly x: Float64Array;
  readonly targets: Float32Array;
}

/**
 * Fits a linear head with independent outputs to its optimum by L-BFGS:
 * - labels: for each class the logistic loss of the example's having it, log(1 + exp(s)) - t s for t = 1 or 0;
 * - number: half the squared error, on targets less their mean and divided by their deviation, which go into the weights afterwards.
 * Losses are summed over the outputs and averaged over the examples, with l2 / 2 |W|^2; the strength with the lowest held-out loss is taken.
 */
export async function trainTargets(
  train: TargetRows,
  validation: TargetRows | undefined,
  standard: Standard,
  width: number,
  kind: TargetKind,
  options: ConvexOptions,
  pace: Pace,
): Promise<ConvexTrained> {
  const design = await designOf(train, standard, pace);
  const held = validation && { x: await design.project(validation), targets: validation.targets };
  let chosen: L2Trial | undefined;
  let heldCount = 0;
  if (options.l2 === undefined) {
    const trial = held ? { design, targets: train.targets, held } : await splitTargets(train, width, options.seed, pace);
    if (trial) {
      chosen = lowest(await search(trial.design, trial.targets, trial.held, width, kind, pace, options.onTrial));
      heldCount = held ? 0 : trial.held.targets.length / width;
    }
  }
  const l2 = options.l2 ?? chosen?.l2 ?? L2_DEFAULT;
  const scale = scaleOf(train.targets, kind);
  const start = options.start && toScale(await startParameters(options.start, standard, width, design.width, design.project), scale, width);
  const found = await solve(design, train.targets, width, kind, l2, pace, { tolerance: TOLERANCE, maxIterations: options.epochs }, start);
  const own = await score(found.parameters, design.width, { x: design.x, targets: train.targets }, width, kind);
  const val = held && (await score(found.parameters, design.width, held, width, kind));
  const best = { epoch: Math.max(1, found.steps), ...own, ...(val && { valLoss: val.loss, valAccuracy: val.accuracy }) };
  await options.onEpoch?.(best);
  await pace();
  const weights = await design.lift(found.parameters.subarray(0, width * design.width), width);
  const bias = Float32Array.from(found.parameters.subarray(width * design.width));
  const heldOut = chosen && heldCount > 0 && { images: heldCount, valLoss: chosen.valLoss, valAccuracy: chosen.valAccuracy };
  return {
    net: [{ inputs: train.dimensions, outputs: width, weights: Float32Array.from(weights), bias }],
    history: [best],
    best,
    l2,
    ...(heldOut && { heldOut }),
    converged: found.converged,
  };
}

async function splitTargets(train: TargetRows, width: number, seed: number, pace: Pace) {
  const split = splitOff(train, width, seed);
  if (!split) return undefined;
  const design = await designOf(split.fitted, await standardOf(split.fitted, pace), pace);
  return {
    design,
    targets: split.fitted.targets!,
    held: { x: await design.project(split.held), targets: split.held.targets! },
  };
}

async function search(
  design: Design,
  targets: Float32Array,
  held: Aimed,
  width: number,
  kind: TargetKind,
  pace: Pace,
  onTrial: ConvexOptions['onTrial'],
): Promise<L2Trial[]> {
  const trials: L2Trial[] = [];
  const scale = scaleOf(targets, kind);
  let start: Parameters | undefined;
  let best = 0;
  for (const l2 of L2_GRID) {
    const { parameters } = await solve(design, targets, width, kind, l2, pace, { tolerance: 1e-5 }, start);
    start = toScale(parameters, scale, width);
    const { loss, accuracy } = await score(parameters, design.width, held, width, kind);
    trials.push({ l2, valLoss: loss, valAccuracy: accuracy });
    onTrial?.(trials.at(-1)!, trials.length - 1);
    if (loss < trials[best]!.valLoss) best = trials.length - 1;
    if (trials.length - 1 - best >= GIVE_UP) break;
  }
  return trials;
}

/** The optimum, in the targets' own units; `start` is in those of the fit. */
async function solve(
  design: Design,
  targets: Float32Array,
  width: number,
  kind: TargetKind,
  l2: number,
  pace: Pace,
  limits: { tolerance: number; maxIterations?: number },
  start: Parameters = new Float64Array(width * (design.width + 1)),
): Promise<{ parameters: Parameters; steps: number; converged: boolean }> {
  const scale = scaleOf(targets, kind);
  const objective = penalisedObjective(design, width, l2, pace, (scores, rows, from) => {
    let loss = 0;
    for (let at = 0; at < rows * width; at++) {
      const value = scores[at]!;
      const target = (targets[from * width + at]! - scale.mean) / scale.deviation;
      loss += kind === 'labels' ? logistic(value, target) : (value - target) ** 2 / 2;
      scores[at] = kind === 'labels' ? sigmoid(value) - target : value - target;
    }
    return loss;
  });
  const found = await minimize(objective, start, limits);
  return { parameters: fromScale(found.x, scale, width), steps: found.iterations, converged: found.gradient <= FAR };
}

function scaleOf(targets: Float32Array, kind: TargetKind): Scale {
  if (kind === 'labels') return { mean: 0, deviation: 1 };
  const mean = targets.reduce((a, b) => a + b, 0) / targets.length;
  const deviation = Math.sqrt(targets.reduce((sum, target) => sum + (target - mean) ** 2, 0) / targets.length);
  return { mean, deviation: deviation > 0 ? deviation : 1 };
}

/** Parameters for scaled targets, and back. The biases are the last `width`. */
const toScale = (parameters: Parameters, { mean, deviation }: Scale, width: number): Parameters =>
  parameters.map((value, at) => (value - (at < parameters.length - width ? 0 : mean)) / deviation);
const fromScale = (parameters: Parameters, { mean, deviation }: Scale, width: number): Parameters =>
  parameters.map((value, at) => value * deviation + (at < parameters.length - width ? 0 : mean));

/** log(1 + exp(s)) - t s, without overflow. */
const logistic = (score: number, target: number): number => Math.max(score, 0) + Math.log1p(Math.exp(-Math.abs(score))) - target * score;
export const sigmoid = (score: number): number => 1 / (1 + Math.exp(-score));

async function score(parameters: Parameters, depth: number, { x, targets }: Aimed, width: number, kind: TargetKind) {
  const scores = new Float64Array(targets.length);
  affine(x, targets.length / width, depth, parameters, parameters.subarray(width * depth), width, scores);
  return measure(scores, targets, kind);
}

/**
 * Of labels the mean logistic loss over all examples and classes, and the part of them told rightly at probability 0.5; of numbers the mean
 * squared error and R2, the part of their variance that is explained.
 */
export function measure(scores: ArrayLike<number>, targets: ArrayLike<number>, kind: TargetKind): { loss: number; accuracy: number } {
  const count = targets.length;
  let loss = 0;
  let right = 0;
  let sum = 0;
  for (let at = 0; at < count; at++) {
    const [value, target] = [scores[at]!, targets[at]!];
    sum += target;
    if (kind === 'number') loss += (value - target) ** 2;
    else {
      loss += logistic(value, target);
      if (value > 0 === target > 0.5) right++;
    }
  }
  if (kind === 'labels') return { loss: loss / count, accuracy: right / count };
  let spread = 0;
  for (let at = 0; at < count; at++) spread += (targets[at]! - sum / count) ** 2;
  // Targets that are all the same have nothing to explain.
  return { loss: loss / count, accuracy: spread > 0 ? 1 - loss / spread : Number(loss === 0) };
}
