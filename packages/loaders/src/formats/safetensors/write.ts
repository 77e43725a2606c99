import { throwIfAborted, turn, VggError } from '@vgg/errors';
import { bytesOf } from '../../bytes.js';
import { countOf, DTYPE_BYTES } from '../../dtype.js';
import { int4Packer, int4Palettes, PALETTE } from '../../palette.js';
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

/** Added to the name of an int4 tensor: the float32 tensor [channels, 16] with the palettes of its output channels. */
export const PALETTE_SUFFIX = '_palette';
/** Metadata: the shapes of the int4 tensors, which are stored as bytes, as the JSON of an object by tensor name. */
export const INT4_SHAPES_KEY = 'vgg.int4.shapes';
/** Metadata for whoever reads an int4 file with another program. */
const INT4_KEY = 'vgg.int4';
const INT4_NOTE = `the tensors of ${INT4_SHAPES_KEY} have two indices in a byte, the first in its low half, along the last axis into the rows of NAME${PALETTE_SUFFIX}`;

/** Elements as they are stored: int4 are bytes. */
type Element = Exclude<StoredType, 'int4'> | 'uint8';

const CODES: Readonly<Record<Element, string>> = { float32: 'F32', float16: 'F16', int8: 'I8', uint8: 'U8' };

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
  tensors: readonly { readonly name: string; readonly shape: readonly number[]; readonly dtype?: Element }[],
  metadata: SafetensorsMetadata = {},
  dtype: Element = SAFETENSORS_DEFAULTS.dtype,
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
function jsonObject(entries: Iterable<readonly [string, unknown]>): string {
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
 * axis) beside it: value = int8 * scale.
 *
 * int4: a tensor of two or more axes is stored as `U8` of one axis, two indices to a byte (the order is that of {@link Int4Values}), with
 * `NAME_palette` (`F32` [channels, 16]) beside it: value = palette[channel][index]. Its own shape is in the metadata, under
 * {@link INT4_SHAPES_KEY}: `{"fc6.weight":[25088,4096]}`.
 *
 * In both, other tensors stay float32. Each tensor may be of a type of its own; for the sake of alignment wide elements come first.
 */
export const safetensorsWriter: Writer = {
  id: 'safetensors',
  title: 'safetensors',
  endings: ['safetensors'],
  dtypes: ['float32', 'float16', 'int8', 'int4'],
  mixed: true,
  write(request) {
    const slots = layout(request);
    header(request, slots, undefined); // what is wrong with names and shapes is said before anything is written
    const file: OutputFile = { name: request.name, chunks: () => chunks(request, slots) };
    return [file];
  },
};

/** One tensor of the file, as it is stored. */
interface Slot {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: Element;
  readonly tensor: TensorToWrite;
  /** Scales or palettes, which are known only when the tensor that they are of has been read. */
  readonly isTable?: true;
}

function layout({ tensors, dtype = 'float32' }: WriteRequest): Slot[] {
  const slots = tensors.flatMap((tensor): Slot[] => {
    const { name, shape } = tensor;
    const wanted = tensor.dtype ?? dtype;
    const isSmall = wanted === 'int8' || wanted === 'int4';
    if (!isSmall || shape.length < 2) return [{ name, shape, tensor, dtype: isSmall ? 'float32' : wanted }];
    const channels = shape.at(-1)!;
    if (wanted === 'int8') {
      const scales: Slot = { name: `${name}${SCALE_SUFFIX}`, shape: [channels], dtype: 'float32', tensor, isTable: true };
      return [scales, { name, shape, dtype: 'int8', tensor }];
    }
    const palettes: Slot = { name: `${name}${PALETTE_SUFFIX}`, shape: [channels, PALETTE], dtype: 'float32', tensor, isTable: true };
    const bytes = Math.ceil(countOf(shape, `safetensors: tensor "${name}"`) / 2);
    return [palettes, { name, shape: [bytes], dtype: 'uint8', tensor }];
  });
  const [plain, tables] = [slots.filter(({ isTable }) => !isTable), slots.filter(({ isTable }) => isTable)];
  const wide = plain.filter(({ dtype: own }) => own === 'float32');
  const half = plain.filter(({ dtype: own }) => own === 'float16');
  return [...wide, ...tables, ...half, ...plain.filter((slot) => DTYPE_BYTES[slot.dtype] === 1)];
}

/** The header with these hashes, or with as many zeros in their place. */
function header({ metadata = new Map(), sha256 }: WriteRequest, slots: readonly Slot[], hashes: ReadonlyMap<string, string> | undefined) {
  const all = new Map(metadata);
  if (slots.some(({ dtype }) => dtype === 'int8')) all.set(INT8_KEY, INT8_NOTE);
  const packed = slots.filter(({ dtype }) => dtype === 'uint8');
  if (packed.length > 0) {
    all.set(INT4_KEY, INT4_NOTE);
    all.set(INT4_SHAPES_KEY, jsonObject(packed.map(({ name, tensor }) => [name, tensor.shape])));
  }
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
  for (const { name, shape, dtype, tensor, isTable } of slots) {
    places.set(name, at);
    const size = countOf(shape, name) * DTYPE_BYTES[dtype];
    at += size;
    if (isTable) {
      yield new Uint8Array(size);
      continue;
    }
    const hash = sha256?.();
    const pieces =
      dtype === 'int8'
        ? quantized(tensor, (scales) => keep(`${name}${SCALE_SUFFIX}`, scales), signal)
        : dtype === 'uint8'
          ? indexed(tensor, (palettes) => keep(`${name}${PALETTE_SUFFIX}`, palettes), signal)
          : tensorBytes(tensor, dtype, 'safetensors', signal);
    for await (const piece of pieces) {
      hash?.update(piece);
      yield piece;
    }
    if (hash) hashes.set(name, hash.digest());
  }
  yield* patches;
  if (sha256) yield { at: 0, bytes: header(request, slots, hashes) };

  /** A table goes to the place that was kept for it. */
  function keep(name: string, table: Float32Array): void {
    const bytes = bytesOf(table);
    if (sha256) hashes.set(name, digestOf(sha256(), bytes));
    patches.push({ at: places.get(name)!, bytes });
  }
}

function digestOf(hash: RunningHash, bytes: Uint8Array): string {
  hash.update(bytes);
  return hash.digest();
}

/** The bytes of one tensor as int8; the scales are told as soon as they are known. */
async function* quantized(
  tensor: TensorToWrite,
  onScales: (scales: Float32Array) => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const values = await allValues(tensor, signal);
  const channels = tensor.shape.at(-1)!;
  const scales = int8Scales(values, channels);
  onScales(scales);
  const step = wholeRows(channels);
  const memory = new Int8Array(Math.min(values.length, step));
  for (let from = 0; from < values.length; from += step) {
    throwIfAborted(signal, 'safetensors');
    const rows = values.subarray(from, from + step);
    const piece = quantizeBy(rows, scales, memory.subarray(0, rows.length));
    yield bytesOf(piece);
  }
}

/** The same as int4, whose palettes take some seconds for a dense layer. */
async function* indexed(
  tensor: TensorToWrite,
  onPalettes: (palettes: Float32Array) => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const values = await allValues(tensor, signal);
  const steps = int4Palettes(values, tensor.shape.at(-1)!);
  let found = steps.next();
  for (; !found.done; found = steps.next()) {
    await turn();
    throwIfAborted(signal, 'safetensors');
  }
  onPalettes(found.value);
  const pack = int4Packer(found.value);
  const memory = new Uint8Array(Math.ceil(Math.min(values.length, PIECE) / 2));
  for (let from = 0; from < values.length; from += PIECE) {
    throwIfAborted(signal, 'safetensors');
    const piece = values.subarray(from, from + PIECE);
    yield pack(piece, from, memory.subarray(0, Math.ceil(piece.length / 2)));
  }
}

async function allValues(tensor: TensorToWrite, signal: AbortSignal | undefined): Promise<Float32Array> {
  throwIfAborted(signal, 'safetensors');
  const { name, shape } = tensor;
  const values = await tensor.values(signal ? { signal } : {});
  const count = countOf(shape, name);
  if (values.length === count) return values;
  throw new VggError('VGG_SHAPE', `safetensors: expected ${count} values for "${name}" [${shape}], received ${values.length}`);
}

/** Values of a piece that ends with a row. */
const wholeRows = (channels: number): number => Math.max(1, Math.floor(PIECE / Math.max(1, channels))) * Math.max(1, channels);
