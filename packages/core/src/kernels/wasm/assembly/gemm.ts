// Dense products of small panels: C[tile][8] = A[tile][k] * B[k][8], for one point of the transform and one panel of eight output channels.
//
// A keeps its channels in chunks of 64: A[chunk][tile][64]. The distance between two tiles is then 256 bytes whatever the number of
// channels is, so it is written into the load instructions, and one kernel serves every layer at full speed.
// A kernel holds its whole block of C in registers. x64 has 16: four rows of C where a product needs a register of its own,
// six rows with fused multiply-add. One row too many halves the speed.

export const CHUNK: i32 = 64;
export const TILE_STRIDE: usize = 256;

// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** Rows that one kernel computes at once. */
// @ts-ignore: decorator
@inline
export function blockRows(): i32 {
  return ASC_FEATURE_RELAXED_SIMD ? 6 : 4;
}

/**
 * C = A * B for `rows` tiles.
 * `chunks` chunks of A, the last one `last` bytes long, `chunkStride` bytes apart.
 * Whole blocks are made first; the remainder is spread so that no single row is left over when there are rows to share.
 */
export function multiplyPanel(a: usize, b: usize, c: usize, rows: i32, chunks: i32, last: usize, chunkStride: usize): void {
  const most = blockRows();
  let blocks = (rows + most - 1) / most;
  let missing = blocks * most - rows;
  // `blocks - missing` whole blocks and `missing` of one row fewer, where there are that many blocks.
  let short = 0;
  if (missing <= blocks) {
    short = missing;
    blocks -= missing;
    missing = 0;
  } else {
    blocks -= 1;
  }
  let left = rows - blocks * most - short * (most - 1);
  for (; blocks > 0; blocks--) {
    if (ASC_FEATURE_RELAXED_SIMD) multiply6(a, b, c, chunks, last, chunkStride);
    else multiply4(a, b, c, chunks, last, chunkStride);
    a += TILE_STRIDE * <usize>most;
    c += 32 * <usize>most;
  }
  for (; short > 0; short--) {
    if (ASC_FEATURE_RELAXED_SIMD) multiply5(a, b, c, chunks, last, chunkStride);
    else multiply3(a, b, c, chunks, last, chunkStride);
    a += TILE_STRIDE * <usize>(most - 1);
    c += 32 * <usize>(most - 1);
  }
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (left >= 4) {
      multiply4(a, b, c, chunks, last, chunkStride);
      return;
    }
    if (left == 3) {
      multiply3(a, b, c, chunks, last, chunkStride);
      return;
    }
  }
  if (left == 2) multiply2(a, b, c, chunks, last, chunkStride);
  else if (left == 1) multiply1(a, b, c, chunks, last, chunkStride);
}

// @ts-ignore: decorator
@inline
export function store2(c: usize, low: v128, high: v128): void {
  v128.store(c, low);
  v128.store(c, high, 16);
}

// @ts-ignore: decorator
@inline
function multiply6(a: usize, b: usize, c: usize, chunks: i32, last: usize, chunkStride: usize): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero;
  let c10 = zero, c11 = zero;
  let c20 = zero, c21 = zero;
  let c30 = zero, c31 = zero;
  let c40 = zero, c41 = zero;
  let c50 = zero, c51 = zero;
  while (true) {
    const end = a + (chunks > 1 ? TILE_STRIDE : last);
    do {
      const b0 = v128.load(b), b1 = v128.load(b, 16);
      let v = v128.load_splat<f32>(a);
      c00 = madd(v, b0, c00);
      c01 = madd(v, b1, c01);
      v = v128.load_splat<f32>(a, 1 * TILE_STRIDE);
      c10 = madd(v, b0, c10);
      c11 = madd(v, b1, c11);
      v = v128.load_splat<f32>(a, 2 * TILE_STRIDE);
      c20 = madd(v, b0, c20);
      c21 = madd(v, b1, c21);
      v = v128.load_splat<f32>(a, 3 * TILE_STRIDE);
      c30 = madd(v, b0, c30);
      c31 = madd(v, b1, c31);
      v = v128.load_splat<f32>(a, 4 * TILE_STRIDE);
      c40 = madd(v, b0, c40);
      c41 = madd(v, b1, c41);
      v = v128.load_splat<f32>(a, 5 * TILE_STRIDE);
      c50 = madd(v, b0, c50);
      c51 = madd(v, b1, c51);
      a += 4;
      b += 32;
    } while (a != end);
    if (--chunks == 0) break;
    a += chunkStride - TILE_STRIDE;
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
function multiply5(a: usize, b: usize, c: usize, chunks: i32, last: usize, chunkStride: usize): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero;
  let c10 = zero, c11 = zero;
  let c20 = zero, c21 = zero;
  let c30 = zero, c31 = zero;
  let c40 = zero, c41 = zero;
  while (true) {
    const end = a + (chunks > 1 ? TILE_STRIDE : last);
    do {
      const b0 = v128.load(b), b1 = v128.load(b, 16);
      let v = v128.load_splat<f32>(a);
      c00 = madd(v, b0, c00);
      c01 = madd(v, b1, c01);
      v = v128.load_splat<f32>(a, 1 * TILE_STRIDE);
      c10 = madd(v, b0, c10);
      c11 = madd(v, b1, c11);
      v = v128.load_splat<f32>(a, 2 * TILE_STRIDE);
      c20 = madd(v, b0, c20);
      c21 = madd(v, b1, c21);
      v = v128.load_splat<f32>(a, 3 * TILE_STRIDE);
      c30 = madd(v, b0, c30);
      c31 = madd(v, b1, c31);
      v = v128.load_splat<f32>(a, 4 * TILE_STRIDE);
      c40 = madd(v, b0, c40);
      c41 = madd(v, b1, c41);
      a += 4;
      b += 32;
    } while (a != end);
    if (--chunks == 0) break;
    a += chunkStride - TILE_STRIDE;
  }
  store2(c, c00, c01);
  store2(c + 32, c10, c11);
  store2(c + 64, c20, c21);
  store2(c + 96, c30, c31);
  store2(c + 128, c40, c41);
}

// @ts-ignore: decorator
@inline
function multiply4(a: usize, b: usize, c: usize, chunks: i32, last: usize, chunkStride: usize): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero;
  let c10 = zero, c11 = zero;
  let c20 = zero, c21 = zero;
  let c30 = zero, c31 = zero;
  while (true) {
    const end = a + (chunks > 1 ? TILE_STRIDE : last);
    do {
      const b0 = v128.load(b), b1 = v128.load(b, 16);
      let v = v128.load_splat<f32>(a);
      c00 = madd(v, b0, c00);
      c01 = madd(v, b1, c01);
      v = v128.load_splat<f32>(a, 1 * TILE_STRIDE);
      c10 = madd(v, b0, c10);
      c11 = madd(v, b1, c11);
      v = v128.load_splat<f32>(a, 2 * TILE_STRIDE);
      c20 = madd(v, b0, c20);
      c21 = madd(v, b1, c21);
      v = v128.load_splat<f32>(a, 3 * TILE_STRIDE);
      c30 = madd(v, b0, c30);
      c31 = madd(v, b1, c31);
      a += 4;
      b += 32;
    } while (a != end);
    if (--chunks == 0) break;
    a += chunkStride - TILE_STRIDE;
  }
  store2(c, c00, c01);
  store2(c + 32, c10, c11);
  store2(c + 64, c20, c21);
  store2(c + 96, c30, c31);
}

// @ts-ignore: decorator
@inline
function multiply3(a: usize, b: usize, c: usize, chunks: i32, last: usize, chunkStride: usize): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero;
  let c10 = zero, c11 = zero;
  let c20 = zero, c21 = zero;
  while (true) {
    const end = a + (chunks > 1 ? TILE_STRIDE : last);
    do {
      const b0 = v128.load(b), b1 = v128.load(b, 16);
      let v = v128.load_splat<f32>(a);
      c00 = madd(v, b0, c00);
      c01 = madd(v, b1, c01);
      v = v128.load_splat<f32>(a, 1 * TILE_STRIDE);
      c10 = madd(v, b0, c10);
      c11 = madd(v, b1, c11);
      v = v128.load_splat<f32>(a, 2 * TILE_STRIDE);
      c20 = madd(v, b0, c20);
      c21 = madd(v, b1, c21);
      a += 4;
      b += 32;
    } while (a != end);
    if (--chunks == 0) break;
    a += chunkStride - TILE_STRIDE;
  }
  store2(c, c00, c01);
  store2(c + 32, c10, c11);
  store2(c + 64, c20, c21);
}

// @ts-ignore: decorator
@inline
function multiply2(a: usize, b: usize, c: usize, chunks: i32, last: usize, chunkStride: usize): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero;
  let c10 = zero, c11 = zero;
  while (true) {
    const end = a + (chunks > 1 ? TILE_STRIDE : last);
    do {
      const b0 = v128.load(b), b1 = v128.load(b, 16);
      let v = v128.load_splat<f32>(a);
      c00 = madd(v, b0, c00);
      c01 = madd(v, b1, c01);
      v = v128.load_splat<f32>(a, 1 * TILE_STRIDE);
      c10 = madd(v, b0, c10);
      c11 = madd(v, b1, c11);
      a += 4;
      b += 32;
    } while (a != end);
    if (--chunks == 0) break;
    a += chunkStride - TILE_STRIDE;
  }
  store2(c, c00, c01);
  store2(c + 32, c10, c11);
}

// @ts-ignore: decorator
@inline
function multiply1(a: usize, b: usize, c: usize, chunks: i32, last: usize, chunkStride: usize): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero;
  while (true) {
    const end = a + (chunks > 1 ? TILE_STRIDE : last);
    do {
      const b0 = v128.load(b), b1 = v128.load(b, 16);
      let v = v128.load_splat<f32>(a);
      c00 = madd(v, b0, c00);
      c01 = madd(v, b1, c01);
      a += 4;
      b += 32;
    } while (a != end);
    if (--chunks == 0) break;
    a += chunkStride - TILE_STRIDE;
  }
  store2(c, c00, c01);
}

/**
 * The same for two panels at once, `b2` and `c2` being those of the second: for an engine that joins neighbouring vectors of 128 bits into one of
 * 256, which then has the registers for it. To the bit what two calls of `multiplyPanel` give.
 */
export function multiplyPanelPair(
  a: usize,
  b: usize,
  b2: usize,
  c: usize,
  c2: usize,
  rows: i32,
  chunks: i32,
  last: usize,
  chunkStride: usize,
): void {
  const most = 6;
  let blocks = (rows + most - 1) / most;
  let missing = blocks * most - rows;
  let short = 0;
  if (missing <= blocks) {
    short = missing;
    blocks -= missing;
    missing = 0;
  } else {
    blocks -= 1;
  }
  const left = rows - blocks * most - short * (most - 1);
  for (; blocks > 0; blocks--) {
    multiplyPair6(a, b, b2, c, c2, chunks, last, chunkStride);
    a += TILE_STRIDE * 6;
    c += 32 * 6;
    c2 += 32 * 6;
  }
  for (; short > 0; short--) {
    multiplyPair5(a, b, b2, c, c2, chunks, last, chunkStride);
    a += TILE_STRIDE * 5;
    c += 32 * 5;
    c2 += 32 * 5;
  }
  if (left > 0) {
    multiplyPanel(a, b, c, left, chunks, last, chunkStride);
    multiplyPanel(a, b2, c2, left, chunks, last, chunkStride);
  }
}

// @ts-ignore: decorator
@inline
function multiplyPair6(a: usize, b: usize, b2: usize, c: usize, c2: usize, chunks: i32, last: usize, chunkStride: usize): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero, c02 = zero, c03 = zero;
  let c10 = zero, c11 = zero, c12 = zero, c13 = zero;
  let c20 = zero, c21 = zero, c22 = zero, c23 = zero;
  let c30 = zero, c31 = zero, c32 = zero, c33 = zero;
  let c40 = zero, c41 = zero, c42 = zero, c43 = zero;
  let c50 = zero, c51 = zero, c52 = zero, c53 = zero;
  while (true) {
    const end = a + (chunks > 1 ? TILE_STRIDE : last);
    do {
      const b0 = v128.load(b), b1 = v128.load(b, 16), b3 = v128.load(b2), b4 = v128.load(b2, 16);
      let v = v128.load_splat<f32>(a);
      c00 = madd(v, b0, c00);
      c01 = madd(v, b1, c01);
      c02 = madd(v, b3, c02);
      c03 = madd(v, b4, c03);
      v = v128.load_splat<f32>(a, 1 * TILE_STRIDE);
      c10 = madd(v, b0, c10);
      c11 = madd(v, b1, c11);
      c12 = madd(v, b3, c12);
      c13 = madd(v, b4, c13);
      v = v128.load_splat<f32>(a, 2 * TILE_STRIDE);
      c20 = madd(v, b0, c20);
      c21 = madd(v, b1, c21);
      c22 = madd(v, b3, c22);
      c23 = madd(v, b4, c23);
      v = v128.load_splat<f32>(a, 3 * TILE_STRIDE);
      c30 = madd(v, b0, c30);
      c31 = madd(v, b1, c31);
      c32 = madd(v, b3, c32);
      c33 = madd(v, b4, c33);
      v = v128.load_splat<f32>(a, 4 * TILE_STRIDE);
      c40 = madd(v, b0, c40);
      c41 = madd(v, b1, c41);
      c42 = madd(v, b3, c42);
      c43 = madd(v, b4, c43);
      v = v128.load_splat<f32>(a, 5 * TILE_STRIDE);
      c50 = madd(v, b0, c50);
      c51 = madd(v, b1, c51);
      c52 = madd(v, b3, c52);
      c53 = madd(v, b4, c53);
      a += 4;
      b += 32;
      b2 += 32;
    } while (a != end);
    if (--chunks == 0) break;
    a += chunkStride - TILE_STRIDE;
  }
  store2(c, c00, c01);
  store2(c2, c02, c03);
  store2(c + 32, c10, c11);
  store2(c2 + 32, c12, c13);
  store2(c + 64, c20, c21);
  store2(c2 + 64, c22, c23);
  store2(c + 96, c30, c31);
  store2(c2 + 96, c32, c33);
  store2(c + 128, c40, c41);
  store2(c2 + 128, c42, c43);
  store2(c + 160, c50, c51);
  store2(c2 + 160, c52, c53);
}

// @ts-ignore: decorator
@inline
function multiplyPair5(a: usize, b: usize, b2: usize, c: usize, c2: usize, chunks: i32, last: usize, chunkStride: usize): void {
  const zero = f32x4.splat(0);
  let c00 = zero, c01 = zero, c02 = zero, c03 = zero;
  let c10 = zero, c11 = zero, c12 = zero, c13 = zero;
  let c20 = zero, c21 = zero, c22 = zero, c23 = zero;
  let c30 = zero, c31 = zero, c32 = zero, c33 = zero;
  let c40 = zero, c41 = zero, c42 = zero, c43 = zero;
  while (true) {
    const end = a + (chunks > 1 ? TILE_STRIDE : last);
    do {
      const b0 = v128.load(b), b1 = v128.load(b, 16), b3 = v128.load(b2), b4 = v128.load(b2, 16);
      let v = v128.load_splat<f32>(a);
      c00 = madd(v, b0, c00);
      c01 = madd(v, b1, c01);
      c02 = madd(v, b3, c02);
      c03 = madd(v, b4, c03);
      v = v128.load_splat<f32>(a, 1 * TILE_STRIDE);
      c10 = madd(v, b0, c10);
      c11 = madd(v, b1, c11);
      c12 = madd(v, b3, c12);
      c13 = madd(v, b4, c13);
      v = v128.load_splat<f32>(a, 2 * TILE_STRIDE);
      c20 = madd(v, b0, c20);
      c21 = madd(v, b1, c21);
      c22 = madd(v, b3, c22);
      c23 = madd(v, b4, c23);
      v = v128.load_splat<f32>(a, 3 * TILE_STRIDE);
      c30 = madd(v, b0, c30);
      c31 = madd(v, b1, c31);
      c32 = madd(v, b3, c32);
      c33 = madd(v, b4, c33);
      v = v128.load_splat<f32>(a, 4 * TILE_STRIDE);
      c40 = madd(v, b0, c40);
      c41 = madd(v, b1, c41);
      c42 = madd(v, b3, c42);
      c43 = madd(v, b4, c43);
      a += 4;
      b += 32;
      b2 += 32;
    } while (a != end);
    if (--chunks == 0) break;
    a += chunkStride - TILE_STRIDE;
  }
  store2(c, c00, c01);
  store2(c2, c02, c03);
  store2(c + 32, c10, c11);
  store2(c2 + 32, c12, c13);
  store2(c + 64, c20, c21);
  store2(c2 + 64, c22, c23);
  store2(c + 96, c30, c31);
  store2(c2 + 96, c32, c33);
  store2(c + 128, c40, c41);
  store2(c2 + 128, c42, c43);
}
