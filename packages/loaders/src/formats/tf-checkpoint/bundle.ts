import { VggError } from '@vgg/errors';
import { viewOf } from '../../bytes.js';
import { countOf, DTYPE_BYTES } from '../../dtype.js';
import type { DType } from '../../format.js';
import { pastLimit, shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { corrupt, fieldsOf, utf8 } from '../protobuf/wire.js';
import { type Block, entries, utf8Key } from './table.js';

/** The types of TensorFlow's tensors (tensorflow/core/framework/types.proto) that are numbers. */
export const DTYPES: ReadonlyMap<number, DType> = new Map([
  [1, 'float32'],
  [2, 'float64'],
  [3, 'int32'],
  [4, 'uint8'],
  [5, 'int16'],
  [6, 'int8'],
  [9, 'int64'],
  [10, 'bool'],
  [14, 'bfloat16'],
  [17, 'uint16'],
  [19, 'float16'],
  [22, 'uint32'],
  [23, 'uint64'],
]);

/** The index of a checkpoint (tensorflow/core/protobuf/tensor_bundle.proto). */
export interface Bundle {
  readonly shards: number;
  readonly littleEndian: boolean;
  readonly entries: readonly BundleEntry[];
}

/** Where a tensor is: `size` bytes from `offset` of a shard. */
export interface BundleEntry {
  readonly name: string;
  /** Undefined for texts and the like. */
  readonly dtype: DType | undefined;
  readonly shape: readonly number[];
  readonly shard: number;
  readonly offset: number;
  readonly size: number;
  /** The masked CRC-32C of the bytes. */
  readonly sum: number;
  /** A variable that was cut into parts has no bytes of its own. */
  readonly slices: number;
}

/** Bytes of one entry: a dozen numbers. A variable cut into parts lists these. */
const MAX_ENTRY = 64 * 1024;
/** Entries of one checkpoint: VGG-16 has 32 tensors, with an optimiser three times as many. */
export const MAX_ENTRIES = 65536;
/** Files of one checkpoint; one per machine that saved a part. */
const MAX_SHARDS = 1024;

/** Keys of the parts of a cut variable begin so, and no name does. */
const PART = '\0';

/** The entries of all blocks, each block checked against its sum. */
export async function readBundle(source: Source, blocks: readonly Block[], options: ReadOptions): Promise<Bundle> {
  let header: { shards: number; littleEndian: boolean } | undefined;
  const found = new Map<string, BundleEntry>();
  let count = 0;
  for await (const { key, start, end } of entries(source, blocks, options, true)) {
    if (++count > MAX_ENTRIES) throw pastLimit(source.name, `at most ${MAX_ENTRIES} entries`);
    if (end - start > MAX_ENTRY) throw pastLimit(source.name, `an entry of at most ${MAX_ENTRY} bytes`);
    const bytes = await source.read(start, end - start, options);
    if (key === '') header = readHeader(bytes, source);
    else if (!key.startsWith(PART)) {
      const entry = readEntry(utf8Key(key), bytes, source, header?.shards ?? 0);
      if (found.has(entry.name)) throw corrupt(source.name, `tensor ${shown(entry.name)} is there twice`);
      found.set(entry.name, entry);
    }
  }
  if (!header) throw corrupt(source.name, 'it has no header');
  return { ...header, entries: [...found.values()] };
}

function readHeader(bytes: Uint8Array, source: Source): { shards: number; littleEndian: boolean } {
  let shards = 0;
  let littleEndian = true;
  for (const { number, value } of fieldsOf(bytes, source.name)) {
    if (number === 1) shards = value;
    if (number === 2) littleEndian = value === 0;
  }
  if (shards < 1 || shards > MAX_SHARDS) throw corrupt(source.name, `expected 1 to ${MAX_SHARDS} data files, received ${shards}`);
  return { shards, littleEndian };
}

function readEntry(name: string, bytes: Uint8Array, source: Source, shards: number): BundleEntry {
  const who = `${source.name}: tensor ${shown(name)}`;
  let type = 0;
  let shape: number[] = [];
  const entry = { shard: 0, offset: 0, size: 0, sum: 0, slices: 0 };
  for (const { number, value, start, end } of fieldsOf(bytes, who)) {
    if (number === 1) type = value;
    else if (number === 2) shape = readShape(bytes.subarray(start, end), who);
    else if (number === 3) entry.shard = value;
    else if (number === 4) entry.offset = value;
    else if (number === 5) entry.size = value;
    else if (number === 6 && end - start === 4) entry.sum = viewOf(bytes).getUint32(start, true);
    else if (number === 7) entry.slices++;
  }
  const dtype = DTYPES.get(type);
  if (entry.shard < 0 || entry.shard >= shards)
    throw new VggError('VGG_INTEGRITY', `${who}: expected data file 0 to ${shards - 1}, received ${entry.shard}`);
  const { offset, size } = entry;
  if (offset < 0 || size < 0 || !Number.isSafeInteger(offset + size)) throw corrupt(who, 'it lies outside of any file');
  if (dtype) {
    const needed = countOf(shape, who) * DTYPE_BYTES[dtype];
    if (entry.slices === 0 && entry.size !== needed)
      throw new VggError('VGG_INTEGRITY', `${who}: expected ${needed} bytes of ${dtype} [${shape}], received ${entry.size}`);
  }
  return { name, dtype, shape, ...entry };
}

/** A TensorShapeProto: `dim` 2, each with a `size` 1. */
export function readShape(bytes: Uint8Array, who: string): number[] {
  const shape: number[] = [];
  for (const { number, start, end } of fieldsOf(bytes, who)) {
    if (number !== 2) continue;
    let size = 0;
    for (const dim of fieldsOf(bytes.subarray(start, end), who)) if (dim.number === 1) size = dim.value;
    shape.push(size);
  }
  return shape;
}

/**
 * The names of variables by their keys, out of a TrackableObjectGraph (tensorflow/core/protobuf/trackable_object_graph.proto): a Keras
 * checkpoint's keys are paths through the objects, and only the graph knows that `model/layer-1/kernel` is `block1_conv1/kernel`.
 */
export function variableNames(graph: Uint8Array, who: string): Map<string, string> {
  const names = new Map<string, string>();
  for (const node of fieldsOf(graph, who)) {
    if (node.number !== 1 || node.type !== 'bytes') continue;
    const object = graph.subarray(node.start, node.end);
    for (const attribute of fieldsOf(object, who)) {
      if (attribute.number !== 2 || attribute.type !== 'bytes') continue;
      const tensor = object.subarray(attribute.start, attribute.end);
      let name = '';
      let key = '';
      for (const { number, start, end } of fieldsOf(tensor, who)) {
        if (number === 2) name = utf8(tensor.subarray(start, end));
        if (number === 3) key = utf8(tensor.subarray(start, end));
      }
      if (name !== '' && key !== '') names.set(key, name);
    }
  }
  return names;
}
