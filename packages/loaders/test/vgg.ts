import type { WeightSpec } from '../src/index.js';

export const VGG16 = [
  [64, 64],
  [128, 128],
  [256, 256, 256],
  [512, 512, 512],
  [512, 512, 512],
] as const;

export interface TableOptions {
  batchNorm?: boolean;
  /** Side of the last pool's map, and the widths of the dense layers; none without. */
  side?: number;
  dense?: readonly number[];
}

/** The layer table of a VGG of these widths. */
export function table(
  widths: readonly (readonly number[])[],
  { batchNorm = false, side = 7, dense = [] }: TableOptions = {},
): WeightSpec[] {
  const specs: WeightSpec[] = [];
  let channels = 3;
  for (const [b, block] of widths.entries()) {
    for (const [k, out] of block.entries()) {
      const place = `${b + 1}_${k + 1}`;
      specs.push({ name: `conv${place}`, kind: 'conv', shape: [3, 3, channels, out] });
      if (batchNorm) specs.push({ name: `bn${place}`, kind: 'batchnorm', shape: [out] });
      channels = out;
    }
  }
  let inputs = side * side * channels;
  for (const [i, out] of dense.entries()) {
    specs.push({
      name: `fc${6 + i}`,
      kind: 'dense',
      shape: [inputs, out],
      ...(i === 0 && { flattenedFrom: [side, side, channels] as const }),
    });
    inputs = out;
  }
  return specs;
}
