import { VggError } from '@vgg/errors';
import { checkChannels } from './quantize.js';

/**
 * Weights at an eighth of their size: each is one of 16 values of its output channel, which are found by k-means in one dimension
 * (palettes, or weight sharing: Han, Mao & Dally 2016, arXiv:1510.00149, section 3; here a palette for each output channel).
 */
export interface Int4Values {
  /**
   * One index of 4 bits for each value, two to a byte: value `i` in C order, of which the last axis is the output channel, is in byte
   * `i >> 1`, in the low half where `i` is even. The high half behind an odd number of values is 0.
   */
  readonly indices: Uint8Array<ArrayBuffer>;
  /** [channels, 16], each channel's values from the least to the largest; where it has fewer than 16, the largest is repeated. */
  readonly palettes: Float32Array<ArrayBuffer>;
}

/** Values of a palette: what 4 bits tell apart. */
export const PALETTE = 16;
/** Channels gathered at a time: a cache line of 64 bytes is read twice at most. */
const TILE = 32;
/** Values gathered at a time at most, as long as that is a whole channel: 4 MB. */
const GATHERED = 2 ** 20;
/** Steps of Lloyd's algorithm at most; most channels of a VGG stand still or hardly move by then. */
const STEPS = 100;

/**
 * Quantises weights of which the last axis is the output channel, as the canonical layouts have it: [kh, kw, in, out] and [in, out].
 * A channel of at most 16 different values keeps them bit for bit; else its palette is the better, by the sum of squared errors, of two that
 * Lloyd's algorithm (1982) finds, one from the channel's quantiles and one from 16 even steps between its extremes, which the result is
 * therefore never worse than. The same values always give the same palettes.
 *
 * @throws VggError `VGG_SHAPE` if the channels do not divide the values, `VGG_OPTION` for values that are not finite
 * @example
 * quantizeInt4(Float32Array.of(0.5, 3, -1, 3), 2) // indices [0x01, 0x00], palettes [-1, 0.5, 0.5 ..., 3, 3, 3 ...]
 */
export function quantizeInt4(values: Float32Array, channels: number): Int4Values {
  const steps = int4Palettes(values, channels);
  for (;;) {
    const { done, value: palettes } = steps.next();
    if (done) return { indices: int4Packer(palettes)(values, 0), palettes };
  }
}

/** The palettes alone. It pauses after some channels each, so that a tensor of a hundred million values can be aborted. */
export function* int4Palettes(values: Float32Array, channels: number): Generator<undefined, Float32Array<ArrayBuffer>> {
  checkChannels(values.length, channels, 'int4: expected one palette');
  const palettes = new Float32Array(channels * PALETTE);
  const rows = channels === 0 ? 0 : values.length / channels;
  if (rows === 0) return palettes;
  const tile = Math.min(channels, TILE, Math.max(1, Math.floor(GATHERED / rows)));
  const columns = new Float32Array(tile * rows);
  const sums = new Float64Array(rows + 1);
  for (let first = 0; first < channels; first += tile) {
    const width = Math.min(tile, channels - first);
    for (let row = 0, from = first; row < rows; row++, from += channels) {
      for (let c = 0, to = row; c < width; c++, to += rows) columns[to] = values[from + c]!;
    }
    for (let c = 0; c < width; c++) {
      const palette = palettes.subarray((first + c) * PALETTE, (first + c + 1) * PALETTE);
      findPalette(columns.subarray(c * rows, (c + 1) * rows), sums, palette);
    }
    yield;
  }
  return palettes;
}

/** Puts a channel's palette into `out`; sorts the channel. */
function findPalette(channel: Float32Array, sums: Float64Array, out: Float32Array): void {
  channel.sort(); // by value; NaN comes last
  const count = channel.length;
  const [least, largest] = [channel[0]!, channel[count - 1]!];
  if (!Number.isFinite(least) || !Number.isFinite(largest)) {
    throw new VggError('VGG_OPTION', 'int4: expected finite values to quantise, received NaN or Infinity; write them as float32');
  }
  if (takeDistinct(channel, out)) return;
  for (let i = 0; i < count; i++) sums[i + 1] = sums[i]! + channel[i]!;
  const quantiles = Float64Array.from(out, (_, j) => channel[Math.floor(((j + 0.5) * count) / PALETTE)]!);
  const even = Float64Array.from(out, (_, j) => least + ((largest - least) * j) / (PALETTE - 1));
  const first = lloyd(channel, sums, quantiles);
  out.set(lloyd(channel, sums, even) > first ? even : quantiles);
}

/** The different values of a sorted channel, the last repeated; false where they are more than a palette has. */
function takeDistinct(sorted: Float32Array, out: Float32Array): boolean {
  let found = 0;
  for (let i = 0; i < sorted.length; i++) {
    if (found > 0 && sorted[i] === out[found - 1]) continue;
    if (found === PALETTE) return false;
    out[found++] = sorted[i]!;
  }
  out.fill(out[found - 1]!, found);
  return true;
}

/**
 * Moves each centre to the mean of the values that it is the nearest to, until none moves or {@link STEPS} are done. In a sorted channel
 * those are a run between two places, whose sum is the difference of two of `sums`, so that a step takes no look at the values between.
 *
 * @returns how much less than the sum of the squared values the sum of the squared errors is
 */
function lloyd(sorted: Float32Array, sums: Float64Array, centres: Float64Array): number {
  let gain = 0;
  for (let step = 0; step < STEPS; step++) {
    gain = 0;
    let start = 0;
    let moves = false;
    for (let j = 0; j < PALETTE; j++) {
      const end = j === PALETTE - 1 ? sorted.length : firstAbove(sorted, (centres[j]! + centres[j + 1]!) / 2, start);
      if (end > start) {
        const sum = sums[end]! - sums[start]!;
        // Within its values, whatever the sums have lost to rounding: the centres stay in order.
        const mean = Math.min(Math.max(sum / (end - start), sorted[start]!), sorted[end - 1]!);
        gain += sum * mean;
        moves ||= mean !== centres[j];
        centres[j] = mean;
      }
      start = end;
    }
    if (!moves) break;
  }
  return gain;
}

/** The first place from `start` on whose value is above `limit`. */
function firstAbove(sorted: Float32Array, limit: number, start: number): number {
  let [low, high] = [start, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Finds the nearest of its channel's palette for each value, the lower of two as near, and packs the indices as {@link Int4Values} has them.
 * The values may be a part of a tensor, of which the first is value `first`, an even number.
 */
export function int4Packer(
  palettes: Float32Array,
): (values: Float32Array, first: number, out?: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> {
  const channels = palettes.length / PALETTE;
  // Between neighbours; the last of each palette is never asked for.
  const middles = Float64Array.from(palettes, (value, i) => (value + (palettes[i + 1] ?? value)) / 2);
  return (values, first, out = new Uint8Array(Math.ceil(values.length / 2))) => {
    let at = first % Math.max(1, channels);
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      const base = at * PALETTE;
      let index = value > middles[base + 7]! ? 8 : 0;
      if (value > middles[base + index + 3]!) index += 4;
      if (value > middles[base + index + 1]!) index += 2;
      if (value > middles[base + index]!) index += 1;
      if (i & 1) out[i >> 1]! |= index << 4;
      else out[i >> 1] = index;
      if (++at === channels) at = 0;
    }
    return out;
  };
}

/**
 * The values again, each of its channel's palette, bit for bit.
 *
 * @param first the value of the tensor with which `out` begins; an even number
 * @param out of as many values as are wanted
 * @throws VggError `VGG_SHAPE` if there are not half as many bytes as values, or no palettes for them
 */
export function dequantizeInt4(
  indices: Uint8Array,
  palettes: Float32Array,
  out: Float32Array<ArrayBuffer>,
  first = 0,
): Float32Array<ArrayBuffer> {
  const channels = palettes.length / PALETTE;
  if (indices.length !== Math.ceil(out.length / 2) || !Number.isInteger(channels) || (channels === 0 && out.length > 0)) {
    throw new VggError(
      'VGG_SHAPE',
      `int4: expected ${Math.ceil(out.length / 2)} bytes and palettes of ${PALETTE} values, received ${indices.length} bytes and ${palettes.length} values`,
    );
  }
  let at = (first % Math.max(1, channels)) * PALETTE;
  for (let i = 0; i < out.length; i++) {
    const byte = indices[i >> 1]!;
    out[i] = palettes[at + (i & 1 ? byte >> 4 : byte & 15)]!;
    at += PALETTE;
    if (at === palettes.length) at = 0;
  }
  return out;
}
