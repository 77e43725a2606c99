import { VggError } from '@vgg/errors';
import { latin1 } from '../../bytes.js';
import type { Format, WeightFile } from '../../format.js';
import { inNaturalOrder } from '../../names/natural.js';
import { shown } from '../../refusals.js';
import type { OpenOptions, ReadOptions, Source } from '../../source.js';
import { cachedSource } from '../../sources/cached.js';
import { crc32c } from '../crc.js';
import { corrupt } from '../protobuf/wire.js';
import { closeAll, openSiblings } from '../siblings.js';
import { contiguousTensor, missingTensor, type StoredTensor, weightFile } from '../tensors.js';
import { type Bundle, type BundleEntry, readBundle, variableNames } from './bundle.js';
import { tidyNames } from './names.js';
import { masked, numbersAt, readBlocks } from './table.js';
import { readFirstVersion } from './v1.js';

/** Files that come with a checkpoint, and are not what is opened. */
const DATA = /^(.*)\.data-\d{5}-of-\d{5}$/;
const META = /^(.*)\.meta$/;
const LATEST = /^model_checkpoint_path: "([^"]*)"/;
/** The graph of a Keras checkpoint's objects: VGG-16's has 5 KB. */
const MAX_GRAPH = 16 * 2 ** 20;
const GRAPH = '_CHECKPOINTABLE_OBJECT_GRAPH';

/**
 * TensorFlow checkpoints, as tf.train.Saver and Keras write them: of the second version opened by `NAME.index`, with the values in
 * `NAME.data-00000-of-00001` beside it, and of the first, all in one file. Names are those of the variables: `conv1_1/weights`, and
 * `block1_conv1/kernel` also where the key is a path through Keras's objects.
 *
 * The index is always checked against its CRC-32C; the values are where the caller asks for hashes, since that takes as long as reading
 * them.
 */
export const tfCheckpoint: Format = {
  id: 'tf-checkpoint',
  title: 'TensorFlow checkpoint',
  match: (head, source) => companion(head, source) !== undefined || version(head) !== undefined,
  open: openCheckpoint,
};

/** The first entry has the key '', and its value begins with field 1: the header's number of shards, or the list of tensors. */
function version(head: Uint8Array): 1 | 2 | undefined {
  if (head[0] !== 0 || head[1] !== 0) return undefined;
  const length = head.subarray(2, 7).findIndex((byte) => byte < 128) + 1;
  const first = length > 0 ? head[2 + length] : undefined;
  return first === 0x08 ? 2 : first === 0x0a ? 1 : undefined;
}

/** What to open instead of a file that only comes with a checkpoint. */
function companion(head: Uint8Array, { name }: Source): string | undefined {
  const latest = LATEST.exec(latin1(head.subarray(0, 512)))?.[1];
  // A MetaGraphDef begins with a field of bytes.
  const meta = head[0] === 0x0a ? META.exec(name)?.[1] : undefined;
  const prefix = latest?.split(/[/\\]/).at(-1) ?? DATA.exec(name)?.[1] ?? meta;
  return prefix === undefined ? undefined : `${prefix}.index`;
}

async function openCheckpoint(original: Source, options: OpenOptions = {}): Promise<WeightFile> {
  const source = cachedSource(original);
  const head = await source.read(0, Math.min(512, source.size), options);
  const kind = version(head);
  const other = companion(head, original);
  if (other !== undefined) {
    throw new VggError(
      'VGG_FORMAT',
      `${source.name}: expected the index of a TensorFlow checkpoint, received a file that comes with it; open "${other}"`,
    );
  }
  if (kind === undefined) throw new VggError('VGG_FORMAT', `${source.name}: expected a TensorFlow checkpoint, received other bytes`);
  const blocks = await readBlocks(source, options);
  const check = options.sha256 !== undefined;
  if (kind === 2) return openBundle(source, await readBundle(source, blocks, options), options, check);
  return weightFile({
    format: 'tf-checkpoint',
    who: source.name,
    tensors: await readFirstVersion(source, blocks, options, check),
    metadata: new Map([['checkpoint_version', '1']]),
    close: async () => original.close?.(),
  });
}

async function openBundle(index: Source, bundle: Bundle, options: ReadOptions, check: boolean): Promise<WeightFile> {
  const shards = await openShards(index, bundle, options);
  const close = async () => {
    await closeAll([...shards.values()].map(({ source }) => source));
    await index.close?.();
  };
  try {
    checkPlaces(bundle, shards, index);
    const numbers = new Map(bundle.entries.flatMap((entry) => (entry.dtype ? [[entry.name, entry] as const] : [])));
    const graph = bundle.entries.find(({ name }) => name === GRAPH);
    const variables = graph ? variableNames(await readGraph(graph, shards, options), index.name) : new Map<string, string>();
    // Sorted as bytes, `_operations/11` stands before `_operations/2`; layers are wanted in their network's order.
    const keys = inNaturalOrder([...numbers.keys()]);
    const names = tidyNames(keys, variables);
    return weightFile({
      format: 'tf-checkpoint',
      who: index.name,
      tensors: keys.map((key) => tensorOf(names.get(key)!, numbers.get(key)!, shards, bundle.littleEndian, check)),
      metadata: new Map([['checkpoint_version', '2']]),
      close,
    });
  } catch (error) {
    await closeAll([...shards.values()].map(({ source }) => source));
    throw error;
  }
}

type Shards = ReadonlyMap<number, { readonly name: string; readonly source: Source | undefined }>;

/** The data files that tensors are in. */
async function openShards(index: Source, { shards: count, entries }: Bundle, options: ReadOptions): Promise<Shards> {
  const prefix = index.name.replace(/\.index$/, '');
  const five = (value: number) => String(value).padStart(5, '0');
  const wanted = new Set(entries.filter(({ slices }) => slices === 0).map((entry) => entry.shard));
  const names = new Map([...wanted].map((shard) => [shard, `${prefix}.data-${five(shard)}-of-${five(count)}`]));
  const found = await openSiblings(index, names.values(), options);
  return new Map([...names].map(([shard, name]) => [shard, { name, source: found.get(name) }]));
}

/** Every tensor lies inside its file, and none in another. */
function checkPlaces({ entries }: Bundle, shards: Shards, index: Source): void {
  const ends = new Map<number, number>();
  for (const { name, shard, offset, size, slices } of [...entries].sort((a, b) => a.shard - b.shard || a.offset - b.offset)) {
    if (slices > 0) continue;
    const { name: file, source } = shards.get(shard)!;
    if (source && offset + size > source.size) {
      throw new VggError(
        'VGG_INTEGRITY',
        `${file}: expected at least ${offset + size} bytes for tensor ${shown(name)}, received ${source.size}; fetch the file again`,
      );
    }
    if (size > 0 && offset < (ends.get(shard) ?? 0)) throw corrupt(index.name, `tensor ${shown(name)} lies in another`);
    ends.set(shard, Math.max(ends.get(shard) ?? 0, offset + size));
  }
}

/** The one text of a string tensor: its length, a sum of that, and the bytes. */
async function readGraph({ shard, offset, size }: BundleEntry, shards: Shards, options: ReadOptions): Promise<Uint8Array> {
  const source = shards.get(shard)?.source;
  if (!source || size > MAX_GRAPH) return new Uint8Array(0); // then the keys have to do as names
  const bytes = await source.read(offset, size, options);
  const { values, end } = numbersAt(bytes, 1, source.name);
  if (end + 4 + values[0]! !== size) throw corrupt(source.name, 'the graph of its objects has another length');
  return bytes.subarray(end + 4);
}

function tensorOf(name: string, entry: BundleEntry, shards: Shards, littleEndian: boolean, check: boolean): StoredTensor {
  const info = { name, shape: entry.shape, dtype: entry.dtype!, ...(name !== entry.name && { storedAs: entry.name }) };
  if (entry.slices > 0) return missingTensor(info, `it was saved in ${entry.slices} parts; save it unpartitioned`);
  const { name: file, source } = shards.get(entry.shard)!;
  if (!source) return missingTensor(info, `missing file ${file}`);
  const tensor = (from: Source) => contiguousTensor({ ...info, present: true }, from, entry.offset, littleEndian);
  if (!check) return tensor(source);
  // Each reading has a sum of its own.
  const fresh = () => tensor(summed(source, entry));
  const { info: own, read } = tensor(source);
  return { info: own, ...(read && { read: (options) => fresh().read!(options) }), stream: (options) => fresh().stream(options) };
}

/** A data file that is read once from a tensor's first byte to its last, whose sum must then be the stored one. */
function summed(source: Source, { name, offset, size, sum }: BundleEntry): Source {
  let running = 0;
  return {
    name: source.name,
    size: source.size,
    ...(source.remote && { remote: true }),
    async read(at, length, options) {
      const bytes = await source.read(at, length, options);
      running = crc32c(bytes, running);
      if (at + length === offset + size && masked(running) !== sum) {
        throw new VggError(
          'VGG_INTEGRITY',
          `${source.name}: expected tensor ${shown(name)} to have its checksum, received other bytes; fetch the file again`,
        );
      }
      return bytes;
    },
  };
}
