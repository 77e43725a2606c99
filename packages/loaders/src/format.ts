import type { FileGraph } from './graph.js';
import type { OpenOptions, ReadOptions, Source } from './source.js';

/** Element types of stored tensors; all are read as float32. `int4` are indices into a palette, two to a byte. */
export type DType =
  | 'float64'
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'int4'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool';

/** What a file says of one tensor, before any of its values is read. */
export interface TensorInfo {
  /** The file's own name for it, such as `block1_conv1/kernel` or `features.0.weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** False where the file names the tensor but its bytes are not there (a missing shard). */
  readonly present: boolean;
  /** Why it is not there, such as the names of the missing shards. */
  readonly absence?: string;
  /** The name inside the file where `name` is a tidied form of it, such as `block1_conv1/block1_conv1_W_1:0`. */
  readonly storedAs?: string;
  /**
   * The axes of `shape` in the order in which the file has them, the slowest first, where that is not 0, 1, 2 ...: `[3, 2, 1, 0]` in a
   * MATLAB file, whose arrays run down the columns. {@link WeightFile.stream} gives the values in this order.
   */
  readonly axes?: readonly number[];
}

/** An opened weight file: an index of tensors, and their values on demand. */
export interface WeightFile {
  /** The format's id, such as `keras-h5`, `tfjs-layers`, `safetensors`. */
  readonly format: string;
  /** The file's own, for messages. */
  readonly name?: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** What the file says of itself, as text (safetensors metadata, keras_version ...). */
  readonly metadata: ReadonlyMap<string, string>;
  /** The layers of the network, where the file tells of them (a prototxt beside it, an ONNX graph). */
  readonly graph?: FileGraph;
  /** The values of one tensor, `shape` in C order, converted to float32 (quantised ones dequantised).
   * @throws VggError `VGG_WEIGHTS_MISSING` if its bytes are not there */
  read(name: string, options?: ReadOptions): Promise<Float32Array>;
  /** The same values in the order in which the file has them (see {@link TensorInfo.axes}), in pieces of a few MB, so that a tensor never has to be in memory. */
  stream(name: string, options?: StreamOptions): AsyncIterable<Float32Array>;
  close(): Promise<void>;
}

export interface StreamOptions extends ReadOptions {
  /** Whether the pieces may share memory: each then holds its values until the next is asked for, and no garbage piles up behind them. */
  reuse?: boolean;
}

/** One file format: how to know it and how to read it. */
export interface Format {
  readonly id: string;
  /** A name for people, such as `Keras HDF5 weights`. */
  readonly title: string;
  /** Whether these first bytes (up to 4096) and this name are of the format. */
  match(head: Uint8Array, source: Source): boolean;
  open(source: Source, options?: OpenOptions): Promise<WeightFile>;
}
