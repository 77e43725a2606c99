import { throwIfAborted, VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES, toFloat16 } from '../dtype.js';
import type { DType, Format, TensorInfo, WeightFile } from '../format.js';
import { type Json, member, parseJson } from '../json.js';
import type { ReadOptions, Source } from '../source.js';
import type { TensorToWrite } from '../writer.js';
import { contiguousTensor, weightFile } from './tensors.js';

/** A VGG's header is 5 KB; the format's own reader stops at 100 MB, which would be a hundred thousand tensors too many. */
const MAX_HEADER = 16 * 2 ** 20;
/** The header is `{ name: { dtype, shape: [], data_offsets: [] } }`. */
const MAX_DEPTH = 8;
/** The data starts at a multiple of this, as the format's own writer does, so that float32 can be mapped in place. */
const ALIGNMENT = 8;

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
}

async function openSafetensors(source: Source, options: ReadOptions = {}): Promise<WeightFile> {
  const who = source.name;
  const length = headerLength(await source.read(0, 8, options));
  if (length > MAX_HEADER)
    throw new VggError('VGG_INTEGRITY', `${who}: expected a header of at most ${MAX_HEADER} bytes, received ${length}`);
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
    tensors: entries.map(({ info, start }) => contiguousTensor(info, source, data + start)),
    metadata,
    close: source.close?.bind(source),
  });
}

function headerLength(bytes: Uint8Array): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
}

function readMetadata(value: Json, into: Map<string, string>, who: string): void {
  for (const [key, text] of Object.entries(value ?? {})) {
    if (typeof text !== 'string')
      throw new VggError('VGG_INTEGRITY', `${who}: expected text as metadata "${key}", received ${typeof text}`);
    into.set(key, text);
  }
}

function readEntry(name: string, value: Json, who: string): Entry {
  const stored = member(value, 'dtype');
  const dtype = typeof stored === 'string' ? DTYPES.get(stored) : undefined;
  if (!dtype) {
    const known = [...DTYPES.keys()].join(', ');
    throw new VggError('VGG_FORMAT', `${who}: expected tensor "${name}" to be one of ${known}, received ${JSON.stringify(stored)}`);
  }
  const shape = numbers(member(value, 'shape'));
  const offsets = numbers(member(value, 'data_offsets'));
  if (!shape || !offsets || offsets.length !== 2) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected tensor "${name}" to have a shape and two data_offsets, received others`);
  }
  const [start, end] = offsets as [number, number];
  const bytes = countOf(shape, `${who}: tensor "${name}"`) * DTYPE_BYTES[dtype];
  if (end - start !== bytes) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected ${bytes} bytes for tensor "${name}" [${shape}], received ${end - start}`);
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
        `${who}: expected tensor "${info.name}" at byte ${at} of the data, received ${start} (${start < at ? 'overlap' : 'hole'})`,
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

/** A tensor by any name, whose values are asked for when their turn comes. */
export type NamedValues = Pick<TensorToWrite, 'name' | 'shape' | 'values'>;

/** Text by name, kept beside the tensors. */
type SafetensorsMetadata = ReadonlyMap<string, string> | Readonly<Record<string, string>>;

export interface SafetensorsOptions {
  /** The element type to store; float16 halves the file and keeps 11 bits of each value. */
  dtype?: 'float32' | 'float16';
  signal?: AbortSignal;
}

const SAFETENSORS_DEFAULTS = { dtype: 'float32' } as const;

/**
 * The head of a safetensors file: its length, and the JSON that places these tensors end to end behind it.
 *
 * @throws VggError `VGG_OPTION` for a name used twice, `VGG_INTEGRITY` for an impossible shape
 */
export function safetensorsHeader(
  tensors: readonly { readonly name: string; readonly shape: readonly number[] }[],
  metadata: SafetensorsMetadata = {},
  dtype: 'float32' | 'float16' = SAFETENSORS_DEFAULTS.dtype,
): Uint8Array {
  const header: [string, Json][] = [['__metadata__', Object.fromEntries(metadata instanceof Map ? metadata : Object.entries(metadata))]];
  let at = 0;
  for (const { name, shape } of tensors) {
    if (header.some(([known]) => known === name)) {
      throw new VggError('VGG_OPTION', `safetensors: expected each name once, received "${name}" twice`);
    }
    const end = at + countOf(shape, `safetensors: tensor "${name}"`) * DTYPE_BYTES[dtype];
    header.push([name, { dtype: dtype === 'float16' ? 'F16' : 'F32', shape: [...shape], data_offsets: [at, end] }]);
    at = end;
  }
  // Joined by hand: a plain object would lose the name "__proto__" and reorder names that look like numbers.
  const text = new TextEncoder().encode(`{${header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`);
  const length = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT;
  const first = new Uint8Array(8 + length).fill(0x20);
  new DataView(first.buffer).setBigUint64(0, BigInt(length), true);
  first.set(text, 8);
  return first;
}

/**
 * A safetensors file in chunks: the header, then one tensor at a time, so that memory stays at the largest tensor.
 *
 * @throws VggError `VGG_SHAPE` if a tensor has another number of values than its shape says, `VGG_OPTION` for a name used twice
 * @example
 * for await (const chunk of writeSafetensors([{ name: 'conv1_1.bias', shape: [64], values }], { licence: 'CC BY 4.0' })) ...
 */
export async function* writeSafetensors(
  tensors: readonly NamedValues[],
  metadata: SafetensorsMetadata = {},
  options: SafetensorsOptions = {},
): AsyncGenerator<Uint8Array> {
  const { dtype, signal } = { ...SAFETENSORS_DEFAULTS, ...options };
  yield safetensorsHeader(tensors, metadata, dtype);
  for (const tensor of tensors) {
    throwIfAborted(signal, 'writeSafetensors');
    const values = await tensor.values();
    const count = countOf(tensor.shape, 'writeSafetensors');
    if (values.length !== count) {
      throw new VggError(
        'VGG_SHAPE',
        `writeSafetensors: expected ${count} values for "${tensor.name}" [${tensor.shape}], received ${values.length}`,
      );
    }
    const stored = dtype === 'float16' ? toFloat16(values) : values;
    yield new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
  }
}
