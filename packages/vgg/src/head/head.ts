import { abortable, isVggError, type OnProgress, throwIfAborted, VggError } from '@vgg/errors';
import { io } from '#io';
import { type DatasetInput, openDataset } from '../data/dataset.js';
import { collectBytes } from '../io/collect.js';
import type { SourceInput, WriteTarget } from '../io/io.js';
import { type ImageInput, type ImageInputs, isOneImage } from '../pictures/images.js';
import type { Embedder, Pooling } from '../run/embedding.js';
import { didYouMean } from '../text/suggest.js';
import { denseLayers } from './dense-layers.js';
import { evaluateRows } from './evaluate/evaluate-rows.js';
import { evaluateLabels, evaluateNumbers, type LabelsEvaluation, type NumbersEvaluation } from './evaluate/evaluate-targets.js';
import type { Evaluation } from './evaluate/evaluation.js';
import { type HeadInfo, readHead, type StoredHead, writeHead } from './head-file.js';
import { predictRows } from './predict-rows.js';
import { movedColumns, openTargets, type TargetInput, type TargetKind } from './targets.js';
import { type Base, checkLength, embedOptions, type FeatureSet, featuresOf, isFeatureSet, withKind } from './train/features.js';
import type { HistoryEntry } from './train/history.js';
import { pace } from './train/pace.js';
import { targetKind } from './train/settings.js';

/** One class that a picture may be of. */
export interface Prediction {
  /** The class's place in `head.classes`. */
  readonly index: number;
  readonly label: string;
  readonly probability: number;
}

/** One picture's predictions, or why there are none. */
export type Predicted =
  | {
      readonly index: number;
      readonly name: string;
      /** Most probable first; of a multi-label head each with a probability of its own. Empty for a regression head. */
      readonly predictions: Prediction[];
      /** The number that a regression head tells. */
      readonly value?: number;
    }
  | { readonly index: number; readonly name: string; readonly error: VggError };

export interface PredictOptions {
  /** How many classes to name; default all. */
  top?: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/**
 * A classifier on top of a model's features; made by `trainHead` or {@link loadHead}. It holds a few KB and refers to its model, which
 * it does not dispose of. Predicting and evaluating never change it.
 *
 * @example
 * const head = await trainHead(model, 'photos/train', { layer: 'pool3', size: 128, validation: 0.2 });
 * await head.predict('ant.jpg'); // [{ index: 0, label: 'ants', probability: 0.93 }, { index: 1, label: 'bees', probability: 0.07 }]
 * await head.save('insects.safetensors');
 */
export class Head {
  readonly info: HeadInfo;
  /** What training had to say: a class with one picture, a picture that could not be read. */
  readonly warnings: readonly string[];
  /** How it does on the validation pictures; undefined without any, and for a head from a file. */
  readonly evaluation: Evaluation | undefined;
  readonly #model: Embedder;
  #stored: StoredHead | undefined;

  constructor(model: Embedder, stored: StoredHead, warnings: readonly string[] = [], evaluation?: Evaluation) {
    this.#model = model;
    this.#stored = stored;
    this.info = stored.info;
    this.warnings = warnings;
    this.evaluation = evaluation;
  }

  get classes(): readonly string[] {
    return this.info.classes;
  }

  /** The paper name of the layer that it stands on. */
  get layer(): string {
    return this.info.base.layer;
  }

  get pooling(): Pooling {
    return this.info.base.pooling;
  }

  /** The side that pictures are squashed to; undefined where the weights' own size rules hold. */
  get size(): number | undefined {
    return this.info.base.size;
  }

  /** Losses and accuracies, epoch by epoch. */
  get history(): readonly HistoryEntry[] {
    return this.info.history;
  }

  /** The epoch that was kept. */
  get best(): HistoryEntry {
    return this.info.best;
  }

  /**
   * The classes of one picture, most probable first, or a list of them for each of several. The probabilities of a multi-label head are
   * independent: none, one or all of them may be near 1.
   *
   * @throws VggError `VGG_HEAD` for a regression head ({@link predictNumber}), that of the first picture that cannot be read ({@link predictAll} keeps the others), `VGG_SHAPE`, `VGG_ABORTED`
   */
  async predict(image: ImageInput, options?: PredictOptions): Promise<Prediction[]>;
  async predict(images: readonly ImageInput[] | AsyncIterable<ImageInput>, options?: PredictOptions): Promise<Prediction[][]>;
  async predict(images: ImageInputs, options: PredictOptions = {}): Promise<Prediction[] | Prediction[][]> {
    this.#expect('predict', undefined, 'labels');
    const all: Prediction[][] = [];
    for await (const item of this.predictAll(images, options)) {
      if ('error' in item) throw item.error;
      all.push(item.predictions);
    }
    return isOneImage(images) && all.length === 1 ? all[0]! : all;
  }

  /**
   * The number that a regression head tells of one picture, or those of several.
   *
   * @throws VggError `VGG_HEAD` for another head, that of the first picture that cannot be read, `VGG_SHAPE`, `VGG_ABORTED`
   * @example
   * await head.predictNumber('tree.jpg'); // 41.7
   */
  async predictNumber(image: ImageInput, options?: Omit<PredictOptions, 'top'>): Promise<number>;
  async predictNumber(images: readonly ImageInput[] | AsyncIterable<ImageInput>, options?: Omit<PredictOptions, 'top'>): Promise<number[]>;
  async predictNumber(images: ImageInputs, options: Omit<PredictOptions, 'top'> = {}): Promise<number | number[]> {
    this.#expect('predictNumber', 'number');
    const all: number[] = [];
    for await (const item of this.predictAll(images, options)) {
      if ('error' in item) throw item.error;
      all.push(item.value!);
    }
    return isOneImage(images) && all.length === 1 ? all[0]! : all;
  }

  /** As {@link predict}, picture by picture, order kept; a picture that cannot be read gives an `error` in its place. */
  async *predictAll(images: ImageInputs, options: PredictOptions = {}): AsyncGenerator<Predicted> {
    const stored = this.#alive();
    const { info } = stored;
    const wait = pace(options.signal, 'predict');
    const top = options.top ?? info.classes.length;
    if (!(Number.isInteger(top) && top > 0))
      throw new VggError('VGG_OPTION', `predict: expected a whole number above 0 as top, received ${top}`);
    for await (const item of this.#model.embedAll(images, embedOptions(info.base, options))) {
      throwIfAborted(options.signal, 'predict');
      if ('error' in item) {
        yield item;
        continue;
      }
      const { index, name, vector } = item;
      checkLength(vector, info.dimensions, name, info.base);
      const row = { vectors: vector, count: 1, dimensions: vector.length };
      const { probabilities } = await predictRows(stored, row, 0, 1, wait);
      if (targetKind(info.training.solver) === 'number') {
        yield { index, name, predictions: [], value: probabilities[0]! };
        continue;
      }
      const predictions = Array.from(probabilities.subarray(0, info.classes.length), (probability, c) => ({
        index: c,
        label: info.classes[c]!,
        probability,
      }))
        .sort((a, b) => b.probability - a.probability || a.index - b.index)
        .slice(0, top);
      yield { index, name, predictions };
    }
  }

  /**
   * Compares its predictions with the classes of a dataset, or of features computed before from the same base.
   *
   * @throws VggError `VGG_DATASET` for a class that the head does not know, `VGG_HEAD` for features of another base, `VGG_SHAPE`, `VGG_ABORTED`
   * @example
   * const { top1, confusion } = await head.evaluate('photos/val');
   */
  async evaluate(data: DatasetInput | FeatureSet, options: { onProgress?: OnProgress; signal?: AbortSignal } = {}): Promise<Evaluation> {
    this.#expect('evaluate', undefined);
    const stored = this.#alive();
    const { classes } = stored.info;
    const { signal } = options;
    throwIfAborted(signal, 'evaluate');
    const features = await featuresFor(this.#model, data, stored.info, 'evaluate', options);
    return evaluateRows(stored, onAllClasses(features, classes), pace(signal, 'evaluate'));
  }

  /**
   * Compares the probabilities of a multi-label head with the labels of pictures.
   *
   * @throws VggError `VGG_HEAD` for another head, `VGG_DATASET` for a label that the head does not know, `VGG_SHAPE`, `VGG_ABORTED`
   * @example
   * const { meanAveragePrecision } = await head.evaluateLabels([{ image: 'a.jpg', labels: ['sea', 'sunset'] }]);
   */
  async evaluateLabels(
    data: TargetInput | FeatureSet,
    options: { onProgress?: OnProgress; signal?: AbortSignal } = {},
  ): Promise<LabelsEvaluation> {
    this.#expect('evaluateLabels', 'labels');
    return evaluateLabels(this.#alive(), await this.#targetRows(data, 'evaluateLabels', options), pace(options.signal, 'evaluateLabels'));
  }

  /**
   * Compares the numbers of a regression head with the true ones.
   *
   * @throws VggError `VGG_HEAD` for another head, `VGG_DATASET` for a target that is no number, `VGG_SHAPE`, `VGG_ABORTED`
   * @example
   * const { rmse, r2 } = await head.evaluateNumbers('val.csv'); // columns image, target
   */
  async evaluateNumbers(
    data: TargetInput | FeatureSet,
    options: { onProgress?: OnProgress; signal?: AbortSignal } = {},
  ): Promise<NumbersEvaluation> {
    this.#expect('evaluateNumbers', 'number');
    return evaluateNumbers(
      this.#alive(),
      await this.#targetRows(data, 'evaluateNumbers', options),
      pace(options.signal, 'evaluateNumbers'),
    );
  }

  /**
   * The head as dense layers on the features as they are, the standardisation worked into the first: weights [in, out], with a ReLU
   * between two layers.
   *
   * @throws VggError `VGG_HEAD` for a k-NN head, which has none
   */
  denseLayers(): { readonly weight: Float32Array; readonly bias: Float32Array }[] {
    const stored = this.#alive();
    if (stored.net.length === 0) throw new VggError('VGG_HEAD', 'denseLayers: expected a head with layers, received a k-NN head');
    return denseLayers(stored);
  }

  /** The mean square of the features that it was trained on. */
  get featureSquare(): number {
    const { mean, deviation } = this.#alive().standard;
    return mean.reduce((sum, value, i) => sum + value ** 2 + deviation[i]! ** 2, 0) / mean.length;
  }

  /** The head file's bytes: safetensors, with what it needs to know as metadata. */
  async toBytes(): Promise<Uint8Array> {
    return collectBytes(writeHead(this.#alive()));
  }

  /**
   * Writes the head file, whole or not at all; in a page, offers it as a download of that name, or writes to a handle.
   *
   * @throws VggError `VGG_OUTPUT`
   */
  async save(target: WriteTarget): Promise<void> {
    await io.writeFile(target, writeHead(this.#alive()));
  }

  /** Lets go of its numbers and of its model, which stays as it is. */
  dispose(): void {
    this.#stored = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #targetRows(data: TargetInput | FeatureSet, who: string, options: { onProgress?: OnProgress; signal?: AbortSignal }) {
    throwIfAborted(options.signal, who);
    const { info } = this.#alive();
    const features = onAllClasses(await featuresFor(this.#model, data, info, who, options), info.classes, who);
    return { ...features, targets: features.targets! };
  }

  /** @throws VggError `VGG_HEAD` where the head's outputs are of another kind than a method is for */
  #expect(who: string, ...kinds: (TargetKind | undefined)[]): void {
    const { solver } = this.info.training;
    if (kinds.includes(targetKind(solver))) return;
    const expected = kinds.map((kind) => (kind === 'number' ? 'regression' : kind === 'labels' ? 'multi-label' : 'one class')).join(' or ');
    throw new VggError('VGG_HEAD', `${who}: expected a head for ${expected}, received one of the solver ${solver}`);
  }

  /** @internal What a head is made of, for those who make another of it. */
  parts(): { readonly model: Embedder; readonly stored: StoredHead } {
    return { model: this.#model, stored: this.#alive() };
  }

  #alive(): StoredHead {
    if (!this.#stored) throw new VggError('VGG_HEAD', 'head: it was disposed of; load or train it again');
    return this.#stored;
  }
}

/**
 * Features for a head, of pictures or computed before.
 *
 * @throws VggError `VGG_HEAD` for features of another base, `VGG_SHAPE`, and what {@link openDataset} throws
 */
export async function featuresFor(
  model: Embedder,
  data: TargetInput | FeatureSet,
  { base, dimensions, training }: HeadInfo,
  who: string,
  options: { onProgress?: OnProgress; signal?: AbortSignal },
): Promise<FeatureSet> {
  const kind = targetKind(training.solver);
  if (!isFeatureSet(data)) {
    const dataset = kind ? await openTargets(data, kind, options) : await openDataset(data as DatasetInput, options);
    return featuresOf(model, dataset, base, { ...options, dimensions });
  }
  const other = difference(data.base, base);
  if (other || data.dimensions !== dimensions) {
    throw new VggError(
      'VGG_HEAD',
      `${who}: expected features computed as the head's own, received others (${other ?? `${data.dimensions} a picture, not ${dimensions}`})`,
    );
  }
  return withKind(data, kind, who);
}

/** Features whose classes must all be among a head's. */
function onAllClasses(features: FeatureSet, classes: readonly string[], who = 'evaluate'): FeatureSet {
  const places = mapClasses(features.classes, classes, who);
  const { targets } = features;
  const labels = features.labels.map((label) => places[label]!);
  return { ...features, labels, ...(targets && { targets: movedColumns(targets, places, classes.length) }) };
}

/**
 * Opens a head file on the model that it was trained on.
 *
 * @param options.force use it although the model's weights or preprocessing are others
 * @throws VggError `VGG_HEAD` for a head of another base, or one whose parts do not fit together; `VGG_FORMAT` for another kind of file;
 * `VGG_INTEGRITY` for a cut one; `VGG_OPTION` without a model; `VGG_NOT_FOUND`; `VGG_ABORTED`
 * @example
 * const head = await loadHead('insects.safetensors', model);
 */
export async function loadHead(
  source: SourceInput,
  model: Embedder,
  options: { force?: boolean; signal?: AbortSignal } = {},
): Promise<Head> {
  const { force = false, signal } = options;
  throwIfAborted(signal, 'loadHead');
  if (typeof model?.fingerprint !== 'function')
    throw new VggError('VGG_OPTION', `loadHead: expected the model that the head is for as second argument, received ${typeof model}`);
  const stored = await readHead(source, signal ? { signal } : {});
  const { base } = stored.info;
  if (!force) {
    if ((await fingerprintOf(model, base.layer, signal)) !== base.fingerprint) {
      throw new VggError(
        'VGG_HEAD',
        `loadHead: expected the base that the head was trained on, ${base.network} with the weights ${base.weights} up to ${base.layer}, received ${model.network.name} with ${model.weightsName}, whose values differ; load those weights, or pass force`,
      );
    }
    const other = difference({ ...base, preprocessing: model.preprocessing }, base);
    if (other) {
      throw new VggError(
        'VGG_HEAD',
        `loadHead: expected the head's own preprocessing, ${base.preprocessing.name}, received that of ${model.weightsName}, ${model.preprocessing.name} (${other}); load the weights with that preprocessing, or pass force`,
      );
    }
  }
  return new Head(model, stored);
}

/** The model's fingerprint; undefined where its network has no such layer. */
async function fingerprintOf(model: Embedder, layer: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    return await abortable(model.fingerprint(layer, { signal }), signal, 'loadHead');
  } catch (error) {
    if (isVggError(error, 'VGG_LAYER')) return undefined;
    throw error;
  }
}

/** The first thing by which two bases give other features; undefined where they give the same. */
export function difference(a: Base, b: Base): string | undefined {
  const parts = (base: Base): [string, unknown][] => {
    const { resize, crop, channelOrder, scale, mean, std } = base.preprocessing;
    // With an explicit size only the filter of the resize rule is used.
    const rules = base.size === undefined ? { resize, crop } : { filter: resize.filter };
    const { layer, pooling, normalize, size, orientation, fingerprint } = base;
    return [
      ['layer', layer],
      ['pooling', pooling],
      ['normalize', normalize],
      ['size', size],
      ['orientation', orientation],
      ['weights', fingerprint],
      ...Object.entries({ ...rules, channelOrder, scale, mean, std }),
    ];
  };
  const others = new Map(parts(b));
  for (const [name, value] of parts(a)) {
    const [received, expected] = [canonical(value), canonical(others.get(name))];
    if (received !== expected) return name === 'weights' ? 'other weights' : `${name} ${received} instead of ${expected}`;
  }
  return undefined;
}

/** JSON with the keys of objects in order. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'none';
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${key}: ${canonical(each)}`).join(', ')}}`;
}

/** The places of some class names among others. @throws VggError `VGG_DATASET` for a name that is not among them */
export function mapClasses(names: readonly string[], classes: readonly string[], who: string): number[] {
  return names.map((name) => {
    const place = classes.indexOf(name);
    if (place === -1) {
      throw new VggError(
        'VGG_DATASET',
        `${who}: expected classes among ${listed(classes)}, received "${name}"${didYouMean(name, classes)}`,
      );
    }
    return place;
  });
}

function listed(classes: readonly string[]): string {
  const shown = classes.slice(0, 10).join(', ');
  return classes.length > 10 ? `${shown} ... (${classes.length})` : shown;
}
