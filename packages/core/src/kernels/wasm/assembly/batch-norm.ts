// Batch normalisation by the statistics of the batch itself, in rows of [pixels][channels]. Sums over the pixels are made in float64, a
// part of the pixels at a time: the parts follow from the shape alone, and are added up in their order.

import { madd } from './gemm';
import { Four, One, put, take } from './lanes';
import { min } from './layer';

/** One layer as the caller (batch-norm-training.ts) writes it into the heap, 4 bytes a field, in this order. */
@unmanaged
export class Batch {
  input: usize;
  /** The gradient of the output; 0 in the forward pass. */
  upstream: usize;
  /** The gradient of the input. */
  output: usize;
  mean: usize;
  /** Scale by inverse deviation, as `writeFactors` makes them. */
  factors: usize;
  /** Where the output went through a ReLU, which is found again from the input; 0 for none. */
  offset: usize;
  /** Of `(x - mean)` and 1 in the gradient of the input, see `writeCoefficients`. */
  slopes: usize;
  levels: usize;
  /** float64: [parts][2][channels]. */
  sums: usize;
  channels: i32;
  pixels: i32;
  pixelsPerItem: i32;
}

/** Bytes of the maps that are walked column by column: they stay in the first cache. */
const BLOCK_BYTES = 16384;

/** Part `item` of the sums of x and x * x, or of dy and dy * (x - mean). */
export function sumPixels(b: Batch, item: i32): void {
  const bytes = <usize>b.channels * 4;
  const sums = b.sums + <usize>item * bytes * 4;
  memory.fill(sums, 0, bytes * 4);
  const end = min((item + 1) * b.pixelsPerItem, b.pixels);
  const step = 1 + BLOCK_BYTES / (b.channels * 4);
  for (let from = item * b.pixelsPerItem; from < end; from += step) {
    const count = min(step, end - from);
    const first = <usize>from * bytes;
    let at: usize = 0;
    if (b.upstream) {
      for (; at + 16 <= bytes; at += 16) sumProducts<Four>(b, first, at, count, sums);
      for (; at < bytes; at += 4) sumProducts<One>(b, first, at, count, sums);
    } else {
      for (; at + 16 <= bytes; at += 16) sumPowers<Four>(b.input + first + at, bytes, count, sums + at * 2, bytes * 2);
      for (; at < bytes; at += 4) sumPowers<One>(b.input + first + at, bytes, count, sums + at * 2, bytes * 2);
    }
  }
}

// @ts-ignore: decorator
@inline
function low(value: v128): v128 {
  return f64x2.promote_low_f32x4(value);
}

// @ts-ignore: decorator
@inline
function high(value: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i64>(value, value, 1, 0));
}

/** Adds a float64 sum of each lane to those in memory. */
// @ts-ignore: decorator
@inline
function accumulate<L>(sums: usize, lows: v128, highs: v128): void {
  if (idof<L>() == idof<One>()) {
    store<f64>(sums, load<f64>(sums) + f64x2.extract_lane(lows, 0));
    return;
  }
  v128.store(sums, f64x2.add(v128.load(sums), lows));
  v128.store(sums, f64x2.add(v128.load(sums, 16), highs), 16);
}

function sumPowers<L>(source: usize, bytes: usize, count: i32, sums: usize, second: usize): void {
  let s0 = f64x2.splat(0), s1 = s0, q0 = s0, q1 = s0;
  for (let i = 0; i < count; i++) {
    const value = take<L>(source);
    const a = low(value), b = high(value);
    s0 = f64x2.add(s0, a);
    s1 = f64x2.add(s1, b);
    q0 = f64x2.add(q0, f64x2.mul(a, a));
    q1 = f64x2.add(q1, f64x2.mul(b, b));
    source += bytes;
  }
  accumulate<L>(sums, s0, s1);
  accumulate<L>(sums + second, q0, q1);
}

/** `dy` where the ReLU let the value pass: the forward pass made it of the same terms. */
// @ts-ignore: decorator
@inline
function passed(upstream: v128, centred: v128, factors: v128, offsets: v128, relu: bool): v128 {
  return relu ? v128.and(upstream, f32x4.gt(madd(centred, factors, offsets), f32x4.splat(0))) : upstream;
}

function sumProducts<L>(b: Batch, first: usize, at: usize, count: i32, sums: usize): void {
  const bytes = <usize>b.channels * 4;
  const relu = b.offset != 0;
  const means = take<L>(b.mean + at);
  const factors = take<L>(b.factors + at);
  const offsets = relu ? take<L>(b.offset + at) : f32x4.splat(0);
  let x = b.input + first + at;
  let dy = b.upstream + first + at;
  let s0 = f64x2.splat(0), s1 = s0, q0 = s0, q1 = s0;
  for (let i = 0; i < count; i++) {
    const centred = f32x4.sub(take<L>(x), means);
    const value = passed(take<L>(dy), centred, factors, offsets, relu);
    const product = f32x4.mul(value, centred);
    s0 = f64x2.add(s0, low(value));
    s1 = f64x2.add(s1, high(value));
    q0 = f64x2.add(q0, low(product));
    q1 = f64x2.add(q1, high(product));
    x += bytes;
    dy += bytes;
  }
  accumulate<L>(sums + at * 2, s0, s1);
  accumulate<L>(sums + bytes * 2 + at * 2, q0, q1);
}

function total(sums: usize, parts: i32, channels: i32, column: i32): f64 {
  let sum: f64 = 0;
  for (let part = 0; part < parts; part++) sum += load<f64>(sums + <usize>(part * 2 * channels + column) * 8);
  return sum;
}

/** The mean and the biased variance of each channel, from the sums of x and x * x. */
export function writeStatistics(sums: usize, parts: i32, channels: i32, pixels: i32, mean: usize, variance: usize): void {
  for (let c = 0; c < channels; c++) {
    const average = total(sums, parts, channels, c) / <f64>pixels;
    const square = total(sums, parts, channels, channels + c) / <f64>pixels;
    store<f32>(mean + <usize>c * 4, <f32>average);
    // Rounding can take it a little below 0; `max` keeps a NaN.
    store<f32>(variance + <usize>c * 4, <f32>max<f64>(square - average * average, 0));
  }
}

/** The gradients of scale and offset, from the sums of dy and dy * (x - mean). */
export function writeParameterGradients(
  sums: usize,
  parts: i32,
  channels: i32,
  variance: usize,
  epsilon: f64,
  scales: usize,
  offsets: usize,
): void {
  for (let c = 0; c < channels; c++) {
    const at = <usize>c * 4;
    const inverse = 1.0 / sqrt<f64>(<f64>load<f32>(variance + at) + epsilon);
    store<f32>(offsets + at, <f32>total(sums, parts, channels, c));
    store<f32>(scales + at, <f32>(total(sums, parts, channels, channels + c) * inverse));
  }
}

/** What `differentiatePixels` needs: -factor / pixels * (inverse deviation * gradient of scale), and the same of the offset. */
export function writeCoefficients(
  factors: usize,
  variance: usize,
  scales: usize,
  offsets: usize,
  channels: i32,
  pixels: i32,
  epsilon: f64,
  slopes: usize,
  levels: usize,
): void {
  for (let at: usize = 0; at < <usize>channels * 4; at += 4) {
    const part = -(<f64>load<f32>(factors + at)) / <f64>pixels;
    const inverse = 1.0 / sqrt<f64>(<f64>load<f32>(variance + at) + epsilon);
    store<f32>(slopes + at, <f32>(part * inverse * <f64>load<f32>(scales + at)));
    store<f32>(levels + at, <f32>(part * <f64>load<f32>(offsets + at)));
  }
}

/** dx = factor * dy + slope * (x - mean) + level, a part of the pixels. */
export function differentiatePixels(b: Batch, item: i32): void {
  const bytes = <usize>b.channels * 4;
  const from = item * b.pixelsPerItem;
  const end = min(from + b.pixelsPerItem, b.pixels);
  let row = <usize>from * bytes;
  for (let pixel = from; pixel < end; pixel++) {
    let at: usize = 0;
    for (; at + 16 <= bytes; at += 16) differentiate<Four>(b, row, at);
    for (; at < bytes; at += 4) differentiate<One>(b, row, at);
    row += bytes;
  }
}

// @ts-ignore: decorator
@inline
function differentiate<L>(b: Batch, row: usize, at: usize): void {
  const relu = b.offset != 0;
  const factors = take<L>(b.factors + at);
  const centred = f32x4.sub(take<L>(b.input + row + at), take<L>(b.mean + at));
  const offsets = relu ? take<L>(b.offset + at) : f32x4.splat(0);
  const upstream = passed(take<L>(b.upstream + row + at), centred, factors, offsets, relu);
  const rest = madd(centred, take<L>(b.slopes + at), take<L>(b.levels + at));
  put<L>(b.output + row + at, madd(upstream, factors, rest));
}
