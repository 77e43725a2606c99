import { throwIfAborted, turn, VggError } from '@vgg/errors';
import type { ReadOptions } from './source.js';

/**
 * From one order of axes to another: `sizes` are those of the axes as the values come, the slowest first, and `strides` how far apart
 * neighbours on each of them are in the result. `sizes: [64, 3, 9], strides: [1, 64, 192]` takes filters from OIHW to HWIO.
 */
export interface Reorder {
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
}

/** Rows moved together: that many streams are read in order, and each write is a whole cache line or more. */
const TILE = 32;
/** Values between two looks at the signal: some 50 ms of work. */
const STRETCH = 2 ** 22;

/** From the axes' order in the file to their order in `shape`. */
export function transposition(shape: readonly number[], axes: readonly number[]): Reorder {
  const strides = cStrides(shape);
  return { sizes: axes.map((axis) => shape[axis]!), strides: axes.map((axis) => strides[axis]!) };
}

/** How far apart neighbours on each axis are in C order. */
export function cStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/**
 * The values, which come in pieces, in their new order as one new array.
 * @throws VggError `VGG_INTEGRITY` if there are not `count` of them
 */
export async function reorder(
  pieces: AsyncIterable<Float32Array> | Iterable<Float32Array>,
  count: number,
  order: Reorder,
  options: ReadOptions = {},
): Promise<Float32Array> {
  const out = new Float32Array(count);
  const places = rowPlaces(order);
  const row = places.length;
  const stride = order.strides[0] ?? 1;
  let at = 0;
  let moved = 0;
  for await (const values of pieces) {
    if (at + values.length > count) break;
    const end = at + values.length;
    for (let start = at; start < end; ) {
      // A part of a row, or as many whole rows as make a tile.
      const column = start % row;
      const first = (start - column) / row;
      const rows = column > 0 || end - start < row ? 1 : Math.min(TILE, Math.floor((end - start) / row));
      const last = rows > 1 ? row : Math.min(row, column + end - start);
      const base = start - at - column;
      for (let j = column; j < last; j++) {
        let to = places[j]! + first * stride;
        for (let from = base + j, k = 0; k < rows; k++, from += row, to += stride) out[to] = values[from]!;
      }
      const done = rows > 1 ? rows * row : last - column;
      start += done;
      moved += done;
      if (moved > STRETCH) {
        moved = 0;
        await turn();
        throwIfAborted(options.signal, 'reorder');
      }
    }
    at = end;
  }
  if (at !== count) throw new VggError('VGG_INTEGRITY', `expected ${count} values to put in order, received ${at}`);
  return out;
}

/**
 * The inverse of {@link reorder}: the values in the order that it takes them in, in pieces of some `piece` values, each of which holds them
 * until the next is asked for.
 */
export function* unorder(values: Float32Array, order: Reorder, piece: number): Generator<Float32Array<ArrayBuffer>> {
  const places = rowPlaces(order);
  const row = places.length;
  const stride = order.strides[0] ?? 1;
  const rows = order.sizes[0] ?? 1;
  const some = Math.max(1, Math.floor(piece / Math.max(1, row)));
  const memory = new Float32Array(Math.min(some, rows) * row);
  for (let first = 0; first < rows; first += some) {
    const here = Math.min(some, rows - first);
    const out = memory.subarray(0, here * row);
    for (let start = 0; start < here; start += TILE) {
      const end = Math.min(here, start + TILE);
      for (let j = 0; j < row; j++) {
        let from = places[j]! + (first + start) * stride;
        for (let k = start, to = start * row + j; k < end; k++, to += row, from += stride) out[to] = values[from]!;
      }
    }
    yield out;
  }
}

/** Where the values of one row (all axes but the first) go. */
function rowPlaces({ sizes, strides }: Reorder): Int32Array {
  let places = new Int32Array(1);
  for (let axis = 1; axis < sizes.length; axis++) {
    const size = sizes[axis]!;
    const next = new Int32Array(places.length * size);
    for (let i = 0, k = 0; i < places.length; i++) for (let j = 0; j < size; j++) next[k++] = places[i]! + j * strides[axis]!;
    places = next;
  }
  return places;
}
