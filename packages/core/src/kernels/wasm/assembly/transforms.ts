// One-dimensional transforms of F(6,3) and F(4,3), four channels at a time: Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2015 (arXiv:1509.09308), with the points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity, in this order.
//
// F(4,3) uses the points 0, 1, -1, 2, -2 and infinity of the same set, so both read ONE set of transformed filters; the filters are
// scaled for F(6,3), and the input transform of F(4,3) makes up for the difference. Its slots 5 and 6 are not touched.
//
// A value that is not finite stays so: the products over the points add up to the true weight of an input value times that value, so
// where the true sum holds +Infinity, the computed one holds a term of +Infinity, and it ends as +Infinity or NaN.
//
// Each reads at `s`, `s + ss` ... and writes at `d`, `d + ds` ... Constants come from memory: V8 builds a literal in three instructions.
// Where `masked`, which is a literal, what is read counts as 0 where the value `mask` bytes behind it is not positive.

import { madd } from './gemm';

/** Writes what `constant` reads: 16 floats. */
export function writeConstants(at: usize): void {
  store<f32>(at, 5.25, 0);
  store<f32>(at, 4.25, 4);
  store<f32>(at, 1.25, 8);
  store<f32>(at, 2.5, 12);
  store<f32>(at, 0.5, 16);
  store<f32>(at, 4, 20);
  store<f32>(at, 0.25, 24);
  store<f32>(at, 3, 28);
  store<f32>(at, 0.75, 32);
  store<f32>(at, 3.75, 36);
  store<f32>(at, 7.5, 40);
  store<f32>(at, 5, 44);
  store<f32>(at, 32, 48);
  store<f32>(at, 16, 52);
  store<f32>(at, 8, 56);
  store<f32>(at, 2, 60);
}

const C5_25: usize = 0;
const C4_25: usize = 4;
const C1_25: usize = 8;
const C2_5: usize = 12;
const C0_5: usize = 16;
export const C4: usize = 20;
const C0_25: usize = 24;
const C3: usize = 28;
const C0_75: usize = 32;
const C3_75: usize = 36;
const C7_5: usize = 40;
const C5: usize = 44;
export const C32: usize = 48;
export const C16: usize = 52;
export const C8: usize = 56;
export const C2: usize = 60;

// @ts-ignore: decorator
@inline
function nmadd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_nmadd(a, b, c);
  return f32x4.sub(c, f32x4.mul(a, b));
}

// @ts-ignore: decorator
@inline
export function read(s: usize, mask: usize, masked: bool): v128 {
  return masked ? v128.and(v128.load(s), f32x4.gt(v128.load(s + mask), f32x4.splat(0))) : v128.load(s);
}

/** Eight inputs to the eight points. */
// @ts-ignore: decorator
@inline
export function input6(s: usize, ss: usize, d: usize, ds: usize, k: usize, mask: usize, masked: bool): void {
  const d0 = read(s, mask, masked);
  const d1 = read(s + ss, mask, masked);
  const d2 = read(s + ss * 2, mask, masked);
  const d3 = read(s + ss * 3, mask, masked);
  const d4 = read(s + ss * 4, mask, masked);
  const d5 = read(s + ss * 5, mask, masked);
  const d6 = read(s + ss * 6, mask, masked);
  const d7 = read(s + ss * 7, mask, masked);

  let c = v128.load_splat<f32>(k, C5_25);
  v128.store(d, madd(c, f32x4.sub(d4, d2), f32x4.sub(d0, d6)));
  v128.store(d + ds * 7, madd(c, f32x4.sub(d3, d5), f32x4.sub(d7, d1)));

  c = v128.load_splat<f32>(k, C4_25);
  let even = nmadd(c, d4, f32x4.add(d2, d6));
  let odd = nmadd(c, d3, f32x4.add(d1, d5));
  v128.store(d + ds, f32x4.add(even, odd));
  v128.store(d + ds * 2, f32x4.sub(even, odd));

  const middle = f32x4.mul(v128.load_splat<f32>(k, C2_5), d3);
  c = v128.load_splat<f32>(k, C1_25);
  even = nmadd(c, d4, madd(v128.load_splat<f32>(k, C0_25), d2, d6));
  odd = f32x4.add(f32x4.sub(f32x4.mul(v128.load_splat<f32>(k, C0_5), d1), middle), f32x4.add(d5, d5));
  v128.store(d + ds * 3, f32x4.add(even, odd));
  v128.store(d + ds * 4, f32x4.sub(even, odd));

  even = madd(v128.load_splat<f32>(k, C4), nmadd(c, d4, d2), d6);
  odd = madd(v128.load_splat<f32>(k, C0_5), d5, f32x4.sub(f32x4.add(d1, d1), middle));
  v128.store(d + ds * 5, f32x4.add(even, odd));
  v128.store(d + ds * 6, f32x4.sub(even, odd));
}

/** Six inputs to the points 0, 1, -1, 2, -2 and infinity. */
// @ts-ignore: decorator
@inline
export function input4(s: usize, ss: usize, d: usize, ds: usize, k: usize, mask: usize, masked: bool): void {
  const d0 = read(s, mask, masked);
  const d1 = read(s + ss, mask, masked);
  const d2 = read(s + ss * 2, mask, masked);
  const d3 = read(s + ss * 3, mask, masked);
  const d4 = read(s + ss * 4, mask, masked);
  const d5 = read(s + ss * 5, mask, masked);

  v128.store(d, nmadd(v128.load_splat<f32>(k, C1_25), d2, madd(v128.load_splat<f32>(k, C0_25), d4, d0)));
  v128.store(d + ds * 7, nmadd(v128.load_splat<f32>(k, C5), d3, madd(v128.load_splat<f32>(k, C4), d1, d5)));

  const three = v128.load_splat<f32>(k, C3);
  const quarters = v128.load_splat<f32>(k, C0_75);
  let even = nmadd(three, d2, f32x4.mul(quarters, d4));
  let odd = nmadd(three, d1, f32x4.mul(quarters, d3));
  v128.store(d + ds, f32x4.add(even, odd));
  v128.store(d + ds * 2, f32x4.sub(even, odd));

  even = f32x4.mul(v128.load_splat<f32>(k, C3_75), f32x4.sub(d4, d2));
  odd = f32x4.mul(v128.load_splat<f32>(k, C7_5), f32x4.sub(d3, d1));
  v128.store(d + ds * 3, f32x4.add(even, odd));
  v128.store(d + ds * 4, f32x4.sub(even, odd));
}

// @ts-ignore: decorator
@inline
function finish(at: usize, value: v128, last: bool, bias: v128, floor: v128): void {
  // pmax keeps a NaN of its first operand.
  v128.store(at, last ? f32x4.pmax(f32x4.add(value, bias), floor) : value);
}

/** Eight points to six outputs; the last of the two passes adds the bias and lifts the result to `floor`. */
// @ts-ignore: decorator
@inline
export function output6(s: usize, ss: usize, d: usize, ds: usize, k: usize, last: bool, bias: v128, floor: v128): void {
  const m0 = v128.load(s);
  const m7 = v128.load(s + ss * 7);
  let p = v128.load(s + ss);
  let q = v128.load(s + ss * 2);
  const sum1 = f32x4.add(p, q);
  const dif1 = f32x4.sub(p, q);
  p = v128.load(s + ss * 3);
  q = v128.load(s + ss * 4);
  const sum2 = f32x4.add(p, q);
  const dif2 = f32x4.sub(p, q);
  p = v128.load(s + ss * 5);
  q = v128.load(s + ss * 6);
  const sumHalf = f32x4.add(p, q);
  const difHalf = f32x4.sub(p, q);

  const c32 = v128.load_splat<f32>(k, C32);
  finish(d, madd(c32, sumHalf, f32x4.add(f32x4.add(m0, sum1), sum2)), last, bias, floor);
  finish(d + ds * 5, f32x4.add(madd(c32, dif2, f32x4.add(m7, dif1)), difHalf), last, bias, floor);
  const c16 = v128.load_splat<f32>(k, C16);
  const c2 = v128.load_splat<f32>(k, C2);
  finish(d + ds, madd(c16, difHalf, madd(c2, dif2, dif1)), last, bias, floor);
  finish(d + ds * 4, madd(c2, sumHalf, madd(c16, sum2, sum1)), last, bias, floor);
  const c8 = v128.load_splat<f32>(k, C8);
  const c4 = v128.load_splat<f32>(k, C4);
  finish(d + ds * 2, madd(c8, sumHalf, madd(c4, sum2, sum1)), last, bias, floor);
  finish(d + ds * 3, madd(c4, difHalf, madd(c8, dif2, dif1)), last, bias, floor);
}

/** Six points to four outputs, likewise. */
// @ts-ignore: decorator
@inline
export function output4(s: usize, ss: usize, d: usize, ds: usize, k: usize, last: bool, bias: v128, floor: v128): void {
  const m0 = v128.load(s);
  const m7 = v128.load(s + ss * 7);
  let p = v128.load(s + ss);
  let q = v128.load(s + ss * 2);
  const sum1 = f32x4.add(p, q);
  const dif1 = f32x4.sub(p, q);
  p = v128.load(s + ss * 3);
  q = v128.load(s + ss * 4);
  const sum2 = f32x4.add(p, q);
  const dif2 = f32x4.sub(p, q);

  finish(d, f32x4.add(f32x4.add(m0, sum1), sum2), last, bias, floor);
  finish(d + ds, madd(v128.load_splat<f32>(k, C2), dif2, dif1), last, bias, floor);
  finish(d + ds * 2, madd(v128.load_splat<f32>(k, C4), sum2, sum1), last, bias, floor);
  finish(d + ds * 3, f32x4.add(madd(v128.load_splat<f32>(k, C8), dif2, dif1), m7), last, bias, floor);
}
