import { VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES } from '../../dtype.js';
import type { TensorInfo } from '../../format.js';
import type { ReadOptions, Source } from '../../source.js';
import { corrupt, type Field, fields, fieldsOf, packedVarints } from '../protobuf/wire.js';
import { contiguousTensor, missingTensor, type StoredTensor } from '../tensors.js';

/** A blob of the binary form: its shape, and where its values are. */
export interface Blob {
  readonly shape: readonly number[];
  /** Whether the shape has the four axes of before 2014, whatever the blob is: a bias [1, 1, 1, 64], a matrix [1, 1, 4096, 25088]. */
  readonly legacy: boolean;
  /** Undefined where the file has a shape and no values. */
  readonly values?: { readonly start: number; readonly dtype: 'float32' | 'float64' };
}

/** Field numbers of BlobProto. */
const SIZES = [1, 2, 3, 4];
const DATA = 5;
const SHAPE = 7;
const DOUBLE_DATA = 8;
/** A shape of eight axes has 80 bytes at most. */
const MAX_SHAPE_BYTES = 1024;

/**
 * What a blob says of itself; its values are not read, and what training left in it (`diff`) is passed over.
 * @throws VggError `VGG_INTEGRITY` where shape and values differ, `VGG_FORMAT` for values that are stored one by one
 */
export async function readBlob(source: Source, start: number, end: number, who: string, options: ReadOptions): Promise<Blob> {
  const sizes = [0, 0, 0, 0];
  let legacy = false;
  let shape: readonly number[] | undefined;
  let values: { field: Field; dtype: 'float32' | 'float64' } | undefined;
  for await (const field of fields(source, start, end, options)) {
    const { number, type } = field;
    if (SIZES.includes(number) && type === 'varint') {
      sizes[number - 1] = field.value;
      legacy = true;
    } else if (number === SHAPE && type === 'bytes') {
      const size = field.end - field.start;
      if (size > MAX_SHAPE_BYTES) throw corrupt(who, `a shape of ${size} bytes`);
      shape = readShape(await source.read(field.start, size, options), who);
    } else if (number === DATA || number === DOUBLE_DATA) {
      if (type !== 'bytes' || values) {
        throw new VggError(
          'VGG_FORMAT',
          `${who}: expected the values of a blob in one piece, as Caffe writes them, received ${values ? 'several pieces' : 'each value apart'}; write the file again with Caffe's upgrade_net_proto_binary`,
        );
      }
      values = { field, dtype: number === DATA ? 'float32' : 'float64' };
    }
  }
  if (!values) {
    const known = shape ?? (legacy ? sizes : []);
    countOf(known, who);
    return { shape: known, legacy: legacy && !shape };
  }
  const { field, dtype } = values;
  const length = field.end - field.start;
  const known = shape ?? (legacy ? sizes : [Math.floor(length / DTYPE_BYTES[dtype])]);
  if (countOf(known, who) * DTYPE_BYTES[dtype] !== length) {
    throw new VggError(
      'VGG_INTEGRITY',
      `${who}: expected ${countOf(known, who) * DTYPE_BYTES[dtype]} bytes of values for a blob of shape [${known}], received ${length}; the file is corrupt, fetch it again`,
    );
  }
  return { shape: known, legacy: legacy && !shape, values: { start: field.start, dtype } };
}

/** Sizes in field 1, packed or one by one. */
function readShape(bytes: Uint8Array, who: string): number[] {
  const shape: number[] = [];
  for (const { number, type, value, start, end } of fieldsOf(bytes, who)) {
    if (number !== 1) continue;
    if (type === 'bytes') shape.push(...packedVarints(bytes.subarray(start, end), who));
    else shape.push(value);
  }
  return shape;
}

/** The shape without leading axes of 1, down to `rank` axes. */
export function squeezed(shape: readonly number[], rank: number): readonly number[] {
  let from = 0;
  while (shape.length - from > rank && shape[from] === 1) from++;
  return shape.slice(from);
}

/** A blob as a tensor of this name, in this shape, its values multiplied by `factor`. */
export function blobTensor(source: Source, blob: Blob, info: Pick<TensorInfo, 'name' | 'shape' | 'axes'>, factor = 1): StoredTensor {
  const { values } = blob;
  if (!values) return missingTensor({ ...info, dtype: 'float32' }, 'the file has its shape only');
  const stored = contiguousTensor({ ...info, dtype: values.dtype, present: true }, source, values.start);
  return factor === 1 ? stored : scaledTensor(stored, factor);
}

function scaledTensor(tensor: StoredTensor, factor: number): StoredTensor {
  const scale = (values: Float32Array) => values.map((value) => value * factor);
  return {
    info: tensor.info,
    async *stream(options) {
      for await (const piece of tensor.stream(options)) yield scale(piece);
    },
  };
}

/** What Caffe's definition implies and the file does not store: as many of one value as a stored blob has values. */
export function constantTensor(name: string, like: Blob, value: number): StoredTensor {
  const count = countOf(like.shape, name);
  const info = { name, shape: [count], dtype: 'float32' as const };
  // Of a shape by itself, which any small file may promise, nothing is made.
  if (!like.values) return missingTensor(info, 'the file has a shape only');
  return {
    info: { ...info, present: true },
    async *stream() {
      yield new Float32Array(count).fill(value);
    },
  };
}
