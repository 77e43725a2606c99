import { abortable, isVggError, type OnProgress, throwIfAborted, VggError } from '@vgg/errors';
import { type Dataset, type DatasetInput, openDataset } from '../../data/dataset.js';
import type { Skipped } from '../../data/photographs.js';
import type { Preprocessing } from '../../pictures/preprocessing.js';
import type { Embedder, EmbedOptions, Pooling } from '../../run/embedding.js';
import { oneHot, openTargets, type TargetDataset, type TargetInput, type TargetKind } from '../targets.js';
import type { LabelledRows } from './rows.js';

/** Where features come from: what must be the same again when a head is used. */
export interface Base {
  /** The tap's paper name. */
  readonly layer: string;
  readonly pooling: Pooling;
  readonly normalize: boolean;
  /** Pictures squashed to size x size; left out where the weights' own size rules hold. */
  readonly size?: number;
  readonly orientation: boolean;
  readonly preprocessing: Preprocessing;
  /** The network's name, `vgg16`. */
  readonly network: string;
  /** What the weights call themselves. */
  readonly weights: string;
  /** The digest of network and weights up to the tap. */
  readonly fingerprint: string;
}

/** A picture that gave no features, and why. */
export interface Failed {
  readonly name: string;
  readonly error: VggError;
}

/** The features of a dataset, computed once: rows [count, dimensions] with their labels. */
export interface FeatureSet extends LabelledRows {
  readonly classes: readonly string[];
  readonly names: readonly string[];
  readonly failed: readonly Failed[];
  readonly skipped: readonly Skipped[];
  readonly base: Base;
  /** What `targets` are, where it has them. */
  readonly targetKind?: TargetKind;
}

/** Features are embeddings, and are asked for in the same words. */
export interface FeatureOptions extends EmbedOptions {
  /** What is known of each picture: one class, or `labels` or a `number` for heads of the solvers multi-label and regression. */
  targets?: TargetKind;
}

export function isFeatureSet(value: unknown): value is FeatureSet {
  const { vectors, labels, base } = (value ?? {}) as Partial<FeatureSet>;
  return vectors instanceof Float32Array && labels instanceof Int32Array && typeof base === 'object';
}

/**
 * Every picture of a dataset through the network once, to vectors that heads can be trained on and evaluated with in seconds.
 * A picture that cannot be read is listed in `failed`.
 *
 * @throws VggError `VGG_DATASET` if no picture could be read, `VGG_SHAPE` if pictures give vectors of different lengths (pass `size`, or
 * another pooling than `none`), `VGG_ABORTED`, and what {@link openDataset} throws
 * @example
 * const features = await computeFeatures(model, 'photos/train', { layer: 'pool3', size: 128 });
 * const head = await trainHead(model, features);
 */
export async function computeFeatures(model: Embedder, input: TargetInput, options: FeatureOptions = {}): Promise<FeatureSet> {
  const { signal, onProgress } = options;
  throwIfAborted(signal, 'computeFeatures');
  const dataset = options.targets
    ? await openTargets(input, options.targets, { signal })
    : await openDataset(input as DatasetInput, { signal });
  return featuresOf(model, dataset, await baseOf(model, options), { signal, onProgress });
}

/** What features of this model with these options depend on. */
export async function baseOf(model: Embedder, options: FeatureOptions): Promise<Base> {
  const { signal } = options;
  const layer = model.resolve(options.layer ?? model.deepest);
  return {
    layer,
    pooling: options.pooling ?? 'average',
    normalize: options.normalize ?? false,
    ...(options.size === undefined ? {} : { size: options.size }),
    orientation: options.orientation ?? false,
    preprocessing: model.preprocessing,
    network: model.network.name,
    weights: model.weightsName,
    fingerprint: await abortable(model.fingerprint(layer, { signal }), signal, 'computeFeatures'),
  };
}

/** The options of `embedAll` for a base. */
export function embedOptions(base: Base, { signal, onProgress }: { signal?: AbortSignal; onProgress?: OnProgress } = {}) {
  const { layer, pooling, normalize, size, orientation } = base;
  return {
    layer,
    pooling,
    normalize,
    ...(size === undefined ? {} : { size }),
    orientation,
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
  };
}

/** As {@link computeFeatures}, for a dataset and a base at hand. */
export async function featuresOf(
  model: Embedder,
  dataset: Dataset & Partial<TargetDataset>,
  base: Base,
  options: { signal?: AbortSignal; onProgress?: OnProgress; dimensions?: number },
): Promise<FeatureSet> {
  const { examples } = dataset;
  const failed: Failed[] = [];
  const names: string[] = [];
  const places: number[] = [];
  const labels = new Int32Array(examples.length);
  let dimensions = options.dimensions ?? 0;
  let vectors = new Float32Array(dimensions * examples.length);
  const images = examples.map(({ image }) => image);
  for await (const item of model.embedAll(images, embedOptions(base, options))) {
    throwIfAborted(options.signal, 'computeFeatures');
    const { name, label } = examples[item.index]!;
    const error = 'error' in item ? item.error : notFinite(item.vector, name);
    if (error || !('vector' in item)) {
      // An abort is not a fault of the picture in hand.
      if (isVggError(error, 'VGG_ABORTED')) throw error;
      failed.push({ name, error: error! });
      continue;
    }
    if (dimensions === 0) {
      dimensions = item.vector.length;
      vectors = new Float32Array(dimensions * examples.length);
    }
    checkLength(item.vector, dimensions, name, base);
    labels[names.length] = label;
    vectors.set(item.vector, names.length * dimensions);
    names.push(name);
    places.push(item.index);
  }
  const count = names.length;
  if (count === 0) {
    throw new VggError(
      'VGG_DATASET',
      `dataset: expected pictures that can be read, received none (${failed[0]!.name}: ${failed[0]!.error.message})`,
    );
  }
  const { targets, targetKind } = dataset;
  const width = dataset.classes.length;
  return {
    classes: dataset.classes,
    ...(targets &&
      targetKind && {
        targetKind,
        targets: Float32Array.from({ length: count * width }, (_, at) => targets[places[Math.floor(at / width)]! * width + (at % width)]!),
      }),
    vectors: vectors.subarray(0, count * dimensions),
    count,
    dimensions,
    labels: labels.subarray(0, count),
    names,
    failed,
    skipped: dataset.skipped,
    base,
  };
}

/** @throws VggError `VGG_SHAPE` if a vector has another length */
export function checkLength(vector: Float32Array, dimensions: number, name: string, base: Base): void {
  if (vector.length === dimensions) return;
  const remedy = base.pooling === 'none' ? "pass size, or a pooling other than 'none'" : 'was the head trained on another layer?';
  throw new VggError(
    'VGG_SHAPE',
    `head: expected ${dimensions} features of ${base.layer} for each picture, received ${vector.length} for ${name}; ${remedy}`,
  );
}

/**
 * Features with the targets that a solver needs; single labels are labels too.
 *
 * @throws VggError `VGG_HEAD` for features with other targets, or without numbers
 */
export function withKind(features: FeatureSet, kind: TargetKind | undefined, who: string): FeatureSet {
  if (features.targetKind === kind) return features;
  if (kind === 'labels' && features.targetKind === undefined)
    return { ...features, targetKind: kind, targets: oneHot(features.labels, features.classes.length) };
  throw new VggError(
    'VGG_HEAD',
    `${who}: expected features with ${kind ?? 'one class'} a picture, received ${features.targetKind ?? 'one class'}; pass computeFeatures the targets of the solver`,
  );
}

/** @throws VggError `VGG_HEAD` for features that are not all finite */
export function checkFinite({ vectors, names, dimensions }: FeatureSet, who: string): void {
  const odd = vectors.findIndex((value) => !Number.isFinite(value));
  if (odd < 0) return;
  const name = names[Math.floor(odd / dimensions)];
  throw new VggError('VGG_HEAD', `${who}: expected finite features, received ${vectors[odd]} for ${name}; compute them again`);
}

function notFinite(vector: Float32Array, name: string): VggError | undefined {
  if (vector.every(Number.isFinite)) return undefined;
  return new VggError(
    'VGG_INPUT',
    `${name}: expected finite features, received ${vector.find((value) => !Number.isFinite(value))}; are the weights intact?`,
  );
}
