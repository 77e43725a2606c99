import { VggError } from '@vgg/errors';
import { evaluateRows } from '../evaluate/evaluate-rows.js';
import type { Training } from '../head-file.js';
import type { Predictor } from '../predict-rows.js';
import { type ConvexTrained, trainConvex } from './convex.js';
import type { HistoryEntry } from './history.js';
import { L2_GRID } from './linear.js';
import { trainMinibatch } from './minibatch.js';
import type { Net } from './net.js';
import type { Pace } from './pace.js';
import type { LabelledRows, TargetRows } from './rows.js';
import { type ScoreSolver, trainScores } from './scores.js';
import { type Settings, type TrainHeadOptions, targetKind } from './settings.js';
import type { Standard } from './standardize.js';
import type { Start } from './start.js';
import { trainTargets } from './targets-fit.js';

/** Adam's own constants (Kingma and Ba 2015). */
const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** What a solver made of examples. */
export interface Fitted {
  readonly net: Net;
  readonly history: readonly HistoryEntry[];
  /** The entry whose parameters were kept. */
  readonly best: HistoryEntry;
  readonly training: Omit<Training, 'images'>;
}

/** Fits a head of any kind by its solver. */
export async function fit(
  fitted: LabelledRows,
  held: LabelledRows | undefined,
  standard: Standard,
  classes: readonly string[],
  settings: Settings,
  {
    onEpoch,
    onProgress,
    warn,
    start,
  }: Pick<TrainHeadOptions, 'onEpoch' | 'onProgress'> & { warn: (message: string) => void; start?: Start },
  wait: Pace,
): Promise<Fitted> {
  const { solver, epochs, seed, l2 } = settings;
  const report = async (entry: HistoryEntry) => {
    onProgress?.({ stage: 'train', loaded: entry.epoch, total: epochs });
    await onEpoch?.(entry);
  };
  if (solver === 'knn') {
    const training = { solver, seed, neighbours: settings.neighbours };
    const best = await entryOfNeighbours(
      fitted,
      held,
      { standard, net: [], kept: fitted, info: { classes, training: { ...training, images: 0 } } },
      wait,
    );
    await report(best);
    return { net: [], history: [best], best, training };
  }
  if (solver === 'adam') {
    const { hidden, learningRate, weightDecay, batchSize } = settings;
    const dropout = hidden.length > 0 ? settings.dropout : 0;
    const options = { ...settings, ...ADAM, dropout, onEpoch: report, ...(start && { start }) };
    const trained = await trainMinibatch(fitted, held, standard, classes.length, options, wait);
    return { ...trained, training: { solver, seed, learningRate, weightDecay, dropout, batchSize } };
  }
  const onTrial = (_: unknown, index: number) => onProgress?.({ stage: 'choose l2', loaded: index + 1, total: L2_GRID.length });
  const options = { epochs, seed, onEpoch: report, onTrial, ...(l2 === undefined ? {} : { l2 }), ...(start && { start }) };
  const kind = targetKind(solver);
  const trained: ConvexTrained & { readonly temperature?: number } = kind
    ? await trainTargets(withTargets(fitted), held && withTargets(held), standard, classes.length, kind, options, wait)
    : solver === 'lbfgs'
      ? await trainConvex(fitted, held, standard, classes.length, options, wait)
      : await trainScores(fitted, held, standard, classes.length, { ...options, solver: solver as ScoreSolver }, wait);
  if (!trained.converged) warn(`the solver stopped after ${epochs} steps before the optimum; pass more epochs or a larger l2`);
  const training = {
    solver,
    seed,
    ...(solver === 'nearest-mean' ? { counts: countsOf(fitted.labels, classes.length) } : { l2: trained.l2 }),
    ...(trained.temperature !== undefined && { temperature: trained.temperature }),
    ...(trained.heldOut && { heldOut: trained.heldOut }),
  };
  return { ...trained, training };
}

function withTargets(rows: LabelledRows): TargetRows {
  if (!rows.targets)
    throw new VggError('VGG_HEAD', 'trainHead: expected features with targets, received some without; compute them with targets');
  return { ...rows, targets: rows.targets };
}

/** Examples of each class. */
export function countsOf(labels: ArrayLike<number>, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (let i = 0; i < labels.length; i++) counts[labels[i]!]!++;
  return counts;
}

/** A k-NN head has no epochs: one entry, of the examples as `evaluate` would see them. */
async function entryOfNeighbours(fitted: LabelledRows, held: LabelledRows | undefined, head: Predictor, wait: Pace): Promise<HistoryEntry> {
  const { loss, top1: accuracy } = await evaluateRows(head, fitted, wait);
  if (!held) return { epoch: 1, loss, accuracy };
  const val = await evaluateRows(head, held, wait);
  return { epoch: 1, loss, accuracy, valLoss: val.loss, valAccuracy: val.top1 };
}
