import { VggError } from '@vgg/errors';
import { viewOf } from '../../bytes.js';
import { countOf, DTYPE_BYTES } from '../../dtype.js';
import type { DType, Format, TensorInfo, WeightFile } from '../../format.js';
import { type Json, member, parseJson } from '../../json.js';
import { PALETTE } from '../../palette.js';
import { pastLimit, shown } from '../../refusals.js';
import type { OpenOptions, Source } from '../../source.js';
import { type StoredTensor, weightFile } from '../tensors.js';
import { spanTensor } from './tensors.js';
import { INT4_SHAPES_KEY, PALETTE_SUFFIX, SCALE_SUFFIX, SHA256_KEY } from './write.js';

/** A VGG's header is 5 KB; the format's own reader stops at 100 MB, which would be a hundred thousand tensors too many. */
const MAX_HEADER = 16 * 2 ** 20;
/** The header is `{ name: { dtype, shape: [], data_offsets: [] } }`. */
const MAX_DEPTH = 8;

const DTYPES: ReadonlyMap<string, DType> = new Map([
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U8', 'uint8'],
  ['U16', 'uint16'],
  ['U32', 'uint32'],
  ['U64', 'uint64'],
  ['BOOL', 'bool'],
]);

/**
 * safetensors: 8 bytes of header length, a JSON header, the data (https://github.com/huggingface/safetensors, "Format").
 */
export const safetensors: Format = {
  id: 'safetensors',
  title: 'safetensors',
  match(head) {
    if (head.length < 9 || head[8] !== 0x7b) return false;
    const length = headerLength(head);
    return length >= 2 && length <= 2 ** 32; // past MAX_HEADER it is still this format, and open says what is wrong
  },
  open: openSafetensors,
};

interface Entry {
  info: TensorInfo;
  start: number;
  end: number;
  /** Its palettes, of int4. */
  palettes?: Entry;
}

async function openSafetensors(source: Source, options: OpenOptions = {}): Promise<WeightFile> {
  const who = source.name;
  const length = headerLength(await source.read(0, 8, options));
  if (length > MAX_HEADER) throw pastLimit(who, `a header of at most ${MAX_HEADER} bytes`, length);
  const header = parseJson(await source.read(8, length, options), { who, maxBytes: MAX_HEADER, maxDepth: MAX_DEPTH });
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw new VggError('VGG_FORMAT', `${who}: expected a JSON object as the safetensors header, received ${typeof header}`);
  }
  const data = 8 + length;
  const entries: Entry[] = [];
  const metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') readMetadata(value, metadata, who);
    else entries.push(readEntry(name, value, who));
  }
  checkOffsets(entries, source.size - data, who);
  return weightFile({
    format: 'safetensors',
    who,
    tensors: tensorsOf(withPalettes(entries, metadata, who), source, data, hashesOf(metadata, who), options),
    metadata,
    close: source.close?.bind(source),
  });
}

/** The file's tensors; the scales of int8 ones and the palettes of int4 ones are applied to them and not shown. */
function tensorsOf(
  entries: readonly Entry[],
  source: Source,
  data: number,
  hashes: ReadonlyMap<string, string>,
  { sha256 }: OpenOptions,
): StoredTensor[] {
  const byName = new Map(entries.map((entry) => [entry.info.name, entry]));
  const tableOf = ({ info: { name, dtype, shape }, palettes }: Entry): Entry | undefined => {
    if (palettes) return palettes;
    const scale = dtype === 'int8' ? byName.get(`${name}${SCALE_SUFFIX}`) : undefined;
    const fits = scale?.info.dtype === 'float32' && scale.info.shape.length === 1 && scale.info.shape[0] === shape.at(-1);
    return fits ? scale : undefined;
  };
  const tables = new Map(entries.map((entry) => [entry, tableOf(entry)]));
  const hidden = new Set(tables.values());
  const at = ({ info, start }: Entry) => ({ info, offset: data + start, sha256: hashes.get(info.name) });
  return entries
    .filter((entry) => !hidden.has(entry))
    .map((entry) => {
      const table = tables.get(entry);
      return spanTensor(source, at(entry), { table: table && at(table), sha256 });
    });
}

/** The entries, those that the metadata tells to be int4 with their own shapes. */
function withPalettes(entries: readonly Entry[], metadata: ReadonlyMap<string, string>, who: string): readonly Entry[] {
  const shapes = jsonMetadata(metadata, INT4_SHAPES_KEY, who);
  if (shapes.size === 0) return entries;
  const byName = new Map(entries.map((entry) => [entry.info.name, entry]));
  const found = new Map([...shapes].map(([name, value]): [string, Entry] => [name, int4Entry(name, value, byName, who)]));
  return entries.map((entry) => found.get(entry.info.name) ?? entry);
}

function int4Entry(name: string, value: Json, byName: ReadonlyMap<string, Entry>, who: string): Entry {
  const shape = numbers(value);
  const label = `int4 tensor ${shown(name)}`;
  const wrong = (expected: string, received: string) =>
    new VggError('VGG_INTEGRITY', `${who}: expected ${expected}, received ${received}; write or fetch the file again`);
  if (!shape || shape.length === 0) throw wrong(`a shape of whole numbers for ${label} in ${INT4_SHAPES_KEY}`, 'another value');
  const stored = byName.get(name);
  const bytes = Math.ceil(countOf(shape, `${who}: ${label}`) / 2);
  if (stored?.info.dtype !== 'uint8' || stored.info.shape.length !== 1 || stored.info.shape[0] !== bytes) {
    throw wrong(`${bytes} bytes (U8 [${bytes}]) for ${label} [${shape}]`, inWords(stored));
  }
  const palettes = byName.get(`${name}${PALETTE_SUFFIX}`);
  const expected = [shape.at(-1)!, PALETTE];
  if (palettes?.info.dtype !== 'float32' || String(palettes.info.shape) !== String(expected)) {
    throw wrong(`${shown(`${name}${PALETTE_SUFFIX}`)} as F32 [${expected}] beside ${label}`, inWords(palettes));
  }
  return { ...stored, info: { ...stored.info, shape, dtype: 'int4' }, palettes };
}

const inWords = (entry: Entry | undefined) => (entry ? `${entry.info.dtype} [${entry.info.shape.slice(0, 8)}]` : 'no such tensor');

/** A JSON object that is kept as text in the metadata. */
function jsonMetadata(metadata: ReadonlyMap<string, string>, key: string, who: string): Map<string, Json> {
  const text = metadata.get(key);
  if (text === undefined) return new Map();
  const json = parseJson(new TextEncoder().encode(text), { who: `${who}: ${key}`, maxBytes: MAX_HEADER, maxDepth: MAX_DEPTH });
  return new Map(Object.entries(json ?? {}));
}

/** What the file says of its tensors' bytes. */
function hashesOf(metadata: ReadonlyMap<string, string>, who: string): Map<string, string> {
  return new Map(
    [...jsonMetadata(metadata, SHA256_KEY, who)].map(([name, hash]): [string, string] => {
      if (typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash)) return [name, hash];
      throw new VggError('VGG_INTEGRITY', `${who}: expected 64 hexadecimal digits as the sha256 of ${shown(name)}, received another value`);
    }),
  );
}

function headerLength(bytes: Uint8Array): number {
  return Number(viewOf(bytes).getBigUint64(0, true));
}

function readMetadata(value: Json, into: Map<string, string>, who: string): void {
  for (const [key, text] of Object.entries(value ?? {})) {
    if (typeof text !== 'string')
      throw new VggError('VGG_INTEGRITY', `${who}: expected text as metadata ${shown(key)}, received ${typeof text}`);
    into.set(key, text);
  }
}

function readEntry(name: string, value: Json, who: string): Entry {
  const stored = member(value, 'dtype');
  const dtype = typeof stored === 'string' ? DTYPES.get(stored) : undefined;
  if (!dtype) {
    const known = [...DTYPES.keys()].join(', ');
    throw new VggError('VGG_FORMAT', `${who}: expected tensor ${shown(name)} to be one of ${known}, received ${JSON.stringify(stored)}`);
  }
  const shape = numbers(member(value, 'shape'));
  const offsets = numbers(member(value, 'data_offsets'));
  if (!shape || !offsets || offsets.length !== 2) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected tensor ${shown(name)} to have a shape and two data_offsets, received others`);
  }
  const [start, end] = offsets as [number, number];
  const bytes = countOf(shape, `${who}: tensor ${shown(name)}`) * DTYPE_BYTES[dtype];
  if (end - start !== bytes) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected ${bytes} bytes for tensor ${shown(name)} [${shape}], received ${end - start}`);
  }
  return { info: { name, shape, dtype, present: true }, start, end };
}

function numbers(value: Json | undefined): number[] | undefined {
  const whole = (item: Json) => typeof item === 'number' && Number.isSafeInteger(item) && item >= 0;
  return Array.isArray(value) && value.every(whole) ? (value as number[]) : undefined;
}

/** The tensors must tile the data: no overlap, no hole, no byte more or less. */
function checkOffsets(entries: readonly Entry[], dataSize: number, who: string): void {
  let at = 0;
  for (const { info, start, end } of [...entries].sort((a, b) => a.start - b.start || a.end - b.end)) {
    if (start !== at) {
      throw new VggError(
        'VGG_INTEGRITY',
        `${who}: expected tensor ${shown(info.name)} at byte ${at} of the data, received ${start} (${start < at ? 'overlap' : 'hole'})`,
      );
    }
    at = end;
  }
  if (at !== dataSize) {
    throw new VggError(
      'VGG_INTEGRITY',
      `${who}: expected ${at} bytes of data after the header, received ${dataSize}; fetch the file again`,
    );
  }
}
