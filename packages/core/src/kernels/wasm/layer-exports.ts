/** What assembly/product.ts, pool.ts and normalise.ts export; pointers and counts are plain numbers, `from` and `to` (exclusive) a range. */
export interface LayerExports {
  productBytes(): number;
  multiply(product: number, work: number, fromRow: number, toRow: number, fromPanel: number, toPanel: number): void;
  poolRows(pool: number, from: number, to: number): void;
  responseBytes(channels: number, radius: number): number;
  responsePixels(
    input: number,
    output: number,
    work: number,
    channels: number,
    radius: number,
    bias: number,
    alpha: number,
    quarters: number,
    from: number,
    to: number,
  ): void;
  writeFactors(variance: number, scale: number, factors: number, channels: number, epsilon: number): void;
  scalePixels(
    input: number,
    output: number,
    mean: number,
    factors: number,
    offset: number,
    channels: number,
    from: number,
    to: number,
  ): void;
}
