import type { TensorInfo, WeightFile } from '../format.js';
import type { FoundLayer, Part, Place, Places, WeightSpec } from '../spec.js';
import { gatherLayers } from './layers.js';

/** What wrappers put in front: DataParallel, Lightning, detectors. */
const WRAPPERS = /^(?:(?:module|model|backbone|net|vgg)\.)+/;
/** torchvision's `features.0`, `classifier.0`, and timm's head: `pre_logits.fc1` (a 7x7 convolution), `pre_logits.fc2`, `head.fc`. */
const NAME =
  /^(?:(?:features\.)?(\d+)|classifier\.(\d+)|pre_logits\.fc([12])|head\.(fc))\.(weight|bias|running_mean|running_var|num_batches_tracked)$/;

interface TorchName {
  /** Index within the `features` sequence. */
  feature?: number;
  /** Index within the `classifier` sequence, of timm's head as torchvision has it. */
  classifier?: number;
  part: string;
}

/** What a torchvision or timm name says, or undefined for any other. */
export function torchTensor(name: string): TorchName | undefined {
  const match = NAME.exec(name.replace(WRAPPERS, ''));
  if (!match) return undefined;
  const [, feature, classifier, fc, head, part] = match;
  if (feature !== undefined) return { feature: Number(feature), part: part! };
  if (classifier !== undefined) return { classifier: Number(classifier), part: part! };
  return { classifier: head === undefined ? (Number(fc) - 1) * 3 : 6, part: part! };
}

const PARTS: ReadonlyMap<string, Part> = new Map([
  ['weight', 'weight'],
  ['bias', 'bias'],
  ['running_mean', 'mean'],
  ['running_var', 'variance'],
]);

/** The layers of a torch file in the order of their indices; batch normalisations are those with running statistics. */
export function torchLayers(file: Pick<WeightFile, 'tensors'>): { layers: FoundLayer[]; ignored: string[] } {
  const found: { info: TensorInfo; order: number; layer: string; part: string }[] = [];
  for (const info of file.tensors.values()) {
    const named = torchTensor(info.name);
    if (!named) continue;
    const order = named.feature ?? CLASSIFIER + named.classifier!;
    found.push({ info, order, layer: layerName(order), part: named.part });
  }
  found.sort((a, b) => a.order - b.order);
  const normalised = new Set(found.filter(({ part }) => part === 'running_mean' || part === 'running_var').map(({ layer }) => layer));
  const tensors: [TensorInfo, string, Part][] = [];
  for (const { info, layer, part } of found) {
    const known = PARTS.get(part);
    if (!known) continue;
    tensors.push([
      info,
      layer,
      normalised.has(layer) && known === 'weight' ? 'scale' : normalised.has(layer) && known === 'bias' ? 'offset' : known,
    ]);
  }
  // timm's first dense layer is stored as a convolution with four axes.
  const layers = gatherLayers(tensors).map((layer) =>
    layer.name.startsWith('classifier.') ? { ...layer, kind: 'dense' as const } : layer,
  );
  return { layers, ignored: found.filter(({ part }) => part === 'num_batches_tracked').map(({ info }) => info.name) };
}

/** Sorts the classifier after any features; a VGG has 54 of them at most. */
const CLASSIFIER = 1e9;

function layerName(order: number): string {
  return order >= CLASSIFIER ? `classifier.${order - CLASSIFIER}` : `features.${order}`;
}

/**
 * torchvision numbers the modules of its `features`: convolution, (normalisation,) ReLU, and a pool after each block; and of its
 * `classifier`: dense, ReLU, dropout. The indices follow from the order of the layer table, whose names carry the block.
 */
export function torchPlaces(file: WeightFile, specs: readonly WeightSpec[]): Places {
  const { layers, ignored } = torchLayers(file);
  const names = torchNames(
    specs,
    layers.filter(({ name }) => name.startsWith('classifier.')).map(({ name }) => name),
  );
  const places = new Map<string, Place>();
  for (const layer of layers) {
    const spec = names.get(layer.name);
    if (spec === undefined) continue;
    for (const [part, tensor] of layer.parts) places.set(tensor, { layer: spec, part, outputFirst: true });
  }
  return { places, ignored };
}

/** The table's names by torch's: `features.2` is `conv1_2` in VGG-16. */
function torchNames(specs: readonly WeightSpec[], classifiers: readonly string[]): Map<string, string> {
  const names = new Map<string, string>();
  let index = 0;
  let block: string | undefined;
  const dense: string[] = [];
  for (const [i, spec] of specs.entries()) {
    if (spec.kind === 'dense' || /^fc\d+$/.test(spec.name)) {
      dense.push(spec.name);
    } else if (spec.kind === 'conv') {
      const own = /^conv(\d+)_\d+$/.exec(spec.name)?.[1];
      if (block !== undefined && own !== block) index += 1; // the pool between the blocks
      block = own;
      names.set(`features.${index}`, spec.name);
      const next = specs[i + 1];
      index += next?.kind === 'batchnorm' ? 3 : 2;
      if (next?.kind === 'batchnorm') names.set(`features.${index - 2}`, next.name);
    }
  }
  const byOrder = classifiers.length === dense.length; // heads of another make number their modules differently
  for (const [i, name] of dense.entries()) names.set(byOrder ? classifiers[i]! : `classifier.${i * 3}`, name);
  return names;
}
