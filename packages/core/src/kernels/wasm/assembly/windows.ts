// The convolution as one product of its 3x3 windows and the filter as it lies, [9 * inChannels][outChannels]: no second copy of the
// filter is kept. A block of it at a time is repacked into private memory, and so are the inputs under a few output pixels.
//
// The depth is summed tap by tap in blocks of 256 channels, each from zero and in order: the same bits whatever the range.

import { CHUNK, multiplyPanel, TILE_STRIDE } from './gemm';
import { copyMasked, floorOf, Layer, min } from './layer';
import { addPanel, DEPTH, PANEL_BYTES, PANELS, PANELS_BYTES, packPanels, transpose } from './panels';

/** Output pixels at a time: a multiple of 4 and 6; with DEPTH that is 48 KiB. */
const PIXELS: i32 = 48;
const A_BYTES: usize = <usize>(PIXELS * DEPTH) * 4;
const C_BYTES: usize = <usize>PIXELS * 32;

/** Bytes of private memory that `convolveWindows` needs. */
export function windowBytes(): usize {
  return A_BYTES + PANELS_BYTES + C_BYTES + 64;
}

/**
 * Computes the output pixels `from` to `to`, counted through rows and batch, of the panels `fromPanel` to `toPanel` (both exclusive).
 * `work`: `windowBytes()` bytes, 64-byte aligned.
 */
export function convolveWindows(layer: Layer, work: usize, from: i32, to: i32, fromPanel: i32, toPanel: i32): void {
  const packed = work + A_BYTES;
  const c = packed + PANELS_BYTES;
  const channels = layer.inChannels;
  for (let block = fromPanel; block < toPanel; block += PANELS) {
    const panels = min(PANELS, toPanel - block);
    for (let tap = 0; tap < 9; tap++) {
      for (let k = 0; k < channels; k += DEPTH) {
        const depth = min(DEPTH, channels - k);
        const chunks = (depth + CHUNK - 1) / CHUNK;
        const last = <usize>(depth - (chunks - 1) * CHUNK) * 4;
        const columns = layer.outChannels - block * 8;
        const row = <usize>layer.outChannels * 4;
        if (layer.flipped) packFlipped(layer, packed, tap, block, panels, k, depth);
        else packPanels(layer.filter + <usize>(tap * channels + k) * row + <usize>block * 32, row, columns, packed, panels, depth);
        for (let pixel = from; pixel < to; pixel += PIXELS) {
          const count = min(PIXELS, to - pixel);
          gatherTap(layer, work, pixel, count, tap, k, depth);
          for (let panel = 0; panel < panels; panel++) {
            multiplyPanel(work, packed + <usize>panel * PANEL_BYTES, c, count, chunks, last, <usize>count * TILE_STRIDE);
            sum(layer, c, pixel, count, block + panel, tap == 0 && k == 0, tap == 8 && k + depth == channels);
          }
        }
      }
    }
  }
}

/** Panels of a tap of the flipped filter (see `transformFilter`), as `packPanels` makes them. */
function packFlipped(layer: Layer, packed: usize, tap: i32, block: i32, panels: i32, k: i32, depth: i32): void {
  const row = <usize>layer.inChannels * 4;
  for (let panel = block; panel < block + panels; panel++) {
    const width = min(8, layer.outChannels - panel * 8);
    if (width < 8) memory.fill(packed, 0, <usize>depth * 32);
    const source = layer.filter + <usize>((8 - tap) * layer.outChannels + panel * 8) * row + <usize>k * 4;
    transpose(source, row, packed, 32, width, depth);
    packed += PANEL_BYTES;
  }
}

/** What one tap sees under the output pixels, as `multiplyPanel` reads it: [chunk][pixel][64]; zeros beyond the border. */
function gatherTap(layer: Layer, a: usize, pixel: i32, count: i32, tap: i32, k: i32, depth: i32): void {
  const area = layer.outHeight * layer.outWidth;
  const up = tap / 3 - layer.padTop;
  const across = (tap % 3) - layer.padLeft;
  const chunkStride = <usize>count * TILE_STRIDE;
  for (let i = 0; i < count; i++) {
    const image = (pixel + i) / area;
    const inImage = pixel + i - image * area;
    const line = inImage / layer.outWidth;
    const y = line + up;
    const x = inImage - line * layer.outWidth + across;
    const inside = y >= 0 && y < layer.height && x >= 0 && x < layer.width;
    let s = layer.input + <usize>(((image * layer.height + y) * layer.width + x) * layer.inChannels + k) * 4;
    let d = a;
    for (let left = depth; left > 0; left -= CHUNK) {
      const bytes = <usize>min(left, CHUNK) * 4;
      if (inside && layer.mask) copyMasked(d, s, s - layer.input + layer.mask, <i32>(bytes >> 2));
      else if (inside) memory.copy(d, s, bytes);
      else memory.fill(d, 0, bytes);
      s += TILE_STRIDE;
      d += chunkStride;
    }
    a += TILE_STRIDE;
  }
}

/** Adds one panel of products to the output; the bias and the floor come with the last of them. */
function sum(layer: Layer, c: usize, pixel: i32, count: i32, panel: i32, first: bool, last: bool): void {
  const width = min(8, layer.outChannels - panel * 8);
  const stride = <usize>layer.outChannels * 4;
  const target = layer.output + <usize>pixel * stride + <usize>panel * 32;
  const floor = last ? floorOf(layer) : f32x4.splat(-Infinity);
  const bias = layer.bias + <usize>panel * 32;
  addPanel(c, c + C_BYTES, target, stride, width, count, first, last, v128.load(bias), v128.load(bias, 16), floor);
}
