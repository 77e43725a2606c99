import type { DType } from '../../format.js';
import { type Cursor, corrupt, cursor } from './cursor.js';
import type { Hdf5 } from './file.js';

/** A datatype as far as we take it: numbers, and strings of fixed and variable length. */
export type Hdf5Type =
  | NumberType
  | { kind: 'string'; bytes: number }
  | { kind: 'strings'; bytes: number }
  | { kind: 'other'; bytes: number; what: string };

export interface NumberType {
  kind: 'number';
  dtype: DType;
  bytes: number;
  littleEndian: boolean;
}

const CLASSES = [
  'integer',
  'float',
  'time',
  'string',
  'bitfield',
  'opaque',
  'compound',
  'reference',
  'enumeration',
  'variable-length',
  'array',
];

/** Bytes, precision, exponent position and size, mantissa position and size, bias of the floats we know. */
const FLOATS: readonly [DType, readonly number[]][] = [
  ['float64', [8, 64, 52, 11, 0, 52, 1023]],
  ['float32', [4, 32, 23, 8, 0, 23, 127]],
  ['float16', [2, 16, 10, 5, 0, 10, 15]],
  ['bfloat16', [2, 16, 7, 8, 0, 7, 127]],
];
const SIGNED: readonly (DType | undefined)[] = [undefined, 'int8', 'int16', undefined, 'int32', undefined, undefined, undefined, 'int64'];
const UNSIGNED: readonly (DType | undefined)[] = [
  undefined,
  'uint8',
  'uint16',
  undefined,
  'uint32',
  undefined,
  undefined,
  undefined,
  'uint64',
];

/** Section IV.A.2.d: the datatype message. */
export function readType(fields: Cursor): Hdf5Type {
  const kind = fields.u8() & 15;
  const bits = fields.uint(3);
  const bytes = fields.u32();
  const other = (what: string): Hdf5Type => ({ kind: 'other', bytes, what });
  if (kind === 0) {
    const offset = fields.u16();
    const precision = fields.u16();
    const dtype = (bits & 8 ? SIGNED : UNSIGNED)[bytes];
    if (!dtype || offset !== 0 || precision !== bytes * 8) return other(`integer of ${precision} bits`);
    return { kind: 'number', dtype, bytes, littleEndian: (bits & 1) === 0 };
  }
  if (kind === 1) {
    const offset = fields.u16();
    const layout = [bytes, fields.u16(), fields.u8(), fields.u8(), fields.u8(), fields.u8(), fields.u32()];
    const known = FLOATS.find(([, expected]) => expected.every((value, i) => value === layout[i]));
    if (!known || offset !== 0 || bits & 0x40) return other(`float of ${layout[1]} bits of a special layout`);
    return { kind: 'number', dtype: known[0], bytes, littleEndian: (bits & 1) === 0 };
  }
  if (kind === 3) return { kind: 'string', bytes };
  if (kind === 9 && (bits & 15) === 1) return { kind: 'strings', bytes };
  return other(CLASSES[kind] ?? `class ${kind}`);
}

export interface Space {
  readonly shape: readonly number[];
  /** How far each axis may grow; Infinity where there is no limit. */
  readonly maxima: readonly number[];
}

/** Section IV.A.2.b: the dataspace message; undefined for the null dataspace. Limits of the shape are the caller's. */
export function readSpace(fields: Cursor, file: Hdf5): Space | undefined {
  const version = fields.u8();
  const rank = fields.u8();
  if (version !== 1 && version !== 2) throw corrupt(file.who, `a dataspace has version ${version}`);
  if (rank > 32) throw corrupt(file.who, `a dataspace has ${rank} axes`);
  const flags = fields.u8();
  if (version === 1) fields.skip(5);
  else if (fields.u8() === 2) return undefined;
  const shape = Array.from({ length: rank }, () => fields.length());
  const maxima = flags & 1 ? shape.map(() => fields.extent()) : shape;
  if (shape.some((size, axis) => size > maxima[axis]!)) throw corrupt(file.who, `a dataspace of [${shape}] may be at most [${maxima}]`);
  return { shape, maxima };
}

/** The datatype in a slice of its own. */
export function typeIn(bytes: Uint8Array, file: Hdf5): Hdf5Type {
  return readType(cursor(bytes, file));
}
