// The 3x3 convolution of maps of 2 x 2 with zeros around them. Along one side, y0 = w1 d0 + w2 d1 and y1 = w0 d0 + w1 d1 take three
// products: w1 (d0 + d1), (w2 - w1) d1 and (w0 - w1) d0; so a map takes nine, where a tile of winograd.ts takes 36.
//
//   V [point][chunk of 64 input channels][image][64]   transformed input
//   U [panel][point][channel][8]   transformed filter (filter.ts)
//   Z [point][panel][image][8]   transformed gradient of the output
//   M [panel of an item][point][image][8]   products; for the gradient of the filter [point][channel of a chunk][8]
//
// A strip is a range of images. The strips of the gradient of a filter are summed in order.

import { addSums, FilterGradient, write } from './filter-gradient';
import { CHUNK, multiplyPanel, TILE_STRIDE } from './gemm';
import { copyMasked, floorOf, Layer, min, padded } from './layer';
import { multiplyOuter } from './outer';
import { copy } from './panels';

const PAD: usize = 64;
/** Where four channels of a map are gathered. */
const EDGE_BYTES: usize = 64;
/** The nine taps of one input channel and a panel. */
const TAPS_BYTES: usize = 320;
const POINT_BYTES: usize = <usize>CHUNK * 32 + PAD;

// @ts-ignore: decorator
@inline
function strideV(layer: Layer, images: i32): usize {
  return <usize>(images * ((layer.inChannels + CHUNK - 1) / CHUNK)) * TILE_STRIDE + PAD;
}

// @ts-ignore: decorator
@inline
function strideZ(layer: Layer, images: i32): usize {
  return <usize>(images * layer.panels) * 32 + PAD;
}

/** Bytes of V, and behind it, for the gradient of a filter, of Z, for a strip of so many images. */
export function twosInputBytes(layer: Layer, images: i32): usize {
  return 9 * strideV(layer, images);
}

export function twosGradientBytes(layer: Layer, images: i32): usize {
  return 9 * strideZ(layer, images);
}

/** Bytes of private memory that the items need for a strip of so many images. */
export function twosBytes(layer: Layer, images: i32): usize {
  const products = <usize>(9 * layer.panelsPerItem) * (<usize>images * 32 + PAD);
  const outer = TAPS_BYTES + 9 * POINT_BYTES;
  return EDGE_BYTES + (products > outer ? products : outer);
}

/** V of a few images of the strip. */
export function transformTwosItem(layer: Layer, work: usize, item: i32): void {
  const images = layer.stripTo - layer.stripFrom;
  const first = item * layer.tilesPerItem;
  const end = min(first + layer.tilesPerItem, images);
  const stride = strideV(layer, images);
  const bytes = <usize>layer.inChannels * 4;
  for (let image = first; image < end; image++) {
    const at = <usize>(layer.stripFrom + image) * bytes * 4;
    const mask = layer.mask ? layer.mask + at : 0;
    for (let channel = 0; channel < padded(layer.inChannels); channel += 4) {
      const d = layer.strip + <usize>((channel / CHUNK) * images + image) * TILE_STRIDE + <usize>(channel & (CHUNK - 1)) * 4;
      spreadMap(layer.input + at, mask, work, layer.inChannels, channel, d, stride, false);
    }
  }
}

/** V and Z of a few images of the strip. */
export function transformTwosGradientItem(job: FilterGradient, work: usize, item: i32): void {
  transformTwosItem(job, work, item);
  const images = job.stripTo - job.stripFrom;
  const first = item * job.tilesPerItem;
  const end = min(first + job.tilesPerItem, images);
  const stride = strideZ(job, images);
  const bytes = <usize>job.outChannels * 4;
  for (let image = first; image < end; image++) {
    const at = <usize>(job.stripFrom + image) * bytes * 4;
    const mask = job.gradientMask ? job.gradientMask + at : 0;
    for (let channel = 0; channel < job.panels * 8; channel += 4) {
      const d = job.transformed + <usize>((channel >> 3) * images + image) * 32 + <usize>(channel & 4) * 4;
      spreadMap(job.gradient + at, mask, work, job.outChannels, channel, d, stride, true);
    }
  }
}

/** Four channels of a map to its nine points; of a gradient they are ordered as the products that its values are made of. */
function spreadMap(map: usize, mask: usize, edge: usize, channels: i32, channel: i32, d: usize, stride: usize, gradient: bool): void {
  const pixel = <usize>channels * 4;
  const offset = <usize>channel * 4;
  const width = channels - channel;
  if (width < 4 || mask) {
    if (width < 4) memory.fill(edge, 0, EDGE_BYTES);
    for (let i: usize = 0; i < 4; i++) {
      const at = i * pixel + offset;
      if (width <= 0) continue;
      if (mask) copyMasked(edge + i * 16, map + at, mask + at, min(4, width));
      else copy(edge + i * 16, map + at, width);
    }
    spread(edge, 16, d, stride, gradient);
  } else spread(map + offset, pixel, d, stride, gradient);
}

// @ts-ignore: decorator
@inline
function spread(s: usize, pixel: usize, d: usize, stride: usize, gradient: bool): void {
  const a = v128.load(s), b = v128.load(s + pixel), c = v128.load(s + pixel * 2), e = v128.load(s + pixel * 3);
  const across0 = f32x4.add(a, b), across1 = f32x4.add(c, e);
  // Of the input the second point of a side has its second value, of the gradient its first.
  const second = gradient ? stride : stride * 2;
  const third = gradient ? stride * 2 : stride;
  v128.store(d, f32x4.add(across0, across1));
  v128.store(d + second, f32x4.add(a, c));
  v128.store(d + third, f32x4.add(b, e));
  d += gradient ? stride * 3 : stride * 6;
  v128.store(d, across0);
  v128.store(d + second, a);
  v128.store(d + third, b);
  d = gradient ? d + stride * 3 : d - stride * 3;
  v128.store(d, across1);
  v128.store(d + second, c);
  v128.store(d + third, e);
}

/** A few panels of the strip, when its input is transformed. */
export function multiplyTwosItem(layer: Layer, work: usize, item: i32): void {
  const images = layer.stripTo - layer.stripFrom;
  const channels = padded(layer.inChannels);
  const chunks = (channels + CHUNK - 1) / CHUNK;
  const last = <usize>(channels - (chunks - 1) * CHUNK) * 4;
  const panel = item * layer.panelsPerItem;
  const count = min(layer.panelsPerItem, layer.panels - panel);
  const bytes = <usize>channels * 32;
  const strideM = <usize>images * 32 + PAD;
  const m = work + EDGE_BYTES;
  for (let point = 0; point < 9; point++) {
    const a = layer.strip + <usize>point * strideV(layer, images);
    for (let i = 0; i < count; i++) {
      const u = layer.filter + <usize>((panel + i) * 9 + point) * bytes;
      multiplyPanel(a, u, m + <usize>(i * 9 + point) * strideM, images, chunks, last, <usize>images * TILE_STRIDE);
    }
  }
  for (let i = 0; i < count; i++) gatherMaps(layer, work, m + <usize>(i * 9) * strideM, strideM, panel + i);
}

/** The outputs of a panel from its products. */
function gatherMaps(layer: Layer, edge: usize, m: usize, stride: usize, panel: i32): void {
  const width = min(8, layer.outChannels - panel * 8);
  const pixel = <usize>layer.outChannels * 4;
  const floor = floorOf(layer);
  for (let image = layer.stripFrom; image < layer.stripTo; image++) {
    const target = layer.output + <usize>image * pixel * 4 + <usize>panel * 32;
    for (let half: usize = 0; half < 32 && <i32>half < width * 4; half += 16) {
      const bias = v128.load(layer.bias + <usize>panel * 32 + half);
      const s = m + half;
      const left0 = sumOf(s, s + stride), right0 = sumOf(s, s + stride * 2);
      const s1 = s + stride * 3, s2 = s + stride * 6;
      const left1 = sumOf(s1, s1 + stride), right1 = sumOf(s1, s1 + stride * 2);
      const left2 = sumOf(s2, s2 + stride), right2 = sumOf(s2, s2 + stride * 2);
      const floats = min(4, width - <i32>(half >> 2));
      put(target + half, finished(left0, left1, bias, floor), edge, floats);
      put(target + half + pixel, finished(right0, right1, bias, floor), edge, floats);
      put(target + half + pixel * 2, finished(left0, left2, bias, floor), edge, floats);
      put(target + half + pixel * 3, finished(right0, right2, bias, floor), edge, floats);
    }
    m += 32;
  }
}

// @ts-ignore: decorator
@inline
function sumOf(a: usize, b: usize): v128 {
  return f32x4.add(v128.load(a), v128.load(b));
}

// @ts-ignore: decorator
@inline
function finished(a: v128, b: v128, bias: v128, floor: v128): v128 {
  return f32x4.pmax(f32x4.add(f32x4.add(a, b), bias), floor);
}

// @ts-ignore: decorator
@inline
function put(target: usize, value: v128, edge: usize, floats: i32): void {
  if (floats == 4) {
    v128.store(target, value);
    return;
  }
  v128.store(edge, value);
  copy(target, edge, floats);
}

/** A chunk of input channels and a few panels of output channels of the gradient of a filter. */
export function filterGradientTwosItem(job: FilterGradient, work: usize, item: i32): void {
  const images = job.stripTo - job.stripFrom;
  const blocks = (job.panels + job.panelsPerItem - 1) / job.panelsPerItem;
  const chunk = item / blocks;
  const panel = (item - chunk * blocks) * job.panelsPerItem;
  const end = min(panel + job.panelsPerItem, job.panels);
  const rows = min(CHUNK, padded(job.inChannels) - chunk * CHUNK);
  const channels = min(CHUNK, job.inChannels - chunk * CHUNK);
  const taps = work + EDGE_BYTES;
  const m = taps + TAPS_BYTES;
  for (let each = panel; each < end; each++) {
    for (let point = 0; point < 9; point++) {
      const a = job.strip + <usize>point * strideV(job, images) + <usize>(chunk * images) * TILE_STRIDE;
      const b = job.transformed + <usize>point * strideZ(job, images) + <usize>(each * images) * 32;
      multiplyOuter(a, b, m + <usize>point * POINT_BYTES, rows, images);
    }
    // The first point has the sum of a map.
    if (job.sums && chunk == 0) addSums(job, job.transformed + <usize>(each * images) * 32, images, each, work);
    for (let channel = 0; channel < channels; channel++) {
      for (let half: usize = 0; half < 32; half += 16) gatherTaps(m + <usize>channel * 32 + half, taps + half);
      write(job, taps, chunk * CHUNK + channel, each);
    }
  }
}

/** The nine points to the nine taps, along columns and then along rows. */
function gatherTaps(s: usize, d: usize): void {
  const s1 = s + POINT_BYTES * 3, s2 = s + POINT_BYTES * 6;
  for (let x: usize = 0; x < 3; x++) {
    const at = x * POINT_BYTES;
    const row = d + x * 32;
    const below = v128.load(s1 + at), above = v128.load(s2 + at);
    v128.store(row, above);
    v128.store(row + 96, f32x4.sub(f32x4.sub(v128.load(s + at), below), above));
    v128.store(row + 192, below);
  }
  for (let y: usize = 0; y < 3; y++) {
    const row = d + y * 96;
    const right = v128.load(row, 32), left = v128.load(row, 64);
    v128.store(row + 32, f32x4.sub(f32x4.sub(v128.load(row), right), left));
    v128.store(row, left);
    v128.store(row + 64, right);
  }
}
