import { type OnProgress, throwIfAborted, VggError } from '@vgg/errors';
import { type Dataset, type DatasetInput, openDataset } from '../../data/dataset.js';
import { given } from '../../given.js';
import type { Embedder } from '../../run/embedding.js';
import { difference, type Head, mapClasses } from '../head.js';
import { openTargets, type TargetInput, type TargetKind } from '../targets.js';
import { type Base, baseOf, checkFinite, type FeatureSet, featuresOf, isFeatureSet, withKind } from './features.js';
import { countsOf } from './fit.js';
import { type Held, makeHead } from './make-head.js';
import { onClasses, presentClasses } from './on-classes.js';
import { pace } from './pace.js';
import { type LabelledRows, pickRows } from './rows.js';
import { type Settings, settingsOf, type TrainHeadOptions, targetKind, wrong } from './settings.js';
import { stratifiedSplit } from './split.js';

export { SOLVERS, type Solver, TRAIN_DEFAULTS, type TrainHeadOptions } from './settings.js';

/**
 * Trains a classifier on a model's features: each picture goes through the network once, then the head is trained on the vectors in
 * seconds. Features are standardised by the training examples' mean and deviation, which the head keeps.
 *
 * The linear head is fitted to its optimum (L-BFGS, L2 strength chosen on the validation loss); heads with hidden layers, and the linear
 * one with `solver: 'adam'`, take mini-batch steps, and the epoch with the lowest validation loss is kept. Every loss is the mean over all
 * examples with the parameters of that moment, so `head.evaluate` on the same pictures gives it again.
 *
 * @param data pictures in classes ({@link openDataset}), or their features from `computeFeatures`; for multi-label and regression see
 * {@link TargetInput}
 * @throws VggError `VGG_INPUT` where the model is none; `VGG_DATASET` for fewer than two classes, or a validation class that training does not know; `VGG_OPTION`;
 * `VGG_HEAD` for features that are of another base or not finite, or a loss that is not a number; `VGG_SHAPE`; `VGG_MEMORY`; `VGG_ABORTED`
 * @example
 * const head = await trainHead(model, 'photos/train', { layer: 'pool3', size: 128, validation: 'photos/val' });
 * head.best; // { epoch: 46, loss: 0.21, accuracy: 0.96, valLoss: 0.43, valAccuracy: 0.84 }
 * @example
 * const tags = await trainHead(model, [{ image: 'a.jpg', labels: ['sea', 'sunset'] }, { image: 'b.jpg', labels: [] }, ...], { solver: 'multi-label' });
 * const ages = await trainHead(model, 'trees.csv', { solver: 'regression' }); // columns image, target
 */
export async function trainHead(model: Embedder, data: TargetInput | FeatureSet, options: TrainHeadOptions = {}): Promise<Head> {
  checkModel(model);
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
  const kind = targetKind(settings.solver);
  const train = await open(data, base, kind, signal);
  const validation = await openValidation(options.validation, base, kind, signal);
  if (!kind) checkClasses(train, typeof validation === 'number', warn);
  const classes = train.classes;
  if (typeof validation === 'object' && !isFeatureSet(validation)) mapClasses(validation.classes, classes, 'trainHead: validation');
  const features = await compute(model, train, base, { signal, onProgress }, warn);
  if (kind !== 'number') checkPresent(features);
  const { fitted, held } = await divide(model, features, validation, base, { settings, signal, onProgress }, warn);

  const wait = pace(signal, 'trainHead');
  return makeHead(model, { classes, base, fitted, held, settings }, { ...options, warnings, warn }, wait);
}

function checkModel(model: Embedder): void {
  if (typeof model?.embedAll === 'function') return;
  const received = typeof model === 'object' && model ? 'another object' : String(model);
  throw new VggError('VGG_INPUT', `trainHead: expected a model to take features from, received ${received}; pass what load gives`);
}

/** Features as they are, if they are of this base; anything else as a dataset. */
async function open(
  data: TargetInput | FeatureSet,
  base: Base,
  kind: TargetKind | undefined,
  signal?: AbortSignal,
): Promise<Dataset | FeatureSet> {
  if (!isFeatureSet(data)) return kind ? openTargets(data, kind, { signal }) : openDataset(data as DatasetInput, { signal });
  const other = difference(data.base, base);
  if (other)
    throw new VggError(
      'VGG_HEAD',
      `trainHead: expected features of this model with these options, received others (${other}); compute them again`,
    );
  checkFinite(data, 'trainHead');
  return withKind(data, kind, 'trainHead');
}

async function openValidation(validation: TrainHeadOptions['validation'], base: Base, kind: TargetKind | undefined, signal?: AbortSignal) {
  if (validation === undefined) return undefined;
  if (typeof validation !== 'number') return open(validation, base, kind, signal);
  if (!(validation > 0 && validation < 1)) throw wrong('validation', 'a folder, pictures, or a part between 0 and 1', validation);
  return validation;
}

function checkClasses(data: Dataset | FeatureSet, divided: boolean, warn: (message: string) => void): void {
  const { classes } = data;
  if (classes.length < 2)
    throw new VggError('VGG_DATASET', `trainHead: expected at least two classes, received ${classes.length} (${classes.join(', ')})`);
  const counts = countsOf(isFeatureSet(data) ? data.labels : data.examples.map((example) => example.label), classes.length);
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

function checkPresent(features: FeatureSet): void {
  const { classes, failed } = features;
  const present = presentClasses(features);
  const lost = classes.find((name) => !present.includes(name));
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
): Promise<{ fitted: LabelledRows; held: Held | undefined }> {
  if (validation === undefined) return { fitted: features, held: undefined };
  if (typeof validation === 'number') {
    const split = stratifiedSplit(features.labels, features.classes.length, validation, settings.seed);
    return { fitted: pickRows(features, split.fitted), held: split.held.length > 0 ? pickRows(features, split.held) : undefined };
  }
  const own = await compute(model, validation, base, { signal, onProgress, dimensions: features.dimensions }, warn);
  return { fitted: features, held: onClasses(own, features.classes, 'trainHead: validation') };
}
