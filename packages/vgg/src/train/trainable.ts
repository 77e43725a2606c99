import * as tf from '@tensorflow/tfjs-core';
import {
  type Backend,
  type BatchStatistics,
  batchNorm,
  batchNormTraining,
  chainGradients,
  conv2d,
  dense,
  dropout,
  globalPool,
  lrn,
  pool,
  registerGradients,
  relu,
  sgdStep,
  softmaxCrossEntropy,
  updateRunning,
} from '@vgg/core';
import { throwIfAborted, VggError } from '@vgg/errors';
import { softmaxInPlace } from '../head/train/softmax.js';
import { resolveLayer } from '../network/layers.js';
import type { Layer, Network } from '../network/plan.js';
import { activations, steps } from '../run/forward.js';
import { place } from '../run/placement.js';
import { type LayerWeights, tensorNames } from '../weights/store.js';
import type { Optimizer } from './optimizer.js';

/** Where a network's first values come from, by canonical name (`conv1_1.weight`); a tensor is of the same backend, and the taker's own. */
export type Values = (name: string, signal?: AbortSignal) => Promise<Float32Array | tf.Tensor>;

/** Which part of a network learns. */
export interface TrainableOptions {
  /** The first layer that learns, by any of its names; `conv5` is its first convolution. Default: all layers. */
  unfreeze?: string;
  /** Batch normalisation keeps its running statistics and normalises by them, as a network that is only tuned should. Default: false. */
  freezeStatistics?: boolean;
  /** The weight of a new batch in the running statistics. Default 0.1, as in PyTorch. */
  momentum?: number;
  /** Layers whose maps are kept while those between them are computed anew on the way back, to the same bits. Default: all maps are kept. */
  cuts?: readonly string[];
  signal?: AbortSignal;
}

/** A part of a batch. */
export interface Portion {
  /** [N, H, W, C], as prepared. */
  readonly x: Float32Array;
  readonly shape: readonly [number, number, number, number];
  readonly labels: Int32Array;
  /** Its part of the whole batch: what its mean loss counts. */
  readonly share: number;
  /** Words that its dropout masks are drawn from. */
  readonly key: readonly number[];
  /** Of the labels. Default 0. */
  readonly smoothing?: number;
}

/** What a portion's pictures were taken for. */
export interface Outcome {
  /** The mean over its pictures. */
  readonly loss: number;
  readonly correct: number;
}

const KERAS_LAYER = /^(?:block\d+_conv\d+|fc[12])$/i;

/** The layers up to `unfreeze`, and those from it on. @throws VggError `VGG_LAYER` */
export function layersOf(
  { layers, name }: Network,
  unfreeze: string | undefined,
): { frozen: readonly Layer[]; learning: readonly Layer[] } {
  // The softmax is part of the loss.
  const all = layers.filter(({ kind }) => kind !== 'softmax');
  if (unfreeze === undefined) return { frozen: [], learning: all };
  const block = /^(?:conv|block)(\d+)$/i.exec(unfreeze.trim());
  const first = block ? `conv${block[1]}_1` : resolveLayer({ layers, name }, unfreeze);
  const found = all.findIndex((layer) => layer.name === first);
  // A layer of Keras holds its activation, and learns with it.
  const at = KERAS_LAYER.test(unfreeze.trim()) ? all.findLastIndex((layer, i) => i <= found && /^(conv|fc)/.test(layer.name)) : found;
  const learning = all.slice(Math.max(at, 0));
  if (at < 0 || !learning.some((layer) => tensorNames(layer).length > 0)) {
    const weighted = all.filter((layer) => tensorNames(layer).length > 0).map((layer) => layer.name);
    throw new VggError(
      'VGG_LAYER',
      `train: unfreeze: expected a layer with weights at it or behind it, such as ${weighted.at(-1)}, received "${unfreeze}"`,
    );
  }
  return { frozen: all.slice(0, at), learning };
}

/** The statistics of a portion, for a layer's running ones. */
interface Seen extends BatchStatistics {
  name: string;
  /** Values of each channel. */
  count: number;
}

/** Told of the statistics of a layer's batch, and how many values of each channel there were. */
type See = (name: string, statistics: BatchStatistics, count: number) => void;

/** A run of the layers that learn, from one to before another, by their places. */
interface Part {
  readonly from: number;
  readonly to: number;
  /** Names of its parameters. */
  readonly parameters: readonly string[];
}

/** Statistics are no parameters: they follow the data, not the gradient. */
const isParameter = (name: string) => !/\.(mean|variance)$/.test(name);

/**
 * A network on a backend whose weights change: what it needs to learn, and to be evaluated in between. Layers in front of `unfreeze`
 * are computed as for features, without gradients.
 */
export class Trainable {
  /** What learns, by canonical name. */
  readonly parameters: ReadonlyMap<string, tf.Variable>;
  /** The running statistics that follow the data. */
  readonly statistics: ReadonlyMap<string, tf.Variable>;
  readonly network: Network;
  readonly #backend: Backend;
  readonly #tensors: Map<string, tf.Tensor>;
  readonly #frozen: readonly Layer[];
  readonly #learning: readonly Layer[];
  readonly #parts: readonly Part[];
  readonly #options: TrainableOptions;
  /** Of the batch, so far. */
  readonly #gradients = new Map<string, tf.Variable>();
  readonly #seen: Seen[] = [];

  private constructor(backend: Backend, network: Network, tensors: Map<string, tf.Tensor>, options: TrainableOptions) {
    const { frozen, learning } = layersOf(network, options.unfreeze);
    this.#backend = backend;
    this.network = network;
    this.#tensors = tensors;
    this.#frozen = frozen;
    this.#learning = learning;
    this.#parts = partsOf(learning, options.cuts ?? []);
    this.#options = options;
    const names = learning.flatMap(tensorNames);
    const variables = (wanted: string[]) => new Map(wanted.map((name) => [name, tensors.get(name) as tf.Variable]));
    this.parameters = variables(names.filter(isParameter));
    this.statistics = variables(options.freezeStatistics ? [] : names.filter((name) => !isParameter(name)));
  }

  /**
   * @throws VggError `VGG_LAYER` for an unknown layer, `VGG_MEMORY`, `VGG_ABORTED`, and what `values` throws
   */
  static async open(backend: Backend, network: Network, values: Values, options: TrainableOptions = {}): Promise<Trainable> {
    registerGradients();
    const learning = new Set(layersOf(network, options.unfreeze).learning.flatMap(tensorNames));
    const tensors = new Map<string, tf.Tensor>();
    try {
      for (const layer of network.layers) {
        for (const { name, shape } of shapesOf(layer)) {
          throwIfAborted(options.signal, 'train');
          const data = await values(name, options.signal);
          const made = backend.run(() => (data instanceof Float32Array ? tf.tensor(data, shape, 'float32') : shaped(data, shape)));
          tensors.set(name, learning.has(name) ? backend.run(() => owned(made)) : made);
        }
      }
      return new Trainable(backend, network, tensors, options);
    } catch (error) {
      for (const tensor of tensors.values()) tensor.dispose();
      throw error;
    }
  }

  /**
   * Adds a portion's gradients to those of the batch; {@link step} or {@link drop} ends it.
   *
   * @throws VggError `VGG_MEMORY`; what was added of the batch is then gone
   */
  async learn(portion: Portion): Promise<Outcome> {
    let found: { value: tf.Tensor; logits: tf.Tensor } | undefined;
    try {
      // What an error leaves goes with the tidy.
      found = this.#backend.run(() => tf.tidy(() => this.#gradientsOf(portion)));
      const loss = (await this.#backend.read(found.value))[0]!;
      const scores = (await this.#backend.read(found.logits)).slice();
      const { correct } = softmaxInPlace(scores, portion.labels.length, this.network.classes, portion.labels);
      return { loss, correct };
    } catch (error) {
      this.drop();
      throw error;
    } finally {
      found?.value.dispose();
      found?.logits.dispose();
    }
  }

  /** The mean loss of a portion and its scores, both kept; its gradients, part by part from the last, join those of the batch. */
  #gradientsOf({ x, shape, labels, share, key, smoothing = 0 }: Portion): { value: tf.Tensor; logits: tf.Tensor } {
    const see: See = (name, { mean, variance }, count) => {
      this.#seen.push({ name, mean: tf.keep(mean), variance: tf.keep(variance), count });
    };
    const truth = tf.tensor1d(labels, 'int32');
    /** What each part takes, of those that are still to come. */
    const inputs = [tf.tidy(() => this.#features(tf.tensor4d(x, [...shape]), this.#frozen))];
    /** Of the loss by what the part gives. */
    let slope: tf.Tensor | undefined;
    let logits: tf.Tensor | undefined;
    let value: tf.Tensor | undefined;
    try {
      for (const part of this.#parts.slice(0, -1)) inputs.push(tf.tidy(() => this.#pass(part, inputs.at(-1)!, key, see)));
      for (const part of this.#parts.toReversed()) {
        const input = inputs.at(-1)!;
        // Nobody asks for the gradient of what the first part takes.
        const isFirst = inputs.length === 1;
        const wanted = [...part.parameters.map((name) => this.parameters.get(name)!), ...(isFirst ? [] : [input])];
        if (wanted.length === 0) break;
        const pass = () => {
          // The statistics of the other parts have been seen.
          if (slope) return this.#pass(part, input, key);
          logits = tf.keep(this.#pass(part, input, key, see));
          value = tf.keep(softmaxCrossEntropy(logits, truth, { smoothing }));
          return tf.mul(value, share);
        };
        const found = chainGradients(pass, wanted, slope);
        found.value.dispose();
        slope?.dispose();
        slope = isFirst ? undefined : found.grads.pop();
        inputs.pop()!.dispose();
        part.parameters.forEach((name, i) => {
          this.#accumulate(name, found.grads[i]!);
        });
      }
      return { value: value!, logits: logits! };
    } catch (error) {
      value?.dispose();
      logits?.dispose();
      throw error;
    }
  }

  /** Ends a batch: the optimiser takes a step along its gradients, and the running statistics one towards its own. */
  step(optimizer: Optimizer, rate: number): void {
    this.#backend.run(() => {
      // In the order of the layers: the sum of their squares, which clipping goes by, depends on it.
      const moving = [...this.parameters].flatMap(([name, value]) => {
        const gradient = this.#gradients.get(name);
        return gradient ? [[name, { value, gradient }] as const] : [];
      });
      optimizer.step(new Map(moving), rate);
      for (const seen of this.#seen) this.#follow(seen);
    });
    this.drop();
  }

  /** Ends a batch that is not to count. */
  drop(): void {
    for (const gradient of this.#gradients.values()) gradient.dispose();
    this.#gradients.clear();
    for (const { mean, variance } of this.#seen.splice(0)) {
      mean.dispose();
      variance.dispose();
    }
  }

  /** The scores of pictures [N, H, W, C] before the softmax, by the running statistics and without dropout: [N, classes]. */
  async scores(x: Float32Array, shape: readonly [number, number, number, number]): Promise<Float32Array> {
    const layers = [...this.#frozen, ...this.#learning];
    const result = this.#backend.run(() => tf.tidy(() => this.#features(tf.tensor4d(x, [...shape]), layers)));
    try {
      return (await this.#backend.read(result)).slice();
    } finally {
      result.dispose();
    }
  }

  /** Every tensor, in the order of the layers; they stay its own. */
  get tensors(): ReadonlyMap<string, tf.Tensor> {
    return this.#tensors;
  }

  dispose(): void {
    this.drop();
    for (const tensor of this.#tensors.values()) tensor.dispose();
    this.#tensors.clear();
  }

  /** Layers as for features: nothing is kept for a gradient. */
  #features(x: tf.Tensor4D, layers: readonly Layer[]): tf.Tensor {
    if (layers.length === 0) return x;
    const [batch, height, width] = x.shape;
    const tap = layers.at(-1)!.name;
    const plan = steps(layers, new Set([tap]), place(this.network, layers, batch, height, width, this.#backend.info));
    const weights = new Map(layers.filter((layer) => tensorNames(layer).length > 0).map((layer) => [layer.name, this.#weights(layer)]));
    return activations(plan, x, [tap], weights)[tap]!;
  }

  #weights(layer: Layer): LayerWeights {
    const parts = tensorNames(layer).map((name) => [name.slice(layer.name.length + 1), this.#tensors.get(name)!] as const);
    return {
      weight: parts.flatMap(([part, tensor]) => (part === 'weight' ? [tensor] : [])),
      others: new Map(parts.filter(([part]) => part !== 'weight')),
    };
  }

  /** Layers that learn, as they are while they do. */
  #pass({ from, to }: Part, input: tf.Tensor, key: readonly number[], see?: See): tf.Tensor {
    const layers = this.#learning.slice(0, to);
    let x = input;
    for (let i = from; i < to; i++) {
      const layer = layers[i]!;
      const part = (name: string) => this.#tensors.get(`${layer.name}.${name}`)!;
      const joins = layer.kind === 'conv' || layer.kind === 'dense' || layer.kind === 'batchnorm';
      const activation = joins && layers[i + 1]?.kind === 'relu' ? 'relu' : 'linear';
      if (activation === 'relu') i++;
      switch (layer.kind) {
        case 'conv':
          x = conv2d(x as tf.Tensor4D, part('weight') as tf.Tensor4D, part('bias'), { activation, padding: layer.padding });
          break;
        case 'dense':
          x = dense(x as tf.Tensor2D, [part('weight') as tf.Tensor2D], part('bias') as tf.Tensor1D, { activation });
          break;
        case 'batchnorm':
          x = this.#normalise(layer, x as tf.Tensor4D, activation, see);
          break;
        case 'lrn':
          x = lrn(x as tf.Tensor4D, layer);
          break;
        case 'relu':
          x = relu(x);
          break;
        case 'pool':
          x = pool(x as tf.Tensor4D, layer);
          break;
        case 'flatten':
          x = tf.reshape(x, [x.shape[0]!, -1]);
          break;
        case 'mean':
          x = globalPool(x as tf.Tensor4D, 'average');
          break;
        case 'dropout':
          // Each layer has a mask of its own.
          x = dropout(x, { keep: 1 - layer.rate, key: [...key, i] });
          break;
        case 'softmax':
          break;
      }
    }
    return x;
  }

  #normalise(layer: Extract<Layer, { kind: 'batchnorm' }>, x: tf.Tensor4D, activation: 'linear' | 'relu', see?: See): tf.Tensor {
    const part = (name: string) => this.#tensors.get(`${layer.name}.${name}`) as tf.Tensor1D;
    const { epsilon } = layer;
    const scaled = { scale: part('scale'), offset: part('offset'), epsilon };
    if (this.#options.freezeStatistics) {
      const y = batchNorm(x, { ...scaled, mean: part('mean'), variance: part('variance') });
      return activation === 'relu' ? relu(y) : y;
    }
    const { y, ...statistics } = batchNormTraining(x, { ...scaled, activation });
    see?.(layer.name, statistics, x.size / layer.channels);
    return y;
  }

  /** Adds a gradient, which is then gone, to that of the batch: in its place where the backend can, as the largest take hundreds of megabytes. */
  #accumulate(name: string, gradient: tf.Tensor): void {
    const sum = this.#gradients.get(name);
    if (sum) sgdStep({ value: sum, gradient }, { rate: -1 });
    else this.#gradients.set(name, tf.variable(gradient, false));
    gradient.dispose();
  }

  /** Running statistics go a step towards a portion's. */
  #follow({ name, count, ...batch }: Seen): void {
    const [mean, variance] = ['mean', 'variance'].map((part) => this.statistics.get(`${name}.${part}`)!);
    const next = updateRunning({ mean: mean!, variance: variance! }, batch, this.#options.momentum ?? 0.1, count);
    mean!.assign(next.mean);
    variance!.assign(next.variance);
    next.mean.dispose();
    next.variance.dispose();
  }
}

/** The layers that learn, cut behind those that are named. */
function partsOf(learning: readonly Layer[], cuts: readonly string[]): Part[] {
  const ends = [...cuts.map((name) => learning.findIndex((layer) => layer.name === name) + 1), learning.length];
  return ends.map((to, i) => {
    const from = ends[i - 1] ?? 0;
    return { from, to, parameters: learning.slice(from, to).flatMap(tensorNames).filter(isParameter) };
  });
}

/** A layer's canonical tensors with the shapes that it is computed with. */
function shapesOf(layer: Layer): { name: string; shape: number[] }[] {
  return tensorNames(layer).map((name) => {
    const part = name.slice(layer.name.length + 1);
    if (layer.kind === 'conv') return { name, shape: part === 'weight' ? [layer.kernel, layer.kernel, layer.in, layer.out] : [layer.out] };
    if (layer.kind === 'dense') return { name, shape: part === 'weight' ? [layer.in, layer.out] : [layer.out] };
    return { name, shape: [(layer as Extract<Layer, { kind: 'batchnorm' }>).channels] };
  });
}

/** A tensor in another shape, which takes its place. */
function shaped(tensor: tf.Tensor, shape: number[]): tf.Tensor {
  const made = tf.reshape(tensor, shape);
  tensor.dispose();
  return made;
}

/** A variable that alone holds a tensor's values. */
function owned(tensor: tf.Tensor): tf.Variable {
  const variable = tf.variable(tensor);
  tensor.dispose();
  return variable;
}
