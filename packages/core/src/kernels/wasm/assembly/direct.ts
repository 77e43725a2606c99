// The convolution as one product, for inputs of few channels (the first layer of a network): the nine pixels under an output pixel are
// copied side by side, 64 floats an output pixel, and multiplied with the filter as it is.

import { multiplyPanel, TILE_STRIDE } from './gemm';
import { copyMasked, floorOf, Layer, max, min } from './layer';

/** Output pixels at a time: a multiple of 4 and 6, and small enough for the first cache. */
const PIXELS: i32 = 48;

/** Bytes of private memory that `convolveRows` needs. */
export function rowBytes(layer: Layer): usize {
  return <usize>PIXELS * (TILE_STRIDE + 32) + 3 * lineBytes(layer);
}

/** A padded line of the input, with room to read past its end. */
// @ts-ignore: decorator
@inline
function lineBytes(layer: Layer): usize {
  return (<usize>((layer.outWidth + 2) * layer.inChannels) * 4 + 79) & ~63;
}

/** Computes the output rows `from` to `to` (exclusive), counted through the batch. `work`: `rowBytes(layer)` bytes, 64-byte aligned. */
export function convolveRows(layer: Layer, work: usize, from: i32, to: i32): void {
  const c = work + <usize>PIXELS * TILE_STRIDE;
  const lines = c + <usize>PIXELS * 32;
  const depth = layer.inChannels * 9;
  for (let row = from; row < to; row++) {
    const image = row / layer.outHeight;
    const y = row - image * layer.outHeight;
    for (let tap = 0; tap < 3; tap++) fillLine(layer, lines + <usize>tap * lineBytes(layer), image, y + tap - layer.padTop);
    for (let x = 0; x < layer.outWidth; x += PIXELS) {
      const count = min(PIXELS, layer.outWidth - x);
      gather(layer, work, lines, x, count);
      const target = layer.output + <usize>((row * layer.outWidth + x) * layer.outChannels) * 4;
      for (let panel = 0; panel < layer.panels; panel++) {
        multiplyPanel(work, layer.filter + <usize>(panel * depth) * 32, c, count, 1, <usize>depth * 4, 0);
        finish(layer, c, target + <usize>panel * 32, count, panel);
      }
    }
  }
}

function fillLine(layer: Layer, line: usize, image: i32, y: i32): void {
  memory.fill(line, 0, lineBytes(layer));
  if (y < 0 || y >= layer.height) return;
  const pixel = <usize>layer.inChannels * 4;
  const count = min(layer.width, max(0, layer.outWidth + 2 - layer.padLeft));
  if (layer.padLeft >= layer.outWidth + 2) return;
  const target = line + <usize>layer.padLeft * pixel;
  const offset = <usize>((image * layer.height + y) * layer.width) * pixel;
  if (layer.mask) copyMasked(target, layer.input + offset, layer.mask + offset, count * layer.inChannels);
  else memory.copy(target, layer.input + offset, <usize>count * pixel);
}

/** A [pixel][64]: three lines of three pixels each. Writes whole vectors; what is too much is overwritten by the next line or not read. */
function gather(layer: Layer, a: usize, lines: usize, x: i32, count: i32): void {
  const pixel = <usize>layer.inChannels * 4;
  const stride = lineBytes(layer);
  const bytes = pixel * 3;
  for (let tap: usize = 0; tap < 3; tap++) {
    let s = lines + tap * stride + <usize>x * pixel;
    let d = a + tap * bytes;
    for (let i = 0; i < count; i++) {
      for (let at: usize = 0; at < bytes; at += 16) v128.store(d + at, v128.load(s + at));
      s += pixel;
      d += TILE_STRIDE;
    }
  }
}

/** Adds the bias to one panel of products, lifts it to the floor, and writes it into the output. */
function finish(layer: Layer, c: usize, target: usize, count: i32, panel: i32): void {
  const floor = floorOf(layer);
  const low = v128.load(layer.bias + <usize>panel * 32);
  const high = v128.load(layer.bias + <usize>panel * 32, 16);
  const stride = <usize>layer.outChannels * 4;
  const width = min(8, layer.outChannels - panel * 8);
  for (let i = 0; i < count; i++) {
    const a = f32x4.pmax(f32x4.add(v128.load(c), low), floor);
    const b = f32x4.pmax(f32x4.add(v128.load(c, 16), high), floor);
    if (width == 8) {
      v128.store(target, a);
      v128.store(target, b, 16);
    } else {
      v128.store(c, a);
      v128.store(c, b, 16);
      memory.copy(target, c, <usize>width * 4);
    }
    c += 32;
    target += stride;
  }
}
