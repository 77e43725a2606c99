import { VggError } from '@vgg/errors';
import type { TensorInfo, WeightFile } from '../format.js';
import type { FoundLayer, Naming, Part, Place, Places, WeightSpec } from '../spec.js';
import { kerasLayers, kerasPlaces, kerasTensor } from './keras.js';
import { gatherLayers } from './layers.js';
import { torchLayers, torchPlaces, torchTensor } from './torch.js';

const CANONICAL = /^(?:(?:conv|bn)\d+_\d+|fc\d+)\.(?:weight|bias|scale|offset|mean|variance)$/;
/** The layer may have any name, since plans of one's own name theirs. */
const SPLIT = /^(.+)\.(weight|bias|scale|offset|mean|variance)$/;

/**
 * Whose names the file's tensors have.
 * @throws VggError `VGG_FORMAT` if no name is of a known naming
 */
export function detectNaming(file: Pick<WeightFile, 'format' | 'tensors'>): Naming {
  const names = [...file.tensors.keys()];
  if (names.some((name) => CANONICAL.test(name))) return 'canonical';
  if (names.some((name) => torchTensor(name) !== undefined)) return 'torch';
  if (names.some((name) => kerasTensor(name) !== undefined)) return 'keras';
  if (names.some((name) => SPLIT.test(name))) return 'canonical';
  const shown = names.slice(0, 4).join(', ');
  throw new VggError(
    'VGG_FORMAT',
    `${file.format}: expected names such as block1_conv1/kernel, features.0.weight or conv1_1.weight, received ${shown || 'no tensors'}; these are no VGG weights`,
  );
}

/** Assigns the file's tensors to the layers of the table; what has no place is left out. */
export function nameTensors(file: WeightFile, specs: readonly WeightSpec[]): Places & { naming: Naming } {
  const naming = detectNaming(file);
  if (naming === 'torch') return { naming, ...torchPlaces(file, specs) };
  if (naming === 'keras') return { naming, ...kerasPlaces(file, specs) };
  const known = new Set(specs.map(({ name }) => name));
  const outputFirst = storesOutputFirst(file);
  const places = new Map<string, Place>();
  for (const { name: layer, parts } of canonicalLayers(file).layers) {
    if (known.has(layer)) for (const [part, tensor] of parts) places.set(tensor, { layer, part, outputFirst });
  }
  return { naming, places, ignored: [] };
}

/** The layers with weights that a file has, in its network's order, whatever it calls them. */
export function findLayers(file: Pick<WeightFile, 'format' | 'tensors'>): { naming: Naming; layers: FoundLayer[] } {
  const naming = detectNaming(file);
  const of = naming === 'torch' ? torchLayers : naming === 'keras' ? kerasLayers : canonicalLayers;
  return { naming, layers: of(file).layers };
}

function canonicalLayers(file: Pick<WeightFile, 'tensors'>): { layers: FoundLayer[] } {
  const tensors: [TensorInfo, string, Part][] = [];
  for (const info of file.tensors.values()) {
    const match = SPLIT.exec(info.name);
    if (match) tensors.push([info, match[1]!, match[2] as Part]);
  }
  return { layers: gatherLayers(tensors) };
}

/** Programs of the Caffe line use our names too, with filters OIHW: the first filter that is not ambiguous tells. */
export function storesOutputFirst(file: Pick<WeightFile, 'tensors'>): boolean | undefined {
  for (const { name, shape } of file.tensors.values()) {
    if (!name.endsWith('.weight') || shape.length !== 4) continue;
    const last = shape[0] === shape[1] && shape[0]! <= 7;
    const first = shape[2] === shape[3] && shape[2]! <= 7;
    if (last !== first) return first;
  }
  return undefined;
}
