import { VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import type { DType, Format, TensorInfo, WeightFile } from '../../format.js';
import { type Json, member, parseJson } from '../../json.js';
import { pastLimit, shown } from '../../refusals.js';
import type { OpenOptions, ReadOptions, Source } from '../../source.js';
import { isPlainName } from '../../sources/checks.js';
import { graphOfKeras } from '../keras/config.js';
import { CONCURRENCY, closeAll, MAX_SIBLINGS, openSiblings, type Siblings } from '../siblings.js';
import { missingTensor, PIECE, type StoredTensor, weightFile } from '../tensors.js';
import { checkedShards, shardHashes } from './checked-shards.js';
import { graphNames } from './graph.js';
import { type Group, layOutShards, missingShards, readSpan, readSpanInto } from './shards.js';

/** VGG-16's model.json is 18 KB. */
const MAX_JSON = 16 * 2 ** 20;
/** A layer's config is about ten deep, nested models a little more, a graph's nodes less. */
const MAX_DEPTH = 64;

/**
 * A tfjs layers-model or graph-model: `model.json` whose `weightsManifest` names groups of tensors and the shards (files beside it) that
 * hold a group's bytes end to end (https://www.tensorflow.org/js/guide/save_load).
 * Where shards are missing, every tensor whose bytes are wholly known is served, and the others are marked absent. The weights of a
 * graph-model (`tfjs-graph`) are named after their layers, as far as its operations tell. Shards whose sha256 a group tells are checked.
 */
export const tfjsLayers: Format = {
  id: 'tfjs-layers',
  title: 'TensorFlow.js model',
  match(head) {
    const text = new TextDecoder().decode(head);
    return /^\uFEFF?\s*\{/.test(text) && /"(modelTopology|weightsManifest)"|"format": ?"(graph|layers)-model"/.test(text);
  },
  open: openTfjs,
};

interface Quantization {
  dtype: 'uint8' | 'uint16' | 'float16';
  scale: number;
  min: number;
}

async function openTfjs(source: Source, options: OpenOptions = {}): Promise<WeightFile> {
  const who = source.name;
  if (source.size > MAX_JSON) throw pastLimit(who, `at most ${MAX_JSON} bytes of JSON`, source.size);
  const json = parseJson(await source.read(0, source.size, options), { who, maxBytes: MAX_JSON, maxDepth: MAX_DEPTH });
  const manifest = member(json, 'weightsManifest');
  if (!Array.isArray(manifest)) {
    throw new VggError('VGG_FORMAT', `${who}: expected a "weightsManifest" list, as in a tfjs model.json, received JSON without one`);
  }
  const parsed = manifest.map((group) => {
    const paths = readPaths(group, who);
    return { paths, weights: readSpecs(group, who), hashes: shardHashes(group, paths, who) };
  });
  checkUnique(
    parsed.flatMap(({ paths }) => paths),
    'shard',
    who,
  );
  checkUnique(allNames(parsed), 'tensor', who);

  const shards = await openShards(
    source,
    parsed.map(({ paths }) => paths),
    options,
  );
  const close = async () => {
    await closeAll(shards.values());
    await source.close?.();
  };
  const check = options.sha256 && checkedShards({ sha256: options.sha256, who });
  const tensors: StoredTensor[] = [];
  try {
    const topology = member(json, 'modelTopology');
    const isGraph = member(json, 'format') === 'graph-model' || Array.isArray(member(topology, 'node'));
    const tidy = isGraph ? graphNames(topology, allNames(parsed), who) : new Map<string, string>();
    for (const { paths, weights, hashes } of parsed) {
      const total = weights.reduce((sum, { bytes }) => sum + bytes, 0);
      const group = layOutShards(
        paths.map((path, i) => {
          const shard = shards.get(path);
          return { path, source: shard && check && hashes ? check(shard, hashes[i]!) : shard };
        }),
        total,
        who,
      );
      let at = 0;
      for (const { name, shape, dtype, bytes, quantization } of weights) {
        const missing = missingShards(group, at, at + bytes);
        const own = tidy.get(name);
        const info = { name: own ?? name, shape, dtype, ...(own !== undefined && { storedAs: name }) };
        tensors.push(
          missing.length > 0
            ? missingTensor(info, `missing ${missing.length === 1 ? 'shard' : 'shards'} ${missing.join(', ')}`)
            : groupTensor({ ...info, present: true }, group, at, at + bytes, quantization),
        );
        at += bytes;
      }
    }
    const format = isGraph ? 'tfjs-graph' : 'tfjs-layers';
    const metadata = metadataOf(json, isGraph);
    const graph = graphOfKeras(metadata.get('model_config'));
    return weightFile({ format, who, tensors, metadata, ...(graph && { graph }), close });
  } catch (error) {
    await closeAll(shards.values());
    throw error;
  }
}

function allNames(groups: readonly { weights: readonly Spec[] }[]): string[] {
  return groups.flatMap(({ weights }) => weights.map(({ name }) => name));
}

/** A tensor within a group's bytes, in however many shards they lie. */
function groupTensor(info: TensorInfo, group: Group, start: number, end: number, quantization: Quantization | undefined): StoredTensor {
  const width = (end - start) / Math.max(1, countOf(info.shape, info.name));
  const values = (bytes: Uint8Array) => dequantize(bytes, info.dtype, quantization);
  const isPlain = info.dtype === 'float32' && !quantization;
  return {
    info,
    // Others would have their bytes beside their values.
    ...(isPlain && { read: async (options: ReadOptions) => values(await readSpan(group, start, end, options)) }),
    async *stream(options) {
      const step = Math.min(end - start, PIECE * width);
      const memory = options.reuse ? new Uint8Array(step) : undefined;
      for (let at = start; at < end; at += step) {
        const length = Math.min(step, end - at);
        const bytes = memory?.subarray(0, length) ?? (await readSpan(group, at, at + length, options));
        if (memory) await readSpanInto(group, bytes, at, options);
        yield values(bytes);
      }
    },
  };
}

function readPaths(group: Json, who: string): string[] {
  const paths = member(group, 'paths');
  if (!Array.isArray(paths))
    throw new VggError('VGG_FORMAT', `${who}: expected each weightsManifest group to list its "paths", received otherwise`);
  if (paths.length > MAX_SIBLINGS) throw pastLimit(who, `at most ${MAX_SIBLINGS} shards`, paths.length);
  return paths.map((path) => {
    const plain = typeof path === 'string' ? path.replace(/^\.\//, '') : '';
    if (isPlainName(plain)) return plain;
    throw new VggError(
      'VGG_INTEGRITY',
      `${who}: expected shards to be plain file names beside it, received ${JSON.stringify(path).slice(0, 100)}; paths, "..", and other hosts are refused`,
    );
  });
}

interface Spec {
  name: string;
  shape: number[];
  dtype: DType;
  bytes: number;
  quantization?: Quantization;
}

const DTYPES: ReadonlyMap<unknown, DType> = new Map<unknown, DType>([
  ['float32', 'float32'],
  ['float16', 'float16'],
  ['int32', 'int32'],
  ['uint8', 'uint8'],
  ['uint16', 'uint16'],
  ['bool', 'bool'],
]);

function readSpecs(group: Json, who: string): Spec[] {
  const weights = member(group, 'weights');
  if (!Array.isArray(weights))
    throw new VggError('VGG_FORMAT', `${who}: expected each weightsManifest group to list its "weights", received otherwise`);
  return weights.map((spec) => {
    const name = member(spec, 'name');
    const shape = member(spec, 'shape');
    if (typeof name !== 'string' || !Array.isArray(shape)) {
      throw new VggError(
        'VGG_FORMAT',
        `${who}: expected each weight to have a "name" and a "shape", received ${JSON.stringify(spec).slice(0, 100)}`,
      );
    }
    const label = `${who}: tensor ${shown(name)}`;
    const dtype = DTYPES.get(member(spec, 'dtype'));
    if (!dtype) throw new VggError('VGG_FORMAT', `${label}: expected a numeric dtype, received ${JSON.stringify(member(spec, 'dtype'))}`);
    const quantization = readQuantization(member(spec, 'quantization'), label);
    const bytes = countOf(shape as number[], label) * DTYPE_BYTES[quantization?.dtype ?? dtype];
    return { name, shape: shape as number[], dtype, bytes, ...(quantization && { quantization }) };
  });
}

function readQuantization(json: Json | undefined, label: string): Quantization | undefined {
  if (json === undefined || json === null) return undefined;
  const dtype = member(json, 'dtype');
  if (dtype === 'float16') return { dtype, scale: 1, min: 0 };
  const scale = member(json, 'scale');
  const min = member(json, 'min');
  if ((dtype !== 'uint8' && dtype !== 'uint16') || typeof scale !== 'number' || typeof min !== 'number') {
    throw new VggError(
      'VGG_FORMAT',
      `${label}: expected quantization to uint8, uint16 or float16, received ${JSON.stringify(json).slice(0, 100)}`,
    );
  }
  return { dtype, scale, min };
}

/** `value = stored * scale + min`, as tfjs does; integers are rounded back to integers. */
function dequantize(bytes: Uint8Array, dtype: DType, quantization?: Quantization): Float32Array {
  const values = toFloat32(bytes, quantization?.dtype ?? dtype);
  if (!quantization || quantization.dtype === 'float16') return values;
  const { scale, min } = quantization;
  const whole = dtype !== 'float32';
  for (let i = 0; i < values.length; i++) {
    const value = values[i]! * scale + min;
    values[i] = whole ? Math.round(value) : value;
  }
  return values;
}

function checkUnique(names: readonly string[], what: string, who: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new VggError('VGG_INTEGRITY', `${who}: expected each ${what} once, received ${shown(name)} twice`);
    seen.add(name);
  }
}

/**
 * The shards that are there. Over a network a group of many whose first or last one is missing was hardly fetched at all: its others
 * count as missing without a hundred requests in vain.
 */
async function openShards(source: Source, groups: readonly (readonly string[])[], options: ReadOptions): Promise<Siblings> {
  const all = groups.flat();
  if (all.length > MAX_SIBLINGS) throw pastLimit(source.name, `at most ${MAX_SIBLINGS} shards`, all.length);
  if (!source.remote) return openSiblings(source, all, options);
  const ends = groups.flatMap((paths) => [paths[0], paths.at(-1)].filter((path) => path !== undefined));
  const shards = new Map(await openSiblings(source, ends, options));
  const isWorthAsking = (paths: readonly string[]) =>
    paths.length <= CONCURRENCY || (shards.get(paths[0]!) !== undefined && shards.get(paths.at(-1)!) !== undefined);
  const rest = groups.filter(isWorthAsking).flatMap((paths) => paths.filter((path) => !shards.has(path)));
  try {
    for (const [path, shard] of await openSiblings(source, rest, options)) shards.set(path, shard);
  } catch (error) {
    await closeAll(shards.values());
    throw error;
  }
  return shards;
}

/** What the file says of itself, in short; the whole topology of layers as text under `model_config`, as Keras calls it. */
function metadataOf(json: Json, isGraph: boolean): Map<string, string> {
  const metadata = new Map<string, string>();
  const topology = member(json, 'modelTopology');
  for (const [from, key] of [
    [json, 'format'],
    [json, 'generatedBy'],
    [json, 'convertedBy'],
    [topology, 'keras_version'],
    [topology, 'backend'],
  ] as const) {
    const value = member(from, key);
    if (typeof value === 'string') metadata.set(key, value);
  }
  const config = isGraph ? undefined : (member(topology, 'model_config') ?? topology);
  if (config) metadata.set('model_config', JSON.stringify(config));
  const own = member(json, 'userDefinedMetadata');
  for (const [key, value] of Object.entries(own ?? {})) metadata.set(key, typeof value === 'string' ? value : JSON.stringify(value));
  return metadata;
}
