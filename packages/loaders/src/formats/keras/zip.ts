import { VggError } from '@vgg/errors';
import type { TensorInfo, WeightFile } from '../../format.js';
import { type Json, member, parseJson } from '../../json.js';
import { shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { bytesSource } from '../../sources/bytes.js';
import { type StoredTensor, weightFile } from '../tensors.js';
import { readEntry, type Zip, type ZipEntry, zipSource } from '../zip/index.js';
import { graphOfKeras } from './config.js';
import { kerasH5 } from './h5.js';

export const KERAS_WEIGHTS = 'model.weights.h5';
const CONFIG = 'config.json';
const KERAS_METADATA = 'metadata.json';

/** VGG-19's config.json has 20 KB, that of a network of a thousand layers 1 MB. */
const MAX_JSON = 2 ** 22;
/** The configuration of a layer's initialiser is some ten deep, and each nested model adds four. */
const MAX_DEPTH = 64;
/** Most bytes of deflated weights, which must be unpacked into memory to be read out of order: VGG-19 has 575 MB. */
const MAX_UNPACKED = 2 ** 30;
/** Trained weights hardly pack at all. Beyond a size that does no harm, more than this is no weights but a bomb. */
const MAX_RATIO = 32;
const HARMLESS = 2 ** 26;

/**
 * Keras 3's `.keras`: a zip archive of the configuration and the weights, an HDF5 file (Keras, "Save, serialize, and export models").
 * Tensors have the layers' own names; config.json is the metadata `model_config`.
 *
 * @throws VggError `VGG_INTEGRITY` for weights that are deflated and past a limit, `VGG_FORMAT`
 */
export async function openKerasZip(zip: Zip, source: Source, options: ReadOptions = {}): Promise<WeightFile> {
  const { who } = zip;
  const weights = zip.entries.get(KERAS_WEIGHTS);
  if (!weights) throw new VggError('VGG_FORMAT', `${who}: expected ${KERAS_WEIGHTS} in the archive, as Keras saves it, and there is none`);
  const metadata = new Map<string, string>();
  const about = await readJson(zip, KERAS_METADATA, options);
  for (const key of ['keras_version', 'date_saved']) {
    const value = member(about?.json, key);
    if (typeof value === 'string') metadata.set(key, value);
  }
  const config = await readJson(zip, CONFIG, options);
  if (config) metadata.set('model_config', config.text);
  const file = await kerasH5.open(await weightsSource(zip, weights, options), options);
  for (const [key, value] of file.metadata) if (!metadata.has(key)) metadata.set(key, value);
  const graph = graphOfKeras(config?.json);
  return weightFile({
    format: 'keras-zip',
    who,
    ...(graph && { graph }),
    tensors: renamed(file, layerNames(config?.json)),
    metadata,
    close: source.close?.bind(source),
  });
}

async function readJson(zip: Zip, name: string, options: ReadOptions): Promise<{ json: Json; text: string } | undefined> {
  if (!zip.entries.has(name)) return undefined;
  const bytes = await readEntry(zip, name, MAX_JSON, options);
  const json = parseJson(bytes, { who: `${zip.who}: ${name}`, maxBytes: MAX_JSON, maxDepth: MAX_DEPTH });
  return { json, text: new TextDecoder().decode(bytes) };
}

async function weightsSource(zip: Zip, entry: ZipEntry, options: ReadOptions): Promise<Source> {
  const { name, size, packedSize, stored } = entry;
  const label = `${zip.who}: ${name}`;
  if (stored) return { ...(await zipSource(zip, entry, options)), name: label };
  const limit = Math.min(MAX_UNPACKED, Math.max(HARMLESS, packedSize * MAX_RATIO));
  if (size > limit) {
    throw new VggError(
      'VGG_INTEGRITY',
      `${zip.who}: expected at most ${limit} bytes in ${shown(name)}, packed to ${packedSize}, received ${size}; unpack it and open the .h5 file`,
    );
  }
  return bytesSource(await readEntry(zip, name, limit, options), label);
}

/**
 * The layers' own names by the groups of the HDF5 file, which are called by class and number (`layers/conv2d_3`), in the order in which
 * the configuration lists the layers. Files of later versions say the names themselves.
 */
function layerNames(config: Json | undefined): Map<string, string> {
  const names = new Map<string, string>();
  const visit = (model: Json | undefined, path: string) => {
    const layers = member(member(model, 'config'), 'layers');
    if (!Array.isArray(layers)) return;
    const counts = new Map<string, number>();
    for (const layer of layers) {
      const type = member(layer, 'class_name');
      const name = member(member(layer, 'config'), 'name') ?? member(layer, 'name');
      if (typeof type !== 'string' || typeof name !== 'string') continue;
      const base = snakeCase(type);
      const count = counts.get(base) ?? 0;
      counts.set(base, count + 1);
      const group = `${path}layers/${count > 0 ? `${base}_${count}` : base}`;
      names.set(group, name);
      visit(layer, `${group}/`);
    }
  };
  visit(config, '');
  return names;
}

/** `conv2d` of Conv2D, `batch_normalization` of BatchNormalization. */
function snakeCase(type: string): string {
  return type
    .replace(/\W/g, '')
    .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();
}

/**
 * The file's tensors under their layers' own names. Where the configuration does not tell the name of each group of weights, its count is
 * not the file's, and all keep the names that they have.
 */
function renamed(file: WeightFile, names: ReadonlyMap<string, string>): StoredTensor[] {
  const infos = [...file.tensors.values()];
  const wanted = infos.map((info) => ownName(info, names));
  const isSound = !wanted.includes(undefined) && new Set(wanted).size === wanted.length;
  return infos.map((info, i) => ({
    info: { ...info, name: isSound ? wanted[i]! : info.name },
    read: (options) => file.read(info.name, options),
    stream: (options) => file.stream(info.name, options),
  }));
}

/** `block1_conv1/kernel` of `conv2d/kernel`; undefined for a group that the configuration does not know. */
function ownName({ name, storedAs }: TensorInfo, names: ReadonlyMap<string, string>): string | undefined {
  const group = /^(layers\/.*)\/vars\/\d+$/.exec(storedAs ?? '')?.[1];
  if (group === undefined) return name;
  const called = `${group.slice(group.lastIndexOf('/') + 1)}/`;
  const own = names.get(group);
  return own !== undefined && name.startsWith(called) ? `${own}/${name.slice(called.length)}` : own && name;
}
