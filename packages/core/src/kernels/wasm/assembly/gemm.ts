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
function store2(c: usize, low: v128, high: v128): void {
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
