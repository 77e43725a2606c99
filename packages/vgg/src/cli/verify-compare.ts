import { readCanonical } from '@vgg/loaders';
import type { OpenedWeights } from '../weights/open-weights.js';
import { tensorNames } from '../weights/store.js';
import type { Context } from './command.js';
import { brief } from './text.js';

/** Where two weight sets part. */
export interface Difference {
  readonly layer: string;
  readonly tensor: string;
  /** As the end of a sentence about the tensor. */
  readonly reason: string;
  /** Largest absolute difference of the tensor's values, where both have them. */
  readonly maxDifference?: number;
}

/** The first layer, in the order of the network, whose values are not the same in both; null where all are. */
export async function firstDifference(a: OpenedWeights, b: OpenedWeights, { signal, onProgress }: Context): Promise<Difference | null> {
  const { layers } = a.network.layers.length >= b.network.layers.length ? a.network : b.network;
  const names = layers.flatMap((layer) => tensorNames(layer).map((tensor) => ({ layer: layer.name, tensor })));
  for (const [i, { layer, tensor }] of names.entries()) {
    onProgress({ stage: 'compare', loaded: i, total: names.length, item: tensor });
    const [one, two] = [a, b].map(({ mapping }) => mapping.tensors.get(tensor));
    if (!one?.present && !two?.present) continue;
    if (!one?.present || !two?.present) return { layer, tensor, reason: `is only in the ${one?.present ? 'first' : 'second'}` };
    if (String(one.shape) !== String(two.shape)) return { layer, tensor, reason: `has the shapes [${one.shape}] and [${two.shape}]` };
    const left = await readCanonical(a.file, a.mapping, tensor, { signal });
    const right = await readCanonical(b.file, b.mapping, tensor, { signal });
    // -0 equals 0, and NaN equals NaN.
    const at = left.findIndex((value, k) => value !== right[k] && !Object.is(value, right[k]));
    if (at < 0) continue;
    const maxDifference = left.reduce((most, value, k) => Math.max(most, Math.abs(value - right[k])), 0);
    return { layer, tensor, reason: `has ${brief(left[at], 9)} and ${brief(right[at], 9)} as value ${at}`, maxDifference };
  }
  return null;
}
