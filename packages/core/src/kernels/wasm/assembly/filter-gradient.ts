// The gradient of a 3x3 filter by the tiles of winograd.ts: since the forward result is A^T [(G g G^T) . (B^T d B)] A for each tile,
// the gradient of g is G^T [sum over tiles of (A dy A^T) . (B^T d B)] G. For each point that sum is a product whose depth is the tiles.
//
//   V [point][chunk of 64 input channels][tile][64]   transformed input, as in winograd.ts
//   Z [point][panel][tile][8]   transformed gradient of the output
//   M [panel of an item][point][channel of a chunk][8]   products
//
// A strip is summed in one go, strips are added in order: the bits do not depend on who computes which part. Threads either share a strip,
// or, where one is little work, each takes strips of its own, whose gradients wait in slots until they are added.

import { CHUNK, madd, store2, TILE_STRIDE } from './gemm';
import { copyMasked, Layer, min, padded } from './layer';
import { multiplyOuter } from './outer';
import { C16, C2, C32, C4, C8, read } from './transforms';
import { chunksOf, inputBytes, inputTileBytes, pointStrideV, transformInput, visitGradientTiles } from './winograd';

/** What the caller (filter-gradient-3x3.ts) writes behind a layer, whose filter is the one that the gradient is for: FIELDS there. */
@unmanaged
export class FilterGradient extends Layer {
  /** Gradient of the output, [batch][outHeight][outWidth][outChannels]. */
  gradient: usize;
  /** The same shape, or 0 for none: the gradient counts as 0 where this is not positive. */
  gradientMask: usize;
  /** Z of a strip; for strips that threads have to themselves, slots of `slotBytes` for those that wait. */
  transformed: usize;
  /** The result, [3][3][inChannels][outChannels]. */
  target: usize;
  /** The sums of the gradient over all places, [outChannels]; or 0 for none. */
  sums: usize;
  /** 1: what the result and the sums hold already is added to, as with every strip but the first. */
  adds: i32;
}

const PAD: usize = 64;
/** A thread's own description of its strip. */
const OWN_BYTES: usize = 256;
const MIDDLE_BYTES: usize = 1024;
/** The nine taps of one input channel and a panel. */
const TAPS_BYTES: usize = 320;
/** Of the gradient, what an item adds up. */
const ADDED_FLOATS: i32 = 4096;
/** Of M: the channels of a chunk. */
const POINT_BYTES: usize = <usize>CHUNK * 32 + PAD;

// @ts-ignore: decorator
@inline
function pointStrideZ(job: FilterGradient, tiles: i32): usize {
  return <usize>(tiles * job.panels) * 32 + PAD;
}

/** Bytes of Z for a strip of `tiles` tiles. */
export function gradientBytes(job: FilterGradient, tiles: i32): usize {
  return 64 * pointStrideZ(job, tiles);
}

/** Bytes of private memory that the items need. */
export function filterGradientBytes(job: FilterGradient): usize {
  const patch = MIDDLE_BYTES + <usize>(36 * job.panels) * 32;
  const products = MIDDLE_BYTES + TAPS_BYTES + <usize>(64 * job.panelsPerItem) * POINT_BYTES;
  const most = patch > products ? patch : products;
  const input = inputTileBytes(job);
  return most > input ? most : input;
}

/** Bytes of what one strip brings: its gradient of the filter, then its sums. */
export function slotBytes(job: FilterGradient): usize {
  return (<usize>((9 * job.inChannels + 1) * job.outChannels) * 4 + 63) & ~63;
}

/** Bytes of private memory that `filterGradientStripItem` needs. */
export function filterGradientStripBytes(job: FilterGradient): usize {
  const tiles = job.rowsPerItem * (job.columns6 + job.columns4);
  return OWN_BYTES + inputBytes(job, tiles) + gradientBytes(job, tiles) + filterGradientBytes(job);
}

/** A strip of `rowsPerItem` of those of the job, which goes into its slot. */
export function filterGradientStripItem(job: FilterGradient, work: usize, item: i32): void {
  const own = changetype<FilterGradient>(work);
  memory.copy(work, changetype<usize>(job), offsetof<FilterGradient>());
  own.stripFrom = job.stripFrom + item * job.rowsPerItem;
  own.stripTo = min(own.stripFrom + job.rowsPerItem, job.stripTo);
  const tiles = (own.stripTo - own.stripFrom) * (job.columns6 + job.columns4);
  own.tilesPerItem = tiles;
  own.strip = work + OWN_BYTES;
  own.transformed = own.strip + inputBytes(job, tiles);
  own.target = job.transformed + <usize>item * slotBytes(job);
  if (job.sums) own.sums = own.target + <usize>(9 * job.inChannels * job.outChannels) * 4;
  own.adds = 0;
  const rest = own.transformed + gradientBytes(job, tiles);
  transformGradientItem(own, rest, 0);
  const blocks = chunksOf(job) * ((job.panels + job.panelsPerItem - 1) / job.panelsPerItem);
  for (let i = 0; i < blocks; i++) filterGradientItem(own, rest, i);
}

/** What the slots of the job's strips hold, added in their order: `ADDED_FLOATS` of the gradient, and with the first of them the sums. */
export function addSlotsItem(job: FilterGradient, _work: usize, item: i32): void {
  const size = 9 * job.inChannels * job.outChannels;
  const from = item * ADDED_FLOATS;
  addSlots(job, job.target + <usize>from * 4, from, min(ADDED_FLOATS, size - from));
  if (item == 0 && job.sums) addSlots(job, job.sums, size, job.outChannels);
}

function addSlots(job: FilterGradient, target: usize, from: i32, floats: i32): void {
  const stride = slotBytes(job);
  const strips = (job.stripTo - job.stripFrom + job.rowsPerItem - 1) / job.rowsPerItem;
  let slot = job.transformed + <usize>from * 4;
  let end = slot + stride * strips;
  for (; floats >= 4; floats -= 4) {
    let sum = v128.load(slot);
    if (job.adds) sum = f32x4.add(v128.load(target), sum);
    for (let s = slot + stride; s < end; s += stride) sum = f32x4.add(sum, v128.load(s));
    v128.store(target, sum);
    target += 16;
    slot += 16;
    end += 16;
  }
  for (; floats > 0; floats--) {
    let sum = load<f32>(slot);
    if (job.adds) sum = load<f32>(target) + sum;
    for (let s = slot + stride; s < end; s += stride) sum += load<f32>(s);
    store<f32>(target, sum);
    target += 4;
    slot += 4;
    end += 4;
  }
}

/** A few tiles of one strip, of the input and of the gradient. */
export function transformGradientItem(job: FilterGradient, work: usize, item: i32): void {
  const tiles = (job.stripTo - job.stripFrom) * (job.columns6 + job.columns4);
  const first = item * job.tilesPerItem;
  const end = min(first + job.tilesPerItem, tiles);
  transformInput(job, work, job.strip, job.stripFrom, job.stripTo, first, end);
  visitGradientTiles(job, work, job.transformed, job.stripFrom, job.stripTo, first, end);
}

/** A chunk of input channels and a few panels of output channels of one strip, when it is transformed. */
export function filterGradientItem(job: FilterGradient, work: usize, item: i32): void {
  const blocks = (job.panels + job.panelsPerItem - 1) / job.panelsPerItem;
  const chunk = item / blocks;
  const panel = (item - chunk * blocks) * job.panelsPerItem;
  const count = min(job.panelsPerItem, job.panels - panel);
  const m = work + MIDDLE_BYTES + TAPS_BYTES;
  multiplyTiles(job, m, chunk, panel, count);
  if (job.sums && chunk == 0) {
    const tiles = (job.stripTo - job.stripFrom) * (job.columns6 + job.columns4);
    // The point of 1 and 1 has the sum of a tile.
    const z = job.transformed + 9 * pointStrideZ(job, tiles);
    for (let i = panel; i < panel + count; i++) addSums(job, z + <usize>(i * tiles) * 32, tiles, i, work);
  }
  const channels = min(CHUNK, job.inChannels - chunk * CHUNK);
  for (let i = 0; i < count; i++) {
    for (let channel = 0; channel < channels; channel++) {
      const source = m + <usize>(i * 64) * POINT_BYTES + <usize>channel * 32;
      transformBack(source, work, work + MIDDLE_BYTES);
      write(job, work + MIDDLE_BYTES, chunk * CHUNK + channel, panel + i);
    }
  }
}

/** M = V^T * Z. The tiles are ordered 6x4, 6x6, 4x6, 4x4: the points 5 and 6 have a range of them. */
function multiplyTiles(job: FilterGradient, m: usize, chunk: i32, panel: i32, count: i32): void {
  let high = 0;
  for (let row = job.stripFrom; row < job.stripTo; row++) if (row % (job.rows6 + job.rows4) < job.rows6) high++;
  const low = job.stripTo - job.stripFrom - high;
  const tiles = (high + low) * (job.columns6 + job.columns4);
  const first66 = high * job.columns4;
  const end66 = first66 + high * job.columns6;
  const end46 = end66 + low * job.columns6;
  const rows = min(CHUNK, padded(job.inChannels) - chunk * CHUNK);
  const strideV = pointStrideV(tiles, chunksOf(job));
  const strideZ = pointStrideZ(job, tiles);
  for (let point = 0; point < 64; point++) {
    const y6 = ((point >> 3) + 1) >> 1 == 3;
    const x6 = ((point & 7) + 1) >> 1 == 3;
    const start = x6 ? first66 : 0;
    const depth = (y6 ? end66 : x6 ? end46 : tiles) - start;
    const a = job.strip + <usize>point * strideV + <usize>(chunk * tiles + start) * TILE_STRIDE;
    const b = job.transformed + <usize>point * strideZ + <usize>(panel * tiles + start) * 32;
    for (let i = 0; i < count; i++) {
      multiplyOuter(a, b + <usize>(i * tiles) * 32, m + <usize>(i * 64 + point) * POINT_BYTES, rows, depth);
    }
  }
}

/** The 64 points of one input channel and a panel to its nine taps, [tap][8]. */
function transformBack(source: usize, middle: usize, taps: usize): void {
  for (let half: usize = 0; half < 32; half += 16) {
    for (let x: usize = 0; x < 8; x++) {
      taps3(source + x * POINT_BYTES + half, 8 * POINT_BYTES, middle + x * 16, 128);
    }
    for (let y: usize = 0; y < 3; y++) taps3(middle + y * 128, 16, taps + y * 96 + half, 32);
  }
}

/** The columns of G: eight points to three taps. */
// @ts-ignore: decorator
@inline
function taps3(s: usize, ss: usize, d: usize, ds: usize): void {
  let p = v128.load(s + ss);
  let q = v128.load(s + ss * 2);
  const ninth = f32x4.splat(<f32>(-2.0 / 9.0));
  const even1 = f32x4.mul(ninth, f32x4.add(p, q));
  const odd1 = f32x4.mul(ninth, f32x4.sub(p, q));
  p = v128.load(s + ss * 3);
  q = v128.load(s + ss * 4);
  const even2 = f32x4.add(p, q);
  const odd2 = f32x4.sub(p, q);
  p = v128.load(s + ss * 5);
  q = v128.load(s + ss * 6);
  const evenHalf = f32x4.add(p, q);
  const oddHalf = f32x4.sub(p, q);
  const r90 = f32x4.splat(<f32>(1.0 / 90.0));
  const r45 = f32x4.splat(<f32>(1.0 / 45.0));
  v128.store(d, madd(r90, even2, madd(r45, evenHalf, f32x4.add(v128.load(s), even1))));
  v128.store(d + ds, madd(r45, odd2, madd(r90, oddHalf, odd1)));
  const last = f32x4.add(v128.load(s + ss * 7), even1);
  v128.store(d + ds * 2, madd(f32x4.splat(<f32>(2.0 / 45.0)), even2, madd(f32x4.splat(<f32>(1.0 / 180.0)), evenHalf, last)));
}

/** Writes or adds the nine taps of an input channel and a panel, [tap][8]. */
export function write(job: FilterGradient, taps: usize, channel: i32, panel: i32): void {
  const width = min(8, job.outChannels - panel * 8);
  const stride = <usize>(job.inChannels * job.outChannels) * 4;
  let target = job.target + (<usize>channel * <usize>job.outChannels + <usize>panel * 8) * 4;
  for (let tap = 0; tap < 9; tap++) {
    if (width == 8) {
      let low = v128.load(taps);
      let high = v128.load(taps, 16);
      if (job.adds) {
        low = f32x4.add(v128.load(target), low);
        high = f32x4.add(v128.load(target, 16), high);
      }
      v128.store(target, low);
      v128.store(target, high, 16);
    } else {
      for (let i: usize = 0; i < <usize>width * 4; i += 4) {
        store<f32>(target + i, job.adds ? load<f32>(target + i) + load<f32>(taps + i) : load<f32>(taps + i));
      }
    }
    taps += 32;
    target += stride;
  }
}

/** Writes or adds the sums of a panel over `count` tiles of 32 bytes; `edge` has room for one. */
export function addSums(job: FilterGradient, z: usize, count: i32, panel: i32, edge: usize): void {
  const width = min(8, job.outChannels - panel * 8);
  const target = job.sums + <usize>panel * 32;
  let low = f32x4.splat(0), high = low;
  for (const end = z + <usize>count * 32; z < end; z += 32) {
    low = f32x4.add(low, v128.load(z));
    high = f32x4.add(high, v128.load(z, 16));
  }
  store2(edge, low, high);
  for (let i: usize = 0; i < <usize>width * 4; i += 4) {
    store<f32>(target + i, job.adds ? load<f32>(target + i) + load<f32>(edge + i) : load<f32>(edge + i));
  }
}

/** One tile of the gradient of the output, at (y, x). */
export function gradientTile(job: FilterGradient, work: usize, z: usize, tiles: i32, tile: i32, image: i32, y: i32, x: i32, high: bool, wide: bool): void {
  const rows = high ? 6 : 4;
  const columns = wide ? 6 : 4;
  const channels = job.panels * 8;
  let pixel = <usize>job.outChannels * 4;
  let line = <usize>job.outWidth * pixel;
  let source = job.gradient + <usize>((image * job.outHeight + y) * job.outWidth + x) * pixel;
  const mask = job.gradientMask - job.gradient;
  let masked = job.gradientMask != 0;
  if (y + rows > job.outHeight || x + columns > job.outWidth || channels != job.outChannels) {
    const patch = work + MIDDLE_BYTES;
    fillPatch(job, patch, source, min(rows, job.outHeight - y), min(columns, job.outWidth - x), rows * 6);
    masked = false;
    source = patch;
    pixel = <usize>channels * 4;
    line = pixel * 6;
  }
  const k = job.constants;
  const stride = pointStrideZ(job, tiles);
  for (let channel = 0; channel < channels; channel += 4) {
    let s = source + <usize>channel * 4;
    for (let column = 0; column < columns; column++) {
      const d = work + <usize>column * 16;
      if (masked) {
        if (high) gradient6(s, line, d, 128, k, mask, true);
        else gradient4(s, line, d, 128, k, mask, true);
      } else if (high) gradient6(s, line, d, 128, k, 0, false);
      else gradient4(s, line, d, 128, k, 0, false);
      s += pixel;
    }
    let d = z + <usize>((channel >> 3) * tiles + tile) * 32 + <usize>(channel & 4) * 4;
    for (let point = 0; point < 8; point++) {
      if (!high && point == 5) {
        point = 7;
        d += stride * 16;
      }
      if (wide) gradient6(work + <usize>point * 128, 16, d, stride, k, 0, false);
      else gradient4(work + <usize>point * 128, 16, d, stride, k, 0, false);
      d += stride * 8;
    }
  }
}

/** A tile that reaches over the map, or is masked, or whose channels are no multiple of eight: [row][6 columns][channel], zeros elsewhere. */
function fillPatch(job: FilterGradient, patch: usize, source: usize, rows: i32, columns: i32, pixels: i32): void {
  const channels = <usize>job.panels * 32;
  const pixel = <usize>job.outChannels * 4;
  if (rows * columns < pixels || channels != pixel) memory.fill(patch, 0, <usize>pixels * channels);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const s = source + <usize>(row * job.outWidth + column) * pixel;
      const d = patch + <usize>(row * 6 + column) * channels;
      if (job.gradientMask) copyMasked(d, s, s - job.gradient + job.gradientMask, job.outChannels);
      else memory.copy(d, s, pixel);
    }
  }
}

/** Six outputs to the eight points: the transpose of `output6` in transforms.ts. */
// @ts-ignore: decorator
@inline
function gradient6(s: usize, ss: usize, d: usize, ds: usize, k: usize, mask: usize, masked: bool): void {
  const y0 = read(s, mask, masked);
  const y1 = read(s + ss, mask, masked);
  const y2 = read(s + ss * 2, mask, masked);
  const y3 = read(s + ss * 3, mask, masked);
  const y4 = read(s + ss * 4, mask, masked);
  const y5 = read(s + ss * 5, mask, masked);
  v128.store(d, y0);
  v128.store(d + ds * 7, y5);
  let even = f32x4.add(f32x4.add(y0, y2), y4);
  let odd = f32x4.add(f32x4.add(y1, y3), y5);
  v128.store(d + ds, f32x4.add(even, odd));
  v128.store(d + ds * 2, f32x4.sub(even, odd));
  const c2 = v128.load_splat<f32>(k, C2);
  const c4 = v128.load_splat<f32>(k, C4);
  const c8 = v128.load_splat<f32>(k, C8);
  const c16 = v128.load_splat<f32>(k, C16);
  const c32 = v128.load_splat<f32>(k, C32);
  even = madd(c16, y4, madd(c4, y2, y0));
  odd = madd(c32, y5, madd(c8, y3, f32x4.mul(c2, y1)));
  v128.store(d + ds * 3, f32x4.add(even, odd));
  v128.store(d + ds * 4, f32x4.sub(even, odd));
  even = madd(c32, y0, madd(c8, y2, f32x4.mul(c2, y4)));
  odd = madd(c16, y1, madd(c4, y3, y5));
  v128.store(d + ds * 5, f32x4.add(even, odd));
  v128.store(d + ds * 6, f32x4.sub(even, odd));
}

/** Four outputs to six points, likewise. */
// @ts-ignore: decorator
@inline
function gradient4(s: usize, ss: usize, d: usize, ds: usize, k: usize, mask: usize, masked: bool): void {
  const y0 = read(s, mask, masked);
  const y1 = read(s + ss, mask, masked);
  const y2 = read(s + ss * 2, mask, masked);
  const y3 = read(s + ss * 3, mask, masked);
  v128.store(d, y0);
  v128.store(d + ds * 7, y3);
  let even = f32x4.add(y0, y2);
  let odd = f32x4.add(y1, y3);
  v128.store(d + ds, f32x4.add(even, odd));
  v128.store(d + ds * 2, f32x4.sub(even, odd));
  even = madd(v128.load_splat<f32>(k, C4), y2, y0);
  odd = madd(v128.load_splat<f32>(k, C8), y3, f32x4.mul(v128.load_splat<f32>(k, C2), y1));
  v128.store(d + ds * 3, f32x4.add(even, odd));
  v128.store(d + ds * 4, f32x4.sub(even, odd));
}
