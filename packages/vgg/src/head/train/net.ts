import type { Random } from '../../random.js';
import { addCombinations, affine, type Floats, floatsLike } from './matrix.js';
import { type Scored, softmaxInPlace } from './softmax.js';

/** One dense layer: weights [outputs, inputs], so that a unit's weights lie together. */
interface Dense<T extends Floats = Float32Array> {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights: T;
  readonly bias: T;
}

/** Dense layers with a ReLU between them; the last one gives logits. One layer is the linear softmax head. */
export type Net<T extends Floats = Float32Array> = readonly Dense<T>[];

/**
 * Layers for sizes [inputs, hidden ..., classes]; weights uniform in +-sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010), biases 0.
 * A single layer starts at 0: its loss is convex, so there is no symmetry to break, and stopping early then means small weights.
 *
 * @param like decides the element type
 */
export function createNet<T extends Floats>(sizes: readonly number[], random: Random, like: T): Net<T> {
  return sizes.slice(1).map((outputs, i) => {
    const inputs = sizes[i]!;
    const weights = floatsLike(like, inputs * outputs);
    const limit = sizes.length === 2 ? 0 : Math.sqrt(6 / (inputs + outputs));
    for (let k = 0; k < weights.length; k++) weights[k] = (2 * random.uniform() - 1) * limit;
    return { inputs, outputs, weights, bias: floatsLike(like, outputs) };
  });
}

/** Room for the activations and gradients of up to `rows` examples. */
export interface Workspace<T extends Floats> {
  readonly rows: number;
  /** Outputs of each layer after its ReLU and dropout; the last holds logits, then probabilities. */
  readonly outputs: T[];
  /** Gradients by those outputs. */
  readonly deltas: T[];
  /** Sums over the examples of the gradients by weights and biases. */
  readonly gradients: { weights: T; bias: T }[];
}

export function workspaceFor<T extends Floats>(net: Net<T>, rows: number): Workspace<T> {
  return {
    rows,
    outputs: net.map((layer) => floatsLike(layer.weights, rows * layer.outputs)),
    deltas: net.map((layer) => floatsLike(layer.weights, rows * layer.outputs)),
    gradients: net.map((layer) => ({
      weights: floatsLike(layer.weights, layer.weights.length),
      bias: floatsLike(layer.bias, layer.outputs),
    })),
  };
}

/** Drops hidden units with probability `rate` and scales the kept ones by 1 / (1 - rate), so that nothing changes at prediction. */
export interface Dropout {
  readonly rate: number;
  readonly random: Random;
}

/** Logits of `rows` examples x [rows, inputs], in the returned array (it belongs to whoever gave `outputs`). */
export function forward<T extends Floats>(net: Net<T>, x: T, rows: number, outputs: readonly T[], dropout?: Dropout): T {
  let input = x;
  net.forEach((layer, l) => {
    const out = outputs[l]!;
    affine(input, rows, layer.inputs, layer.weights, layer.bias, layer.outputs, out);
    if (l < net.length - 1) {
      const size = rows * layer.outputs;
      for (let k = 0; k < size; k++) if (out[k]! < 0) out[k] = 0;
      if (dropout && dropout.rate > 0) {
        const scale = 1 / (1 - dropout.rate);
        for (let k = 0; k < size; k++) out[k] = dropout.random.uniform() < dropout.rate ? 0 : out[k]! * scale;
      }
    }
    input = out;
  });
  return input;
}

/**
 * Adds the gradients of the summed cross-entropy of `rows` examples to `work.gradients`, by back-propagation:
 * by the logits it is softmax - [label]; through a dense layer, W gains delta' x and the input gets delta W; through ReLU and dropout it
 * passes where the unit was kept and positive, times dropout's scale.
 */
export function addGradients<T extends Floats>(
  net: Net<T>,
  x: T,
  labels: ArrayLike<number>,
  rows: number,
  work: Workspace<T>,
  dropout?: Dropout,
): Scored {
  const last = net.length - 1;
  const probabilities = forward(net, x, rows, work.outputs, dropout);
  const classes = net[last]!.outputs;
  const scored = softmaxInPlace(probabilities, rows, classes, labels);
  const top = work.deltas[last]!;
  for (let k = 0; k < rows * classes; k++) top[k] = probabilities[k]!;
  for (let i = 0; i < rows; i++) top[i * classes + labels[i]!]! -= 1;

  const scale = dropout ? 1 / (1 - dropout.rate) : 1;
  for (let l = last; l >= 0; l--) {
    const layer = net[l]!;
    const delta = work.deltas[l]!;
    const { weights, bias } = work.gradients[l]!;
    const input = l === 0 ? x : work.outputs[l - 1]!;
    addCombinations(delta, 1, layer.outputs, input, rows, weights, layer.outputs, layer.inputs);
    for (let i = 0; i < rows; i++) for (let o = 0; o < layer.outputs; o++) bias[o]! += delta[i * layer.outputs + o]!;
    if (l === 0) break;
    const below = work.deltas[l - 1]!;
    below.fill(0, 0, rows * layer.inputs);
    addCombinations(delta, layer.outputs, 1, layer.weights, layer.outputs, below, rows, layer.inputs);
    // A hidden output is positive exactly where its ReLU passed and its dropout kept it.
    for (let k = 0; k < rows * layer.inputs; k++) below[k] = input[k]! > 0 ? below[k]! * scale : 0;
  }
  return scored;
}

/** Numbers that the layers hold. */
export function parameterCount(net: Net<Floats>): number {
  return net.reduce((sum, layer) => sum + layer.weights.length + layer.bias.length, 0);
}

/** A copy that later steps do not change. */
export function copyNet<T extends Floats>(net: Net<T>): Net<T> {
  return net.map((layer) => ({ ...layer, weights: layer.weights.slice() as T, bias: layer.bias.slice() as T }));
}
