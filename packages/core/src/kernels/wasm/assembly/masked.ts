// The sums over the pixels that the gradient of a bias is, with what a ReLU does to them.

import { min } from './layer';

/** As the caller (masked.ts) writes it into the heap. */
@unmanaged
export class MaskedJob {
  /** [pixels][channels]. */
  input: usize;
  /** The same shape, or 0 for none: the input counts as 0 where this is not positive. */
  mask: usize;
  /** [item][channels]. */
  output: usize;
  channels: i32;
  pixels: i32;
  pixelsPerItem: i32;
}

/** The sums of a few pixels, channel by channel. */
export function sumPixelsItem(job: MaskedJob, _work: usize, item: i32): void {
  const from = item * job.pixelsPerItem;
  const count = min(job.pixelsPerItem, job.pixels - from);
  const bytes = <usize>job.channels * 4;
  const sums = job.output + <usize>item * bytes;
  memory.fill(sums, 0, bytes);
  let s = job.input + <usize>from * bytes;
  const zero = f32x4.splat(0);
  const whole = bytes & ~15;
  const offset = job.mask - job.input;
  for (let i = 0; i < count; i++) {
    let at: usize = 0;
    if (job.mask) {
      for (; at < whole; at += 16) {
        const value = v128.and(v128.load(s + at), f32x4.gt(v128.load(s + at + offset), zero));
        v128.store(sums + at, f32x4.add(v128.load(sums + at), value));
      }
    } else {
      for (; at < whole; at += 16) v128.store(sums + at, f32x4.add(v128.load(sums + at), v128.load(s + at)));
    }
    for (; at < bytes; at += 4) {
      if (!job.mask || load<f32>(s + at + offset) > 0) store<f32>(sums + at, load<f32>(sums + at) + load<f32>(s + at));
    }
    s += bytes;
  }
}
