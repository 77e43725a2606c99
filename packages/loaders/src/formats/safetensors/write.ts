import { throwIfAborted, VggError } from '@vgg/errors';
import { bytesOf } from '../../bytes.js';
import { countOf, DTYPE_BYTES } from '../../dtype.js';
import { int8Scales, quantizeBy } from '../../quantize.js';
import type { RunningHash } from '../../source.js';
import type { OutputFile, Patch, StoredType, TensorToWrite, WriteRequest, Writer } from '../../writer.js';
import { tensorBytes } from '../tensor-bytes.js';
import { PIECE } from '../tensors.js';

/** The data starts at a multiple of this, as the format's own writer does, so that float32 can be mapped in place. */
const ALIGNMENT = 8;
/** Added to the name of an int8 tensor: the float32 tensor [channels] by which its values, channel by channel of the last axis, are multiplied. */
export const SCALE_SUFFIX = '_scale';
/** Metadata: the sha256 of each tensor's stored bytes in lower-case hexadecimal, as the JSON of an object by tensor name. */
export const SHA256_KEY = 'vgg.sha256';
/** Metadata for whoever reads an int8 file with another program. */
const INT8_KEY = 'vgg.int8';
const INT8_NOTE = `int8 tensors are multiplied by NAME${SCALE_SUFFIX}, along their last axis`;

const CODES: Readonly<Record<StoredType, string>> = { float32: 'F32', float16: 'F16', int8: 'I8' };

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
 * @param dtype of the tensors that do not say theirs
 * @throws VggError `VGG_OPTION` for a name used twice, `VGG_INTEGRITY` for an impossible shape
 */
export function safetensorsHeader(
  tensors: readonly { readonly name: string; readonly shape: readonly number[]; readonly dtype?: StoredType }[],
  metadata: SafetensorsMetadata = {},
  dtype: StoredType = SAFETENSORS_DEFAULTS.dtype,
): Uint8Array {
  const names = new Set<string>();
  const entries = [`"__metadata__":${jsonObject(metadata instanceof Map ? metadata : Object.entries(metadata))}`];
  let at = 0;
  for (const { name, shape, dtype: own = dtype } of tensors) {
    if (names.has(name)) throw new VggError('VGG_OPTION', `safetensors: expected each name once, received "${name}" twice`);
    names.add(name);
    const end = at + countOf(shape, `safetensors: tensor "${name}"`) * DTYPE_BYTES[own];
    entries.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype: CODES[own], shape, data_offsets: [at, end] })}`);
    at = end;
  }
  const text = new TextEncoder().encode(`{${entries.join(',')}}`);
  const length = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT;
  const first = new Uint8Array(8 + length).fill(0x20);
  new DataView(first.buffer).setBigUint64(0, BigInt(length), true);
  first.set(text, 8);
  return first;
}

/** Joined by hand: a plain object would lose the name "__proto__" and reorder names that look like numbers. */
function jsonObject(entries: Iterable<readonly [string, string]>): string {
  return `{${[...entries].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
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
    const whole = async function* () {
      yield await tensor.values();
    };
    for await (const piece of tensorBytes({ ...tensor, stream: whole }, dtype, 'writeSafetensors', signal)) {
      yield dtype === 'float16' ? piece.slice() : piece; // whoever takes these chunks may keep them
    }
  }
}

/**
 * safetensors as vgg writes it: canonical names and layouts, what the weights say of themselves as metadata, and the sha256 of each
 * tensor's bytes under {@link SHA256_KEY}.
 *
 * int8: a tensor of two or more axes is stored as `I8`, with `NAME_scale` (`F32`, one for each output channel, which is the last
 * axis) beside it: value = int8 * scale. The others stay float32 and, for the sake of alignment, come first.
 */
export const safetensorsWriter: Writer = {
  id: 'safetensors',
  title: 'safetensors',
  endings: ['safetensors'],
  dtypes: ['float32', 'float16', 'int8'],
  write(request) {
    const slots = layout(request);
    header(request, slots, undefined); // what is wrong with names and shapes is said before anything is written
    const file: OutputFile = { name: request.name, chunks: () => chunks(request, slots) };
    return [file];
  },
};

/** One tensor of the file; a scale is known only when the tensor that it is of has been read. */
interface Slot {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: StoredType;
  readonly tensor: TensorToWrite;
  readonly isScale: boolean;
}

function layout({ tensors, dtype = 'float32' }: WriteRequest): Slot[] {
  const slot = (tensor: TensorToWrite, own: StoredType): Slot => ({ ...tensor, tensor, dtype: own, isScale: false });
  if (dtype !== 'int8') return tensors.map((tensor) => slot(tensor, dtype));
  const small = tensors.filter(({ shape }) => shape.length >= 2);
  return [
    ...tensors.filter((tensor) => !small.includes(tensor)).map((tensor) => slot(tensor, 'float32')),
    ...small.map((tensor): Slot => {
      return { name: `${tensor.name}${SCALE_SUFFIX}`, shape: [tensor.shape.at(-1)!], dtype: 'float32', tensor, isScale: true };
    }),
    ...small.map((tensor) => slot(tensor, 'int8')),
  ];
}

/** The header with these hashes, or with as many zeros in their place. */
function header(
  { metadata = new Map(), dtype, sha256 }: WriteRequest,
  slots: readonly Slot[],
  hashes: ReadonlyMap<string, string> | undefined,
) {
  const all = new Map(metadata);
  if (dtype === 'int8') all.set(INT8_KEY, INT8_NOTE);
  if (sha256) all.set(SHA256_KEY, jsonObject(slots.map(({ name }) => [name, hashes?.get(name) ?? '0'.repeat(64)])));
  return safetensorsHeader(slots, all);
}

async function* chunks(request: WriteRequest, slots: readonly Slot[]): AsyncGenerator<Uint8Array | Patch> {
  const { sha256, signal } = request;
  const first = header(request, slots, undefined);
  yield first;
  const patches: Patch[] = [];
  const hashes = new Map<string, string>();
  const places = new Map<string, number>();
  let at = first.length;
  for (const slot of slots) {
    const { name, shape, dtype, tensor, isScale } = slot;
    places.set(name, at);
    at += countOf(shape, name) * DTYPE_BYTES[dtype];
    if (isScale) {
      yield new Uint8Array(4 * shape[0]!);
      continue;
    }
    const hash = sha256?.();
    const pieces =
      dtype === 'int8'
        ? quantized(slot, (scales) => patches.push(scaleOf(name, scales)), signal)
        : tensorBytes(tensor, dtype, 'safetensors', signal);
    for await (const piece of pieces) {
      hash?.update(piece);
      yield piece;
    }
    if (hash) hashes.set(name, hash.digest());
  }
  yield* patches;
  if (sha256) yield { at: 0, bytes: header(request, slots, hashes) };

  function scaleOf(name: string, scales: Float32Array): Patch {
    const scale = `${name}${SCALE_SUFFIX}`;
    const bytes = bytesOf(scales);
    if (sha256) hashes.set(scale, digestOf(sha256(), bytes));
    return { at: places.get(scale)!, bytes };
  }
}

function digestOf(hash: RunningHash, bytes: Uint8Array): string {
  hash.update(bytes);
  return hash.digest();
}

/** The bytes of one tensor as int8; the scales are told as soon as they are known. */
async function* quantized(
  { name, shape, tensor }: Slot,
  onScales: (scales: Float32Array) => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  throwIfAborted(signal, 'safetensors');
  const values = await tensor.values(signal ? { signal } : {});
  const count = countOf(shape, name);
  if (values.length !== count) throw wrongCount('safetensors', name, shape, count, values.length);
  const channels = shape.at(-1)!;
  const scales = int8Scales(values, channels);
  onScales(scales);
  const step = wholeRows(channels);
  const memory = new Int8Array(Math.min(count, step));
  for (let from = 0; from < count; from += step) {
    throwIfAborted(signal, 'safetensors');
    const rows = values.subarray(from, from + step);
    const piece = quantizeBy(rows, scales, memory.subarray(0, rows.length));
    yield bytesOf(piece);
  }
}

/** Values of a piece that ends with a row. */
export const wholeRows = (channels: number): number => Math.max(1, Math.floor(PIECE / Math.max(1, channels))) * Math.max(1, channels);

function wrongCount(who: string, name: string, shape: readonly number[], count: number, received: number): VggError {
  return new VggError('VGG_SHAPE', `${who}: expected ${count} values for "${name}" [${shape}], received ${received}`);
}
