import * as tf from '@tensorflow/tfjs-core';
import { type Backend, type BackendInfo, type BackendMemory, type BackendName, openBackend } from '@vgg/core';
import { abortable, throwIfAborted, VggError } from '@vgg/errors';
import type { ClassName } from './classes/classes.js';
import { type Classification, topClasses } from './classes/classify.js';
import { prefix, resolveLayer, type TapName } from './network/layers.js';
import type { Layer, Network } from './network/plan.js';
import { type ImageInput, type ImageInputs, isOneImage } from './pictures/images.js';
import type { Preprocessing } from './pictures/preprocessing.js';
import { type BatchItem, batches, type PreparedItem } from './run/batches.js';
import type { Embedded, Embedder, EmbedOptions } from './run/embedding.js';
import { type FeatureMap, poolMap, stackMaps } from './run/feature-map.js';
import { activations, forward, requireOneBackend, steps } from './run/forward.js';
import { normalizeRgb } from './run/normalize.js';
import { type Placement, place } from './run/placement.js';
import { WordDigest } from './weights/digest.js';
import { type LayerWeights, type ReadOptions, tensorNames, type WeightStore } from './weights/store.js';

/** What is known of the weights that a model runs on. */
export interface WeightsInfo {
  /** A published set's name, or the file's. */
  readonly name: string;
  /** `keras-h5`, `safetensors`, `tfjs-layers` ... */
  readonly format: string;
  readonly licence?: string;
  readonly source?: string;
  /** Tensors in the file that the network does not use. */
  readonly unknown: readonly string[];
}

export interface ExtractOptions {
  /** Squash pictures to size x size instead of the weights' own size rules. */
  size?: number;
  /** Turn pictures as their EXIF orientation says; default false. */
  orientation?: boolean;
  onProgress?: ReadOptions['onProgress'];
  signal?: AbortSignal;
}

/** One picture's maps by paper name, or why there are none. */
export type Extracted =
  | { readonly index: number; readonly name: string; readonly features: Readonly<Record<string, FeatureMap>> }
  | { readonly index: number; readonly name: string; readonly error: VggError };

export interface ClassifyOptions extends ExtractOptions {
  /** How many classes to name; default 5. */
  top?: number;
}

interface ModelParts {
  network: Network;
  backend: Backend;
  store: WeightStore;
  preprocessing: Preprocessing;
  weights: WeightsInfo;
  /** Where the class names come from: asked at the first classification, since features need none. */
  classNames: () => Promise<readonly ClassName[] | undefined>;
}

/**
 * A VGG network with its weights on a backend; made by {@link load}. Pictures are prepared as the weights want them, layers are
 * read from the weight file when they are first needed, and the same numbers (within 1e-4 of the maximum) come on every backend.
 *
 * @example
 * const map = await model.extract('cat.jpg', 'relu5_3');
 * map.shape; // [1, 14, 14, 512]
 */
export class Model implements Embedder {
  readonly network: Network;
  readonly preprocessing: Preprocessing;
  readonly weights: WeightsInfo;
  readonly #backend: Backend;
  readonly #store: WeightStore;
  readonly #classNames: ModelParts['classNames'];
  #classes: Promise<readonly ClassName[] | undefined> | undefined;
  #disposed = false;

  constructor(parts: ModelParts) {
    this.network = parts.network;
    this.preprocessing = parts.preprocessing;
    this.weights = parts.weights;
    this.#classNames = parts.classNames;
    this.#backend = parts.backend;
    this.#store = parts.store;
  }

  /** The backend that was chosen, and why. */
  get backend(): BackendInfo {
    return this.#backend.info;
  }

  get weightsName(): string {
    return this.weights.name;
  }

  /** The names that {@link classify} gives, in the order of the outputs; undefined where none are known. */
  async classNames(): Promise<readonly ClassName[] | undefined> {
    this.#classes ??= this.#classNames();
    // A failure, or an abort, is not for ever.
    this.#classes.catch(() => (this.#classes = undefined));
    return this.#classes;
  }

  /** A tap's paper name, from any alias: `block5_conv3`, `features.29` and `conv5` are `relu5_3`. @throws VggError `VGG_LAYER` */
  resolve(layer: string): string {
    return resolveLayer(this.network, layer);
  }

  /** The deepest pool (or else layer) whose weights are all in the file. */
  get deepest(): string {
    const { layers } = this.network;
    const reached = this.#store.reach(layers);
    const last = reached.findLast((layer) => layer.kind === 'pool') ?? reached.at(-1);
    if (!last) {
      const [{ name, reason }] = this.#store.missing(layers);
      throw new VggError(
        'VGG_WEIGHTS_MISSING',
        `load: ${this.weights.name} does not even hold ${name} (${reason}); pass weights that are whole`,
      );
    }
    return last.name;
  }

  /** The tensors that a layer needs and the weights do not hold, such as `['conv4_1.weight']`; none for a layer that can be asked for. */
  missing(layer: string): string[] {
    return this.#store.missing(prefix(this.network, [layer])).map(({ name }) => name);
  }

  /** Reads the weights up to these taps now, instead of when they are first needed. */
  async ready(layers: string | readonly string[], options: ReadOptions = {}): Promise<void> {
    this.#alive();
    const { layers: needed } = this.#taps([layers].flat());
    const { size } = this.network;
    await this.#ensure(needed, place(this.network, needed, 1, size, size, this.backend), options);
  }

  /**
   * Reads the weights up to a layer and runs it once on zeros, so that the first picture takes no longer than the next: filters are
   * brought into the form that the kernels want, and the engine has compiled what it runs.
   *
   * @param options.layer the tap; default {@link deepest}
   * @param options.size pictures of size x size; default the network's own
   * @example
   * await model.warmUp({ layer: 'relu5_3' });
   */
  async warmUp(options: { layer?: string; size?: number; batch?: number } & ReadOptions = {}): Promise<void> {
    this.#alive();
    const { layer = this.deepest, size = this.network.size, batch = 1, signal } = options;
    const { taps, layers } = this.#taps([layer]);
    await this.#forward(layers, taps, new Float32Array(batch * size * size * this.network.channels), [batch, size, size], options);
    throwIfAborted(signal, 'warmUp');
  }

  /** What the backend holds now, for all models on it. */
  async memory(): Promise<BackendMemory> {
    return this.#backend.memory();
  }

  /** Which layer runs where for a picture of this size: all on the model's backend, but for what a GPU's buffers cannot hold. */
  placement({ height = this.network.size, width = this.network.size, batch = 1 } = {}): Placement[] {
    return place(this.network, this.network.layers, batch, height, width, this.backend);
  }

  async fingerprint(layer: string, { signal }: { signal?: AbortSignal } = {}): Promise<string> {
    const { layers } = this.#taps([layer]);
    await this.ready(layer, { signal });
    return new WordDigest().text(JSON.stringify(layers) + this.#store.digest(layers)).hex();
  }

  /**
   * The maps of one or more layers, before or after their ReLU by name, in one pass that stops at the deepest. One layer gives its
   * map, several an object by paper name. Several pictures are stacked along the batch.
   *
   * @throws VggError `VGG_LAYER`, `VGG_INPUT`, `VGG_WEIGHTS_MISSING`, `VGG_SHAPE` (pictures that give maps of different sizes), `VGG_ABORTED`
   * @example
   * const { relu4_3, pool5 } = await model.extract(['a.jpg', 'b.jpg'], ['relu4_3', 'pool5']);
   * pool5.shape; // [2, 7, 7, 512]
   */
  async extract(images: ImageInputs, layer: TapName, options?: ExtractOptions): Promise<FeatureMap>;
  async extract<const T extends TapName>(
    images: ImageInputs,
    layers: readonly T[],
    options?: ExtractOptions,
  ): Promise<Record<T, FeatureMap>>;
  async extract(
    images: ImageInputs,
    layers: TapName | readonly TapName[],
    options: ExtractOptions = {},
  ): Promise<FeatureMap | Record<string, FeatureMap>> {
    const wanted = [layers].flat() as string[];
    const maps = new Map<string, FeatureMap[]>();
    for await (const item of this.extractAll(images, wanted, options)) {
      if ('error' in item) throw item.error;
      for (const map of Object.values(item.features)) {
        const found = maps.get(map.layer);
        if (found) found.push(map);
        else maps.set(map.layer, [map]);
      }
    }
    if (maps.size === 0) throw new VggError('VGG_INPUT', 'extract: expected at least one picture, received none');
    const stacked = Object.fromEntries([...maps].map(([name, each]) => [name, stackMaps(each)]));
    return Array.isArray(layers) ? stacked : stacked[this.resolve(wanted[0])];
  }

  /** As {@link extract}, picture by picture: order kept, micro-batched, in bounded memory; a picture that fails gives an `error` in its place. */
  async *extractAll(images: ImageInputs, layers: readonly string[], options: ExtractOptions = {}): AsyncGenerator<Extracted> {
    this.#alive();
    const { signal, onProgress } = options;
    const { taps, layers: needed } = this.#taps(layers);
    const { name, channels } = this.network;
    if (channels !== 3)
      throw new VggError(
        'VGG_SHAPE',
        `extract: pictures have 3 channels and ${name} takes ${channels}; give activations() tensors of your own`,
      );
    throwIfAborted(signal, 'extract');
    let done = 0;
    const total = Array.isArray(images) ? images.length : isOneImage(images) ? 1 : undefined;
    const { network, preprocessing, backend } = this;
    for await (const batch of batches(images, { network, layers: needed, preprocessing, backend }, options)) {
      const extracted = await this.#run(batch, needed, taps, options);
      for (const item of extracted) {
        onProgress?.({ stage: 'extract', loaded: ++done, total, item: item.name });
        yield item;
      }
    }
  }

  /**
   * One vector a picture: a layer's map pooled over its cells.
   *
   * @example
   * const code = await model.embed('cat.jpg', { layer: 'pool5', pooling: 'average', normalize: true });
   * code.length; // 512
   */
  async embed(image: ImageInput, options?: EmbedOptions): Promise<Float32Array>;
  async embed(images: readonly ImageInput[] | AsyncIterable<ImageInput>, options?: EmbedOptions): Promise<Float32Array[]>;
  async embed(images: ImageInputs, options: EmbedOptions = {}): Promise<Float32Array | Float32Array[]> {
    const vectors: Float32Array[] = [];
    for await (const item of this.embedAll(images, options)) {
      if ('error' in item) throw item.error;
      vectors.push(item.vector);
    }
    return isOneImage(images) ? vectors[0] : vectors;
  }

  /** As {@link embed}, picture by picture; a picture that fails gives an `error` in its place. */
  async *embedAll(images: ImageInputs, options: EmbedOptions = {}): AsyncGenerator<Embedded> {
    const layer = this.resolve(options.layer ?? this.deepest);
    for await (const item of this.extractAll(images, [layer], options)) {
      if ('error' in item) yield item;
      else {
        const vector = poolMap(item.features[layer], options.pooling ?? 'average', options.normalize);
        yield { index: item.index, name: item.name, vector };
      }
    }
  }

  /**
   * The likeliest classes of one picture, or of each of several.
   *
   * @returns `{ index, wnid, label, probability, logit }`, likeliest first
   * @throws VggError `VGG_WEIGHTS_MISSING` for weights without their dense layers
   */
  async classify(image: ImageInput, options?: ClassifyOptions): Promise<Classification[]>;
  async classify(images: readonly ImageInput[] | AsyncIterable<ImageInput>, options?: ClassifyOptions): Promise<Classification[][]>;
  async classify(images: ImageInputs, options: ClassifyOptions = {}): Promise<Classification[] | Classification[][]> {
    const all: Classification[][] = [];
    for await (const item of this.classifyAll(images, options)) {
      if ('error' in item) throw item.error;
      all.push(item.predictions);
    }
    return isOneImage(images) ? all[0] : all;
  }

  /** As {@link classify}, picture by picture; a picture that fails gives an `error` in its place. */
  async *classifyAll(
    images: ImageInputs,
    options: ClassifyOptions = {},
  ): AsyncGenerator<{ index: number; name: string; predictions: Classification[] } | { index: number; name: string; error: VggError }> {
    const scores = this.network.layers.findLast((layer) => layer.kind === 'dense' || layer.kind === 'mean');
    if (!this.network.top || !scores) {
      throw new VggError(
        'VGG_WEIGHTS_MISSING',
        `classify: ${this.weights.name} holds ${this.network.name} without its dense layers; pass complete weights, or train a head`,
      );
    }
    // Weights that are not there are said before class names are fetched.
    await this.ready(scores.name, options);
    const classes = await abortable(this.classNames(), options.signal, 'classify');
    for await (const item of this.extractAll(images, [scores.name], options)) {
      if ('error' in item) yield item;
      else
        yield { index: item.index, name: item.name, predictions: topClasses(item.features[scores.name].data, options.top ?? 5, classes) };
    }
  }

  /**
   * The taps of prepared pixels (`x` is [N, H, W, 3], as {@link normalize} gives it) as tensors, in one synchronous computation that
   * tfjs can differentiate; the weights up to the taps must have been read ({@link ready}). For `tf.tidy` and `tf.grad`.
   *
   * @example
   * await model.ready('relu3_3');
   * const mean = (rgb) => tf.mean(model.activations(model.normalize(rgb), ['relu3_3']).relu3_3);
   * const slope = model.run(() => tf.grad(mean)(rgb));
   */
  activations(x: tf.Tensor4D, layers: readonly string[]): Record<string, tf.Tensor> {
    this.#alive();
    const { taps, layers: needed } = this.#taps(layers);
    const [batch, height, width] = x.shape;
    const plan = steps(needed, taps, place(this.network, needed, batch, height, width, this.backend));
    requireOneBackend(plan, this.#backend.name);
    const weights = new Map<string, LayerWeights>();
    for (const layer of needed) {
      const held = tensorNames(layer).length > 0 ? this.#ready.get(layer.name) : undefined;
      if (tensorNames(layer).length > 0 && !held) {
        throw new VggError(
          'VGG_WEIGHTS_MISSING',
          `activations: the weights of ${layer.name} were not read yet; call await model.ready(${JSON.stringify([...taps])}) first`,
        );
      }
      if (held) weights.set(layer.name, held);
    }
    return this.#backend.run(() => tf.tidy(() => activations(plan, x, [...taps], weights)));
  }

  /** Runs synchronous tfjs code with the model's backend as the active one: gradients of {@link activations} belong in here. */
  run<T>(compute: () => T): T {
    return this.#backend.run(compute);
  }

  /** RGB values in 0..255, [N, H, W, 3], to what the network takes: the weights' own channel order, scale and mean. Differentiable. */
  normalize(rgb: tf.Tensor4D): tf.Tensor4D {
    return this.#backend.run(() => normalizeRgb(rgb, this.preprocessing));
  }

  /** Frees every tensor and closes the weight file. */
  dispose(): void {
    this.#disposed = true;
    this.#ready.clear();
    void this.#store.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Weights of the model's own backend that can be used synchronously. */
  readonly #ready = new Map<string, LayerWeights>();

  #alive(): void {
    if (this.#disposed) throw new VggError('VGG_OPTION', 'model: it was disposed of; load it again');
  }

  #taps(layers: readonly string[]): { taps: Set<string>; layers: Layer[] } {
    if (layers.length === 0) throw new VggError('VGG_LAYER', 'extract: expected at least one layer name, received none');
    const taps = new Set(layers.map((layer) => this.resolve(layer)));
    return { taps, layers: prefix(this.network, [...taps]) };
  }

  async #open(name: BackendName): Promise<Backend> {
    return name === this.#backend.name ? this.#backend : openBackend(name);
  }

  async #ensure(layers: readonly Layer[], placements: readonly Placement[], options: ReadOptions): Promise<void> {
    const backends = new Map<string, Backend>();
    for (const { layer, backend } of placements) backends.set(layer, await this.#open(backend));
    await this.#store.ensure(layers, (layer) => backends.get(layer.name)!, options);
    for (const layer of layers) {
      if (tensorNames(layer).length > 0 && backends.get(layer.name) === this.#backend) {
        this.#ready.set(layer.name, await this.#store.get(layer, this.#backend));
      }
    }
  }

  /** `values` are [batch, height, width, channels]. */
  async #forward(
    layers: readonly Layer[],
    taps: ReadonlySet<string>,
    values: Float32Array,
    [batch, height, width]: readonly [number, number, number],
    { signal, onProgress }: ReadOptions,
  ): ReturnType<typeof forward> {
    const placements = place(this.network, layers, batch, height, width, this.backend);
    await this.#ensure(layers, placements, { signal, onProgress });
    return forward(steps(layers, taps, placements), values, [batch, height, width, this.network.channels], taps, {
      backend: (name) => this.#open(name),
      weights: (layer, backend) => this.#store.get(layer, backend),
      signal,
    });
  }

  async #run(
    batch: readonly BatchItem[],
    layers: readonly Layer[],
    taps: ReadonlySet<string>,
    { signal, onProgress }: ExtractOptions,
  ): Promise<Extracted[]> {
    const good = batch.filter((item): item is PreparedItem => 'prepared' in item);
    if (good.length === 0) return batch as Extracted[];
    const { width, height } = good[0].prepared;
    const values = new Float32Array(good.length * height * width * 3);
    good.forEach((item, i) => void values.set(item.prepared.data, i * height * width * 3));
    const maps = await this.#forward(layers, taps, values, [good.length, height, width], { signal, onProgress });
    return batch.map((item) => {
      if (!('prepared' in item)) return item as Extracted;
      const place = good.indexOf(item);
      const features: Record<string, FeatureMap> = {};
      for (const [layer, { shape, data }] of maps) {
        const length = data.length / good.length;
        features[layer] = {
          layer,
          shape: [1, ...shape.slice(1)],
          data: good.length === 1 ? data : data.slice(place * length, (place + 1) * length),
        };
      }
      return { index: item.index, name: item.name, features };
    });
  }
}
