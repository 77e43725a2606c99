import { VggError } from '@vgg/errors';
import type { Format, WeightFile } from '../../format.js';
import { inNaturalOrder } from '../../names/natural.js';
import { shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { cachedSource } from '../../sources/cached.js';
import type { Attribute } from '../hdf5/attributes.js';
import { findSuperblock, openHdf5 } from '../hdf5/file.js';
import { readTree, type Tree } from '../hdf5/tree.js';
import { readValues, streamValues } from '../hdf5/values.js';
import { type StoredTensor, weightFile } from '../tensors.js';
import { graphOfKeras } from './config.js';

/**
 * Keras's HDF5 files, of three layouts: weights-only (`layer_names` at the root: Keras's published VGG files, in which `keras_version` may be
 * missing), full model (the same under `model_weights`, the network's text in `model_config`), and Keras 3's `.weights.h5`
 * (`layers/<class>/vars/0`). Tensors are named `block1_conv1/kernel` in all of them.
 */
export const kerasH5: Format = {
  id: 'keras-h5',
  title: 'Keras HDF5',
  match: (head) => findSuperblock(head) !== undefined,
  open: openKeras,
};

/** State of training, which no one needs to run a network: not even looked at. */
const SKIPPED = /^(optimizer|optimizer_weights|_optimizer|metrics|compiled_metrics|loss_tracker)(\/|$)/;

/** Over a network a request costs more than a few pages: the groups of h5py's files lie 4 KB apart, those of a VGG's within 150 KB. */
const REMOTE_CACHE = { block: 2 ** 15, blocks: 64 };

/** A dataset under its tidy name. */
interface NamedDataset {
  name: string;
  path: string;
}

async function openKeras(original: Source, options: ReadOptions = {}): Promise<WeightFile> {
  const source = cachedSource(original, original.remote ? REMOTE_CACHE : {});
  const who = source.name;
  const file = await openHdf5(source, options);
  const tree = await readTree(file, (path) => SKIPPED.test(path));
  const top = tree.groups.has('model_weights') ? 'model_weights' : '';
  const listed = tree.groups.get(top)?.has('layer_names') || tree.groups.get(top)?.has('layer_names0');
  const named = listed ? legacyNames(tree, top, who) : checkpointNames(tree);
  const tensors: StoredTensor[] = [];
  for (const { name, path } of uniqueNames(named, tree)) {
    const dataset = tree.datasets.get(path)!;
    tensors.push({
      info: { name, shape: dataset.shape, dtype: dataset.dtype, present: true, ...(name !== path && { storedAs: path }) },
      read: (read) => readValues(file, dataset, read),
      stream: (read) => streamValues(file, dataset, read),
    });
  }
  if (tensors.length === 0) {
    const [path, why] = [...tree.unreadable][0] ?? [];
    const found = path === undefined ? 'no numbers' : `only ${shown(path)}: ${why}`;
    throw new VggError('VGG_FORMAT', `${who}: expected an HDF5 file with weights, as Keras saves them, received one with ${found}`);
  }
  const metadata = metadataOf(tree, top);
  const graph = graphOfKeras(metadata.get('model_config'));
  return weightFile({ format: 'keras-h5', who, ...(graph && { graph }), tensors, metadata, close: original.close?.bind(original) });
}

/** An attribute of strings, which Keras splits into `name0`, `name1` ... where it passes 64 KB. */
function stringList(attributes: ReadonlyMap<string, Attribute> | undefined, name: string): string[] {
  const whole = attributes?.get(name);
  if (whole !== undefined) return Array.isArray(whole) ? whole.map(String) : [];
  const parts: string[] = [];
  for (let i = 0; ; i++) {
    const part = attributes?.get(`${name}${i}`);
    if (!Array.isArray(part)) return parts;
    parts.push(...part.map(String));
  }
}

/** Layers as `layer_names` lists them, and their weights as each group's `weight_names` does. */
function legacyNames(tree: Tree, top: string, who: string): NamedDataset[] {
  const named: NamedDataset[] = [];
  // Names that a file repeats count once: each of a layer's weights is looked at.
  for (const layer of new Set(stringList(tree.groups.get(top), 'layer_names'))) {
    const group = join(top, layer);
    const weights = new Set(stringList(tree.groups.get(group), 'weight_names'));
    const owners = new Set([...weights].map((weight) => weight.slice(0, Math.max(0, weight.lastIndexOf('/')))));
    for (const weight of weights) {
      const path = join(group, weight);
      const unreadable = tree.unreadable.get(path);
      if (unreadable !== undefined) throw new VggError('VGG_FORMAT', `${who}: expected numbers in ${shown(path)}, but ${unreadable}`);
      if (!tree.datasets.has(path))
        throw new VggError('VGG_INTEGRITY', `${who}: layer ${shown(layer)} names the weight ${shown(weight)}, and the file has none such`);
      // A nested model's weights are each under their own layer; a layer's own may have any prefix.
      const owner = owners.size > 1 ? weight.slice(0, weight.lastIndexOf('/')) : layer;
      named.push({ name: `${owner}/${partName(weight)}`, path });
    }
  }
  return named;
}

/** `kernel` of `block1_conv1/kernel:0` and of Keras 1's `block1_conv1_W_1:0`. */
function partName(weight: string): string {
  const last = weight.slice(weight.lastIndexOf('/') + 1).replace(/:\d+$/, '');
  const old = /_(W|b|gamma|beta|running_mean|running_std)(?:_\d+)?$/.exec(last)?.[1];
  return (old && OLD_PARTS.get(old)) ?? last;
}

/** Keras 1 kept the variance under the name `running_std`. */
const OLD_PARTS: ReadonlyMap<string, string> = new Map([
  ['W', 'kernel'],
  ['b', 'bias'],
  ['gamma', 'gamma'],
  ['beta', 'beta'],
  ['running_mean', 'moving_mean'],
  ['running_std', 'moving_variance'],
]);

const VARS = /^(?:.*\/)?(?:layers|_layer_checkpoint_dependencies)\/([^/]+)\/vars\/(\d+)$/;
/** The variables of a batch normalisation, in the order in which Keras makes them. */
const NORMALISATION = ['gamma', 'beta', 'moving_mean', 'moving_variance'];

/** Keras 3 calls groups by class and number, in the network's order, and keeps the layer's own name as an attribute of `vars`. */
function checkpointNames(tree: Tree): NamedDataset[] {
  const paths = inNaturalOrder([...tree.datasets.keys()]);
  const ranks = new Map<string, number[]>();
  for (const path of paths) {
    const group = path.slice(0, path.lastIndexOf('/'));
    const rank = tree.datasets.get(path)!.shape.length;
    const others = ranks.get(group);
    if (others) others.push(rank);
    else ranks.set(group, [rank]);
  }
  const parts = new Map([...ranks].map(([group, all]) => [group, partsOf(all)]));
  return paths.map((path) => {
    const match = VARS.exec(path);
    if (!match) return { name: path, path };
    const group = path.slice(0, path.lastIndexOf('/'));
    const own = tree.groups.get(group)?.get('name');
    const part = parts.get(group)![Number(match[2])] ?? `vars/${match[2]}`;
    return { name: `${typeof own === 'string' && own !== '' ? own : match[1]}/${part}`, path };
  });
}

/** What a layer's variables are, by the number of their axes; none of those that it does not tell. */
function partsOf(ranks: readonly number[]): readonly string[] {
  const matrices = ranks.filter((rank) => rank >= 2).length;
  if (matrices === 0 && ranks.length === NORMALISATION.length) return NORMALISATION;
  return matrices === 1 && ranks[0]! >= 2 && ranks.length <= 2 ? ['kernel', 'bias'] : [];
}

/** Names used twice (a layer of the same name in two nested models) give way to the whole path. */
function uniqueNames(named: readonly NamedDataset[], tree: Tree): NamedDataset[] {
  const counts = new Map<string, number>();
  for (const { name } of named) counts.set(name, (counts.get(name) ?? 0) + 1);
  const listed = new Set(named.map(({ path }) => path));
  const rest = [...tree.datasets.keys()].filter((path) => !listed.has(path)).map((path) => ({ name: path, path }));
  const seen = new Set<string>();
  return [...named, ...rest].flatMap(({ name, path }) => {
    if (seen.has(path)) return []; // listed twice: one dataset
    seen.add(path);
    return [{ name: (counts.get(name) ?? 0) > 1 ? path : name, path }];
  });
}

function metadataOf(tree: Tree, top: string): Map<string, string> {
  const metadata = new Map<string, string>();
  for (const group of new Set([top, ''])) {
    for (const [key, value] of tree.groups.get(group) ?? []) {
      if (typeof value === 'string') metadata.set(key, value);
    }
  }
  return metadata;
}

function join(group: string, name: string): string {
  return group === '' ? name : `${group}/${name}`;
}
