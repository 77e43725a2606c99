// Products whose depth is the tiles: C[row][8] = sum over tiles of A[tile][row] * B[tile][8]. A are rows of 64 floats, of which one
// kernel reads a few beside each other; it needs no transposition so. See gemm.ts for the size of the blocks.

import { madd, store2, TILE_STRIDE } from './gemm';

/** C = A^T * B for `rows` rows, a multiple of four. */
export function multiplyOuter(a: usize, b: usize, c: usize, rows: i32, depth: i32): void {
  const end = b + <usize>depth * 32;
  if (ASC_FEATURE_RELAXED_SIMD && rows > 8) {
    // From 12 on, every multiple of four is a sum of sixes and at most four fives.
    let fives = (6 - (rows % 6)) % 6;
    let sixes = (rows - 5 * fives) / 6;
    for (; sixes > 0; sixes--) {
      outer6(a, b, c, end);
      a += 24;
      c += 192;
    }
    for (; fives > 0; fives--) {
      outer5(a, b, c, end);
      a += 20;
      c += 160;
    }
    return;
  }
  for (; rows > 0; rows -= 4) {
    outer4(a, b, c, end);
    a += 16;
    c += 128;
  }
}

// @ts-ignore: decorator
@inline
function outer6(a: usize, b: usize, c: usize, end: usize): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero;
  let c10 = zero, c11 = zero;
  let c20 = zero, c21 = zero;
  let c30 = zero, c31 = zero;
  let c40 = zero, c41 = zero;
  let c50 = zero, c51 = zero;
  while (b != end) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let v = v128.load_splat<f32>(a);
    c00 = madd(v, b0, c00);
    c01 = madd(v, b1, c01);
    v = v128.load_splat<f32>(a, 4);
    c10 = madd(v, b0, c10);
    c11 = madd(v, b1, c11);
    v = v128.load_splat<f32>(a, 8);
    c20 = madd(v, b0, c20);
    c21 = madd(v, b1, c21);
    v = v128.load_splat<f32>(a, 12);
    c30 = madd(v, b0, c30);
    c31 = madd(v, b1, c31);
    v = v128.load_splat<f32>(a, 16);
    c40 = madd(v, b0, c40);
    c41 = madd(v, b1, c41);
    v = v128.load_splat<f32>(a, 20);
    c50 = madd(v, b0, c50);
    c51 = madd(v, b1, c51);
    a += TILE_STRIDE;
    b += 32;
  }
  store2(c, c00, c01);
  store2(c + 32, c10, c11);
  store2(c + 64, c20, c21);
  store2(c + 96, c30, c31);
  store2(c + 128, c40, c41);
  store2(c + 160, c50, c51);
}

// @ts-ignore: decorator
@inline
function outer5(a: usize, b: usize, c: usize, end: usize): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero;
  let c10 = zero, c11 = zero;
  let c20 = zero, c21 = zero;
  let c30 = zero, c31 = zero;
  let c40 = zero, c41 = zero;
  while (b != end) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let v = v128.load_splat<f32>(a);
    c00 = madd(v, b0, c00);
    c01 = madd(v, b1, c01);
    v = v128.load_splat<f32>(a, 4);
    c10 = madd(v, b0, c10);
    c11 = madd(v, b1, c11);
    v = v128.load_splat<f32>(a, 8);
    c20 = madd(v, b0, c20);
    c21 = madd(v, b1, c21);
    v = v128.load_splat<f32>(a, 12);
    c30 = madd(v, b0, c30);
    c31 = madd(v, b1, c31);
    v = v128.load_splat<f32>(a, 16);
    c40 = madd(v, b0, c40);
    c41 = madd(v, b1, c41);
    a += TILE_STRIDE;
    b += 32;
  }
  store2(c, c00, c01);
  store2(c + 32, c10, c11);
  store2(c + 64, c20, c21);
  store2(c + 96, c30, c31);
  store2(c + 128, c40, c41);
}

// @ts-ignore: decorator
@inline
function outer4(a: usize, b: usize, c: usize, end: usize): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero;
  let c10 = zero, c11 = zero;
  let c20 = zero, c21 = zero;
  let c30 = zero, c31 = zero;
  while (b != end) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    let v = v128.load_splat<f32>(a);
    c00 = madd(v, b0, c00);
    c01 = madd(v, b1, c01);
    v = v128.load_splat<f32>(a, 4);
    c10 = madd(v, b0, c10);
    c11 = madd(v, b1, c11);
    v = v128.load_splat<f32>(a, 8);
    c20 = madd(v, b0, c20);
    c21 = madd(v, b1, c21);
    v = v128.load_splat<f32>(a, 12);
    c30 = madd(v, b0, c30);
    c31 = madd(v, b1, c31);
    a += TILE_STRIDE;
    b += 32;
  }
  store2(c, c00, c01);
  store2(c + 32, c10, c11);
  store2(c + 64, c20, c21);
  store2(c + 96, c30, c31);
}
