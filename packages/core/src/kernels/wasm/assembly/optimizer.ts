// Steps of optimisers, in place: each value depends on its own place alone, so that the cut into items changes no bit. No multiply-add is
// fused: both builds, and plain float32 arithmetic anywhere, give the same.

import { min } from './layer';

/** The fields of a step, as optimizer-steps.ts writes them. */
@unmanaged
class StepJob {
  value: usize;
  gradient: usize;
  /** One number that the gradient is multiplied by. */
  scale: usize;
  /** SGD: the velocity, or 0 for none; Adam: the mean of the gradient. */
  first: usize;
  /** Adam: the mean of its square. */
  second: usize;
  count: i32;
  perItem: i32;
  /** Added to the gradient for each unit of the value, and taken from the value itself. */
  decay: f32;
  shrink: f32;
  rate: f32;
}

@unmanaged
export class SgdJob extends StepJob {
  momentum: f32;
  nesterov: i32;
}

@unmanaged
export class AdamJob extends StepJob {
  /** 1 - beta1, beta2 and 1 - beta2. */
  blend: f32;
  keep: f32;
  add: f32;
  /** sqrt(1 - beta2^t). */
  root: f32;
  epsilon: f32;
}

/** A few values of a step of SGD. */
export function sgdStepItem(job: SgdJob, _work: usize, item: i32): void {
  const from = item * job.perItem;
  const to = min(from + job.perItem, job.count);
  const whole = from + ((to - from) & ~3);
  for (let i = from; i < whole; i += 4) {
    const at = <usize>i * 4;
    const velocity = job.first ? v128.load(job.first + at) : f32x4.splat(0);
    const value = v128.load(job.value + at);
    const gradient = decayed(job, value, v128.load(job.gradient + at));
    const next = job.first ? f32x4.add(f32x4.mul(velocity, f32x4.splat(job.momentum)), gradient) : gradient;
    if (job.first) v128.store(job.first + at, next);
    v128.store(job.value + at, moved(job, value, f32x4.mul(direction(job, gradient, next), f32x4.splat(job.rate))));
  }
  for (let i = whole; i < to; i++) {
    const at = <usize>i * 4;
    const velocity = job.first ? v128.load32_zero(job.first + at) : f32x4.splat(0);
    const value = v128.load32_zero(job.value + at);
    const gradient = decayed(job, value, v128.load32_zero(job.gradient + at));
    const next = job.first ? f32x4.add(f32x4.mul(velocity, f32x4.splat(job.momentum)), gradient) : gradient;
    if (job.first) v128.store32_lane(job.first + at, next, 0);
    v128.store32_lane(job.value + at, moved(job, value, f32x4.mul(direction(job, gradient, next), f32x4.splat(job.rate))), 0);
  }
}

/** A few values of a step of Adam. */
export function adamStepItem(job: AdamJob, _work: usize, item: i32): void {
  const from = item * job.perItem;
  const to = min(from + job.perItem, job.count);
  const whole = from + ((to - from) & ~3);
  for (let i = from; i < whole; i += 4) {
    const at = <usize>i * 4;
    const value = v128.load(job.value + at);
    const gradient = decayed(job, value, v128.load(job.gradient + at));
    const mean = blended(job, v128.load(job.first + at), gradient);
    const square = squared(job, v128.load(job.second + at), gradient);
    v128.store(job.first + at, mean);
    v128.store(job.second + at, square);
    v128.store(job.value + at, moved(job, value, quotient(job, mean, square)));
  }
  for (let i = whole; i < to; i++) {
    const at = <usize>i * 4;
    const value = v128.load32_zero(job.value + at);
    const gradient = decayed(job, value, v128.load32_zero(job.gradient + at));
    const mean = blended(job, v128.load32_zero(job.first + at), gradient);
    const square = squared(job, v128.load32_zero(job.second + at), gradient);
    v128.store32_lane(job.first + at, mean, 0);
    v128.store32_lane(job.second + at, square, 0);
    v128.store32_lane(job.value + at, moved(job, value, quotient(job, mean, square)), 0);
  }
}

// @ts-ignore: decorator
@inline
function decayed(job: StepJob, value: v128, gradient: v128): v128 {
  const scaled = f32x4.mul(gradient, v128.load32_splat(job.scale));
  return f32x4.add(scaled, f32x4.mul(value, f32x4.splat(job.decay)));
}

// @ts-ignore: decorator
@inline
function moved(job: StepJob, value: v128, by: v128): v128 {
  return f32x4.sub(value, f32x4.add(by, f32x4.mul(value, f32x4.splat(job.shrink))));
}

// @ts-ignore: decorator
@inline
function direction(job: SgdJob, gradient: v128, velocity: v128): v128 {
  return job.nesterov ? f32x4.add(gradient, f32x4.mul(velocity, f32x4.splat(job.momentum))) : velocity;
}

// @ts-ignore: decorator
@inline
function blended(job: AdamJob, mean: v128, gradient: v128): v128 {
  return f32x4.add(mean, f32x4.mul(f32x4.sub(gradient, mean), f32x4.splat(job.blend)));
}

// @ts-ignore: decorator
@inline
function squared(job: AdamJob, square: v128, gradient: v128): v128 {
  return f32x4.add(f32x4.mul(square, f32x4.splat(job.keep)), f32x4.mul(f32x4.mul(gradient, gradient), f32x4.splat(job.add)));
}

// @ts-ignore: decorator
@inline
function quotient(job: AdamJob, mean: v128, square: v128): v128 {
  const below = f32x4.add(f32x4.div(f32x4.sqrt(square), f32x4.splat(job.root)), f32x4.splat(job.epsilon));
  return f32x4.div(f32x4.mul(mean, f32x4.splat(job.rate)), below);
}

@unmanaged
export class SquaresJob {
  input: usize;
  /** [items], float64. */
  sums: usize;
  count: i32;
  perItem: i32;
}

/** The sum of the squares of a few values, in float64: the cut into items is the same whatever the number of threads. */
export function sumSquaresItem(job: SquaresJob, _work: usize, item: i32): void {
  const from = item * job.perItem;
  const to = min(from + job.perItem, job.count);
  const whole = from + ((to - from) & ~3);
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (let i = from; i < whole; i += 4) {
    const values = v128.load(job.input + <usize>i * 4);
    const a = f64x2.promote_low_f32x4(values);
    const b = f64x2.promote_low_f32x4(i32x4.shuffle(values, values, 2, 3, 2, 3));
    low = f64x2.add(low, f64x2.mul(a, a));
    high = f64x2.add(high, f64x2.mul(b, b));
  }
  const sums = f64x2.add(low, high);
  let sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  for (let i = whole; i < to; i++) {
    const value = <f64>load<f32>(job.input + <usize>i * 4);
    sum += value * value;
  }
  store<f64>(job.sums + <usize>item * 8, sum);
}
