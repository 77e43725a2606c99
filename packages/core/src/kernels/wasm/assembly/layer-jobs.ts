// The other layers as jobs that threads share: see jobs.ts for what an item may do. Each description is that of the layer, with what
// its cut into items needs behind it; the callers (products.ts, pools.ts, normalisations.ts) write it into the heap.

import { min } from './layer';
import { responsePixels, scalePixels } from './normalise';
import { Pool, poolRows } from './pool';
import { multiply, Product, settleBlocks, streamBlock } from './product';

@unmanaged
export class ProductJob extends Product {
  rowsPerItem: i32;
  panelsPerItem: i32;
  /** Of streamed products: [blocks of the depth][rows][columns]. */
  sums: usize;
}

/** A block of rows and panels of a product; blocks of the same panels follow each other. `work`: `productBytes()`. */
export function multiplyBlockItem(job: ProductJob, work: usize, item: i32): void {
  const bands = (job.rows + job.rowsPerItem - 1) / job.rowsPerItem;
  const column = item / bands;
  const row = (item - column * bands) * job.rowsPerItem;
  const panel = column * job.panelsPerItem;
  const panels = (job.columns + 7) / 8;
  multiply(job, work, row, min(row + job.rowsPerItem, job.rows), panel, min(panel + job.panelsPerItem, panels));
}

/** One block of the depth of a product of few rows. `work`: `productBytes()`. */
export function streamBlockItem(job: ProductJob, work: usize, item: i32): void {
  streamBlock(job, work, job.sums, item);
}

/** A few columns of it, when all blocks are there. */
export function settleBlocksItem(job: ProductJob, _work: usize, item: i32): void {
  const from = item * job.panelsPerItem * 8;
  settleBlocks(job, job.sums, from, min(from + job.panelsPerItem * 8, job.columns));
}

@unmanaged
export class PoolJob extends Pool {
  /** Output rows through the batch. */
  rows: i32;
  rowsPerItem: i32;
}

/** A few output rows of a pool. */
export function poolRowsItem(job: PoolJob, _work: usize, item: i32): void {
  const from = item * job.rowsPerItem;
  poolRows(job, from, min(from + job.rowsPerItem, job.rows));
}

@unmanaged
export class ResponseJob {
  input: usize;
  output: usize;
  channels: i32;
  radius: i32;
  quarters: i32;
  pixels: i32;
  pixelsPerItem: i32;
  bias: f32;
  alpha: f32;
}

/** A few pixels of a local response normalisation. `work`: `responseBytes(channels, radius)`. */
export function responsePixelsItem(job: ResponseJob, work: usize, item: i32): void {
  const from = item * job.pixelsPerItem;
  const to = min(from + job.pixelsPerItem, job.pixels);
  responsePixels(job.input, job.output, work, job.channels, job.radius, job.bias, job.alpha, job.quarters, from, to);
}

@unmanaged
export class ScaleJob {
  input: usize;
  output: usize;
  mean: usize;
  factors: usize;
  offset: usize;
  channels: i32;
  pixels: i32;
  pixelsPerItem: i32;
  /** 0 after a ReLU, -Infinity otherwise. */
  least: f32;
}

/** A few pixels of a batch normalisation, when its factors are written. */
export function scalePixelsItem(job: ScaleJob, _work: usize, item: i32): void {
  const from = item * job.pixelsPerItem;
  const to = min(from + job.pixelsPerItem, job.pixels);
  scalePixels(job.input, job.output, job.mean, job.factors, job.offset, job.least, job.channels, from, to);
}
