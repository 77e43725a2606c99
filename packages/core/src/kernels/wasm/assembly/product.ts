// C = A * B + bias for any sizes, A also as the windows of a convolution without padding. B is read where it lies: a block of it at a
// time is repacked into private memory, so that a matrix of 400 MB needs no second copy. With few rows the time goes into reading B,
// and it is then streamed row by row without repacking.
//
// The depth is summed in blocks of 256, each from zero and in order, whatever the path and the range: a result is the same bits
// alone, in a batch, and with any number of threads.

import { CHUNK, madd, multiplyPanel, TILE_STRIDE } from './gemm';
import { min } from './layer';
import { addPanel, copy, DEPTH, PANEL_BYTES, PANELS, PANELS_BYTES, packPanels, transpose } from './panels';

/** One product as the caller (products.ts) writes it into the heap, 4 bytes a field, in this order: PRODUCT_FIELDS there. */
@unmanaged
export class Product {
  a: usize;
  /** [depth][columns], or [columns][depth] where transposedB. */
  b: usize;
  /** [rows][columns]. */
  c: usize;
  /** [columns], or 0 for none. */
  bias: usize;
  rows: i32;
  depth: i32;
  columns: i32;
  /** 1: negative results become 0. */
  relu: i32;
  /** 1: A is [depth][rows], and the fields below do not count. */
  transposedA: i32;
  transposedB: i32;
  /**
   * Row r of A, counted [image][y][x], begins at image * imageStride + y * lineStride + x * pixelStride and consists of pieces of
   * `piece` floats, `pieceStride` apart; all in floats. A plain matrix has images of one pixel and one piece.
   */
  outHeight: i32;
  outWidth: i32;
  imageStride: i32;
  lineStride: i32;
  pixelStride: i32;
  piece: i32;
  pieceStride: i32;
}

/** Rows of A at a time: a multiple of 4 and 6; with DEPTH that is 48 KiB. */
const ROWS: i32 = 48;
/** Up to so many rows B is streamed. */
const FEW_ROWS: i32 = 6;
/** Floats of C that are summed at a time when B is streamed: they stay in the first cache. */
const STREAM: i32 = 4096;
/** Columns that all rows use before the next ones are read. */
const SLICE: i32 = 512;

const A_BYTES: usize = <usize>(ROWS * DEPTH) * 4;

/** Bytes of private memory that `multiply` needs. */
export function productBytes(): usize {
  return A_BYTES + PANELS_BYTES + <usize>ROWS * 32 + 64;
}

/**
 * Computes the rows `fromRow` to `toRow` of the panels of eight columns `fromPanel` to `toPanel` (both exclusive).
 * `work`: `productBytes()` bytes, 64-byte aligned.
 */
export function multiply(p: Product, work: usize, fromRow: i32, toRow: i32, fromPanel: i32, toPanel: i32): void {
  if (p.rows <= FEW_ROWS && !p.transposedB) {
    stream(p, work, fromRow, toRow, fromPanel * 8, min(toPanel * 8, p.columns));
    return;
  }
  const packed = work + A_BYTES;
  const c = packed + PANELS_BYTES;
  for (let block = fromPanel; block < toPanel; block += PANELS) {
    const panels = min(PANELS, toPanel - block);
    for (let k = 0; k < p.depth; k += DEPTH) {
      const depth = min(DEPTH, p.depth - k);
      const chunks = (depth + CHUNK - 1) / CHUNK;
      const last = <usize>(depth - (chunks - 1) * CHUNK) * 4;
      for (let panel = 0; panel < panels; panel++) {
        if (p.transposedB) packColumns(p, packed + <usize>panel * PANEL_BYTES, (block + panel) * 8, k, depth);
      }
      if (!p.transposedB) packPanels(p.b + (<usize>k * <usize>p.columns + <usize>block * 8) * 4, <usize>p.columns * 4, p.columns - block * 8, packed, panels, depth);
      for (let row = fromRow; row < toRow; row += ROWS) {
        const count = min(ROWS, toRow - row);
        packA(p, work, row, count, k, depth);
        for (let panel = 0; panel < panels; panel++) {
          multiplyPanel(work, packed + <usize>panel * PANEL_BYTES, c, count, chunks, last, <usize>count * TILE_STRIDE);
          finish(p, c, row, count, (block + panel) * 8, k == 0, k + depth == p.depth);
        }
      }
    }
  }
}

/** Adds one panel of products to C, the bias with the last of them. */
function finish(p: Product, c: usize, row: i32, count: i32, column: i32, first: bool, last: bool): void {
  const width = min(8, p.columns - column);
  const stride = <usize>p.columns * 4;
  const target = p.c + (<usize>row * <usize>p.columns + <usize>column) * 4;
  const floor = p.relu && last ? f32x4.splat(0) : f32x4.splat(-Infinity);
  const edge = c + <usize>ROWS * 32;
  let low = f32x4.splat(0);
  let high = low;
  const biased = last && p.bias != 0;
  if (biased) {
    let bias = p.bias + <usize>column * 4;
    if (width < 8) {
      memory.copy(edge, bias, <usize>width * 4);
      bias = edge;
    }
    low = v128.load(bias);
    high = v128.load(bias, 16);
  }
  addPanel(c, edge, target, stride, width, count, first, biased, low, high, floor);
}

/** Columns `from` to `to` of few rows, B streamed. */
function stream(p: Product, work: usize, fromRow: i32, toRow: i32, from: i32, to: i32): void {
  const rows = toRow - fromRow;
  if (rows <= 0) return;
  const sums = work + A_BYTES;
  const most = (STREAM / rows) & ~(SLICE - 1);
  for (let column = from; column < to; column += most) {
    const columns = min(most, to - column);
    const sumBytes = <usize>((columns + 3) & ~3) * 4;
    for (let k = 0; k < p.depth; k += DEPTH) {
      const depth = min(DEPTH, p.depth - k);
      packA(p, work, fromRow, rows, k, depth);
      sumBlock(p, work, sums, sumBytes, rows, column, columns, k, depth);
      for (let row = 0; row < rows; row++) {
        const target = p.c + (<usize>(fromRow + row) * <usize>p.columns + <usize>column) * 4;
        settle(p, sums + <usize>row * sumBytes, target, p.bias + <usize>column * 4, columns, k == 0, k + depth == p.depth);
      }
    }
  }
}

/** The sums of one block of the depth, in rows `sumBytes` apart, when A is packed. */
function sumBlock(
  p: Product,
  work: usize,
  sums: usize,
  sumBytes: usize,
  rows: i32,
  column: i32,
  columns: i32,
  k: i32,
  depth: i32,
): void {
  for (let row = 0; row < rows; row++) memory.fill(sums + <usize>row * sumBytes, 0, <usize>columns * 4);
  let part = 0;
  for (; part + 8 <= depth; part += 8) {
    const b = p.b + (<usize>(k + part) * <usize>p.columns + <usize>column) * 4;
    const a = work + <usize>((part / CHUNK) * rows) * TILE_STRIDE + <usize>(part % CHUNK) * 4;
    for (let slice = 0; slice < columns; slice += SLICE) {
      const width = min(SLICE, columns - slice);
      for (let row = 0; row < rows; row++) {
        add8(a + <usize>row * TILE_STRIDE, b + <usize>slice * 4, <usize>p.columns * 4, sums + <usize>row * sumBytes + <usize>slice * 4, width);
      }
    }
  }
  for (; part < depth; part++) {
    const b = p.b + (<usize>(k + part) * <usize>p.columns + <usize>column) * 4;
    const a = work + <usize>((part / CHUNK) * rows) * TILE_STRIDE + <usize>(part % CHUNK) * 4;
    for (let row = 0; row < rows; row++) add1(a + <usize>row * TILE_STRIDE, b, sums + <usize>row * sumBytes, columns);
  }
}

/**
 * For threads: they share the depth of a streamed product, so that each reads rows of B from end to end, which is twice as fast as
 * reading a part of each. The sums of block `block` go to `sums`, [block][row][columns].
 */
export function streamBlock(p: Product, work: usize, sums: usize, block: i32): void {
  const k = block * DEPTH;
  const depth = min(DEPTH, p.depth - k);
  const sumBytes = <usize>p.columns * 4;
  const most = (STREAM / p.rows) & ~(SLICE - 1);
  sums += <usize>block * <usize>p.rows * sumBytes;
  packA(p, work, 0, p.rows, k, depth);
  for (let column = 0; column < p.columns; column += most) {
    sumBlock(p, work, sums + <usize>column * 4, sumBytes, p.rows, column, min(most, p.columns - column), k, depth);
  }
}

/** Adds the blocks' sums, in order, in the columns `from` to `to` (exclusive). */
export function settleBlocks(p: Product, sums: usize, from: i32, to: i32): void {
  const blocks = (p.depth + DEPTH - 1) / DEPTH;
  for (let row = 0; row < p.rows; row++) {
    const target = p.c + (<usize>row * <usize>p.columns + <usize>from) * 4;
    for (let block = 0; block < blocks; block++) {
      const source = sums + ((<usize>block * <usize>p.rows + <usize>row) * <usize>p.columns + <usize>from) * 4;
      settle(p, source, target, p.bias + <usize>from * 4, to - from, block == 0, block == blocks - 1);
    }
  }
}

/** sums += a[0] * b[0] + ... + a[7] * b[7], one after the other; b are rows `stride` bytes apart. */
function add8(a: usize, b: usize, stride: usize, sums: usize, columns: i32): void {
  const a0 = v128.load_splat<f32>(a), a1 = v128.load_splat<f32>(a, 4), a2 = v128.load_splat<f32>(a, 8), a3 = v128.load_splat<f32>(a, 12);
  const a4 = v128.load_splat<f32>(a, 16), a5 = v128.load_splat<f32>(a, 20), a6 = v128.load_splat<f32>(a, 24), a7 = v128.load_splat<f32>(a, 28);
  const b1 = b + stride, b2 = b1 + stride, b3 = b2 + stride, b4 = b3 + stride, b5 = b4 + stride, b6 = b5 + stride, b7 = b6 + stride;
  const whole = <usize>(columns & ~3) * 4;
  let at: usize = 0;
  for (; at < whole; at += 16) {
    let s = madd(a0, v128.load(b + at), v128.load(sums + at));
    s = madd(a1, v128.load(b1 + at), s);
    s = madd(a2, v128.load(b2 + at), s);
    s = madd(a3, v128.load(b3 + at), s);
    s = madd(a4, v128.load(b4 + at), s);
    s = madd(a5, v128.load(b5 + at), s);
    s = madd(a6, v128.load(b6 + at), s);
    s = madd(a7, v128.load(b7 + at), s);
    v128.store(sums + at, s);
  }
  // The last columns one at a time, since B may end here; in a vector, so that they round as the others do.
  for (; at < <usize>columns * 4; at += 4) {
    let s = madd(a0, v128.load32_zero(b + at), v128.load32_zero(sums + at));
    s = madd(a1, v128.load32_zero(b1 + at), s);
    s = madd(a2, v128.load32_zero(b2 + at), s);
    s = madd(a3, v128.load32_zero(b3 + at), s);
    s = madd(a4, v128.load32_zero(b4 + at), s);
    s = madd(a5, v128.load32_zero(b5 + at), s);
    s = madd(a6, v128.load32_zero(b6 + at), s);
    s = madd(a7, v128.load32_zero(b7 + at), s);
    v128.store32_lane(sums + at, s, 0);
  }
}

function add1(a: usize, b: usize, sums: usize, columns: i32): void {
  const a0 = v128.load_splat<f32>(a);
  const end = sums + <usize>columns * 4;
  const whole = sums + <usize>(columns & ~3) * 4;
  for (; sums < whole; sums += 16, b += 16) v128.store(sums, madd(a0, v128.load(b), v128.load(sums)));
  for (; sums < end; sums += 4, b += 4) v128.store32_lane(sums, madd(a0, v128.load32_zero(b), v128.load32_zero(sums)), 0);
}

/** Adds a block's sums to a row of C, and the bias with the last of them. */
function settle(p: Product, sums: usize, target: usize, bias: usize, columns: i32, first: bool, last: bool): void {
  const biased = last && p.bias != 0;
  const floor = p.relu && last ? f32x4.splat(0) : f32x4.splat(-Infinity);
  let i = 0;
  for (; i + 4 <= columns; i += 4) {
    let s = v128.load(sums);
    if (!first) s = f32x4.add(v128.load(target), s);
    if (biased) s = f32x4.add(s, v128.load(bias));
    v128.store(target, f32x4.pmax(s, floor));
    sums += 16;
    target += 16;
    bias += 16;
  }
  for (; i < columns; i++) {
    let s = v128.load32_zero(sums);
    if (!first) s = f32x4.add(v128.load32_zero(target), s);
    if (biased) s = f32x4.add(s, v128.load32_zero(bias));
    v128.store32_lane(target, f32x4.pmax(s, floor), 0);
    sums += 4;
    target += 4;
    bias += 4;
  }
}

/** Rows of A as `multiplyPanel` reads them: [chunk][row][64]. */
function packA(p: Product, work: usize, row: i32, count: i32, k: i32, depth: i32): void {
  if (p.transposedA) {
    packTransposedA(p, work, row, count, k, depth);
    return;
  }
  const pixels = p.outHeight * p.outWidth;
  for (let i = 0; i < count; i++) {
    const image = (row + i) / pixels;
    const pixel = (row + i) - image * pixels;
    const y = pixel / p.outWidth;
    const x = pixel - y * p.outWidth;
    const base = p.a + (<usize>image * <usize>p.imageStride + <usize>y * <usize>p.lineStride + <usize>x * <usize>p.pixelStride) * 4;
    let target = work + <usize>i * TILE_STRIDE;
    let piece = k / p.piece;
    let inPiece = k - piece * p.piece;
    let inChunk = 0;
    for (let left = depth; left > 0; ) {
      const length = min(left, min(p.piece - inPiece, CHUNK - inChunk));
      copy(target + <usize>inChunk * 4, base + (<usize>piece * <usize>p.pieceStride + <usize>inPiece) * 4, length);
      left -= length;
      inPiece += length;
      inChunk += length;
      if (inPiece == p.piece) {
        piece++;
        inPiece = 0;
      }
      if (inChunk == CHUNK) {
        target += <usize>count * TILE_STRIDE;
        inChunk = 0;
      }
    }
  }
}

function packTransposedA(p: Product, work: usize, row: i32, count: i32, k: i32, depth: i32): void {
  const stride = <usize>p.rows * 4;
  for (let chunk = 0; chunk < depth; chunk += CHUNK) {
    const source = p.a + (<usize>(k + chunk) * <usize>p.rows + <usize>row) * 4;
    transpose(source, stride, work + <usize>((chunk / CHUNK) * count) * TILE_STRIDE, TILE_STRIDE, min(CHUNK, depth - chunk), count);
  }
}

/** One panel of a B that is [columns][depth]. */
function packColumns(p: Product, panel: usize, column: i32, k: i32, depth: i32): void {
  const width = min(8, p.columns - column);
  if (width < 8) memory.fill(panel, 0, <usize>depth * 32);
  transpose(p.b + (<usize>column * <usize>p.depth + <usize>k) * 4, <usize>p.depth * 4, panel, 32, width, depth);
}
