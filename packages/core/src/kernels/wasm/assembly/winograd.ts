// The convolution by tiles: input transform, one small product per point, output transform (see transforms.ts for the paper).
//
// An image is cut into rows and columns of tiles with 6 outputs a side, then tiles with 4, so that even sizes have no partial tile.
// A strip is a range of tile rows, counted through the batch. Within a strip the tiles are ordered 6x4, 6x6, 4x6, 4x4
// (height x width): the points 5 and 6, which only the sixes have, then read a contiguous range of tiles.
//
//   V [point][chunk of 64 channels][tile][64]   transformed input
//   U [block of panels][point][panel][channel][8]   transformed filter
//   M [panel of a block][point][tile][8]   products
//
// The point stride is padded by 64 bytes: 64 store streams must not share one set of the first cache.

import { FilterGradient, gradientTile } from './filter-gradient';
import { CHUNK, multiplyPanel, multiplyPanelPair, TILE_STRIDE } from './gemm';
import { copyMasked, floorOf, Layer, max, min, padded } from './layer';
import { input4, input6, output4, output6 } from './transforms';

const PAD: usize = 64;
const GRADIENT: i32 = -2;
/** One pass of a transform, 8 x 8 vectors. */
const MIDDLE_BYTES: usize = 1024;
/** A finished tile of 6 x 6 x 8 that does not fit the output as it is. */
const EDGE_BYTES: usize = 1152;

// @ts-ignore: decorator
@inline
export function chunksOf(layer: Layer): i32 {
  return (padded(layer.inChannels) + CHUNK - 1) / CHUNK;
}

// @ts-ignore: decorator
@inline
export function pointStrideV(tiles: i32, chunks: i32): usize {
  return <usize>(tiles * chunks) * TILE_STRIDE + PAD;
}

// @ts-ignore: decorator
@inline
function pointStrideM(tiles: i32): usize {
  return <usize>tiles * 32 + PAD;
}

// @ts-ignore: decorator
@inline
function patchBytes(layer: Layer): usize {
  return <usize>padded(layer.inChannels) * 256;
}

/** Private memory before M, of every job. */
// @ts-ignore: decorator
@inline
function headBytes(layer: Layer): usize {
  return MIDDLE_BYTES + EDGE_BYTES + patchBytes(layer);
}

/** Bytes of private memory that `transformInput` needs. */
export function inputTileBytes(layer: Layer): usize {
  return headBytes(layer);
}

/** Bytes of the transformed input of a strip of `tiles` tiles. */
export function inputBytes(layer: Layer, tiles: i32): usize {
  return 64 * pointStrideV(tiles, chunksOf(layer));
}

/** Bytes of private memory that `convolvePanels` needs for a strip of `tiles` tiles; `transformInput` needs no more. */
export function panelBytes(layer: Layer, tiles: i32, panels: i32): usize {
  return headBytes(layer) + <usize>(64 * panels) * pointStrideM(tiles);
}

/** Bytes of private memory that `convolveStrip` needs for strips of `rows` tile rows. */
export function stripBytes(layer: Layer, rows: i32): usize {
  const tiles = rows * (layer.columns6 + layer.columns4);
  return panelBytes(layer, tiles, layer.blockPanels) + inputBytes(layer, tiles);
}

/** Computes the output of the tile rows `from` to `to` (exclusive). `work`: `stripBytes(layer, to - from)` bytes, 64-byte aligned. */
export function convolveStrip(layer: Layer, work: usize, from: i32, to: i32): void {
  const tiles = (to - from) * (layer.columns6 + layer.columns4);
  const v = work + panelBytes(layer, tiles, layer.blockPanels);
  transformInput(layer, work, v, from, to, 0, tiles);
  for (let panel = 0; panel < layer.panels; panel += layer.blockPanels) {
    convolvePanels(layer, work, v, from, to, panel, min(layer.blockPanels, layer.panels - panel));
  }
}

/** The first part of a strip: the transformed input of its tiles `first` to `end` (exclusive), written to `v`. */
export function transformInput(layer: Layer, work: usize, v: usize, from: i32, to: i32, first: i32, end: i32): void {
  const tiles = (to - from) * (layer.columns6 + layer.columns4);
  visitTiles(layer, work, v, tiles, from, to, -1, first, end);
}

/** The same of the gradient of the output, for that of the filter, written to `z`. */
export function visitGradientTiles(layer: FilterGradient, work: usize, z: usize, from: i32, to: i32, first: i32, end: i32): void {
  const tiles = (to - from) * (layer.columns6 + layer.columns4);
  visitTiles(layer, work, z, tiles, from, to, GRADIENT, first, end);
}

/** The second part: the outputs of the `count` panels from `panel` on, which are of one block. */
export function convolvePanels(layer: Layer, work: usize, v: usize, from: i32, to: i32, panel: i32, count: i32): void {
  const m = work + headBytes(layer);
  const tiles = (to - from) * (layer.columns6 + layer.columns4);
  let high = 0;
  for (let row = from; row < to; row++) if (row % (layer.rows6 + layer.rows4) < layer.rows6) high++;
  const low = to - from - high;
  const n64 = high * layer.columns4;
  const n66 = high * layer.columns6;
  const n46 = low * layer.columns6;
  multiplyPanels(layer, v, m, panel, count, tiles, n64, n64 + n66, n64 + n66 + n46);
  for (let i = 0; i < count; i++) {
    visitTiles(layer, work, m + <usize>(i * 64) * pointStrideM(tiles), tiles, from, to, panel + i, 0, tiles);
  }
}

/** M = V * U of `count` panels. `first66`, `end66`, `end46`: the tile ranges that the points of the sixes read. */
function multiplyPanels(
  layer: Layer,
  v: usize,
  m: usize,
  panel: i32,
  count: i32,
  tiles: i32,
  first66: i32,
  end66: i32,
  end46: i32,
): void {
  const channels = padded(layer.inChannels);
  const chunks = chunksOf(layer);
  const last = <usize>(channels - (chunks - 1) * CHUNK) * 4;
  const strideV = pointStrideV(tiles, chunks);
  const strideM = pointStrideM(tiles);
  const bytes = <usize>channels * 32;
  const block = panel - (panel % layer.blockPanels);
  const strideU = <usize>min(layer.blockPanels, layer.panels - block) * bytes;
  let u = layer.filter + <usize>(block * layer.points) * bytes + <usize>(panel - block) * bytes;
  for (let point = 0; point < 64; point++) {
    const y6 = ((point >> 3) + 1) >> 1 == 3;
    const x6 = ((point & 7) + 1) >> 1 == 3;
    if (layer.points == 36 && (y6 || x6)) continue;
    const start = x6 ? first66 : 0;
    const end = y6 ? end66 : x6 ? end46 : tiles;
    if (end > start) {
      const a = v + <usize>point * strideV + <usize>start * TILE_STRIDE;
      const c = m + <usize>point * strideM + <usize>start * 32;
      const chunkStride = <usize>tiles * TILE_STRIDE;
      let i = 0;
      if (ASC_FEATURE_RELAXED_SIMD && layer.wide) {
        for (; i + 2 <= count; i += 2) {
          const b = u + <usize>i * bytes;
          const m0 = c + <usize>(i * 64) * strideM;
          multiplyPanelPair(a, b, b + bytes, m0, m0 + 64 * strideM, end - start, chunks, last, chunkStride);
        }
      }
      for (; i < count; i++) {
        multiplyPanel(a, u + <usize>i * bytes, c + <usize>(i * 64) * strideM, end - start, chunks, last, chunkStride);
      }
    }
    u += strideU;
  }
}

/**
 * Runs the input transform (`panel` < 0; `data` is V), that of the gradient (`panel` is GRADIENT; `data` is Z) or the output transform of a panel (`data` is its M) over the tiles in order,
 * of which `first` to `end` (exclusive) are wanted.
 */
function visitTiles(
  layer: Layer,
  work: usize,
  data: usize,
  tiles: i32,
  from: i32,
  to: i32,
  panel: i32,
  first: i32,
  end: i32,
): void {
  const perImage = layer.rows6 + layer.rows4;
  let tile = 0;
  for (let kind = 0; kind < 4; kind++) {
    const high = kind < 2;
    const wide = kind == 1 || kind == 2;
    const columns = wide ? layer.columns6 : layer.columns4;
    const left = wide ? 0 : layer.columns6 * 6;
    for (let row = from; row < to; row++) {
      const image = row / perImage;
      const r = row - image * perImage;
      if (r < layer.rows6 != high) continue;
      const y = high ? r * 6 : layer.rows6 * 6 + (r - layer.rows6) * 4;
      for (let column = 0; column < columns; column++, tile++) {
        if (tile < first || tile >= end) continue;
        const x = left + column * (wide ? 6 : 4);
        if (panel == GRADIENT) gradientTile(changetype<FilterGradient>(layer), work, data, tiles, tile, image, y, x, high, wide);
        else if (panel < 0) inputTile(layer, work, data, tiles, tile, image, y, x, high, wide);
        else outputTile(layer, work, data, tiles, tile, image, y, x, high, wide, panel);
      }
    }
  }
}

function inputTile(layer: Layer, work: usize, v: usize, tiles: i32, tile: i32, image: i32, y: i32, x: i32, high: bool, wide: bool): void {
  const channels = padded(layer.inChannels);
  const rows = high ? 8 : 6;
  const columns = wide ? 8 : 6;
  const top = y - layer.padTop;
  const left = x - layer.padLeft;
  let pixel = <usize>layer.inChannels * 4;
  let line = <usize>layer.width * pixel;
  let source = layer.input + <usize>(image * layer.height + top) * line + <usize>left * pixel;
  const mask = layer.mask - layer.input;
  let masked = layer.mask != 0;
  if (top < 0 || left < 0 || top + rows > layer.height || left + columns > layer.width || channels != layer.inChannels) {
    const patch = work + MIDDLE_BYTES + EDGE_BYTES;
    fillPatch(layer, patch, source, top, left, rows, columns);
    masked = false;
    source = patch;
    pixel = <usize>channels * 4;
    line = pixel * 8;
  }
  const k = layer.constants;
  const stride = pointStrideV(tiles, chunksOf(layer));
  for (let channel = 0; channel < channels; channel += 4) {
    let s = source + <usize>channel * 4;
    for (let column = 0; column < columns; column++) {
      const d = work + <usize>column * 16;
      if (masked) {
        if (high) input6(s, line, d, 128, k, mask, true);
        else input4(s, line, d, 128, k, mask, true);
      } else if (high) input6(s, line, d, 128, k, 0, false);
      else input4(s, line, d, 128, k, 0, false);
      s += pixel;
    }
    let d = v + <usize>((channel / CHUNK) * tiles + tile) * TILE_STRIDE + <usize>(channel & (CHUNK - 1)) * 4;
    for (let point = 0; point < 8; point++) {
      if (!high && point == 5) {
        point = 7;
        d += stride * 16;
      }
      if (wide) input6(work + <usize>point * 128, 16, d, stride, k, 0, false);
      else input4(work + <usize>point * 128, 16, d, stride, k, 0, false);
      d += stride * 8;
    }
  }
}

/** The input of a tile that reaches over the image, or whose channels are no multiple of four: [row][8 columns][channel], zeros elsewhere. */
function fillPatch(layer: Layer, patch: usize, source: usize, top: i32, left: i32, rows: i32, columns: i32): void {
  const channels = <usize>padded(layer.inChannels) * 4;
  const pixel = <usize>layer.inChannels * 4;
  const firstRow = max(0, -top);
  const endRow = min(rows, layer.height - top);
  const first = max(0, -left);
  const end = min(columns, layer.width - left);
  if (firstRow > 0 || endRow < rows || first > 0 || end < columns || channels != pixel) memory.fill(patch, 0, <usize>rows * channels * 8);
  if (end <= first) return;
  for (let row = firstRow; row < endRow; row++) {
    const s = source + <usize>(row * layer.width) * pixel;
    const d = patch + <usize>(row * 8) * channels;
    if (layer.mask) {
      const mask = s - layer.input + layer.mask;
      for (let column = first; column < end; column++) {
        copyMasked(d + <usize>column * channels, s + <usize>column * pixel, mask + <usize>column * pixel, layer.inChannels);
      }
    } else if (channels == pixel) memory.copy(d + <usize>first * pixel, s + <usize>first * pixel, <usize>(end - first) * pixel);
    else for (let column = first; column < end; column++) memory.copy(d + <usize>column * channels, s + <usize>column * pixel, pixel);
  }
}

function outputTile(
  layer: Layer,
  work: usize,
  m: usize,
  tiles: i32,
  tile: i32,
  image: i32,
  y: i32,
  x: i32,
  high: bool,
  wide: bool,
  panel: i32,
): void {
  const rows = high ? 6 : 4;
  const columns = wide ? 6 : 4;
  const pixel = <usize>layer.outChannels * 4;
  const line = <usize>layer.outWidth * pixel;
  const target = layer.output + <usize>(image * layer.outHeight + y) * line + <usize>x * pixel + <usize>panel * 32;
  const whole = !layer.pool && y + rows <= layer.outHeight && x + columns <= layer.outWidth && panel * 8 + 8 <= layer.outChannels;
  const edge = work + MIDDLE_BYTES;
  const dPixel: usize = whole ? pixel : 32;
  const dLine: usize = whole ? line : 192;
  const k = layer.constants;
  const stride = pointStrideM(tiles);
  const floor = floorOf(layer);
  for (let half: usize = 0; half < 32; half += 16) {
    const bias = v128.load(layer.bias + <usize>panel * 32 + half);
    let s = m + <usize>tile * 32 + half;
    for (let point = 0; point < 8; point++) {
      if (!wide && point == 5) {
        point = 7;
        s += stride * 2;
      }
      if (high) output6(s, stride * 8, work + <usize>point * 16, 128, k, false, bias, floor);
      else output4(s, stride * 8, work + <usize>point * 16, 128, k, false, bias, floor);
      s += stride;
    }
    let d = (whole ? target : edge) + half;
    for (let row = 0; row < rows; row++) {
      if (wide) output6(work + <usize>row * 128, 16, d, dPixel, k, true, bias, floor);
      else output4(work + <usize>row * 128, 16, d, dPixel, k, true, bias, floor);
      d += dLine;
    }
  }
  if (whole) return;
  if (layer.pool) {
    poolTile(layer, edge, image, y >> 1, x >> 1, rows >> 1, columns >> 1, panel);
    return;
  }
  const bytes = <usize>min(8, layer.outChannels - panel * 8) * 4;
  for (let row = 0; row < min(rows, layer.outHeight - y); row++) {
    for (let column = 0; column < min(columns, layer.outWidth - x); column++) {
      memory.copy(target + <usize>row * line + <usize>column * pixel, edge + <usize>(row * 192 + column * 32), bytes);
    }
  }
}

/** Writes the largest of each 2 x 2 cells of a finished tile; tiles begin at even rows and columns. */
function poolTile(layer: Layer, edge: usize, image: i32, y: i32, x: i32, rows: i32, columns: i32, panel: i32): void {
  const height = layer.outHeight >> 1;
  const width = layer.outWidth >> 1;
  const pixel = <usize>layer.outChannels * 4;
  const channels = min(8, layer.outChannels - panel * 8);
  for (let row = 0; row < min(rows, height - y); row++) {
    let s = edge + <usize>(row * 384);
    let d = layer.output + <usize>((image * height + y + row) * width + x) * pixel + <usize>panel * 32;
    for (let column = 0; column < min(columns, width - x); column++) {
      const low = largest(s);
      const high = largest(s + 16);
      if (channels == 8) {
        v128.store(d, low);
        v128.store(d, high, 16);
      } else {
        v128.store(s, low);
        v128.store(s, high, 16);
        memory.copy(d, s, <usize>channels * 4);
      }
      s += 64;
      d += pixel;
    }
  }
}

/** Of four vectors; a NaN stays, which `pmax` alone would pass over (see pool.ts). */
// @ts-ignore: decorator
@inline
function largest(s: usize): v128 {
  const a = v128.load(s);
  const b = v128.load(s, 32);
  const c = v128.load(s, 192);
  const d = v128.load(s, 224);
  const marks = v128.or(v128.or(f32x4.ne(a, a), f32x4.ne(b, b)), v128.or(f32x4.ne(c, c), f32x4.ne(d, d)));
  return v128.or(f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d)), marks);
}
