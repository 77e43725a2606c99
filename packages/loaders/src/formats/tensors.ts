import { throwIfAborted, VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES, isNativeFloat32, toFloat32 } from '../dtype.js';
import type { StreamOptions, TensorInfo, WeightFile } from '../format.js';
import { reorder, transposition } from '../reorder.js';
import type { ReadOptions, Source } from '../source.js';
import { readInto } from '../sources/read-into.js';

/** Values of one piece of a stream: 1 MB of float32. Where pieces do not share memory, an engine lets some 30 MB of those handed on pile up. */
export const PIECE = 2 ** 18;
/** The same over a network, where each piece is a request. */
const REMOTE_PIECE = 2 ** 20;

/** One tensor of an opened file, and how its values are read. */
export interface StoredTensor {
  readonly info: TensorInfo;
  /** All values at once in the order in which the file has them; by default the pieces of `stream` put together. */
  read?(options: ReadOptions): Promise<Float32Array>;
  /** The same values piece by piece, which share memory if the options allow it. */
  stream(options: StreamOptions): AsyncIterable<Float32Array>;
}

/** What a format's reader knows once the index is read. */
export interface OpenedFile extends Pick<WeightFile, 'format' | 'graph'> {
  /** The file's name, for messages. */
  readonly who: string;
  readonly tensors: Iterable<StoredTensor>;
  readonly metadata?: ReadonlyMap<string, string>;
  close?(): Promise<void>;
}

/**
 * A {@link WeightFile} over these tensors.
 * @throws VggError `VGG_INTEGRITY` if two have one name
 */
export function weightFile({ who, format, graph, tensors, metadata = new Map(), close }: OpenedFile): WeightFile {
  const byName = new Map<string, StoredTensor>();
  for (const tensor of tensors) {
    const { name } = tensor.info;
    if (byName.has(name)) throw new VggError('VGG_INTEGRITY', `${who}: expected each name once, received "${name.slice(0, 80)}" twice`);
    byName.set(name, tensor);
  }
  const find = (name: string, options: ReadOptions): StoredTensor => {
    throwIfAborted(options.signal, who);
    const tensor = byName.get(name);
    if (!tensor) throw absentTensor(who, name);
    const { present, absence } = tensor.info;
    if (!present)
      throw new VggError('VGG_WEIGHTS_MISSING', `${who}: expected the bytes of "${name}", but ${absence ?? 'they are not there'}`);
    return tensor;
  };
  return {
    format,
    name: who,
    ...(graph && { graph }),
    tensors: new Map([...byName].map(([name, { info }]) => [name, info])),
    metadata,
    async read(name, options = {}) {
      const tensor = find(name, options);
      const { shape, axes } = tensor.info;
      const count = countOf(shape, who);
      // Put in order piece by piece: all at once would be two copies.
      if (axes) return reorder(tensor.stream({ ...options, reuse: true }), count, transposition(shape, axes), options);
      return tensor.read ? tensor.read(options) : collect(tensor.stream({ ...options, reuse: true }), count);
    },
    async *stream(name, options = {}) {
      yield* find(name, options).stream(options);
    },
    close: async () => close?.(),
  };
}

/** A tensor whose bytes lie end to end in a source. The caller has checked that they are inside it. */
export function contiguousTensor(info: TensorInfo, source: Source, offset: number, littleEndian = true): StoredTensor {
  const width = DTYPE_BYTES[info.dtype];
  const count = countOf(info.shape, source.name);
  return {
    info,
    // Bytes that are values already need no second array; others are converted piece by piece.
    ...(isNativeFloat32(info.dtype, littleEndian) && {
      read: async (options: ReadOptions) => toFloat32(await source.read(offset, count * width, options), 'float32', littleEndian),
    }),
    async *stream(options) {
      const piece = Math.min(count, source.remote ? REMOTE_PIECE : PIECE);
      const memory = options.reuse ? new Uint8Array(piece * width) : undefined;
      for (let at = 0; at < count; at += piece) {
        const size = Math.min(piece, count - at);
        const start = offset + at * width;
        const bytes = memory?.subarray(0, size * width) ?? (await source.read(start, size * width, options));
        if (memory) await readInto(source, bytes, start, options);
        yield toFloat32(bytes, info.dtype, littleEndian);
      }
    },
  };
}

/** A tensor that the file names and whose bytes are not there. */
export function missingTensor(info: Omit<TensorInfo, 'present' | 'absence'>, absence: string): StoredTensor {
  return {
    info: { ...info, present: false, absence },
    async *stream() {},
  };
}

/** A tensor whose bytes come one after another and cannot be asked for out of turn, as out of a compressed member of an archive. */
export function sequentialTensor(
  info: TensorInfo,
  bytes: (options: StreamOptions) => AsyncIterable<Uint8Array>,
  who: string,
  littleEndian = true,
): StoredTensor {
  const width = DTYPE_BYTES[info.dtype];
  const expected = countOf(info.shape, who) * width;
  return {
    info,
    async *stream(options) {
      let rest = new Uint8Array(0);
      let received = 0;
      for await (const chunk of bytes(options)) {
        received += chunk.length;
        if (received > expected) break;
        const joined = rest.length === 0 ? chunk : concat(rest, chunk);
        const whole = joined.length - (joined.length % width);
        if (whole > 0) yield toFloat32(joined.subarray(0, whole), info.dtype, littleEndian);
        rest = joined.slice(whole);
      }
      if (received !== expected) {
        const found = received > expected ? 'more' : received;
        throw new VggError(
          'VGG_INTEGRITY',
          `${who}: expected ${expected} bytes for tensor "${info.name}", received ${found}; fetch the file again`,
        );
      }
    },
  };
}

/** The pieces of a stream as one array of `count` values. @throws VggError `VGG_INTEGRITY` if there are more or fewer */
export async function collect(pieces: AsyncIterable<Float32Array>, count: number): Promise<Float32Array> {
  const out = new Float32Array(count);
  let at = 0;
  for await (const piece of pieces) {
    if (at + piece.length > count) throw new VggError('VGG_INTEGRITY', `expected ${count} values, received more`);
    out.set(piece, at);
    at += piece.length;
  }
  if (at !== count) throw new VggError('VGG_INTEGRITY', `expected ${count} values, received ${at}`);
  return out;
}

/** The error for a tensor that a file does not name at all. */
function absentTensor(who: string, name: string): VggError {
  return new VggError('VGG_WEIGHTS_MISSING', `${who}: expected tensor "${name}", and the file names none such`);
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}
