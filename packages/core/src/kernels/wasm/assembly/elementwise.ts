// Operations on each value by itself.

import { Four, One, put, take } from './lanes';

/** dy where y is above 0, else 0: the gradient of a ReLU. Values `from` to `to` (exclusive). */
export function passPositive(y: usize, upstream: usize, output: usize, from: i32, to: i32): void {
  const end = <usize>to * 4;
  let at = <usize>from * 4;
  for (; at + 16 <= end; at += 16) pass<Four>(y + at, upstream + at, output + at);
  for (; at < end; at += 4) pass<One>(y + at, upstream + at, output + at);
}

// @ts-ignore: decorator
@inline
function pass<L>(y: usize, upstream: usize, output: usize): void {
  put<L>(output, v128.and(take<L>(upstream), f32x4.gt(take<L>(y), f32x4.splat(0))));
}

/** x * factor where the hash of the place is at most `limit`, else 0: kernels/dropout.ts has the same in JavaScript. */
export function dropValues(x: usize, output: usize, key0: i32, key1: i32, limit: i32, factor: f32, from: i32, to: i32): void {
  const factors = f32x4.splat(factor);
  const limits = i32x4.splat(limit);
  const first = i32x4.splat(key0), second = i32x4.splat(key1);
  let places = i32x4.add(i32x4.splat(from), i32x4(0, 1, 2, 3));
  const end = <usize>to * 4;
  let at = <usize>from * 4;
  for (; at + 16 <= end; at += 16) {
    drop<Four>(x + at, output + at, places, first, second, limits, factors);
    places = i32x4.add(places, i32x4.splat(4));
  }
  for (; at < end; at += 4) {
    drop<One>(x + at, output + at, places, first, second, limits, factors);
    places = i32x4.add(places, i32x4.splat(1));
  }
}

// @ts-ignore: decorator
@inline
function drop<L>(x: usize, output: usize, places: v128, first: v128, second: v128, limits: v128, factors: v128): void {
  const hash = mix(v128.xor(mix(v128.xor(places, first)), second));
  put<L>(output, v128.and(f32x4.mul(take<L>(x), factors), i32x4.le_u(hash, limits)));
}

// @ts-ignore: decorator
@inline
function mix(value: v128): v128 {
  value = i32x4.mul(v128.xor(value, i32x4.shr_u(value, 16)), i32x4.splat(0x7feb352d));
  value = i32x4.mul(v128.xor(value, i32x4.shr_u(value, 15)), i32x4.splat(0x846ca68b));
  return v128.xor(value, i32x4.shr_u(value, 16));
}
