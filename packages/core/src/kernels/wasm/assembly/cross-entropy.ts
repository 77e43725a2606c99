// Softmax cross-entropy and its gradient, in rows of [rows][classes].

import { Four, One, put, take } from './lanes';

/** One loss as the caller (losses.ts) writes it into the heap, 4 bytes a field, in this order. */
@unmanaged
export class CrossEntropy {
  logits: usize;
  /** Each row sums to 1. */
  target: usize;
  /** (softmax - target) / rows. */
  gradient: usize;
  /** float64: [rows], -sum of target * log softmax(logits). */
  losses: usize;
  rows: i32;
  classes: i32;
  rowsPerItem: i32;
}

/** The rows `from` to `to` (exclusive). Sums are in float64; where a target is 0 the logit may be -Infinity. */
export function crossEntropyRows(c: CrossEntropy, from: i32, to: i32): void {
  const bytes = <usize>c.classes * 4;
  const parts = f32x4.splat(<f32>c.rows);
  for (let row = from; row < to; row++) {
    const logits = c.logits + <usize>row * bytes;
    const target = c.target + <usize>row * bytes;
    const gradient = c.gradient + <usize>row * bytes;

    let most: f32 = -Infinity;
    for (let at: usize = 0; at < bytes; at += 4) {
      const value = load<f32>(logits + at);
      if (value > most) most = value;
    }
    const maximum = f32x4.splat(most);

    let sum = f64x2.splat(0);
    let at: usize = 0;
    for (; at + 16 <= bytes; at += 16) sum = f64x2.add(sum, raise<Four>(logits + at, gradient + at, maximum));
    for (; at < bytes; at += 4) sum = f64x2.add(sum, raise<One>(logits + at, gradient + at, maximum));
    const total = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
    const divisor = f32x4.splat(<f32>total);
    const logTotal = f32x4.splat(<f32>logarithm(total));

    let loss = f64x2.splat(0);
    for (at = 0; at + 16 <= bytes; at += 16)
      loss = f64x2.add(loss, settle<Four>(logits + at, target + at, gradient + at, maximum, logTotal, divisor, parts));
    for (; at < bytes; at += 4)
      loss = f64x2.add(loss, settle<One>(logits + at, target + at, gradient + at, maximum, logTotal, divisor, parts));
    store<f64>(c.losses + <usize>row * 8, f64x2.extract_lane(loss, 0) + f64x2.extract_lane(loss, 1));
  }
}

/** Two float64 sums of the values: one alone is in the first. */
// @ts-ignore: decorator
@inline
function pairs<L>(values: v128): v128 {
  const low = f64x2.promote_low_f32x4(values);
  if (idof<L>() == idof<One>()) return f64x2.replace_lane(low, 1, 0);
  return f64x2.add(low, f64x2.promote_low_f32x4(v128.shuffle<i64>(values, values, 1, 0)));
}

/** Leaves exp(logit - maximum) in `gradient`. */
// @ts-ignore: decorator
@inline
function raise<L>(logits: usize, gradient: usize, maximum: v128): v128 {
  const power = exponential(f32x4.sub(take<L>(logits), maximum));
  put<L>(gradient, power);
  return pairs<L>(power);
}

// @ts-ignore: decorator
@inline
function settle<L>(logits: usize, target: usize, gradient: usize, maximum: v128, logTotal: v128, divisor: v128, parts: v128): v128 {
  const goal = take<L>(target);
  const surprise = f32x4.sub(logTotal, f32x4.sub(take<L>(logits), maximum));
  put<L>(gradient, f32x4.div(f32x4.sub(f32x4.div(take<L>(gradient), divisor), goal), parts));
  return pairs<L>(v128.and(f32x4.mul(goal, surprise), f32x4.ne(goal, f32x4.splat(0))));
}

/** exp(x) for x up to 0, within 2e-7 of it: a power of two times the Taylor polynomial of what is left, at most ln(2) / 2. */
// @ts-ignore: decorator
@inline
function exponential(x: v128): v128 {
  const tiny = f32x4.lt(x, f32x4.splat(-87));
  // `pmax` keeps a NaN of its first argument.
  const z = f32x4.pmax(x, f32x4.splat(-87));
  const whole = f32x4.nearest(f32x4.mul(z, f32x4.splat(1.44269504)));
  // ln(2) in two parts: the product with the first is exact.
  const r = f32x4.sub(f32x4.sub(z, f32x4.mul(whole, f32x4.splat(0.693359375))), f32x4.mul(whole, f32x4.splat(-2.12194440e-4)));
  let p = f32x4.splat(1.0 / 5040);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 720));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 120));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 24));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 6));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(0.5));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1));
  const scale = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(whole), i32x4.splat(127)), 23);
  return v128.andnot(f32x4.mul(p, scale), tiny);
}

/** log(x) for a normal number, and NaN for NaN: x = 2^e m, log m = 2 artanh((m - 1) / (m + 1)). */
function logarithm(x: f64): f64 {
  if (x != x) return x;
  const bits = reinterpret<i64>(x);
  let exponent = <f64>((bits >> 52) - 1023);
  let m = reinterpret<f64>((bits & 0xfffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent += 1;
  }
  const s = (m - 1) / (m + 1);
  const square = s * s;
  let sum: f64 = 0;
  for (let k: f64 = 17; k > 0; k -= 2) sum = sum * square + 1 / k;
  return exponent * 0.6931471805599453 + 2 * s * sum;
}
