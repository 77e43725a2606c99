import { VggError } from '@vgg/errors';
import { bytesOf, concat, viewOf } from '../../bytes.js';
import { countOf, DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import type { DType } from '../../format.js';
import { cStrides } from '../../reorder.js';
import { NUMPY_DTYPES } from './dtypes.js';

/** `\x93NUMPY`, see numpy's "NPY format" (numpy.lib.format). */
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** numpy pads the header so that the data starts at a multiple of this. */
const ALIGNMENT = 64;
/** A header of a plain array is 118 bytes; numpy itself refuses more than this (`max_header_size`). */
const MAX_HEADER = 10_000;
/** Bytes from which the length of the header is known. */
export const NPY_START = 12;

/**
 * The header of a `.npy` file (version 1.0, little-endian, C order) of this shape; the values follow it as they are. `descr` is numpy's word
 * for the type: `<f4` for float32, `<f2` for float16.
 */
export function npyHeader(shape: readonly number[], descr = '<f4'): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
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
  return concat([header, bytesOf(values)]);
}

/** What a `.npy` header says of the bytes behind it. */
export interface NpyHead {
  /** Length of the header: where the data begins. */
  readonly start: number;
  readonly shape: readonly number[];
  readonly littleEndian: boolean;
  /** Whether the first axis runs fastest. */
  readonly fortran: boolean;
  /** Numbers of this type, Python objects in a pickle, text of `length` characters of four bytes for each value, or what we do not read. */
  readonly content: { kind: 'numbers'; dtype: DType } | { kind: 'objects' } | { kind: 'text'; length: number } | { kind: 'other' };
  /** The header as it is, for messages. */
  readonly text: string;
}

export function isNpy(bytes: Uint8Array): boolean {
  return bytes.length >= NPY_START && MAGIC.every((byte, i) => bytes[i] === byte);
}

/**
 * The length of the header of which these are the first {@link NPY_START} bytes or more.
 * @throws VggError `VGG_FORMAT`, `VGG_INTEGRITY`
 */
export function npyHeadLength(bytes: Uint8Array, who: string): number {
  if (!isNpy(bytes)) throw new VggError('VGG_FORMAT', `${who}: expected a .npy file, received other bytes`);
  const view = viewOf(bytes);
  const version = bytes[6]!;
  if (version < 1 || version > 3) throw new VggError('VGG_FORMAT', `${who}: expected .npy version 1, 2 or 3, received ${version}`);
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER)
    throw new VggError('VGG_INTEGRITY', `${who}: expected a .npy header within the file, received one of ${length} bytes`);
  return (version === 1 ? 10 : 12) + length;
}

/** One item of the header, a Python dictionary of three: the name, and text, a truth value, a tuple or the list of a structure. */
const ITEM =
  /\s*(['"])(descr|fortran_order|shape)\1\s*:\s*(?:(['"])([^'"]*)\3|(True|False|\([\d,\sL]*\)|\[.*?\](?=,\s*'fortran_order')))\s*(?:,|(?=\}))/y;

/**
 * A header of any version. These are at least {@link npyHeadLength} bytes.
 * @throws VggError `VGG_FORMAT` if they are none, `VGG_INTEGRITY` if they are fewer
 */
export function parseNpyHead(bytes: Uint8Array, who: string): NpyHead {
  const start = npyHeadLength(bytes, who);
  if (start > bytes.length) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected a .npy header of ${start} bytes, received ${bytes.length}; fetch the file again`);
  }
  const text = new TextDecoder().decode(bytes.subarray(bytes[6] === 1 ? 10 : 12, start)).trim();
  const items = new Map<string, string>();
  ITEM.lastIndex = 1;
  let end = 1;
  for (let match = ITEM.exec(text); match && !items.has(match[2]!); match = ITEM.exec(text)) {
    items.set(match[2]!, match[4] ?? match[5]!);
    end = ITEM.lastIndex;
  }
  const descr = /^([<>|=]?)([a-zA-Z])(\d*)$/.exec(items.get('descr') ?? '');
  const order = items.get('fortran_order');
  const shape = tupleOf(items.get('shape') ?? '');
  if (!text.startsWith('{') || text.slice(end).trim() !== '}' || !items.has('descr') || !shape || (order !== 'True' && order !== 'False')) {
    throw new VggError('VGG_FORMAT', `${who}: expected a numeric array, received ${text.slice(0, 100)}`);
  }
  const content = contentOf(descr?.[2] ?? '', descr?.[3] ?? '');
  return { start, shape, littleEndian: descr?.[1] !== '>', fortran: order === 'True', content, text };
}

/** Python 2 wrote objects as `O8` and long integers of a shape with an L. */
function contentOf(kind: string, size: string): NpyHead['content'] {
  const dtype = NUMPY_DTYPES.get(kind + size);
  if (dtype) return { kind: 'numbers', dtype };
  if (kind === 'O') return { kind: 'objects' };
  return kind === 'U' && size !== '' ? { kind: 'text', length: Number(size) } : { kind: 'other' };
}

function tupleOf(text: string): number[] | undefined {
  if (!text.startsWith('(')) return undefined;
  const sizes = text.slice(1, -1).split(',');
  if (sizes.at(-1)!.trim() === '') sizes.pop();
  return sizes.every((size) => /^\s*\d+L?\s*$/.test(size)) ? sizes.map((size) => Number.parseInt(size, 10)) : undefined;
}

/**
 * The number of values of a numeric array, whose bytes must be all that follows the header.
 * @throws VggError `VGG_INTEGRITY`
 */
export function npyCount({ shape, start }: NpyHead, dtype: DType, size: number, who: string): number {
  const count = countOf(shape, who);
  const need = count * DTYPE_BYTES[dtype];
  if (size - start !== need) throw new VggError('VGG_INTEGRITY', `${who}: expected ${need} bytes of values, received ${size - start}`);
  return count;
}

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
  const head = parseNpyHead(bytes, who);
  const { content, start, text, littleEndian } = head;
  const shape = [...head.shape];
  if (content.kind !== 'numbers') throw new VggError('VGG_FORMAT', `${who}: expected a numeric array, received ${text.slice(0, 100)}`);
  npyCount(head, content.dtype, bytes.length, who);
  const data = toFloat32(new Uint8Array(bytes.subarray(start)), content.dtype, littleEndian);
  return { shape, dtype: content.dtype, data: head.fortran ? fromFortran(data, shape) : data };
}

/** First axis fastest to last axis fastest. */
function fromFortran(data: Float32Array, shape: readonly number[]): Float32Array {
  const out = new Float32Array(data.length);
  const strides = cStrides(shape);
  const index = shape.map(() => 0);
  for (let i = 0, at = 0; i < out.length; i++) {
    out[at] = data[i]!;
    for (let axis = 0; axis < shape.length; axis++) {
      at += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}
