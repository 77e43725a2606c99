// The gradient of a local response normalisation, in rows of [pixels][channels].

import { Four, One, put, take } from './lanes';
import { power, responseBytes, windowSum } from './normalise';

/** Bytes of private memory that `responseGradientPixels` needs. */
export function responseGradientBytes(channels: i32, radius: i32): usize {
  return 2 * responseBytes(channels, radius);
}

/**
 * With s = bias + alpha * (sum of near squares) and b = quarters / 4:
 * dx = dy / s^b - 2 alpha b x (sum over near channels of dy x / s^(b + 1)). Pixels `from` to `to` (exclusive).
 */
export function responseGradientPixels(
  input: usize,
  upstream: usize,
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
  const margin = <usize>radius * 4;
  const shares = work + responseBytes(channels, radius);
  const factor = f32x4.splat((-0.5 * alpha) * <f32>quarters);
  const biases = f32x4.splat(bias);
  const alphas = f32x4.splat(alpha);
  // Zeros on both sides; those behind the last channel are never written again.
  memory.fill(work, 0, responseGradientBytes(channels, radius));
  for (let pixel = from; pixel < to; pixel++) {
    const row = <usize>pixel * bytes;
    const x = input + row, dy = upstream + row, dx = output + row;
    let at: usize = 0;
    for (; at + 16 <= bytes; at += 16) squareOf<Four>(x + at, work + margin + at);
    for (; at < bytes; at += 4) squareOf<One>(x + at, work + margin + at);
    for (at = 0; at + 16 <= bytes; at += 16) share<Four>(x + at, dy + at, dx + at, work + at, shares + margin + at, radius, biases, alphas, quarters);
    for (; at < bytes; at += 4) share<One>(x + at, dy + at, dx + at, work + at, shares + margin + at, radius, biases, alphas, quarters);
    for (at = 0; at + 16 <= bytes; at += 16) finish<Four>(x + at, dx + at, shares + at, radius, factor);
    for (; at < bytes; at += 4) finish<One>(x + at, dx + at, shares + at, radius, factor);
  }
}

// @ts-ignore: decorator
@inline
function squareOf<L>(from: usize, to: usize): void {
  const value = take<L>(from);
  put<L>(to, f32x4.mul(value, value));
}

/** Leaves dy / s^b in `dx`. */
// @ts-ignore: decorator
@inline
function share<L>(
  x: usize,
  dy: usize,
  dx: usize,
  squares: usize,
  shares: usize,
  radius: i32,
  bias: v128,
  alpha: v128,
  quarters: i32,
): void {
  const scale = f32x4.add(bias, f32x4.mul(alpha, windowSum(squares, radius)));
  const direct = f32x4.div(take<L>(dy), power(scale, quarters));
  put<L>(dx, direct);
  put<L>(shares, f32x4.div(f32x4.mul(direct, take<L>(x)), scale));
}

// @ts-ignore: decorator
@inline
function finish<L>(x: usize, dx: usize, shares: usize, radius: i32, factor: v128): void {
  put<L>(dx, f32x4.add(take<L>(dx), f32x4.mul(f32x4.mul(factor, take<L>(x)), windowSum(shares, radius))));
}
