import type { Source } from './source.js';

/** Element types of stored tensors; all are read as float32 unless asked for raw. */
export type DType =
  | 'float64'
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
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
}

/** An opened weight file: an index of tensors, and their values on demand. */
export interface WeightFile {
  /** The format's id, such as `keras-h5`, `tfjs-layers`, `safetensors`. */
  readonly format: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** What the file says of itself, as text (safetensors metadata, keras_version ...). */
  readonly metadata: ReadonlyMap<string, string>;
  /** The values of one tensor in the file's own layout, converted to float32 (quantised ones dequantised).
   * @throws VggError `VGG_WEIGHTS_MISSING` if its bytes are not there */
  read(name: string, options?: { signal?: AbortSignal }): Promise<Float32Array>;
  close(): Promise<void>;
}

/** One file format: how to know it and how to read it. */
export interface Format {
  readonly id: string;
  /** A name for people, such as `Keras HDF5 weights`. */
  readonly title: string;
  /** Whether these first bytes (up to 4096) and this name are of the format. */
  match(head: Uint8Array, source: Source): boolean;
  open(source: Source, options?: { signal?: AbortSignal }): Promise<WeightFile>;
}

/** A tensor about to be written: values are asked for one at a time, so memory stays bounded. */
export interface TensorToWrite {
  readonly name: string;
  readonly shape: readonly number[];
  values(): Promise<Float32Array>;
}
