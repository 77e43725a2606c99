import type { FoundLayer, Part, WeightSpec } from '../spec.js';
import { fitsSpec } from './fits.js';
import { gatherLayers, type Index } from './layers.js';

/** What wrappers put in front: DataParallel, Lightning, detectors, checkpoints of training. */
const WRAPPERS = /^(?:(?:module|model|backbone|net|vgg|encoder|state_dict|model_state_dict|params)\.)+/;
/**
 * torchvision's `features.0`, `classifier.0`; without the first word where the sequence itself was saved (SSD's backbone, AdaIN's
 * encoder) or cut into slices (perceptual losses); timm's head: `pre_logits.fc1` (a 7x7 convolution), `pre_logits.fc2`, `head.fc`; and
 * heads of one layer that has no number.
 */
const NAME =
  /^(?:(?:features\.|slice\d+\.)?(\d+)|classifier\.(\d+)|pre_logits\.fc([12])|(head\.fc|classifier))\.(weight|bias|running_mean|running_var|num_batches_tracked)$/;

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
export function torchLayers(file: Index): FoundLayer[] {
  const found = [...file.tensors.values()].flatMap((info) => {
    const named = torchTensor(info.name);
    const part = PARTS.get(named?.part ?? '');
    return named && part ? [{ info, part, order: named.feature ?? CLASSIFIER + named.classifier! }] : [];
  });
  found.sort((a, b) => a.order - b.order);
  return gatherLayers(found.map(({ info, part, order }) => [info, { layer: layerName(order), part }]));
}

/** Sorts the classifier after any features; a VGG has 54 of them at most. */
const CLASSIFIER = 1e9;

function layerName(order: number): string {
  return order >= CLASSIFIER ? `classifier.${order - CLASSIFIER}` : `features.${order}`;
}

/**
 * torchvision numbers the modules of its `features`: convolution, (normalisation,) ReLU, and a pool after each block; and of its
 * `classifier`: dense, ReLU, dropout. The indices follow from the order of the layer table, whose names carry the block. Where they do
 * not fit the file (modules for the padding in between, fewer pools), the order alone decides, if every shape fits then.
 */
export function torchPlaces(file: Index, layers: readonly FoundLayer[], specs: readonly WeightSpec[]): Map<string, string> {
  const table = specs.filter(({ kind }) => kind !== 'dense');
  const features = layers.filter(({ name }) => name.startsWith('features.'));
  const byIndex = featureNames(table);
  const placed = features.filter(({ name }) => byIndex.has(name));
  const fits = placed.every((layer) => fitsSpec(file, layer, byIndex.get(layer.name)!));
  // What has no place is no sign of other indices as long as nothing is without weights: SSD's conv6 and conv7.
  const names = new Map<string, string>();
  const ordered =
    fits && (placed.length === features.length || placed.length === table.length) ? undefined : inOrder(file, features, table);
  for (const [layer, { name }] of ordered ?? byIndex) names.set(layer, name);
  for (const [layer, name] of denseNames(layers, specs)) names.set(layer, name);
  return names;
}

function featureNames(table: readonly WeightSpec[]): Map<string, WeightSpec> {
  const names = new Map<string, WeightSpec>();
  let index = 0;
  let block: string | undefined;
  for (const spec of table) {
    if (spec.kind === 'batchnorm') {
      names.set(`features.${index - 1}`, spec); // between a convolution and its ReLU
      index += 1;
      continue;
    }
    const own = /^conv(\d+)_\d+$/.exec(spec.name)?.[1];
    if (block !== undefined && own !== block) index += 1; // the pool between the blocks
    block = own;
    names.set(`features.${index}`, spec);
    index += 2;
  }
  return names;
}

/** Kind by kind in the order of the file; undefined where a shape does not fit. */
function inOrder(file: Index, layers: readonly FoundLayer[], table: readonly WeightSpec[]): Map<string, WeightSpec> | undefined {
  const names = new Map<string, WeightSpec>();
  for (const kind of ['conv', 'batchnorm'] as const) {
    const specs = table.filter((spec) => spec.kind === kind);
    for (const [i, layer] of layers.filter((each) => each.kind === kind).entries()) {
      const spec = specs[i];
      if (spec === undefined) break;
      if (!fitsSpec(file, layer, spec)) return undefined;
      names.set(layer.name, spec);
    }
  }
  return names;
}

function denseNames(layers: readonly FoundLayer[], specs: readonly WeightSpec[]): [string, string][] {
  const dense = specs.filter(({ kind }) => kind === 'dense');
  const heads = layers.filter(({ name, kind, parts }) => kind === 'dense' && (name.startsWith('classifier.') || parts.has('weight')));
  const byOrder = heads.length === dense.length; // heads of another make number their modules differently
  return dense.flatMap(({ name }, i) =>
    byOrder ? [[heads[i]!.name, name] as [string, string]] : [[`classifier.${i * 3}`, name] as [string, string]],
  );
}
