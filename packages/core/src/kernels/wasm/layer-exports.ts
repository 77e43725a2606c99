import type { ItemKernel } from './threads/layout.js';

/** The exports of assembly/layer-jobs.ts, training-jobs.ts and optimizer.ts: layers cut into items that threads share. */
export const LAYER_ITEM_KERNELS = [
  'adamStepItem',
  'sgdStepItem',
  'sumSquaresItem',
  'multiplyBlockItem',
  'streamBlockItem',
  'settleBlocksItem',
  'poolRowsItem',
  'responsePixelsItem',
  'scalePixelsItem',
  'batchSumsItem',
  'batchGradientItem',
  'maximumGradientItem',
  'meanGradientItem',
  'responseGradientItem',
  'passPositiveItem',
  'dropValuesItem',
  'crossEntropyItem',
  'sumPixelsItem',
] as const;
export type LayerItemName = (typeof LAYER_ITEM_KERNELS)[number];

/** What assembly/layer-jobs.ts, product.ts and normalise.ts export for the layers; pointers and counts are plain numbers. */
export interface LayerExports extends Record<LayerItemName, ItemKernel> {
  /** Bytes of private memory that a thread needs for a product. */
  productBytes(): number;
  /** The same for a local response normalisation. */
  responseBytes(channels: number, radius: number): number;
  writeFactors(variance: number, scale: number, factors: number, channels: number, epsilon: number): void;
  /** Bytes of private memory of the gradient of a local response normalisation. */
  responseGradientBytes(channels: number, radius: number): number;
  writeStatistics(sums: number, parts: number, channels: number, pixels: number, mean: number, variance: number): void;
  writeParameterGradients(
    sums: number,
    parts: number,
    channels: number,
    variance: number,
    epsilon: number,
    scales: number,
    offsets: number,
  ): void;
  writeCoefficients(
    factors: number,
    variance: number,
    scales: number,
    offsets: number,
    channels: number,
    pixels: number,
    epsilon: number,
    slopes: number,
    levels: number,
  ): void;
}
