// Products in blocks, as `multiplyPanel` takes them: the right side in panels of eight columns, 256 deep, the results added up panel by panel.

import { min } from './layer';

/** Depth of a block. */
export const DEPTH: i32 = 256;
/** Panels of eight columns at a time: packed 128 KiB; 512 bytes of each row of the right side. */
export const PANELS: i32 = 16;
/** Panels are a line further apart than they are long, so that they do not share the cache's sets. */
export const PANEL_BYTES: usize = <usize>DEPTH * 32 + 64;
export const PANELS_BYTES: usize = <usize>PANELS * PANEL_BYTES;

/** `depth` rows, `stride` bytes apart, as panels [panel][row][8], zeros past the last of `columns`. */
export function packPanels(source: usize, stride: usize, columns: i32, packed: usize, panels: i32, depth: i32): void {
  const whole = min(panels, columns / 8);
  for (let i = 0; i < depth; i++) {
    let s = source;
    let d = packed + <usize>i * 32;
    for (let panel = 0; panel < whole; panel++) {
      v128.store(d, v128.load(s));
      v128.store(d, v128.load(s, 16), 16);
      s += 32;
      d += PANEL_BYTES;
    }
    if (whole < panels) {
      v128.store(d, f32x4.splat(0));
      v128.store(d, f32x4.splat(0), 16);
      copy(d, s, columns & 7);
    }
    source += stride;
  }
}

/**
 * Adds a panel of `count` products to rows of `width` columns, `stride` bytes apart, or writes them where they are the first; then the
 * bias, where there is one, and the floor. `edge`: 32 bytes of private memory.
 */
export function addPanel(
  c: usize,
  edge: usize,
  target: usize,
  stride: usize,
  width: i32,
  count: i32,
  first: bool,
  biased: bool,
  low: v128,
  high: v128,
  floor: v128,
): void {
  for (let i = 0; i < count; i++) {
    let at = target;
    if (width < 8) {
      if (!first) memory.copy(edge, target, <usize>width * 4);
      at = edge;
    }
    let x = v128.load(c);
    let y = v128.load(c, 16);
    if (!first) {
      x = f32x4.add(v128.load(at), x);
      y = f32x4.add(v128.load(at, 16), y);
    }
    if (biased) {
      x = f32x4.add(x, low);
      y = f32x4.add(y, high);
    }
    v128.store(at, f32x4.pmax(x, floor));
    v128.store(at, f32x4.pmax(y, floor), 16);
    if (width < 8) memory.copy(target, edge, <usize>width * 4);
    c += 32;
    target += stride;
  }
}

/** For short lengths, where a bulk copy costs a call. */
// @ts-ignore: decorator
@inline
export function copy(target: usize, source: usize, floats: i32): void {
  for (; floats >= 4; floats -= 4) {
    v128.store(target, v128.load(source));
    target += 16;
    source += 16;
  }
  for (; floats > 0; floats--) {
    store<f32>(target, load<f32>(source));
    target += 4;
    source += 4;
  }
}

/** [rows][columns] to [columns][rows]; strides in bytes. */
export function transpose(source: usize, sourceStride: usize, target: usize, targetStride: usize, rows: i32, columns: i32): void {
  let row = 0;
  for (; row + 4 <= rows; row += 4) {
    let s = source + <usize>row * sourceStride;
    let d = target + <usize>row * 4;
    let column = 0;
    for (; column + 4 <= columns; column += 4) {
      const r0 = v128.load(s), r1 = v128.load(s + sourceStride), r2 = v128.load(s + sourceStride * 2), r3 = v128.load(s + sourceStride * 3);
      const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
      const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5), high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
      v128.store(d, v128.shuffle<f64>(low01, low23, 0, 2));
      v128.store(d + targetStride, v128.shuffle<f64>(low01, low23, 1, 3));
      v128.store(d + targetStride * 2, v128.shuffle<f64>(high01, high23, 0, 2));
      v128.store(d + targetStride * 3, v128.shuffle<f64>(high01, high23, 1, 3));
      s += 16;
      d += targetStride * 4;
    }
    for (; column < columns; column++) {
      for (let i: usize = 0; i < 4; i++) store<f32>(d + i * 4, load<f32>(s + i * sourceStride));
      s += 4;
      d += targetStride;
    }
  }
  for (; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      store<f32>(target + <usize>column * targetStride + <usize>row * 4, load<f32>(source + <usize>row * sourceStride + <usize>column * 4));
    }
  }
}
