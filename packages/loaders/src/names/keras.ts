import type { Part, WeightSpec } from '../spec.js';
import type { Named } from './layers.js';
import { bareName } from './state.js';

const PARTS: ReadonlyMap<string, Part> = new Map([
  ['kernel', 'weight'],
  ['bias', 'bias'],
  ['gamma', 'scale'],
  ['beta', 'offset'],
  ['moving_mean', 'mean'],
  ['moving_variance', 'variance'],
]);

/** Names of Keras's own VGG: `block1_conv1` is `conv1_1`; the dense layers are `fc1`, `fc2` and `predictions`. */
const DENSE: ReadonlyMap<string, number> = new Map([
  ['fc1', 0],
  ['fc2', 1],
  ['predictions', 2],
]);

/**
 * Layer and part of a Keras or tfjs name such as `vgg16/block1_conv1/kernel`, or of a `tf.train.Checkpoint` of a Keras model,
 * `layer_with_weights-0/kernel/.ATTRIBUTES/VARIABLE_VALUE`; undefined for any other.
 */
export function kerasTensor(name: string): Named | undefined {
  const bare = bareName(name);
  const cut = bare.lastIndexOf('/');
  const part = PARTS.get(bare.slice(cut + 1).replace(/^_/, ''));
  return cut > 0 && part ? { layer: bare.slice(0, cut), part } : undefined;
}

/** The table's name of one of Keras's own layer names, such as `conv1_1` of `block1_conv1`; undefined for names of one's own. */
export function kerasPlace(layer: string, dense: readonly WeightSpec[]): string | undefined {
  const base = layer.slice(layer.lastIndexOf('/') + 1);
  const match = /^block(\d+)_(conv|bn)(\d+)$/.exec(base);
  if (match) return `${match[2]}${match[1]}_${match[3]}`;
  const index = DENSE.get(base);
  // A place that the table does not have is a place all the same: the layer is Keras's own, and this network has none such.
  return index === undefined ? undefined : (dense[index]?.name ?? base);
}
