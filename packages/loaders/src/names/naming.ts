import { VggError } from '@vgg/errors';
import type { WeightFile } from '../format.js';
import type { FoundLayer, Naming, Place, Places, WeightSpec } from '../spec.js';
import { kerasPlace, kerasTensor } from './keras.js';
import { gatherLayers, type Index, type Layout, layoutByVote, type Named, networkOrder } from './layers.js';
import { PARTS, paperTensor } from './paper.js';
import { isTrainingState } from './state.js';
import { torchLayers, torchPlaces, torchTensor } from './torch.js';

/** Any layer name and a part, for names of one's own. */
const SPLIT = /^(.+)[./](\w+)$/;
const OUTPUT_FIRST = /^(?:caffe|torch|onnx)/;

/**
 * Whose names the file's tensors have.
 * @throws VggError `VGG_FORMAT` if no name is of a known naming
 */
export function detectNaming(file: Index): Naming {
  const names = [...file.tensors.keys()].filter((name) => !isTrainingState(name));
  // `conv0` may also be the first of a chain that somebody counted from 0.
  const paper = names.map(paperTensor).find((named) => named !== undefined && named.place !== 'conv0');
  if (paper) return paper.naming;
  if (names.some((name) => torchTensor(name) !== undefined)) return 'torch';
  if (names.some((name) => kerasTensor(name) !== undefined)) return 'keras';
  if (names.some((name) => splitTensor(name) !== undefined)) return 'order';
  // A prototxt tells of a network and holds none of its weights.
  if (names.length === 0 && file.graph) return 'canonical';
  const some = names.slice(0, 4).map((name) => name.slice(0, 80));
  throw new VggError(
    'VGG_FORMAT',
    `${file.name ?? file.format}: expected names such as block1_conv1/kernel, features.0.weight or conv1_1.weight, received ${some.join(', ') || 'no tensors'}; these are no VGG weights`,
  );
}

/** What a name of one's own says: `conv1.weight`, `dense/W`. */
function splitTensor(name: string): Named | undefined {
  const match = SPLIT.exec(name);
  const part = PARTS.get(match?.[2] ?? '');
  return match && part ? { layer: match[1]!, part } : undefined;
}

/** The layers with weights that a file has, in its network's order, whatever it calls them, and how it lays them out. */
export function findLayers(file: Index): { naming: Naming; layers: readonly FoundLayer[]; layout: Layout } {
  const naming = detectNaming(file);
  const layers = naming === 'torch' ? torchLayers(file) : ownLayers(gather(file, tensorOf(naming)));
  const layout = layoutOf(naming, file, layers);
  return { naming, layers: naming === 'torch' ? layers : networkOrder(layers, file, layout), layout };
}

function tensorOf(naming: Naming): (name: string) => Named | undefined {
  if (naming === 'keras') return kerasTensor;
  return naming === 'order' ? splitTensor : (name) => paperTensor(name) ?? splitTensor(name);
}

/** Where layers of a kind have the paper's names, the others of that kind are of something else, such as a detector's heads. */
function ownLayers(layers: FoundLayer[]): FoundLayer[] {
  const placed = new Set(layers.filter(({ place }) => place !== undefined).map(({ kind }) => kind));
  return layers.filter(({ kind, place }) => place !== undefined || !placed.has(kind));
}

function gather(file: Index, tensor: (name: string) => Named | undefined): FoundLayer[] {
  return gatherLayers(
    [...file.tensors.values()].flatMap((info) => {
      const named = isTrainingState(info.name) ? undefined : tensor(info.name);
      return named ? [[info, named] as const] : [];
    }),
  );
}

/**
 * TensorFlow and Keras have filters HWIO, PyTorch OIHW; the paper's names are used by programs of both kinds. An ONNX file out of
 * TensorFlow has filters of the one kind and matrices of the other.
 */
function layoutOf(naming: Naming, file: Index, layers: readonly FoundLayer[]): Layout {
  if (naming === 'torch') return { conv: true, dense: true };
  if (naming !== 'canonical' && naming !== 'order') return { conv: false, dense: false };
  const { conv, dense } = layoutByVote(file, layers);
  const own = OUTPUT_FIRST.test(file.format) ? true : undefined;
  return { conv: conv ?? dense ?? own, dense: dense ?? conv ?? own };
}

/** Assigns the file's tensors to the layers of the table; what has no place is left out. */
export function nameTensors(file: WeightFile, specs: readonly WeightSpec[]): Places & { naming: Naming } {
  const { naming, layers, layout } = findLayers(file);
  const ignored = [...file.tensors.keys()].filter(isTrainingState);
  const names = naming === 'torch' ? torchPlaces(file, layers, specs) : placesOf(naming, layers, specs);
  const places = new Map<string, Place>();
  for (const { name, kind, parts } of layers) {
    const layer = names.get(name);
    const outputFirst = kind === 'batchnorm' ? undefined : layout[kind];
    if (layer !== undefined) for (const [part, tensor] of parts) places.set(tensor, { layer, part, outputFirst });
  }
  return { naming, places, ignored };
}

/**
 * Layers whose names tell their place go there; the others, kind by kind in the network's order, only where the file has none of that
 * kind under the names it should have.
 */
function placesOf(naming: Naming, layers: readonly FoundLayer[], specs: readonly WeightSpec[]): Map<string, string> {
  const known = new Set(specs.map(({ name }) => name));
  const dense = specs.filter(({ kind }) => kind === 'dense');
  const places = new Map<string, string>();
  for (const kind of ['conv', 'dense', 'batchnorm'] as const) {
    const table = specs.filter((spec) => spec.kind === kind);
    const own = layers.filter((layer) => layer.kind === kind);
    const placed = own.map(
      ({ name, place }) => place ?? (naming === 'keras' ? kerasPlace(name, dense) : known.has(name) ? name : undefined),
    );
    const named = placed.filter((place) => place !== undefined && known.has(place)).length;
    // Dense layers are also named for another number of them, such as a head of one, Keras's `predictions`.
    const byOrder = placed.every((place) => place === undefined) || (kind === 'dense' && named < own.length && own.length === table.length);
    for (const [i, layer] of own.entries()) {
      const place = byOrder ? table[i]?.name : placed[i];
      if (place !== undefined && known.has(place)) places.set(layer.name, place);
    }
  }
  return places;
}
