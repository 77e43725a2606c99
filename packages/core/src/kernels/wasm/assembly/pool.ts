// Pools of maps: the largest value, the mean, or the root of the mean square of the cells of each window that lie on the map.

import { max, min } from './layer';

/** One pool as the caller (pools.ts) writes it into the heap, 4 bytes a field, in this order: POOL_FIELDS there. */
@unmanaged
export class Pool {
  /** [batch][height][width][channels]. */
  input: usize;
  /** [batch][outHeight][outWidth][channels]. */
  output: usize;
  /** 0: maximum, 1: mean, 2: root of the mean square. */
  kind: i32;
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

/** Computes the output rows `from` to `to` (exclusive), counted through the batch. Every window has at least one cell on the map. */
export function poolRows(p: Pool, from: i32, to: i32): void {
  const pixel = <usize>p.channels * 4;
  const line = <usize>p.width * pixel;
  let target = p.output + <usize>from * <usize>p.outWidth * pixel;
  for (let row = from; row < to; row++) {
    const image = row / p.outHeight;
    const top = (row - image * p.outHeight) * p.strideY - p.padTop;
    const y = max(0, top);
    const rows = min(p.height, top + p.sizeY) - y;
    const source = p.input + <usize>(image * p.height + y) * line;
    for (let column = 0; column < p.outWidth; column++) {
      const left = column * p.strideX - p.padLeft;
      const x = max(0, left);
      const columns = min(p.width, left + p.sizeX) - x;
      const s = source + <usize>x * pixel;
      if (p.kind == 0) pool<Largest>(s, target, line, pixel, rows, columns);
      else if (p.kind == 1) pool<Mean>(s, target, line, pixel, rows, columns);
      else pool<Root>(s, target, line, pixel, rows, columns);
      target += pixel;
    }
  }
}

class Largest {}
class Mean {}
class Root {}

// @ts-ignore: decorator
@inline
function start<T>(): v128 {
  return idof<T>() == idof<Largest>() ? f32x4.splat(-Infinity) : f32x4.splat(0);
}

// @ts-ignore: decorator
@inline
function take<T>(sum: v128, value: v128): v128 {
  if (idof<T>() == idof<Largest>()) return f32x4.pmax(sum, value);
  if (idof<T>() == idof<Mean>()) return f32x4.add(sum, value);
  return f32x4.add(sum, f32x4.mul(value, value));
}

/** `pmax` passes over a NaN; `f32x4.max` would not, but takes three times as long: so the NaNs are kept beside the maximum. */
// @ts-ignore: decorator
@inline
function mark<T>(marks: v128, value: v128): v128 {
  return idof<T>() == idof<Largest>() ? v128.or(marks, f32x4.ne(value, value)) : marks;
}

// @ts-ignore: decorator
@inline
function end<T>(sum: v128, cells: v128, marks: v128): v128 {
  // All bits set are a NaN.
  if (idof<T>() == idof<Largest>()) return v128.or(sum, marks);
  const mean = f32x4.div(sum, cells);
  return idof<T>() == idof<Mean>() ? mean : f32x4.sqrt(mean);
}

/** One window: sixteen channels at a time, a cache line of each cell. */
function pool<T>(source: usize, target: usize, line: usize, pixel: usize, rows: i32, columns: i32): void {
  const cells = f32x4.splat(<f32>(rows * columns));
  let at: usize = 0;
  for (; at + 64 <= pixel; at += 64) {
    let s0 = start<T>(), s1 = s0, s2 = s0, s3 = s0;
    let n0 = f32x4.splat(0), n1 = n0, n2 = n0, n3 = n0;
    let first = source + at;
    for (let y = 0; y < rows; y++) {
      let s = first;
      for (let x = 0; x < columns; x++) {
        const v0 = v128.load(s), v1 = v128.load(s, 16), v2 = v128.load(s, 32), v3 = v128.load(s, 48);
        s0 = take<T>(s0, v0);
        n0 = mark<T>(n0, v0);
        s1 = take<T>(s1, v1);
        n1 = mark<T>(n1, v1);
        s2 = take<T>(s2, v2);
        n2 = mark<T>(n2, v2);
        s3 = take<T>(s3, v3);
        n3 = mark<T>(n3, v3);
        s += pixel;
      }
      first += line;
    }
    v128.store(target + at, end<T>(s0, cells, n0));
    v128.store(target + at, end<T>(s1, cells, n1), 16);
    v128.store(target + at, end<T>(s2, cells, n2), 32);
    v128.store(target + at, end<T>(s3, cells, n3), 48);
  }
  for (; at + 16 <= pixel; at += 16) {
    let sum = start<T>();
    let marks = f32x4.splat(0);
    for (let y = 0; y < rows; y++) {
      let s = source + at + <usize>y * line;
      for (let x = 0; x < columns; x++, s += pixel) {
        const value = v128.load(s);
        sum = take<T>(sum, value);
        marks = mark<T>(marks, value);
      }
    }
    v128.store(target + at, end<T>(sum, cells, marks));
  }
  for (; at < pixel; at += 4) {
    let sum = start<T>();
    let marks = f32x4.splat(0);
    for (let y = 0; y < rows; y++) {
      let s = source + at + <usize>y * line;
      for (let x = 0; x < columns; x++, s += pixel) {
        const value = v128.load32_zero(s);
        sum = take<T>(sum, value);
        marks = mark<T>(marks, value);
      }
    }
    v128.store32_lane(target + at, end<T>(sum, cells, marks), 0);
  }
}
