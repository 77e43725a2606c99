import { throwIfAborted, turn } from '@vgg/errors';
import type { ReadOptions } from './source.js';

/**
 * From [outputs, channels, positions], as channels-first programs store filters (OIHW), dense weights ([out, in], one position) and
 * the first dense layer after a flatten ([out, C*H*W]), to [positions, channels, outputs]: HWIO, [in, out] and rows in H, W, C order.
 */
export interface Reorder {
  readonly outputs: number;
  readonly channels: number;
  readonly positions: number;
}

/** Outputs moved together: that many streams are read in order, and each write is a whole cache line or more. */
const TILE = 32;
/** Values between two looks at the signal: some 50 ms of work. */
const STRETCH = 2 ** 22;

/** Values in the order that {@link Reorder} describes, as a new array. */
export async function reorder(
  values: Float32Array,
  { outputs, channels, positions }: Reorder,
  options: ReadOptions = {},
): Promise<Float32Array> {
  const out = new Float32Array(values.length);
  const row = channels * positions;
  let moved = 0;
  for (let first = 0; first < outputs; first += TILE) {
    const end = Math.min(first + TILE, outputs);
    for (let channel = 0; channel < channels; channel++) {
      for (let position = 0; position < positions; position++) {
        const to = (position * channels + channel) * outputs;
        const from = channel * positions + position;
        for (let output = first; output < end; output++) out[to + output] = values[output * row + from]!;
      }
    }
    moved += (end - first) * row;
    if (moved > STRETCH) {
      moved = 0;
      await turn();
      throwIfAborted(options.signal, 'reorder');
    }
  }
  return out;
}
