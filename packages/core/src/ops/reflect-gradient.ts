import { addN, pad, reverse, slice, type Tensor, type Tensor4D } from '@tensorflow/tfjs-core';

/**
 * The gradient of mirrored padding: what reached a mirrored cell is added to the cell it was copied from.
 * `full` is `[N, top + H + bottom, left + W + right, C]`, the result `shape` `[N, H, W, C]`.
 */
export function reflectGradient(full: Tensor4D, shape: readonly number[], margins: [[number, number], [number, number]]): Tensor4D {
  const rows = fold(full, 1, shape[1], margins[0]);
  return fold(rows, 2, shape[2], margins[1]) as Tensor4D;
}

/** Folds the margins of one axis back onto the map. */
function fold(full: Tensor, axis: number, size: number, [before, after]: [number, number]): Tensor {
  const take = (start: number, count: number) => {
    const begin = full.shape.map(() => 0);
    begin[axis] = start;
    return slice(
      full,
      begin,
      full.shape.map((length, i) => (i === axis ? count : length)),
    );
  };
  /** A strip turned around and laid on rows `start ...` of an empty map. */
  const lay = (strip: Tensor, start: number) => {
    const paddings = full.shape.map((_, i): [number, number] => (i === axis ? [start, size - start - strip.shape[axis]] : [0, 0]));
    return pad(reverse(strip, [axis]), paddings);
  };
  const parts = [take(before, size)];
  // The margin before holds cells `before ... 1`; the one after holds `size - 2 ... size - 1 - after`.
  if (before > 0) parts.push(lay(take(0, before), 1));
  if (after > 0) parts.push(lay(take(before + size, after), size - 1 - after));
  return parts.length === 1 ? parts[0] : addN(parts);
}
