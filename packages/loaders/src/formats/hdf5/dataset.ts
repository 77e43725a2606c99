import { countOf, DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import type { DType } from '../../format.js';
import type { ReadOptions } from '../../source.js';
import { PIECE } from '../tensors.js';
import { type Chunk, readChunks } from './chunks.js';
import { corrupt, refused } from './cursor.js';
import { type Hdf5, renew } from './file.js';
import { checkFilters, unfilter } from './filters.js';
import { MESSAGE, type Message, messageOfType } from './header.js';
import { type Filter, type Layout, readFilters, readLayout } from './layout.js';
import { MAX_CHUNK_BYTES, MAX_DEFLATE_RATIO } from './limits.js';
import { readSpace, readType } from './types.js';

/** A numeric dataset, checked against the file before any value is read. */
export interface Dataset {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly littleEndian: boolean;
  readonly count: number;
  readonly layout: Layout;
  readonly filters: readonly Filter[];
}

/** The dataset that an object header describes, or why its values cannot be read as numbers. */
export function readDataset(file: Hdf5, messages: readonly Message[], path: string): Dataset | { unreadable: string } {
  const label = { ...file, who: `${file.who}: dataset "${path}"` };
  const space = messageOfType(label, messages, MESSAGE.dataspace);
  const typeFields = messageOfType(label, messages, MESSAGE.datatype);
  const layoutFields = messageOfType(label, messages, MESSAGE.layout);
  if (!space || !typeFields || !layoutFields) throw corrupt(label.who, 'it lacks its shape, type or layout');
  if (messages.some(({ type }) => type === MESSAGE.externalFiles)) {
    throw refused(label.who, 'expected its data in the file itself, received external storage in other files, which is never followed');
  }
  const layout = readLayout(layoutFields, label);
  const type = readType(typeFields);
  const shape = readSpace(space, label);
  if (type.kind !== 'number') return { unreadable: `its values are of type ${type.kind === 'other' ? type.what : 'string'}, not numbers` };
  if (!shape) return { unreadable: 'it has no values' };
  const count = countOf(shape, label.who);
  const fields = messageOfType(label, messages, MESSAGE.filters);
  const filters = fields ? readFilters(fields, label) : [];
  checkFilters(filters, label);
  const dataset = { shape, dtype: type.dtype, littleEndian: type.littleEndian, count, layout, filters };
  checkLayout(label, dataset);
  return dataset;
}

function checkLayout(file: Hdf5, { layout, count, dtype, shape, filters }: Dataset): void {
  const bytes = count * DTYPE_BYTES[dtype];
  if (layout.kind === 'compact') {
    if (layout.data.length !== bytes) throw corrupt(file.who, `it has ${layout.data.length} bytes and needs ${bytes}`);
  } else if (layout.kind === 'contiguous') {
    if (layout.bytes !== undefined && layout.bytes !== bytes) throw corrupt(file.who, `it has ${layout.bytes} bytes and needs ${bytes}`);
    if (bytes > 0 && layout.address === undefined) throw corrupt(file.who, 'its values were never written');
    if (bytes > 0 && file.base + layout.address! + bytes > file.source.size) throw corrupt(file.who, 'its values lie outside the file');
  } else {
    const { chunk, element } = layout;
    const chunkBytes = chunk.reduce((product, side) => product * side, element);
    if (chunk.length !== shape.length || chunk.some((side) => side < 1) || element !== DTYPE_BYTES[dtype]) {
      throw corrupt(file.who, `its chunks of [${chunk}] do not fit its shape [${shape}]`);
    }
    if (chunkBytes > MAX_CHUNK_BYTES)
      throw refused(file.who, `expected chunks of at most ${MAX_CHUNK_BYTES} bytes, received ${chunkBytes}`);
    const most = file.source.size * (filters.length > 0 ? MAX_DEFLATE_RATIO : 1);
    if (bytes > most || (filters.length === 0 && chunkBytes > most))
      throw corrupt(file.who, `its ${bytes} bytes cannot be in a file of ${file.source.size}`);
  }
}

/** The values of a dataset as float32, in C order. */
export async function readValues(opened: Hdf5, dataset: Dataset, options: ReadOptions = {}): Promise<Float32Array> {
  const file = renew(opened, options);
  const { layout, dtype, littleEndian, count } = dataset;
  if (layout.kind === 'compact') return toFloat32(new Uint8Array(layout.data), dtype, littleEndian);
  if (layout.kind === 'contiguous') {
    const bytes = count * DTYPE_BYTES[dtype];
    return bytes === 0
      ? new Float32Array(0)
      : toFloat32(await file.source.read(file.base + layout.address!, bytes, options), dtype, littleEndian);
  }
  const chunkBytes = layout.chunk.reduce((product, side) => product * side, layout.element);
  const grid = { shape: dataset.shape, chunk: layout.chunk, bytes: chunkBytes, filtered: dataset.filters.length > 0 };
  const chunks = await readChunks(file, layout.index, grid);
  const out = new Float32Array(count);
  for (const chunk of chunks) {
    const packed = await file.source.read(file.base + chunk.address, chunk.bytes, options);
    const bytes = await unfilter(file, dataset.filters, chunk.mask, packed, chunkBytes);
    place(toFloat32(bytes, dtype, littleEndian), chunk, layout.chunk, dataset.shape, out);
  }
  return out;
}

/** The values of a dataset in C order, piece by piece. */
export async function* streamValues(opened: Hdf5, dataset: Dataset, options: ReadOptions = {}): AsyncGenerator<Float32Array> {
  const { layout, dtype, littleEndian, count } = dataset;
  if (layout.kind !== 'contiguous') {
    yield await readValues(opened, dataset, options);
    return;
  }
  const file = renew(opened, options);
  const width = DTYPE_BYTES[dtype];
  for (let at = 0; at < count; at += PIECE) {
    const bytes = await file.source.read(file.base + layout.address! + at * width, Math.min(PIECE, count - at) * width, options);
    yield toFloat32(bytes, dtype, littleEndian);
  }
}

/** Copies a chunk's rows to their places; what of it lies past the edge is left. */
function place(values: Float32Array, { offset }: Chunk, chunk: readonly number[], shape: readonly number[], out: Float32Array): void {
  const last = shape.length - 1;
  if (last < 0) {
    out.set(values);
    return;
  }
  const run = Math.min(chunk[last]!, shape[last]! - offset[last]!);
  const index = shape.map(() => 0);
  for (let from = 0; from < values.length; from += chunk[last]!) {
    let to = 0;
    let inside = true;
    for (let axis = 0; axis < last; axis++) {
      const at = offset[axis]! + index[axis]!;
      inside &&= at < shape[axis]!;
      to = (to + at) * shape[axis + 1]!;
    }
    if (inside) out.set(values.subarray(from, from + run), to + offset[last]!);
    for (let axis = last - 1; axis >= 0 && ++index[axis]! === chunk[axis]; axis--) index[axis] = 0;
  }
}
