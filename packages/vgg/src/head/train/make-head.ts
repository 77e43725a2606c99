import type { Embedder } from '../../run/embedding.js';
import { VERSION } from '../../version.js';
import { evaluateRows } from '../evaluate/evaluate-rows.js';
import { Head } from '../head.js';
import { keptFeatures } from '../kept-features.js';
import type { Base, FeatureSet } from './features.js';
import { fit } from './fit.js';
import type { Pace } from './pace.js';
import type { LabelledRows } from './rows.js';
import { type Settings, type TrainHeadOptions, targetKind, wrong } from './settings.js';
import { plainStandard, standardOf } from './standardize.js';
import type { Start } from './start.js';

/** Examples that are not fitted, and what could not be read of them. */
export type Held = LabelledRows & Partial<Pick<FeatureSet, 'failed' | 'skipped'>>;

/** What a head is made of. */
export interface HeadInput {
  readonly classes: readonly string[];
  readonly base: Base;
  readonly fitted: LabelledRows;
  readonly held: Held | undefined;
  readonly settings: Settings;
  /** A head of the same kind to go on from. */
  readonly start?: Start;
}

/** Fits a head to features, and measures it on those held out. */
export async function makeHead(
  model: Embedder,
  { classes, base, fitted, held, settings, start }: HeadInput,
  options: Pick<TrainHeadOptions, 'onEpoch' | 'onProgress' | 'keep'> & { warnings: readonly string[]; warn: (message: string) => void },
  wait: Pace,
): Promise<Head> {
  const isKnn = settings.solver === 'knn';
  if (isKnn) checkNeighbours(settings.neighbours.k, fitted.count);
  const kept = isKnn || options.keep ? keptFeatures(fitted) : undefined;
  const standard = isKnn ? plainStandard(fitted.dimensions) : await standardOf(fitted, wait);
  const { net, history, best, training } = await fit(
    fitted,
    held,
    standard,
    classes,
    settings,
    { ...options, ...(start && { start }) },
    wait,
  );
  const info = {
    classes,
    base,
    dimensions: fitted.dimensions,
    hidden: settings.hidden,
    history,
    best,
    training: { ...training, images: fitted.count },
    ...(kept && { kept: kept.count }),
    version: VERSION,
  };
  const stored = { info, standard, net, ...(kept && { kept }) };
  return new Head(
    model,
    stored,
    options.warnings,
    held && !targetKind(settings.solver) ? await evaluateRows(stored, held, wait) : undefined,
  );
}

function checkNeighbours(k: number, count: number): void {
  if (k > count) throw wrong('k', `a number up to that of the examples, ${count},`, k);
}
