// Layers of training, not convolutions, as jobs that threads share: see jobs.ts for what an item may do.

import { Batch, differentiatePixels, sumPixels } from './batch-norm';
import { CrossEntropy, crossEntropyRows } from './cross-entropy';
import { dropValues, passPositive } from './elementwise';
import { min } from './layer';
import { maximumRows, meanRows, PoolGradient } from './pool-gradient';
import { responseGradientPixels } from './response-gradient';

/** Sums over a part of the pixels of a batch. */
export function batchSumsItem(job: Batch, _work: usize, item: i32): void {
  sumPixels(job, item);
}

/** A few pixels of the gradient of a batch normalisation. */
export function batchGradientItem(job: Batch, _work: usize, item: i32): void {
  differentiatePixels(job, item);
}

@unmanaged
export class PoolGradientJob extends PoolGradient {
  /** Input rows through the batch. */
  rows: i32;
  rowsPerItem: i32;
}

/** A few input rows of the gradient of a maximum. */
export function maximumGradientItem(job: PoolGradientJob, _work: usize, item: i32): void {
  const from = item * job.rowsPerItem;
  maximumRows(job, from, min(from + job.rowsPerItem, job.rows));
}

/** A few input rows of the gradient of a mean. */
export function meanGradientItem(job: PoolGradientJob, _work: usize, item: i32): void {
  const from = item * job.rowsPerItem;
  meanRows(job, from, min(from + job.rowsPerItem, job.rows));
}

@unmanaged
export class ResponseGradientJob {
  input: usize;
  upstream: usize;
  output: usize;
  channels: i32;
  radius: i32;
  quarters: i32;
  pixels: i32;
  pixelsPerItem: i32;
  bias: f32;
  alpha: f32;
}

/** A few pixels of the gradient of a local response normalisation. `work`: `responseGradientBytes(channels, radius)`. */
export function responseGradientItem(j: ResponseGradientJob, work: usize, item: i32): void {
  const from = item * j.pixelsPerItem;
  const to = min(from + j.pixelsPerItem, j.pixels);
  responseGradientPixels(j.input, j.upstream, j.output, work, j.channels, j.radius, j.bias, j.alpha, j.quarters, from, to);
}

@unmanaged
export class PassJob {
  y: usize;
  upstream: usize;
  output: usize;
  count: i32;
  perItem: i32;
}

/** A few values of the gradient of a ReLU. */
export function passPositiveItem(job: PassJob, _work: usize, item: i32): void {
  const from = item * job.perItem;
  passPositive(job.y, job.upstream, job.output, from, min(from + job.perItem, job.count));
}

@unmanaged
export class DropJob {
  input: usize;
  output: usize;
  key0: i32;
  key1: i32;
  limit: i32;
  count: i32;
  perItem: i32;
  factor: f32;
}

/** A few values of a dropout. */
export function dropValuesItem(job: DropJob, _work: usize, item: i32): void {
  const from = item * job.perItem;
  dropValues(job.input, job.output, job.key0, job.key1, job.limit, job.factor, from, min(from + job.perItem, job.count));
}

/** A few rows of a softmax cross-entropy. */
export function crossEntropyItem(job: CrossEntropy, _work: usize, item: i32): void {
  const from = item * job.rowsPerItem;
  crossEntropyRows(job, from, min(from + job.rowsPerItem, job.rows));
}
