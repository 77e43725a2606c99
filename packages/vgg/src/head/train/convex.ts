import type { HistoryEntry } from './history.js';
import { minimize } from './lbfgs.js';
import { type Design, designOf, type L2Trial, logisticObjective, scoreLinear, searchL2 } from './linear.js';
import { entryOf, type Trained } from './minibatch.js';
import type { Net } from './net.js';
import type { Pace } from './pace.js';
import { type LabelledRows, pickRows } from './rows.js';
import { stratifiedSplit } from './split.js';
import { type Standard, standardOf } from './standardize.js';
import { type Start, startParameters } from './start.js';

export interface ConvexOptions {
  /** The L2 strength; left out it is chosen on the validation examples, or on a part of the training examples held out for it. */
  l2?: number;
  /** Most steps of the final fit. */
  epochs: number;
  /** Decides which examples are held out. */
  seed: number;
  /** A linear head whose parameters the final fit begins with; it ends at the same optimum. */
  start?: Start;
  onEpoch?: (entry: HistoryEntry) => void | Promise<void>;
  /** After each strength that was tried. */
  onTrial?: (trial: L2Trial, index: number) => void;
}

export interface ConvexTrained extends Trained {
  readonly l2: number;
  /** What the held-out examples said of the chosen strength, where there was no validation. */
  readonly heldOut?: { readonly images: number; readonly valLoss: number; readonly valAccuracy: number };
  /** False where the steps ended before the optimum. */
  readonly converged: boolean;
}

/** Part of the training examples that chooses the L2 strength where there is no validation. */
const HELD_OUT = 0.2;
/** The strength where no example can be held out. */
export const L2_DEFAULT = 0.1;
/** Of the gradient of a loss near 1: the weights are then good to about six digits. */
export const TOLERANCE = 1e-6;
/** A gradient above this after the last step is worth a warning. */
export const FAR = 1e-3;

/** Fits the linear softmax head to its optimum by L-BFGS, for an L2 strength that is given or chosen on examples not fitted. */
export async function trainConvex(
  train: LabelledRows,
  validation: LabelledRows | undefined,
  standard: Standard,
  classes: number,
  options: ConvexOptions,
  pace: Pace,
): Promise<ConvexTrained> {
  const { labels, count } = train;
  const design = await designOf(train, standard, pace);
  const held = validation && { x: await design.project(validation), labels: validation.labels };
  let chosen: L2Trial | undefined;
  let heldOut: ConvexTrained['heldOut'];
  if (options.l2 === undefined) {
    const trial = held ? { design, labels, held } : await heldOutOf(train, classes, options.seed, pace);
    if (trial) {
      chosen = lowest(await searchL2(trial.design, trial.labels, trial.held, classes, pace, options.onTrial));
      if (!held) heldOut = { images: trial.held.labels.length, valLoss: chosen.valLoss, valAccuracy: chosen.valAccuracy };
    }
  }
  const l2 = options.l2 ?? chosen?.l2 ?? L2_DEFAULT;

  const history: HistoryEntry[] = [];
  const record = async (epoch: number, parameters: Float64Array) => {
    const fit = await scoreLinear(parameters, design.x, labels, design.width, classes, pace);
    const val = held && (await scoreLinear(parameters, held.x, held.labels, design.width, classes, pace));
    const entry = entryOf(epoch, fit, count, val, held?.labels.length);
    history.push(entry);
    await options.onEpoch?.(entry);
    return undefined;
  };
  const start = options.start
    ? await startParameters(options.start, standard, classes, design.width, design.project)
    : new Float64Array(classes * (design.width + 1));
  const found = await minimize(logisticObjective(design, labels, classes, l2, pace), start, {
    tolerance: TOLERANCE,
    maxIterations: options.epochs,
    onIteration: (epoch, _value, parameters) => record(epoch, parameters),
  });
  if (history.length === 0) await record(1, found.x);

  const lifted = await design.lift(found.x.subarray(0, classes * design.width), classes);
  const net: Net = [
    {
      inputs: train.dimensions,
      outputs: classes,
      weights: Float32Array.from(lifted),
      bias: Float32Array.from(found.x.subarray(classes * design.width)),
    },
  ];
  return { net, history, best: history.at(-1)!, l2, ...(heldOut && { heldOut }), converged: found.gradient <= FAR };
}

/** Rows in a design's coordinates. */
export interface HeldRows {
  readonly x: Float64Array;
  readonly labels: ArrayLike<number>;
}

/** The training examples less a part of every class, and that part, to choose by; undefined where none can be spared. */
export async function heldOutOf(
  train: LabelledRows,
  classes: number,
  seed: number,
  pace: Pace,
): Promise<{ design: Design; labels: ArrayLike<number>; held: HeldRows } | undefined> {
  const split = splitOff(train, classes, seed);
  if (!split) return undefined;
  const { fitted, held: out } = split;
  const design = await designOf(fitted, await standardOf(fitted, pace), pace);
  return { design, labels: fitted.labels, held: { x: await design.project(out), labels: out.labels } };
}

/** Two parts of rows, of each class some; undefined where none can be spared. */
export function splitOff(train: LabelledRows, classes: number, seed: number): { fitted: LabelledRows; held: LabelledRows } | undefined {
  const split = stratifiedSplit(train.labels, classes, HELD_OUT, seed);
  if (split.held.length === 0) return undefined;
  return { fitted: pickRows(train, split.fitted), held: pickRows(train, split.held) };
}

/** The strength with the lowest held-out loss, the stronger of equals. */
export function lowest<Trial extends L2Trial>(trials: readonly Trial[]): Trial {
  return trials.reduce((best, trial) => (trial.valLoss < best.valLoss ? trial : best));
}
