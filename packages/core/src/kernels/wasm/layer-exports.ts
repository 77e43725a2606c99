import type { ItemKernel } from './threads/layout.js';

/** The exports of assembly/layer-jobs.ts: layers cut into items that threads share. */
export const LAYER_ITEM_KERNELS = [
  'multiplyBlockItem',
  'streamBlockItem',
  'settleBlocksItem',
  'poolRowsItem',
  'responsePixelsItem',
  'scalePixelsItem',
  'maskPixelsItem',
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
}
