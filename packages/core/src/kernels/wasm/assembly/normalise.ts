// Normalisations over the channels of each pixel, in rows of [pixels][channels].

import { madd } from './gemm';

/** Bytes of private memory that `responsePixels` needs. */
export function responseBytes(channels: i32, radius: i32): usize {
  return <usize>(channels + 2 * radius + 8) * 4;
}

/**
 * x / (bias + alpha * s)^(quarters / 4), where s is the sum of the squares of the channels within `radius`; quarters 2, 3 or 4.
 * Pixels `from` to `to` (exclusive). `work`: `responseBytes` bytes.
 */
export function responsePixels(
  input: usize,
  output: usize,
  work: usize,
  channels: i32,
  radius: i32,
  bias: f32,
  alpha: f32,
  quarters: i32,
  from: i32,
  to: i32,
): void {
  const bytes = <usize>channels * 4;
  const whole = <usize>(channels & ~3) * 4;
  const margin = <usize>radius * 4;
  const squares = work + margin;
  const biases = f32x4.splat(bias);
  const alphas = f32x4.splat(alpha);
  // Zeros on both sides; those behind the last channel are never written again.
  memory.fill(work, 0, responseBytes(channels, radius));
  let x = input + <usize>from * bytes;
  let y = output + <usize>from * bytes;
  for (let pixel = from; pixel < to; pixel++) {
    let at: usize = 0;
    for (; at < whole; at += 16) {
      const value = v128.load(x + at);
      v128.store(squares + at, f32x4.mul(value, value));
    }
    for (; at < bytes; at += 4) {
      const value = load<f32>(x + at);
      store<f32>(squares + at, value * value);
    }
    for (at = 0; at < whole; at += 16) {
      v128.store(y + at, f32x4.div(v128.load(x + at), power(scaleAt(work + at, radius, biases, alphas), quarters)));
    }
    for (; at < bytes; at += 4) {
      v128.store32_lane(y + at, f32x4.div(v128.load32_zero(x + at), power(scaleAt(work + at, radius, biases, alphas), quarters)), 0);
    }
    x += bytes;
    y += bytes;
  }
}

// @ts-ignore: decorator
@inline
function scaleAt(squares: usize, radius: i32, bias: v128, alpha: v128): v128 {
  return f32x4.add(bias, f32x4.mul(alpha, windowSum(squares, radius)));
}

/** The sum of `2 * radius + 1` values, from each of four on. */
// @ts-ignore: decorator
@inline
export function windowSum(from: usize, radius: i32): v128 {
  let sum = f32x4.splat(0);
  const end = from + <usize>(2 * radius) * 4;
  for (let at = from; at <= end; at += 4) sum = f32x4.add(sum, v128.load(at));
  return sum;
}

/** value^(quarters / 4). */
// @ts-ignore: decorator
@inline
export function power(value: v128, quarters: i32): v128 {
  if (quarters == 4) return value;
  const root = f32x4.sqrt(value);
  return quarters == 3 ? f32x4.mul(root, f32x4.sqrt(root)) : root;
}

/** Writes 1 / sqrt(variance + epsilon), times the scale where there is one, for each channel. */
export function writeFactors(variance: usize, scale: usize, factors: usize, channels: i32, epsilon: f64): void {
  for (let i: usize = 0; i < <usize>channels * 4; i += 4) {
    const factor = 1.0 / sqrt<f64>(<f64>load<f32>(variance + i) + epsilon);
    store<f32>(factors + i, <f32>(scale ? factor * <f64>load<f32>(scale + i) : factor));
  }
}

/** (x - mean) * factor + offset a channel, and at least `least`; `offset` may be 0 for none. Pixels `from` to `to` (exclusive). */
export function scalePixels(
  input: usize,
  output: usize,
  mean: usize,
  factors: usize,
  offset: usize,
  least: f32,
  channels: i32,
  from: i32,
  to: i32,
): void {
  const bytes = <usize>channels * 4;
  const whole = <usize>(channels & ~3) * 4;
  const floor = f32x4.splat(least);
  let x = input + <usize>from * bytes;
  let y = output + <usize>from * bytes;
  for (let pixel = from; pixel < to; pixel++) {
    let at: usize = 0;
    for (; at < whole; at += 16) {
      const add = offset ? v128.load(offset + at) : f32x4.splat(0);
      const scaled = madd(f32x4.sub(v128.load(x + at), v128.load(mean + at)), v128.load(factors + at), add);
      // `pmax` keeps a NaN of its first argument.
      v128.store(y + at, f32x4.pmax(scaled, floor));
    }
    for (; at < bytes; at += 4) {
      const add = offset ? v128.load32_zero(offset + at) : f32x4.splat(0);
      const centred = f32x4.sub(v128.load32_zero(x + at), v128.load32_zero(mean + at));
      v128.store32_lane(y + at, f32x4.pmax(madd(centred, v128.load32_zero(factors + at), add), floor), 0);
    }
    x += bytes;
    y += bytes;
  }
}
