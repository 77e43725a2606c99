import { type OnProgress, throwIfAborted, VggError } from '@vgg/errors';
import { given } from '../../given.js';
import { VERSION } from '../../version.js';
import { evaluateRows } from '../evaluate/evaluate-rows.js';
import { featuresFor, Head } from '../head.js';
import type { StoredHead, Training } from '../head-file.js';
import { movedColumns, type TargetInput } from '../targets.js';
import { extendMeans } from './extend-means.js';
import { checkFinite, type FeatureSet } from './features.js';
import type { HistoryEntry } from './history.js';
import { type Held, makeHead } from './make-head.js';
import { onClasses, presentClasses } from './on-classes.js';
import { type Pace, pace } from './pace.js';
import type { LabelledRows } from './rows.js';
import { settingsOf, type TrainHeadOptions } from './settings.js';

export interface ExtendHeadOptions extends Pick<TrainHeadOptions, 'onEpoch' | 'onWarning' | 'epochs' | 'patience' | 'seed'> {
  /** Pictures or features that are not trained on, of classes that the extended head knows. */
  validation?: TargetInput | FeatureSet;
  /** lbfgs, svm, ridge: default the head's own. */
  l2?: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/**
 * Adds examples and classes to a head, without the pictures that it was trained on; the head given stays as it is.
 *
 * It is fitted anew to the features that it kept (`trainHead` with `keep: true`) and those of the new pictures, from its parameters on:
 * lbfgs, svm and ridge reach the optimum of all examples. A k-NN head takes the examples in, a nearest-mean head moves its means: both
 * exactly, and the second without kept features; its losses then are of the new examples. New classes follow the old, which keep their numbers.
 *
 * @param data pictures in classes, or their features; classes may be old or new
 * @throws VggError `VGG_HEAD` for a head without kept features, or features of another base; `VGG_DATASET` for a validation class that
 * neither knows; `VGG_OPTION`; `VGG_SHAPE`; `VGG_MEMORY`; `VGG_ABORTED`
 * @example
 * const head = await trainHead(model, 'photos/insects', { keep: true }); // ants, bees
 * const wider = await extendHead(head, { wasps: ['w1.jpg', 'w2.jpg'], ants: ['a99.jpg'] });
 * wider.classes; // ['ants', 'bees', 'wasps']
 */
export async function extendHead(head: Head, data: TargetInput | FeatureSet, options: ExtendHeadOptions = {}): Promise<Head> {
  const { signal, onProgress } = options;
  throwIfAborted(signal, 'extendHead');
  const { model, stored } = head.parts();
  const { info, kept } = stored;
  const onlyMeans = !kept && info.training.solver === 'nearest-mean';
  if (!kept && !onlyMeans) {
    throw new VggError(
      'VGG_HEAD',
      `extendHead: expected a head that keeps the features of its examples, received one of ${info.training.solver} without; train it with keep: true (vgg train --keep)`,
    );
  }
  const warnings: string[] = [];
  const warn = (message: string) => {
    warnings.push(message);
    options.onWarning?.(message);
  };
  const compute = async (input: TargetInput | FeatureSet) => {
    const features = await featuresFor(model, input, info, 'extendHead', { signal, onProgress });
    checkFinite(features, 'extendHead');
    for (const { name, error } of features.failed) warn(`${name} was left out: ${error.message}`);
    return features;
  };
  const more = await compute(data);
  const classes = [
    ...info.classes,
    ...(more.targetKind === 'number' ? [] : presentClasses(more)).filter((name) => !info.classes.includes(name)),
  ];
  const added = onClasses(more, classes, 'extendHead');
  const held =
    options.validation === undefined ? undefined : onClasses(await compute(options.validation), classes, 'extendHead: validation');
  const wait = pace(signal, 'extendHead');
  if (!kept) return withMovedMeans(head, added, classes, held, { ...options, warnings }, wait);
  const settings = settingsOf({ ...optionsOf(info), ...given(options) });
  const start = { standard: stored.standard, net: stored.net, temperature: info.training.temperature ?? 1 };
  return makeHead(
    model,
    { classes, base: info.base, fitted: joined(kept, added, info.classes.length), held, settings, start },
    { ...options, keep: true, warnings, warn },
    wait,
  );
}

/** The options that a head was trained with. */
function optionsOf({ training, hidden }: StoredHead['info']): TrainHeadOptions {
  const { solver, seed, l2, learningRate, weightDecay, dropout, batchSize, neighbours } = training;
  return { solver, seed, hidden, ...given({ l2, learningRate, weightDecay, dropout, batchSize }), ...neighbours };
}

/** Old rows, to whose `width` classes others may have come, and new ones; that an old example has a new label is not known, and taken for no. */
function joined(a: LabelledRows, b: LabelledRows, width: number): LabelledRows {
  const vectors = new Float32Array(a.vectors.length + b.vectors.length);
  vectors.set(a.vectors);
  vectors.set(b.vectors, a.vectors.length);
  const places = Array.from({ length: width }, (_, c) => c);
  const targets = a.targets && b.targets && [...movedColumns(a.targets, places, b.targets.length / b.count), ...b.targets];
  return {
    vectors,
    ...(targets && { targets: Float32Array.from(targets) }),
    labels: Int32Array.from([...a.labels, ...b.labels]),
    count: a.count + b.count,
    dimensions: a.dimensions,
  };
}

async function withMovedMeans(
  head: Head,
  added: LabelledRows,
  classes: readonly string[],
  held: Held | undefined,
  options: ExtendHeadOptions & { warnings: readonly string[] },
  wait: Pace,
): Promise<Head> {
  const { model, stored } = head.parts();
  const { standard, net, counts } = extendMeans(stored, added, classes.length);
  const training: Training = { ...stored.info.training, counts, images: counts.reduce((a, b) => a + b, 0) };
  const predictor = { standard, net, info: { classes, training } };
  const own = await evaluateRows(predictor, added, wait);
  const evaluation = held && (await evaluateRows(predictor, held, wait));
  const best: HistoryEntry = {
    epoch: 1,
    loss: own.loss,
    accuracy: own.top1,
    ...(evaluation && { valLoss: evaluation.loss, valAccuracy: evaluation.top1 }),
  };
  await options.onEpoch?.(best);
  const info = { ...stored.info, classes, training, history: [best], best, version: VERSION };
  return new Head(model, { info, standard, net }, options.warnings, evaluation);
}
