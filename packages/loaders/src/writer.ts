import { VggError } from '@vgg/errors';
import type { FileGraph } from './graph.js';
import type { ReadOptions } from './source.js';

/**
 * How values are stored: bit for bit, at half the size, at a quarter with one scale for each output channel, or at an eighth with a palette
 * of 16 values for each output channel.
 */
export type StoredType = 'float32' | 'float16' | 'int8' | 'int4';

/** A tensor about to be written, under its canonical name and in canonical layout; values are asked for when their turn comes. */
export interface TensorToWrite {
  /** `conv1_1.weight`, `fc6.bias`, `bn1_1.scale` ... */
  readonly name: string;
  /** Filters [kh, kw, in, out], dense [in, out], the rest [channels]. */
  readonly shape: readonly number[];
  /** Where it is not that of the request; for writers that can have it otherwise, see {@link Writer.mixed}. */
  readonly dtype?: StoredType;
  /** All values. The array is the caller's own. */
  values(options?: ReadOptions): Promise<Float32Array>;
  /** The same, in pieces that hold their values until the next is asked for; cheaper where no other layout is to be made of them. */
  stream(options?: ReadOptions): AsyncIterable<Float32Array>;
}

export interface WriteRequest {
  /** The main file's base name, such as `vgg16.caffemodel`. */
  readonly name: string;
  /** The network, whose layers' weights `tensors` are; for safetensors and npz it may be left out. */
  readonly graph?: FileGraph;
  /** In the order of the layers, those of a layer together. */
  readonly tensors: readonly TensorToWrite[];
  /** What the weights say of themselves, as text: plan, preprocessing, licence, source ...; formats without a place for it leave it out. */
  readonly metadata?: ReadonlyMap<string, string>;
  /** Default `float32`. */
  readonly dtype?: StoredType;
  /** Makes a running sha256; without it none is recorded. */
  readonly sha256?: () => { update(bytes: Uint8Array): void; digest(): string };
  readonly signal?: AbortSignal;
}

/** Bytes to be put over earlier ones of the same file, once all the others are written: what is known only at the end. */
export interface Patch {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** One file of what a format writes. */
export interface OutputFile {
  /** Plain base name. */
  readonly name: string;
  /** In order; patches come last. One tensor at a time is in memory, and a chunk holds its bytes until the next is asked for. */
  chunks(): AsyncIterable<Uint8Array | Patch>;
}

/** A format that can be written. */
export interface Writer {
  readonly id: string;
  /** A name for people, such as `Caffe model and prototxt`. */
  readonly title: string;
  /** Endings by which the format is known from a file's name, without the dot, the usual one first. */
  readonly endings: readonly string[];
  readonly dtypes: readonly StoredType[];
  /** Whether tensors of one file may be of several of them. */
  readonly mixed?: boolean;
  /**
   * The files to write, the one that names the others (model.json, the caffemodel) last. Names, shapes and sizes are checked here, before
   * anything is written.
   *
   * @throws VggError `VGG_OPTION` for what the format cannot hold (a dtype, a layer), `VGG_SHAPE` where values and shapes differ
   */
  write(request: WriteRequest): OutputFile[];
}

/**
 * The one type of all tensors to be written.
 * @throws VggError `VGG_OPTION` if it is none of `able`, or if a tensor is to be of another
 */
export function singleType<T extends StoredType>({ dtype = 'float32', tensors }: WriteRequest, able: readonly T[], who: string): T {
  const other = tensors.find((tensor) => tensor.dtype !== undefined && tensor.dtype !== dtype);
  const found = able.find((each) => each === dtype);
  if (found !== undefined && !other) return found;
  const received = other ? `${dtype}, and ${other.dtype} for "${other.name}"` : dtype;
  const expected = `${other ? 'one dtype for all tensors, ' : 'dtype '}${able.join(' or ')}`;
  throw new VggError('VGG_OPTION', `${who}: expected ${expected}, received ${received}; write safetensors for it`);
}
