import type { TensorInfo, WeightFile } from '../format.js';
import type { FoundLayer, Part, Place, Places, WeightSpec } from '../spec.js';
import { gatherLayers } from './layers.js';

const PARTS: ReadonlyMap<string, Part> = new Map([
  ['kernel', 'weight'],
  ['bias', 'bias'],
  ['gamma', 'scale'],
  ['beta', 'offset'],
  ['moving_mean', 'mean'],
  ['moving_variance', 'variance'],
]);

/** Names of Keras's own VGG: `block1_conv1` is `conv1_1`; the dense layers are `fc1`, `fc2` and `predictions`. */
const DENSE: ReadonlyMap<string, number> = new Map([
  ['fc1', 0],
  ['fc2', 1],
  ['predictions', 2],
]);

/** Layer and part of a Keras or tfjs name such as `vgg16/block1_conv1/kernel`, or undefined for any other. */
export function kerasTensor(name: string): { layer: string; part: Part } | undefined {
  const cut = name.lastIndexOf('/');
  const part = PARTS.get(name.slice(cut + 1).replace(/:0$/, ''));
  return cut > 0 && part ? { layer: name.slice(0, cut), part } : undefined;
}

/** The layers of a Keras file in the file's order. */
export function kerasLayers(file: Pick<WeightFile, 'tensors'>): { layers: FoundLayer[]; ignored: string[] } {
  const tensors: [TensorInfo, string, Part][] = [];
  for (const info of file.tensors.values()) {
    const named = kerasTensor(info.name);
    if (named) tensors.push([info, named.layer, named.part]);
  }
  return { layers: gatherLayers(tensors), ignored: [] };
}

/** The table's name of one of Keras's own layer names, such as `conv1_1` of `block1_conv1`; undefined for names of one's own. */
function ownName(layer: string, dense: readonly WeightSpec[]): string | undefined {
  const base = layer.slice(layer.lastIndexOf('/') + 1);
  const match = /^block(\d+)_(conv|bn)(\d+)$/.exec(base);
  if (match) return `${match[2]}${match[1]}_${match[3]}`;
  const index = DENSE.get(base);
  return index === undefined ? undefined : dense[index]?.name;
}

/**
 * Layers under Keras's own names go where these say; those of other names (`conv2d_3`, `dense`) in the file's order, kind by kind, and
 * only where the file has none of that kind under the names it should have.
 */
export function kerasPlaces(file: WeightFile, specs: readonly WeightSpec[]): Places {
  const { layers, ignored } = kerasLayers(file);
  const dense = specs.filter(({ kind, name }) => kind === 'dense' || /^fc\d+$/.test(name));
  const places = new Map<string, Place>();
  const place = (layer: FoundLayer, spec: WeightSpec) => {
    for (const [part, tensor] of layer.parts) places.set(tensor, { layer: spec.name, part, outputFirst: false });
  };
  for (const kind of ['conv', 'dense', 'batchnorm'] as const) {
    const table = kind === 'dense' ? dense : specs.filter((spec) => spec.kind === kind && !dense.includes(spec));
    const own = layers.filter((layer) => layer.kind === kind);
    const named = own.flatMap((layer) => {
      const spec = specs.find(({ name }) => name === ownName(layer.name, dense));
      return spec ? [{ layer, spec }] : [];
    });
    for (const { layer, spec } of named) place(layer, spec);
    const foreign = own.some((layer) => ownName(layer.name, dense) !== undefined);
    if (!foreign) for (const [i, layer] of own.entries()) if (table[i]) place(layer, table[i]);
  }
  return { places, ignored };
}
