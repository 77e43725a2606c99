import { viewOf } from '../../bytes.js';
import { countOf, DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import type { DType, TensorInfo } from '../../format.js';
import { pastLimit, shown } from '../../refusals.js';
import type { ReadOptions } from '../../source.js';
import type { StoredTensor } from '../tensors.js';
import type { Bytes } from './bytes.js';
import { MAX_DEPTH, MAX_FIELDS, MAX_NAME, MAX_SETTING, MAX_TEXT, MAX_VALUES } from './limits.js';
import { corrupt, linesOf, type MatValue } from './value.js';

/**
 * Data elements of a MATLAB 5 file (MAT-File Format, The MathWorks): a tag of type and size, and the bytes, filled up to 8. A `miMATRIX`
 * element holds further elements: flags, dimensions, a name, and the values or, for cells and structs, matrices again.
 */

/** What the reader of a variable knows. */
export interface Elements {
  readonly who: string;
  readonly littleEndian: boolean;
  readonly bytes: Bytes;
  /** Whether what lies before a value has to be unpacked to come to it. */
  readonly isPacked: boolean;
  /** Counts the file's values. */
  readonly spent: { values: number };
  readonly options: ReadOptions;
  /** A tensor of the bytes from `at`. */
  store(info: TensorInfo, at: number): StoredTensor;
}

/** Types of elements by their number. */
const NUMBERS: ReadonlyMap<number, DType> = new Map([
  [1, 'int8'],
  [2, 'uint8'],
  [3, 'int16'],
  [4, 'uint16'],
  [5, 'int32'],
  [6, 'uint32'],
  [7, 'float32'],
  [9, 'float64'],
  [12, 'int64'],
  [13, 'uint64'],
]);
export const MATRIX = 14;
export const COMPRESSED = 15;
const UTF8 = 16;
const UTF16 = 17;

/** Classes of arrays by their number; 6 to 15 are numbers. */
const CELL = 1;
const STRUCT = 2;
const CHAR = 4;
const CLASSES: ReadonlyMap<number, string> = new Map([
  [3, 'an object'],
  [5, 'a sparse array'],
  [16, 'a function handle'],
  [17, 'an object'],
]);
const COMPLEX = 0x08;

export interface Tag {
  readonly type: number;
  readonly size: number;
  /** Of its bytes, the next tag behind them. */
  readonly start: number;
  readonly next: number;
}

/** The tag at the place of `bytes`, whose element ends by `end`. */
export async function readTag({ bytes, who, littleEndian, options }: Elements, end: number): Promise<Tag> {
  const room = (needed: number, from: number) => {
    if (needed > end - from) throw corrupt(who, `an element of ${needed} bytes at byte ${from} passes the end of what holds it`);
  };
  room(8, bytes.at);
  const head = await bytes.take(4, options);
  const word = viewOf(head).getUint32(0, littleEndian);
  if (word > 0xffff) {
    // The small form: both in one word, and the bytes in the next.
    const size = word >>> 16;
    if (size > 4) throw corrupt(who, `a small element has ${size} bytes`);
    return { type: word & 0xffff, size, start: bytes.at, next: bytes.at + 4 };
  }
  const size = viewOf(await bytes.take(4, options)).getUint32(0, littleEndian);
  const padded = word === COMPRESSED ? size : Math.ceil(size / 8) * 8;
  room(size, bytes.at);
  // The last element of a variable may lack its filling.
  return { type: word, size, start: bytes.at, next: Math.min(end, bytes.at + padded) };
}

/** The bytes of the next element, which must be of one of these types. */
async function readElement(
  elements: Elements,
  end: number,
  types: readonly number[],
  most: number,
): Promise<Uint8Array & { type?: number }> {
  const { bytes, who, options } = elements;
  const { type, size, start, next } = await readTag(elements, end);
  if (!types.includes(type)) throw corrupt(who, `expected an element of type ${types.join(' or ')}, received ${type}`);
  if (size > most) throw pastLimit(who, `at most ${most} bytes in an element of type ${type}`);
  const data = await bytes.take(size, options);
  await bytes.skip(next - start - size, options);
  return Object.assign(data, { type });
}

/** A `miMATRIX` element whose tag was read: a name and a value. */
export async function readMatrix(elements: Elements, { size, start }: Tag, depth = 0): Promise<{ name: string; value: MatValue }> {
  const { bytes, who, littleEndian, options, spent } = elements;
  if (depth > MAX_DEPTH) throw pastLimit(who, `values at most ${MAX_DEPTH} deep`);
  if (++spent.values > MAX_VALUES) throw pastLimit(who, `at most ${MAX_VALUES} values`);
  const end = start + size;
  if (size === 0) return { name: '', value: { kind: 'cell', shape: [0, 0], items: [] } };
  const flags = viewOf(await readElement(elements, end, [6], 8));
  if (flags.byteLength < 8) throw corrupt(who, 'the flags of an array end early');
  const word = flags.getUint32(0, littleEndian);
  const kind = word & 255;
  let name = '';
  let value: MatValue = { kind: 'other', what: CLASSES.get(kind) ?? `an array of class ${kind}` };
  if (kind !== 17) {
    const sizes = viewOf(await readElement(elements, end, [5], 4 * 32));
    const shape = Array.from({ length: sizes.byteLength >> 2 }, (_, axis) => sizes.getInt32(axis * 4, littleEndian));
    name = new TextDecoder().decode(await readElement(elements, end, [1, UTF8], MAX_NAME));
    if (kind === CELL) value = { kind: 'cell', shape, items: await readItems(elements, end, count(shape, who), depth) };
    else if (kind === STRUCT) value = { kind: 'struct', shape, items: await readFields(elements, end, count(shape, who), depth) };
    else if (kind === CHAR) value = { kind: 'text', text: await readText(elements, end, shape) };
    else if (kind >= 6 && kind <= 15 && ((word >>> 8) & COMPLEX) === 0) value = await readNumbers(elements, end, shape, name);
    else if (kind >= 6 && kind <= 15) value = { kind: 'other', what: 'complex numbers' };
  }
  await bytes.skip(end - bytes.at, options);
  return { name, value };
}

/** The number of parts of a cell or struct, each of which takes some bytes: more cannot be there. */
function count(shape: readonly number[], who: string): number {
  const product = countOf(shape, who);
  if (product > MAX_VALUES) throw pastLimit(who, `at most ${MAX_VALUES} values`);
  return product;
}

async function readItems(elements: Elements, end: number, length: number, depth: number): Promise<MatValue[]> {
  const items: MatValue[] = [];
  for (let i = 0; i < length; i++) {
    const tag = await readTag(elements, end);
    if (tag.type !== MATRIX) throw corrupt(elements.who, `expected an array in a cell or struct, received an element of type ${tag.type}`);
    items.push((await readMatrix(elements, tag, depth + 1)).value);
    await elements.bytes.skip(tag.next - elements.bytes.at, elements.options);
  }
  return items;
}

async function readFields(elements: Elements, end: number, length: number, depth: number): Promise<Map<string, MatValue>[]> {
  const { who, littleEndian } = elements;
  const width = viewOf(await readElement(elements, end, [5], 4));
  const nameLength = width.byteLength === 4 ? width.getInt32(0, littleEndian) : 0;
  const text = await readElement(elements, end, [1], MAX_FIELDS * 64);
  if (nameLength < 1 || nameLength > MAX_NAME || text.length % nameLength !== 0) throw corrupt(who, `field names of ${nameLength} bytes`);
  const names = Array.from({ length: text.length / nameLength }, (_, i) => {
    const name = text.subarray(i * nameLength, (i + 1) * nameLength);
    const stop = name.indexOf(0);
    return new TextDecoder().decode(stop < 0 ? name : name.subarray(0, stop));
  });
  if (new Set(names).size !== names.length) throw corrupt(who, 'a struct has two fields of one name');
  if (names.length > MAX_FIELDS) throw pastLimit(who, `at most ${MAX_FIELDS} fields in a struct`);
  const items: Map<string, MatValue>[] = [];
  for (let i = 0; i < length && names.length > 0; i++) {
    const values = await readItems(elements, end, names.length, depth);
    items.push(new Map(names.map((name, j) => [name, values[j]!])));
  }
  return items;
}

/** Characters run down the columns; a matrix of them is a list of lines. */
async function readText(elements: Elements, end: number, shape: readonly number[]): Promise<string> {
  const { who, littleEndian } = elements;
  const characters = countOf(shape, who);
  const data = await readElement(elements, end, [1, 2, 4, UTF8, UTF16], MAX_TEXT * 4);
  const isWide = data.type === 4 || data.type === UTF16;
  const encoding = isWide ? (littleEndian ? 'utf-16le' : 'utf-16be') : 'utf-8';
  const text = new TextDecoder(encoding).decode(data);
  const rows = shape[0] ?? 1;
  return text.length === characters ? linesOf(text, rows) : text;
}

async function readNumbers(elements: Elements, end: number, shape: readonly number[], name: string): Promise<MatValue> {
  const { who, littleEndian, bytes, options } = elements;
  const values = countOf(shape, name === '' ? who : `${who}: ${shown(name)}`);
  const { type, size, start } = await readTag(elements, end);
  const dtype = NUMBERS.get(type);
  if (!dtype) throw corrupt(who, `numbers are of type ${type}`);
  if (size !== values * DTYPE_BYTES[dtype]) throw corrupt(who, `an array of shape [${shape}] has ${size} bytes of ${dtype}`);
  const numbers = {
    kind: 'numbers' as const,
    shape,
    dtype,
    cost: elements.isPacked ? start + size : size,
    store: (info: TensorInfo) => elements.store(info, start),
  };
  if (values > MAX_SETTING) return numbers;
  const kept = toNumbers(await bytes.take(size, options), dtype, littleEndian);
  return { ...numbers, values: kept };
}

/** Doubles are kept as they are: a setting of 0.0005 is no float32. */
function toNumbers(bytes: Uint8Array, dtype: DType, littleEndian: boolean): number[] {
  if (dtype !== 'float64') return [...toFloat32(bytes, dtype, littleEndian)];
  const view = viewOf(bytes);
  return Array.from({ length: bytes.length / 8 }, (_, i) => view.getFloat64(i * 8, littleEndian));
}
