import type { TensorInfo } from '../format.js';
import type { FoundLayer, Part } from '../spec.js';

/** Gathers tensors into layers, in the order in which the layers first appear. */
export function gatherLayers(tensors: Iterable<readonly [info: TensorInfo, layer: string, part: Part]>): FoundLayer[] {
  const layers = new Map<string, { parts: Map<Part, string>; rank: number }>();
  for (const [info, name, part] of tensors) {
    const layer = layers.get(name) ?? { parts: new Map<Part, string>(), rank: 1 };
    layers.set(name, layer);
    layer.parts.set(part, info.name);
    if (part === 'weight') layer.rank = info.shape.length;
  }
  return [...layers].map(([name, { parts, rank }]) => ({ name, parts, kind: kindOf(parts, rank) }));
}

function kindOf(parts: ReadonlyMap<Part, string>, rank: number): FoundLayer['kind'] {
  if (parts.has('mean') || parts.has('scale')) return 'batchnorm';
  return rank === 4 ? 'conv' : 'dense';
}
