import { VggError } from '@vgg/errors';
import { countOf, DTYPE_BYTES, toFloat32 } from '../dtype.js';
import type { DType } from '../format.js';

/** `\x93NUMPY`, see numpy's "NPY format" (numpy.lib.format). */
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** numpy pads the header so that the data starts at a multiple of this. */
const ALIGNMENT = 64;
/** A header of a plain array is 118 bytes; structured ones, which are refused, are longer. */
const MAX_HEADER = 65536;

/** The header of a `.npy` file (version 1.0, little-endian float32, C order) of this shape; the values follow it as they are. */
export function npyHeader(shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`;
  const length = Math.ceil((10 + text.length + 1) / ALIGNMENT) * ALIGNMENT - 10;
  const out = new Uint8Array(10 + length).fill(0x20);
  out.set(MAGIC);
  out.set([1, 0, length & 255, length >> 8], 6);
  out.set(new TextEncoder().encode(text), 10);
  out[out.length - 1] = 0x0a;
  return out;
}

/**
 * A whole `.npy` file, as `numpy.load` reads it.
 * @throws VggError `VGG_SHAPE` if the shape is for another number of values
 * @example
 * encodeNpy(new Float32Array(6), [2, 3]).length // 128 + 24
 */
export function encodeNpy(values: Float32Array, shape: readonly number[]): Uint8Array {
  const count = countOf(shape, 'encodeNpy');
  if (count !== values.length)
    throw new VggError('VGG_SHAPE', `encodeNpy: expected ${count} values for shape [${shape}], received ${values.length}`);
  const header = npyHeader(shape);
  const out = new Uint8Array(header.length + values.byteLength);
  out.set(header);
  out.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), header.length);
  return out;
}

const KINDS: ReadonlyMap<string, DType> = new Map([
  ['f8', 'float64'],
  ['f4', 'float32'],
  ['f2', 'float16'],
  ['i8', 'int64'],
  ['i4', 'int32'],
  ['i2', 'int16'],
  ['i1', 'int8'],
  ['u8', 'uint64'],
  ['u4', 'uint32'],
  ['u2', 'uint16'],
  ['u1', 'uint8'],
  ['b1', 'bool'],
]);

export interface NpyArray {
  shape: number[];
  dtype: DType;
  /** In C order, whatever the file's. */
  data: Float32Array;
}

/**
 * A numeric `.npy` file of version 1, 2 or 3 as float32; objects and structures are refused.
 * @throws VggError `VGG_FORMAT`, `VGG_INTEGRITY`
 */
export function decodeNpy(bytes: Uint8Array, who = 'npy'): NpyArray {
  if (bytes.length < 12 || MAGIC.some((byte, i) => bytes[i] !== byte))
    throw new VggError('VGG_FORMAT', `${who}: expected a .npy file, received other bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const version = bytes[6]!;
  if (version < 1 || version > 3) throw new VggError('VGG_FORMAT', `${who}: expected .npy version 1, 2 or 3, received ${version}`);
  const start = version === 1 ? 10 : 12;
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER || start + length > bytes.length)
    throw new VggError('VGG_INTEGRITY', `${who}: expected a .npy header within the file, received one of ${length} bytes`);
  const header = new TextDecoder().decode(bytes.subarray(start, start + length));
  const descr = /'descr'\s*:\s*'([<>|=])([a-z]\d+)'/.exec(header);
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header);
  const tuple = /'shape'\s*:\s*\(([\d,\sL]*)\)/.exec(header);
  const dtype = descr && KINDS.get(descr[2]!);
  if (!dtype || !order || !tuple)
    throw new VggError('VGG_FORMAT', `${who}: expected a numeric array, received ${header.trim().slice(0, 100)}`);
  const shape = (tuple[1]!.match(/\d+/g) ?? []).map(Number);
  const count = countOf(shape, who);
  const need = count * DTYPE_BYTES[dtype];
  if (bytes.length - start - length !== need) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected ${need} bytes of values, received ${bytes.length - start - length}`);
  }
  const data = toFloat32(new Uint8Array(bytes.subarray(start + length)), dtype, descr[1] !== '>');
  return { shape, dtype, data: order[1] === 'True' ? fromFortran(data, shape) : data };
}

/** First axis fastest to last axis fastest. */
function fromFortran(data: Float32Array, shape: readonly number[]): Float32Array {
  const out = new Float32Array(data.length);
  const index = shape.map(() => 0);
  for (let i = 0; i < out.length; i++) {
    let at = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) at = at * shape[axis]! + index[axis]!;
    out[i] = data[at]!;
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; axis--) index[axis] = 0;
  }
  return out;
}
