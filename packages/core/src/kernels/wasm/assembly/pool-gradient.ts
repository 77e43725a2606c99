// Gradients of pools. A thread has some rows of the input, and gathers what the windows that reach them hand down, in the order of the
// windows: windows that reach the rows of two threads are looked at by both.

import { Four, One, put, take } from './lanes';
import { max, min } from './layer';

/** One pool as the caller (pool-gradients.ts) writes it into the heap, 4 bytes a field, in this order. */
@unmanaged
export class PoolGradient {
  /** [batch][height][width][channels]; not read for the mean. */
  input: usize;
  /** [batch][outHeight][outWidth][channels]. */
  upstream: usize;
  /** As the input. */
  output: usize;
  height: i32;
  width: i32;
  channels: i32;
  outHeight: i32;
  outWidth: i32;
  sizeY: i32;
  sizeX: i32;
  strideY: i32;
  strideX: i32;
  padTop: i32;
  padLeft: i32;
}

/** The first window that reaches a cell `at`, and the first that lies behind it. */
// @ts-ignore: decorator
@inline
function firstWindow(at: i32, pad: i32, size: i32, stride: i32): i32 {
  const before = at + pad - size;
  return before < 0 ? 0 : before / stride + 1;
}

// @ts-ignore: decorator
@inline
function endWindow(at: i32, pad: i32, stride: i32, count: i32): i32 {
  return min((at + pad) / stride + 1, count);
}

/** The gradient of a maximum, for the input rows `from` to `to` (exclusive), counted through the batch. */
export function maximumRows(p: PoolGradient, from: i32, to: i32): void {
  for (let row = from; row < to; ) {
    const image = row / p.height;
    const y = row - image * p.height;
    const end = min(y + to - row, p.height);
    if (isPlain(p, y, end)) plainBand(p, image, y, end);
    else maximumBand(p, image, y, end);
    row += end - y;
  }
}

/** Windows of 2 x 2 side by side, none of them cut: every cell is in one window. */
function isPlain(p: PoolGradient, y: i32, end: i32): bool {
  const squares = p.sizeY == 2 && p.sizeX == 2 && p.strideY == 2 && p.strideX == 2 && p.padTop == 0 && p.padLeft == 0;
  return squares && ((y | end) & 1) == 0 && end <= 2 * p.outHeight && p.width == 2 * p.outWidth;
}

function plainBand(p: PoolGradient, image: i32, y: i32, end: i32): void {
  const pixel = <usize>p.channels * 4;
  const line = <usize>p.width * pixel;
  let upstream = p.upstream + <usize>(image * p.outHeight + y / 2) * <usize>p.outWidth * pixel;
  for (; y < end; y += 2) {
    let cell = <usize>(image * p.height + y) * line;
    for (let column = 0; column < p.outWidth; column++) {
      let at: usize = 0;
      for (; at + 16 <= pixel; at += 16) plainWindow<Four>(p.input + cell + at, upstream + at, p.output + cell + at, pixel, line);
      for (; at < pixel; at += 4) plainWindow<One>(p.input + cell + at, upstream + at, p.output + cell + at, pixel, line);
      cell += 2 * pixel;
      upstream += pixel;
    }
  }
}

// @ts-ignore: decorator
@inline
function plainWindow<L>(source: usize, upstream: usize, target: usize, pixel: usize, line: usize): void {
  let best = take<L>(source);
  const b = take<L>(source + pixel), c = take<L>(source + line), d = take<L>(source + line + pixel);
  const second = f32x4.gt(b, best);
  best = v128.bitselect(b, best, second);
  const third = f32x4.gt(c, best);
  best = v128.bitselect(c, best, third);
  const fourth = f32x4.gt(d, best);
  let dy = take<L>(upstream);
  put<L>(target + line + pixel, v128.and(dy, fourth));
  dy = v128.andnot(dy, fourth);
  put<L>(target + line, v128.and(dy, third));
  dy = v128.andnot(dy, third);
  put<L>(target + pixel, v128.and(dy, second));
  put<L>(target, v128.andnot(dy, second));
}

function maximumBand(p: PoolGradient, image: i32, y: i32, end: i32): void {
  const pixel = <usize>p.channels * 4;
  const line = <usize>p.width * pixel;
  memory.fill(p.output + <usize>(image * p.height + y) * line, 0, <usize>(end - y) * line);
  const last = endWindow(end - 1, p.padTop, p.strideY, p.outHeight);
  for (let row = firstWindow(y, p.padTop, p.sizeY, p.strideY); row < last; row++) {
    const top = row * p.strideY - p.padTop;
    const y0 = max(0, top);
    const y1 = min(p.height, top + p.sizeY);
    let upstream = p.upstream + <usize>(image * p.outHeight + row) * <usize>p.outWidth * pixel;
    for (let column = 0; column < p.outWidth; column++) {
      const left = column * p.strideX - p.padLeft;
      const x0 = max(0, left);
      const columns = min(p.width, left + p.sizeX) - x0;
      const cell = <usize>(image * p.height + y0) * line + <usize>x0 * pixel;
      let at: usize = 0;
      for (; at + 16 <= pixel; at += 16) maximumWindow<Four>(p, cell + at, upstream + at, line, pixel, y0, y1, columns, y, end);
      for (; at < pixel; at += 4) maximumWindow<One>(p, cell + at, upstream + at, line, pixel, y0, y1, columns, y, end);
      upstream += pixel;
    }
  }
}

/** Adds `dy` to the first of the largest cells, where that lies in the rows `from` to `to`. */
function maximumWindow<L>(
  p: PoolGradient,
  cell: usize,
  upstream: usize,
  line: usize,
  pixel: usize,
  y0: i32,
  y1: i32,
  columns: i32,
  from: i32,
  to: i32,
): void {
  let best = take<L>(p.input + cell);
  let place = i32x4.splat(0);
  let k = 0;
  for (let y = y0; y < y1; y++) {
    let source = p.input + cell + <usize>(y - y0) * line;
    for (let x = 0; x < columns; x++, k++, source += pixel) {
      const value = take<L>(source);
      const larger = f32x4.gt(value, best);
      best = v128.bitselect(value, best, larger);
      place = v128.bitselect(i32x4.splat(k), place, larger);
    }
  }
  const dy = take<L>(upstream);
  const end = min(y1, to);
  for (let y = max(y0, from); y < end; y++) {
    k = (y - y0) * columns;
    let target = p.output + cell + <usize>(y - y0) * line;
    for (let x = 0; x < columns; x++, k++, target += pixel) {
      put<L>(target, f32x4.add(take<L>(target), v128.and(dy, i32x4.eq(place, i32x4.splat(k)))));
    }
  }
}

/** The gradient of a mean over whole windows, for the input rows `from` to `to` (exclusive), counted through the batch. */
export function meanRows(p: PoolGradient, from: i32, to: i32): void {
  const pixel = <usize>p.channels * 4;
  let target = p.output + <usize>from * <usize>p.width * pixel;
  for (let row = from; row < to; row++) {
    const image = row / p.height;
    const y = row - image * p.height;
    const oy = firstWindow(y, p.padTop, p.sizeY, p.strideY);
    const rows = endWindow(y, p.padTop, p.strideY, p.outHeight) - oy;
    const line = p.upstream + <usize>(image * p.outHeight + oy) * <usize>p.outWidth * pixel;
    for (let x = 0; x < p.width; x++) {
      const ox = firstWindow(x, p.padLeft, p.sizeX, p.strideX);
      const columns = endWindow(x, p.padLeft, p.strideX, p.outWidth) - ox;
      const upstream = line + <usize>ox * pixel;
      let at: usize = 0;
      for (; at + 16 <= pixel; at += 16) meanCell<Four>(p, upstream + at, target + at, pixel, rows, columns);
      for (; at < pixel; at += 4) meanCell<One>(p, upstream + at, target + at, pixel, rows, columns);
      target += pixel;
    }
  }
}

// @ts-ignore: decorator
@inline
function meanCell<L>(p: PoolGradient, upstream: usize, target: usize, pixel: usize, rows: i32, columns: i32): void {
  const line = <usize>p.outWidth * pixel;
  let sum = f32x4.splat(0);
  for (let y = 0; y < rows; y++) {
    let source = upstream + <usize>y * line;
    for (let x = 0; x < columns; x++, source += pixel) sum = f32x4.add(sum, take<L>(source));
  }
  put<L>(target, f32x4.div(sum, f32x4.splat(<f32>(p.sizeY * p.sizeX))));
}
