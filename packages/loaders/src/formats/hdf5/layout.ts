import { pastLimit, unsupported } from '../../refusals.js';
import { type Cursor, corrupt } from './cursor.js';
import type { Hdf5 } from './file.js';
import { MAX_FILTERS } from './limits.js';

/** How a dataset's chunks are found. */
export type ChunkIndex =
  | { kind: 'btree'; address: number | undefined }
  | { kind: 'single'; address: number | undefined; bytes?: number; mask: number }
  | { kind: 'implicit'; address: number | undefined }
  | { kind: 'fixed-array'; address: number | undefined }
  | { kind: 'extensible-array'; address: number | undefined }
  | { kind: 'btree2'; address: number | undefined };

/** Where a dataset's values are. */
export type Layout =
  | { kind: 'compact'; data: Uint8Array }
  | { kind: 'contiguous'; address: number | undefined; bytes: number | undefined }
  /** `chunk`: the shape of one chunk; `element`: bytes of a value; `plainEdges`: chunks that pass the edge are not filtered. */
  | { kind: 'chunked'; chunk: number[]; element: number; index: ChunkIndex; plainEdges?: boolean };

/** Section IV.A.2.i: the data layout message, versions 1 to 4. */
export function readLayout(fields: Cursor, file: Hdf5): Layout {
  const version = fields.u8();
  if (version === 1 || version === 2) return readOldLayout(fields, file);
  if (version !== 3 && version !== 4) throw unsupported(file.who, `expected an HDF5 data layout of version 1 to 4, received ${version}`);
  const kind = fields.u8();
  if (kind === 0) return { kind: 'compact', data: fields.bytes(fields.u16()) };
  if (kind === 1) return { kind: 'contiguous', address: fields.address(), bytes: fields.length() };
  if (kind === 3)
    throw unsupported(
      file.who,
      'expected datasets in the file itself, received a virtual one made of other files, which is never followed',
    );
  if (kind !== 2) throw corrupt(file.who, `a data layout has class ${kind}`);
  if (version === 4) return readNewChunks(fields, file);
  const rank = fields.u8() - 1;
  const address = fields.address();
  const chunk = dimensions(fields, file, rank, 4);
  return { kind: 'chunked', chunk, element: fields.u32(), index: { kind: 'btree', address } };
}

function readOldLayout(fields: Cursor, file: Hdf5): Layout {
  const rank = fields.u8();
  const kind = fields.u8();
  fields.skip(5);
  const address = kind === 0 ? undefined : fields.address();
  if (kind === 2) {
    const chunk = dimensions(fields, file, rank - 1, 4);
    return { kind: 'chunked', chunk, element: fields.u32(), index: { kind: 'btree', address } };
  }
  dimensions(fields, file, rank, 4);
  if (kind === 1) return { kind: 'contiguous', address, bytes: undefined };
  if (kind === 0) return { kind: 'compact', data: fields.bytes(fields.u32()) };
  throw corrupt(file.who, `a data layout has class ${kind}`);
}

function readNewChunks(fields: Cursor, file: Hdf5): Layout {
  const flags = fields.u8();
  const rank = fields.u8() - 1;
  const bytes = fields.u8();
  if (bytes < 1 || bytes > 8) throw corrupt(file.who, 'a chunk has sides of an impossible size');
  const chunk = dimensions(fields, file, rank, bytes);
  const element = fields.uint(bytes);
  return { kind: 'chunked', chunk, element, index: readIndex(fields, file, flags), plainEdges: (flags & 1) !== 0 };
}

function readIndex(fields: Cursor, file: Hdf5, flags: number): ChunkIndex {
  const kind = fields.u8();
  if (kind === 1) {
    const packed = flags & 2 ? { bytes: fields.length(), mask: fields.u32() } : { mask: 0 };
    return { kind: 'single', ...packed, address: fields.address() };
  }
  if (kind === 2) return { kind: 'implicit', address: fields.address() };
  // What follows are sizes that the index repeats in its own header.
  const known = GROWING_INDEXES.get(kind);
  if (!known) throw unsupported(file.who, `expected a chunk index of kind 1 to 5, received ${kind}`);
  fields.skip(known.sizes);
  return { kind: known.kind, address: fields.address() };
}

const GROWING_INDEXES: ReadonlyMap<number, { kind: 'fixed-array' | 'extensible-array' | 'btree2'; sizes: number }> = new Map([
  [3, { kind: 'fixed-array', sizes: 1 }],
  [4, { kind: 'extensible-array', sizes: 5 }],
  [5, { kind: 'btree2', sizes: 6 }],
]);

function dimensions(fields: Cursor, file: Hdf5, rank: number, bytes: number): number[] {
  if (rank < 0 || rank > 32) throw corrupt(file.who, `a data layout has ${rank} axes`);
  return Array.from({ length: rank }, () => fields.uint(bytes));
}

export interface Filter {
  readonly id: number;
  readonly values: readonly number[];
}

/** Section IV.A.2.l: the filter pipeline, in the order in which it was applied. */
export function readFilters(fields: Cursor, file: Hdf5): Filter[] {
  const version = fields.u8();
  const count = fields.u8();
  if (version !== 1 && version !== 2) throw corrupt(file.who, `a filter pipeline has version ${version}`);
  if (count > MAX_FILTERS) throw pastLimit(file.who, `at most ${MAX_FILTERS} filters`, count);
  if (version === 1) fields.skip(6);
  return Array.from({ length: count }, () => {
    const id = fields.u16();
    const nameLength = version === 1 || id >= 256 ? fields.u16() : 0;
    fields.skip(2); // whether the filter may be left out
    const valueCount = fields.u16();
    fields.skip(version === 1 ? Math.ceil(nameLength / 8) * 8 : nameLength);
    const values = Array.from({ length: valueCount }, () => fields.u32());
    if (version === 1 && valueCount % 2 === 1) fields.skip(4);
    return { id, values };
  });
}
