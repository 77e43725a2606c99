import { countOf, DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import type { DType } from '../../format.js';
import { product } from '../../numbers.js';
import { pastLimit, unsupported } from '../../refusals.js';
import { corrupt } from './cursor.js';
import type { Hdf5 } from './file.js';
import { checkFilters } from './filters.js';
import { MESSAGE, type Message, messageOfType } from './header.js';
import { type Filter, type Layout, readFilters, readLayout } from './layout.js';
import { MAX_CHUNK_BYTES, MAX_DEFLATE_RATIO, MAX_UNWRITTEN } from './limits.js';
import { type NumberType, readSpace, readType } from './types.js';

/** A numeric dataset, checked against the file before any value is read. */
export interface Dataset {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly littleEndian: boolean;
  readonly count: number;
  readonly layout: Layout;
  readonly filters: readonly Filter[];
  /** How far each axis may grow. */
  readonly maxima: readonly number[];
  /** What stands where nothing was written, if the file says so. */
  readonly fill?: number;
}

/** The dataset that an object header describes, or why its values cannot be read as numbers. */
export function readDataset(file: Hdf5, messages: readonly Message[], path: string): Dataset | { unreadable: string } {
  const label = { ...file, who: `${file.who}: dataset "${path}"` };
  const space = messageOfType(label, messages, MESSAGE.dataspace);
  const typeFields = messageOfType(label, messages, MESSAGE.datatype);
  const layoutFields = messageOfType(label, messages, MESSAGE.layout);
  if (!space || !typeFields || !layoutFields) throw corrupt(label.who, 'it lacks its shape, type or layout');
  if (messages.some(({ type }) => type === MESSAGE.externalFiles)) {
    throw unsupported(label.who, 'expected its data in the file itself, received external storage in other files, which is never followed');
  }
  const layout = readLayout(layoutFields, label);
  const type = readType(typeFields);
  const extent = readSpace(space, label);
  if (type.kind !== 'number') return { unreadable: `its values are of type ${type.kind === 'other' ? type.what : 'string'}, not numbers` };
  if (!extent) return { unreadable: 'it has no values' };
  const { shape, maxima } = extent;
  const count = countOf(shape, label.who);
  const fields = messageOfType(label, messages, MESSAGE.filters);
  const filters = fields ? readFilters(fields, label) : [];
  checkFilters(filters, label);
  const { dtype, littleEndian } = type;
  const fill = readFill(label, messages, type);
  const dataset = { shape, maxima, dtype, littleEndian, count, layout, filters, ...(fill !== undefined && { fill }) };
  checkLayout(label, dataset);
  return dataset;
}

/** Bytes that are read or unpacked to come to any value: of chunks, all of them, which may be larger than the dataset. */
export function readingCost({ layout, shape, count, dtype }: Dataset): number {
  if (layout.kind !== 'chunked') return count * DTYPE_BYTES[dtype];
  const chunks = shape.map((size, axis) => Math.ceil(size / layout.chunk[axis]!));
  return product(chunks) * product(layout.chunk) * layout.element;
}

/** Sections IV.A.2.e and f: the fill value that whoever made the dataset chose; undefined where it is left to the library. */
function readFill(file: Hdf5, messages: readonly Message[], { dtype, bytes, littleEndian }: NumberType): number | undefined {
  const fields = messageOfType(file, messages, MESSAGE.fill);
  const old = fields ? undefined : messageOfType(file, messages, MESSAGE.oldFill);
  if (fields) {
    const version = fields.u8();
    if (version < 1 || version > 3) throw corrupt(file.who, `a fill value has version ${version}`);
    if (version === 3) {
      if ((fields.u8() & 0x20) === 0) return undefined;
    } else {
      fields.skip(2); // when to allocate, when to write
      if (fields.u8() === 0 && version === 2) return undefined;
    }
  }
  const from = fields ?? old;
  const length = from?.u32() ?? 0;
  if (!from || length === 0) return undefined;
  if (length !== bytes) throw corrupt(file.who, `its fill value has ${length} bytes`);
  return toFloat32(from.bytes(length), dtype, littleEndian)[0];
}

function checkLayout(file: Hdf5, { layout, count, dtype, shape, filters, fill }: Dataset): void {
  const bytes = count * DTYPE_BYTES[dtype];
  if (layout.kind === 'compact') {
    if (layout.data.length !== bytes) throw corrupt(file.who, `it has ${layout.data.length} bytes and needs ${bytes}`);
  } else if (layout.kind === 'contiguous') {
    if (layout.bytes !== undefined && layout.bytes !== bytes) throw corrupt(file.who, `it has ${layout.bytes} bytes and needs ${bytes}`);
    if (bytes === 0) return;
    if (layout.address === undefined) checkUnwritten(file, fill, bytes);
    else if (file.base + layout.address + bytes > file.source.size) throw corrupt(file.who, 'its values lie outside the file');
  } else {
    const { chunk, element, index } = layout;
    const chunkBytes = product(chunk) * element;
    if (chunk.length !== shape.length || chunk.some((side) => side < 1) || element !== DTYPE_BYTES[dtype]) {
      throw corrupt(file.who, `its chunks of [${chunk}] do not fit its shape [${shape}]`);
    }
    if (chunkBytes > MAX_CHUNK_BYTES) throw pastLimit(file.who, `chunks of at most ${MAX_CHUNK_BYTES} bytes`, chunkBytes);
    const most = file.source.size * (filters.length > 0 ? MAX_DEFLATE_RATIO : 1);
    if (Math.max(bytes, chunkBytes) > most)
      throw corrupt(file.who, `its ${Math.max(bytes, chunkBytes)} bytes cannot be in a file of ${file.source.size}`);
    if (index.address === undefined && bytes > 0) checkUnwritten(file, fill, bytes);
  }
}

/**
 * Where nothing at all was written, an interrupted save would be taken for a layer of zeros: only a fill value that was chosen stands for
 * values. (Single chunks that were left out are filled in any case, as the format has it.)
 */
function checkUnwritten(file: Hdf5, fill: number | undefined, bytes: number): void {
  if (fill === undefined) throw corrupt(file.who, 'its values were never written');
  if (bytes > MAX_UNWRITTEN) throw pastLimit(file.who, `at most ${MAX_UNWRITTEN} bytes that were never written`, bytes);
}
