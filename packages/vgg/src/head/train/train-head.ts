import { type OnProgress, throwIfAborted, VggError } from '@vgg/errors';
import { type Dataset, type DatasetInput, openDataset } from '../../data/dataset.js';
import type { Embedder } from '../../run/embedding.js';
import { VERSION } from '../../version.js';
import { evaluateRows } from '../evaluate/evaluate-rows.js';
import { difference, Head, mapClasses } from '../head.js';
import type { Training } from '../head-file.js';
import { type ConvexTrained, trainConvex } from './convex.js';
import { type Base, baseOf, type FeatureOptions, type FeatureSet, featuresOf, isFeatureSet } from './features.js';
import type { HistoryEntry } from './history.js';
import { L2_GRID } from './linear.js';
import { trainMinibatch } from './minibatch.js';
import { type Pace, pace } from './pace.js';
import { type LabelledRows, pickRows } from './rows.js';
import { SCORE_SOLVERS, trainScores } from './scores.js';
import { stratifiedSplit } from './split.js';
import { standardOf } from './standardize.js';

export interface TrainHeadOptions extends FeatureOptions {
  /** Pictures or features of the same classes that are not trained on, or the part (0 to 1) of every class to set aside by the seed. */
  validation?: DatasetInput | FeatureSet | number;
  /** Units of one hidden layer, or of several; none (the default) gives the linear softmax head. */
  hidden?: number | readonly number[];
  /**
   * `lbfgs` (the default of the linear head) is logistic regression at its optimum, the same whatever the seed; `adam` (of hidden layers)
   * takes mini-batch steps. Also linear: `svm` (one against the rest, squared hinge), `ridge` (least squares) and `nearest-mean`; one
   * factor, fitted on the validation, makes their scores probabilities.
   */
  solver?: Solver;
  /** lbfgs, svm, ridge: the strength of the L2 penalty, on the scale of the mean loss; default chosen on the validation, or on a part held out for it. */
  l2?: number;
  /** adam: passes over the examples, default 100; lbfgs: steps at most, default 200; svm and ridge: default 1000. */
  epochs?: number;
  /** adam; default 32. */
  batchSize?: number;
  /** adam; default 0.001. */
  learningRate?: number;
  /** adam: decoupled weight decay; default 0.01. */
  weightDecay?: number;
  /** adam with hidden layers: part of the hidden units dropped at each step; default 0.5. */
  dropout?: number;
  /** adam: epochs without a lower validation loss after which training stops; default 10. */
  patience?: number;
  /** Decides what is held out, and for adam the first weights, the order and the dropout; default 0. */
  seed?: number;
  /** Called after each epoch. */
  onEpoch?: (entry: HistoryEntry) => void | Promise<void>;
  /** Called with a sentence for what deserves a look but stops nothing; also in `head.warnings`. */
  onWarning?: (message: string) => void;
}

/** How a head is fitted. */
export type Solver = Training['solver'];
export const SOLVERS: readonly Solver[] = ['lbfgs', 'adam', ...SCORE_SOLVERS];

export const TRAIN_DEFAULTS = {
  epochs: { lbfgs: 200, adam: 100, svm: 1000, ridge: 1000, 'nearest-mean': 1 },
  batchSize: 32,
  learningRate: 1e-3,
  weightDecay: 1e-2,
  dropout: 0.5,
  patience: 10,
  seed: 0,
} as const;

/** Adam's own constants (Kingma and Ba 2015). */
const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/**
 * Trains a classifier on a model's features: each picture goes through the network once, then the head is trained on the vectors in
 * seconds. Features are standardised by the training examples' mean and deviation, which the head keeps.
 *
 * The linear head is fitted to its optimum (L-BFGS, L2 strength chosen on the validation loss); heads with hidden layers, and the linear
 * one with `solver: 'adam'`, take mini-batch steps, and the epoch with the lowest validation loss is kept. Every loss is the mean over all
 * examples with the parameters of that moment, so `head.evaluate` on the same pictures gives it again.
 *
 * @param data pictures in classes ({@link openDataset}), or their features from `computeFeatures`
 * @throws VggError `VGG_DATASET` for fewer than two classes, or a validation class that training does not know; `VGG_OPTION`;
 * `VGG_HEAD` for features that are of another base or not finite, or a loss that is not a number; `VGG_SHAPE`; `VGG_MEMORY`; `VGG_ABORTED`
 * @example
 * const head = await trainHead(model, 'photos/train', { layer: 'pool3', size: 128, validation: 'photos/val' });
 * head.best; // { epoch: 46, loss: 0.21, accuracy: 0.96, valLoss: 0.43, valAccuracy: 0.84 }
 */
export async function trainHead(model: Embedder, data: DatasetInput | FeatureSet, options: TrainHeadOptions = {}): Promise<Head> {
  const settings = settingsOf(options);
  const { signal, onProgress } = options;
  throwIfAborted(signal, 'trainHead');
  const warnings: string[] = [];
  const warn = (message: string) => {
    warnings.push(message);
    options.onWarning?.(message);
  };

  // What can fail without the network fails before it: both datasets are opened first.
  const base = await baseOf(model, isFeatureSet(data) ? { ...data.base, ...given(options) } : options);
  const train = await open(data, base, signal);
  const validation = await openValidation(options.validation, base, signal);
  checkClasses(train, typeof validation === 'number', warn);
  const classes = train.classes;
  if (typeof validation === 'object') mapClasses(validation.classes, classes, 'trainHead: validation');
  const features = await compute(model, train, base, { signal, onProgress }, warn);
  checkPresent(features);
  const { fitted, held } = await divide(model, features, validation, base, { settings, signal, onProgress }, warn);

  const wait = pace(signal, 'trainHead');
  const standard = await standardOf(fitted, wait);
  const trained = await fit(fitted, held, standard, classes.length, settings, { ...options, warn }, wait);
  const info = {
    classes,
    base,
    dimensions: fitted.dimensions,
    hidden: settings.hidden,
    history: trained.history,
    best: trained.best,
    training: { seed: settings.seed, images: fitted.count, ...trained.training },
    version: VERSION,
  };
  const stored = { info, standard, net: trained.net };
  return new Head(model, stored, warnings, held && (await evaluateRows(stored, held, classes, wait)));
}

type Settings = ReturnType<typeof settingsOf>;

function settingsOf(options: TrainHeadOptions) {
  const hidden = options.hidden === undefined ? [] : [options.hidden].flat();
  const solver = options.solver ?? (hidden.length > 0 ? 'adam' : 'lbfgs');
  if (!SOLVERS.includes(solver)) throw wrong('solver', `one of ${SOLVERS.join(', ')}`, solver);
  if (solver !== 'adam' && hidden.length > 0) throw wrong('solver', "'adam' for a head with hidden layers", solver);
  const { batchSize, learningRate, weightDecay, dropout, patience, seed } = { ...TRAIN_DEFAULTS, ...given(options) };
  const epochs = options.epochs ?? TRAIN_DEFAULTS.epochs[solver];
  for (const [name, value] of Object.entries({
    epochs,
    batchSize,
    patience,
    ...Object.fromEntries(hidden.map((units, i) => [`hidden[${i}]`, units])),
  })) {
    if (!(Number.isInteger(value) && value > 0)) throw wrong(name, 'a whole number above 0', value);
  }
  if (!(Number.isFinite(learningRate) && learningRate > 0)) throw wrong('learningRate', 'a number above 0', learningRate);
  for (const [name, value] of Object.entries({ weightDecay, l2: options.l2 ?? 0 })) {
    if (!(Number.isFinite(value) && value >= 0)) throw wrong(name, 'a number from 0', value);
  }
  if (!(dropout >= 0 && dropout < 1)) throw wrong('dropout', 'a number from 0 to below 1', dropout);
  if (!Number.isSafeInteger(seed)) throw wrong('seed', 'a whole number', seed);
  if (options.size !== undefined && !(Number.isInteger(options.size) && options.size > 0))
    throw wrong('size', 'a whole number of pixels', options.size);
  return { hidden, solver, epochs, batchSize, learningRate, weightDecay, dropout, patience, seed, l2: options.l2 };
}

function wrong(name: string, expected: string, received: unknown): VggError {
  return new VggError('VGG_OPTION', `trainHead: expected ${expected} as ${name}, received ${String(received)}`);
}

/** The options that are not undefined. */
function given<T extends object>(options: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as ReturnType<typeof given<T>>;
}

/** Features as they are, if they are of this base; anything else as a dataset. */
async function open(data: DatasetInput | FeatureSet, base: Base, signal?: AbortSignal): Promise<Dataset | FeatureSet> {
  if (!isFeatureSet(data)) return openDataset(data, { signal });
  const other = difference(data.base, base);
  if (other)
    throw new VggError(
      'VGG_HEAD',
      `trainHead: expected features of this model with these options, received others (${other}); compute them again`,
    );
  const odd = data.vectors.findIndex((value) => !Number.isFinite(value));
  if (odd >= 0)
    throw new VggError(
      'VGG_HEAD',
      `trainHead: expected finite features, received ${data.vectors[odd]} for ${data.names[Math.floor(odd / data.dimensions)]}; compute them again`,
    );
  return data;
}

async function openValidation(validation: TrainHeadOptions['validation'], base: Base, signal?: AbortSignal) {
  if (validation === undefined) return undefined;
  if (typeof validation !== 'number') return open(validation, base, signal);
  if (!(validation > 0 && validation < 1)) throw wrong('validation', 'a folder, pictures, or a part between 0 and 1', validation);
  return validation;
}

function checkClasses(data: Dataset | FeatureSet, divided: boolean, warn: (message: string) => void): void {
  const { classes } = data;
  if (classes.length < 2)
    throw new VggError('VGG_DATASET', `trainHead: expected at least two classes, received ${classes.length} (${classes.join(', ')})`);
  const counts = new Array<number>(classes.length).fill(0);
  for (const label of isFeatureSet(data) ? data.labels : data.examples.map((example) => example.label)) counts[label]!++;
  classes.forEach((name, c) => {
    if (counts[c] === 0) throw new VggError('VGG_DATASET', `trainHead: expected pictures of class "${name}", received none`);
    if (counts[c]! > 1) return;
    if (divided) {
      throw new VggError(
        'VGG_DATASET',
        `trainHead: expected at least two pictures of class "${name}" to set some aside for validation, received one; add pictures or pass a validation folder`,
      );
    }
    warn(`class "${name}" has one picture; expect little of it`);
  });
}

async function compute(
  model: Embedder,
  data: Dataset | FeatureSet,
  base: Base,
  options: { signal?: AbortSignal; onProgress?: OnProgress; dimensions?: number },
  warn: (message: string) => void,
): Promise<FeatureSet> {
  const features = isFeatureSet(data) ? data : await featuresOf(model, data, base, options);
  for (const { name, error } of features.failed) warn(`${name} was left out: ${error.message}`);
  return features;
}

function checkPresent({ classes, labels, failed }: FeatureSet): void {
  const lost = classes.find((_, c) => !labels.includes(c));
  if (lost === undefined) return;
  throw new VggError(
    'VGG_DATASET',
    `trainHead: expected pictures of class "${lost}" that can be read, received none (${failed.length} failed, ${failed[0]?.error.message})`,
  );
}

/** The examples to fit and those to validate on. */
async function divide(
  model: Embedder,
  features: FeatureSet,
  validation: Dataset | FeatureSet | number | undefined,
  base: Base,
  { settings, signal, onProgress }: { settings: Settings; signal?: AbortSignal; onProgress?: OnProgress },
  warn: (message: string) => void,
): Promise<{ fitted: LabelledRows; held: (LabelledRows & Partial<Pick<FeatureSet, 'failed' | 'skipped'>>) | undefined }> {
  if (validation === undefined) return { fitted: features, held: undefined };
  if (typeof validation === 'number') {
    const split = stratifiedSplit(features.labels, features.classes.length, validation, settings.seed);
    return { fitted: pickRows(features, split.fitted), held: split.held.length > 0 ? pickRows(features, split.held) : undefined };
  }
  const own = await compute(model, validation, base, { signal, onProgress, dimensions: features.dimensions }, warn);
  const places = mapClasses(own.classes, features.classes, 'trainHead: validation');
  return { fitted: features, held: { ...own, labels: own.labels.map((label) => places[label]!) } };
}

async function fit(
  fitted: LabelledRows,
  held: LabelledRows | undefined,
  standard: Awaited<ReturnType<typeof standardOf>>,
  classes: number,
  settings: Settings,
  { onEpoch, onProgress, warn }: TrainHeadOptions & { warn: (message: string) => void },
  wait: Pace,
) {
  const { solver, epochs, seed, l2 } = settings;
  const report = async (entry: HistoryEntry) => {
    onProgress?.({ stage: 'train', loaded: entry.epoch, total: epochs });
    await onEpoch?.(entry);
  };
  if (solver === 'adam') {
    const { hidden, learningRate, weightDecay, batchSize } = settings;
    const dropout = hidden.length > 0 ? settings.dropout : 0;
    const trained = await trainMinibatch(fitted, held, standard, classes, { ...settings, ...ADAM, dropout, onEpoch: report }, wait);
    const training: Omit<Training, 'seed' | 'images'> = { solver, learningRate, weightDecay, dropout, batchSize };
    return { ...trained, training };
  }
  const onTrial = (_: unknown, index: number) => onProgress?.({ stage: 'choose l2', loaded: index + 1, total: L2_GRID.length });
  const options = { epochs, seed, onEpoch: report, onTrial, ...(l2 === undefined ? {} : { l2 }) };
  const trained: ConvexTrained & { readonly temperature?: number } =
    solver === 'lbfgs'
      ? await trainConvex(fitted, held, standard, classes, options, wait)
      : await trainScores(fitted, held, standard, classes, { ...options, solver }, wait);
  if (!trained.converged) warn(`the solver stopped after ${epochs} steps before the optimum; pass more epochs or a larger l2`);
  const training: Omit<Training, 'seed' | 'images'> = {
    solver,
    ...(solver === 'nearest-mean' ? {} : { l2: trained.l2 }),
    ...(trained.temperature !== undefined && { temperature: trained.temperature }),
    ...(trained.heldOut && { heldOut: trained.heldOut }),
  };
  return { ...trained, training };
}
