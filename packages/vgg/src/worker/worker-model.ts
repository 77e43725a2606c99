import type { BackendInfo, BackendMemory } from '@vgg/core';
import { VggError } from '@vgg/errors';
import type { ClassName } from '../classes/classes.js';
import type { ClassifyOptions, Extracted, ExtractOptions, Model, WeightsInfo } from '../model.js';
import { prefix, resolveLayer } from '../network/layers.js';
import type { Network } from '../network/plan.js';
import type { ImageInputs } from '../pictures/images.js';
import type { Preprocessing } from '../pictures/preprocessing.js';
import type { Embedded, EmbedOptions } from '../run/embedding.js';
import { type Placement, place } from '../run/placement.js';
import type { ReadOptions } from '../weights/store.js';
import type { Connection } from './connection.js';
import type { Loaded } from './messages.js';

/** A model whose engine runs in a worker: what is known of it is here, what is computed comes from there. See {@link Model}. */
export class WorkerModel implements Pick<Model, keyof Model> {
  readonly network: Network;
  readonly preprocessing: Preprocessing;
  readonly weights: WeightsInfo;
  readonly deepest: string;
  readonly #connection: Connection;
  readonly #missing: readonly string[];

  constructor(connection: Connection, { network, preprocessing, weights, deepest, missing }: Loaded) {
    this.#connection = connection;
    this.network = network;
    this.preprocessing = preprocessing;
    this.weights = weights;
    this.deepest = deepest;
    this.#missing = missing;
  }

  get backend(): BackendInfo {
    return this.#connection.backend!;
  }

  get weightsName(): string {
    return this.weights.name;
  }

  resolve(layer: string): string {
    return resolveLayer(this.network, layer);
  }

  missing(layer: string): string[] {
    const needed = new Set(prefix(this.network, [layer]).map(({ name }) => name));
    return this.#missing.filter((tensor) => needed.has(tensor.slice(0, tensor.lastIndexOf('.'))));
  }

  placement({ height = this.network.size, width = this.network.size, batch = 1 } = {}): Placement[] {
    return place(this.network, this.network.layers, batch, height, width, this.backend);
  }

  async classNames(): Promise<readonly ClassName[] | undefined> {
    return this.#connection.call('classNames', {});
  }

  async ready(layers: string | readonly string[], options: ReadOptions = {}): Promise<void> {
    await this.#connection.call('ready', { args: [layers], options });
  }

  async warmUp(options: Parameters<Model['warmUp']>[0] = {}): Promise<void> {
    await this.#connection.call('warmUp', { options });
  }

  async memory(): Promise<BackendMemory> {
    return this.#connection.call('memory', {});
  }

  async fingerprint(layer: string, options: { signal?: AbortSignal } = {}): Promise<string> {
    return this.#connection.call('fingerprint', { args: [layer], options });
  }

  readonly extract: Model['extract'] = (images: ImageInputs, layers: unknown, options: ExtractOptions = {}) =>
    this.#connection.call('extract', { images, args: [layers], options });

  readonly embed: Model['embed'] = (images: ImageInputs, options: EmbedOptions = {}) => this.#connection.call('embed', { images, options });

  readonly classify: Model['classify'] = (images: ImageInputs, options: ClassifyOptions = {}) =>
    this.#connection.call('classify', { images, options });

  extractAll(images: ImageInputs, layers: readonly string[], options: ExtractOptions = {}): AsyncGenerator<Extracted> {
    return this.#connection.items('extractAll', { images, args: [layers], options });
  }

  embedAll(images: ImageInputs, options: EmbedOptions = {}): AsyncGenerator<Embedded> {
    return this.#connection.items('embedAll', { images, options });
  }

  classifyAll(images: ImageInputs, options: ClassifyOptions = {}): ReturnType<Model['classifyAll']> {
    return this.#connection.items('classifyAll', { images, options });
  }

  activations(): never {
    throw inWorker('activations');
  }

  run(): never {
    throw inWorker('run');
  }

  normalize(): never {
    throw inWorker('normalize');
  }

  /** Ends the worker; what it was doing is rejected. */
  dispose(): void {
    this.#connection.end(new VggError('VGG_OPTION', 'model: it was disposed of; load it again'));
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function inWorker(method: string): VggError {
  return new VggError('VGG_OPTION', `${method}: tensors cannot leave the worker of this model; load it without worker`);
}
