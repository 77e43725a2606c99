import type { WeightFile } from './format.js';
import { findLayers } from './names/naming.js';
import { product } from './numbers.js';
import type { FoundLayer, Naming } from './spec.js';

/** The shapes of a file's layers, by which its architecture is known. */
export interface FileShapes {
  readonly naming: Naming;
  /** In the network's order. */
  readonly convs: readonly { name: string; kernel: readonly [number, number]; in: number; out: number; bias: boolean }[];
  /** Channels of the batch normalisations. */
  readonly batchNorms: readonly { name: string; channels: number }[];
  readonly dense: readonly { name: string; in: number; out: number; bias: boolean }[];
}

/**
 * What a file's tensors say of its network: the filters, whether they are normalised, the dense layers. Tensors without their bytes count,
 * since their shapes are known.
 *
 * @throws VggError `VGG_FORMAT` if no name is of a known naming
 * @example
 * describeShapes(file).convs[0] // { name: 'block1_conv1', kernel: [3, 3], in: 3, out: 64, bias: true }
 */
export function describeShapes(file: Pick<WeightFile, 'format' | 'tensors' | 'graph'>): FileShapes {
  const { naming, layers, layout } = findLayers(file);
  const shapeOf = (layer: FoundLayer) => file.tensors.get(layer.parts.get('weight') ?? '')?.shape ?? [];
  return {
    naming,
    convs: layers.flatMap((layer) => {
      const shape = shapeOf(layer);
      if (layer.kind !== 'conv' || shape.length !== 4) return [];
      const { name, parts } = layer;
      const [kh, kw, channels, out] = (layout.conv ? [shape[2], shape[3], shape[1], shape[0]] : shape) as [number, number, number, number];
      return [{ name, kernel: [kh, kw] as const, in: channels, out, bias: parts.has('bias') }];
    }),
    batchNorms: layers.flatMap(({ kind, name, parts }) => {
      const shape = kind === 'batchnorm' ? file.tensors.get([...parts.values()][0]!)?.shape : undefined;
      return shape ? [{ name, channels: product(shape) }] : [];
    }),
    dense: layers.flatMap((layer) => {
      const shape = shapeOf(layer);
      if (layer.kind !== 'dense' || shape.length < 2) return [];
      const out = layout.dense ? shape[0]! : shape.at(-1)!;
      const total = product(shape);
      return [{ name: layer.name, in: out === 0 ? 0 : total / out, out, bias: layer.parts.has('bias') }];
    }),
  };
}
