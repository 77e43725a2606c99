import * as tf from '@tensorflow/tfjs-core';
import type { Backend, BackendName } from '@vgg/core';
import { splitRows } from '@vgg/core';
import { type OnProgress, shareWork, throwIfAborted, VggError } from '@vgg/errors';
import { canonicalTensors, type Mapping, readCanonical, type WeightFile } from '@vgg/loaders';
import type { Layer } from '../network/plan.js';
import { withReasons } from '../text/reasons.js';
import { WordDigest } from './digest.js';
import { weightSpecs } from './specs.js';

/** A layer's weights on a backend: `weight` in row blocks (one but for a split dense layer), the others whole. */
export interface LayerWeights {
  readonly weight: tf.Tensor[];
  readonly others: ReadonlyMap<string, tf.Tensor>;
}

/** Of a pool, a ReLU ... */
export const NO_WEIGHTS: LayerWeights = { weight: [], others: new Map() };

export interface ReadOptions {
  signal?: AbortSignal;
  onProgress?: OnProgress;
}

/** The names of a layer's canonical tensors; none for layers without weights. */
export function tensorNames(layer: Layer): string[] {
  return weightSpecs({ layers: [layer] })
    .flatMap(canonicalTensors)
    .map(({ name }) => name);
}

/**
 * A model's weights, read layer by layer when they are first needed and kept on the backend that wants them, so that a tap at
 * conv4_3 reads 30.5 MB of VGG-16's 553.
 */
export class WeightStore {
  readonly #held = new Map<string, Promise<LayerWeights>>();
  readonly #digests = new Map<string, string>();
  #disposed = false;

  constructor(
    readonly file: WeightFile,
    readonly mapping: Mapping,
  ) {}

  /** Reads what these layers still lack. @throws VggError `VGG_WEIGHTS_MISSING` naming each tensor that the file does not hold */
  async ensure(layers: readonly Layer[], on: (layer: Layer) => Backend, { signal, onProgress }: ReadOptions = {}): Promise<void> {
    const wanted = layers.filter((layer) => tensorNames(layer).length > 0);
    this.#refuseMissing(wanted);
    const bytes = (layer: Layer) => tensorNames(layer).reduce((sum, name) => sum + 4 * size(this.mapping.tensors.get(name)!.shape), 0);
    const total = wanted.reduce((sum, layer) => sum + bytes(layer), 0);
    let loaded = 0;
    for (const layer of wanted) {
      throwIfAborted(signal, 'load');
      const fresh = !this.#held.has(key(layer, on(layer).name));
      await this.#layer(layer, on(layer), signal);
      loaded += bytes(layer);
      if (fresh) onProgress?.({ stage: 'read', loaded, total, item: layer.name });
    }
  }

  /** The weights of a layer that {@link ensure} has read, for one backend; {@link NO_WEIGHTS} for a layer that has none. */
  async get(layer: Layer, backend: Backend): Promise<LayerWeights> {
    return tensorNames(layer).length === 0 ? NO_WEIGHTS : this.#layer(layer, backend, undefined);
  }

  /** A digest of the layers' values, once they are read. */
  digest(layers: readonly Layer[]): string {
    const whole = new WordDigest();
    for (const layer of layers) for (const name of tensorNames(layer)) whole.text(`${name}=${this.#digests.get(name)};`);
    return whole.hex();
  }

  /** Which canonical tensors these layers need and the file does not hold, each with the reason. */
  missing(layers: readonly Layer[]): { name: string; reason: string }[] {
    return layers.flatMap(tensorNames).flatMap((name) => {
      const mapped = this.mapping.tensors.get(name);
      if (!mapped) return [{ name, reason: 'not in the file' }];
      return mapped.present ? [] : [{ name, reason: mapped.absence ?? 'its bytes are not there' }];
    });
  }

  /** The layers, from the first on, whose weights are all in the file. */
  reach(layers: readonly Layer[]): Layer[] {
    const hole = layers.findIndex((layer) => this.missing([layer]).length > 0);
    return layers.slice(0, hole < 0 ? layers.length : hole);
  }

  /** The name of the deepest layer that can be computed and looked at: a flatten alone shows nothing that its pool does not. */
  deepest(layers: readonly Layer[]): string | undefined {
    return this.reach(layers).findLast(({ kind }) => kind !== 'flatten' && kind !== 'dropout')?.name;
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const promise of held) {
      const weights = await promise.catch(() => undefined);
      if (weights) free(weights);
    }
    // Nothing more can be done with a file that does not close, and nobody waits for it.
    await this.file.close().catch(() => {});
  }

  #refuseMissing(layers: readonly Layer[]): void {
    const missing = this.missing(layers);
    if (missing.length === 0) return;
    throw new VggError(
      'VGG_WEIGHTS_MISSING',
      `load: ${layers.at(-1)?.name} needs ${missing.length} tensors that the weights do not hold: ${withReasons(missing)}; ask for an earlier layer or pass complete weights`,
    );
  }

  #layer(layer: Layer, backend: Backend, signal: AbortSignal | undefined): Promise<LayerWeights> {
    return shareWork(this.#held, key(layer, backend.name), () => this.#read(layer, backend, signal), { signal, who: 'load' });
  }

  async #read(layer: Layer, backend: Backend, signal: AbortSignal | undefined): Promise<LayerWeights> {
    if (this.#disposed) throw new VggError('VGG_OPTION', 'model: it was disposed of; load it again');
    const weight: tf.Tensor[] = [];
    const others = new Map<string, tf.Tensor>();
    try {
      for (const name of tensorNames(layer)) {
        throwIfAborted(signal, 'load');
        const values = await readCanonical(this.file, this.mapping, name, { signal });
        throwIfAborted(signal, 'load');
        if (!this.#digests.has(name)) this.#digests.set(name, WordDigest.of(values));
        const { shape } = this.mapping.tensors.get(name)!;
        const part = name.slice(layer.name.length + 1);
        backend.run(() => {
          if (part === 'weight') weight.push(...blocks(values, layer, backend));
          else others.set(part, tf.tensor(values, [...shape], 'float32'));
        });
      }
      backend.check();
      return { weight, others };
    } catch (error) {
      free({ weight, others });
      throw error;
    }
  }
}

function blocks(values: Float32Array, layer: Layer, backend: Backend): tf.Tensor[] {
  const limits = backend.info.limits;
  // A dense layer run as a convolution holds the same values in the same order.
  if (layer.kind === 'conv') return [tf.tensor4d(values, [layer.kernel, layer.kernel, layer.in, layer.out], 'float32')];
  if (layer.kind !== 'dense') return [];
  if (!limits) return [tf.tensor2d(values, [layer.in, layer.out], 'float32')];
  const limit = Math.min(limits.maxBindingBytes, limits.maxBufferBytes);
  return splitRows(layer.in, layer.out, limit).map(({ start, rows }) => {
    const block = values.subarray(start * layer.out, (start + rows) * layer.out);
    return tf.tensor(block.length === values.length ? values : block.slice(), [rows, layer.out], 'float32');
  });
}

const key = (layer: Layer, backend: BackendName) => `${layer.name}@${backend}`;
const size = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1);

function free({ weight, others }: LayerWeights): void {
  for (const tensor of weight) tensor.dispose();
  for (const tensor of others.values()) tensor.dispose();
}
