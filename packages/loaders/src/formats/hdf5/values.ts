import { DTYPE_BYTES, toFloat32 } from '../../dtype.js';
import type { ReadOptions } from '../../source.js';
import { collect, PIECE } from '../tensors.js';
import { type Chunk, readChunks } from './chunks.js';
import type { Dataset } from './dataset.js';
import { type Hdf5, renew } from './file.js';
import { unfilter } from './filters.js';
import type { Layout } from './layout.js';
import { MAX_BATCH, MAX_GAP } from './limits.js';

/** The values of a dataset as float32, in C order: at most a few chunks are in memory beside them. */
export async function readValues(opened: Hdf5, dataset: Dataset, options: ReadOptions = {}): Promise<Float32Array> {
  const file = renew(opened, options);
  const { layout, dtype, littleEndian, count, shape } = dataset;
  if (layout.kind === 'chunked') {
    const out = filled(count, dataset);
    await readInto(file, dataset, layout, await chunksOf(file, dataset, layout), out, shape[0]!, 0);
    return out;
  }
  if (layout.kind === 'contiguous' && layout.address !== undefined && dtype === 'float32' && count > 0) {
    return toFloat32(await file.source.read(file.base + layout.address, count * 4, options), dtype, littleEndian);
  }
  return collect(streamValues(file, dataset, options), count);
}

/** The same in pieces of a few MB; of a chunked dataset a row of chunks at a time, which may be more. */
export async function* streamValues(opened: Hdf5, dataset: Dataset, options: ReadOptions = {}): AsyncGenerator<Float32Array> {
  const file = renew(opened, options);
  const { layout, dtype, littleEndian, count, shape } = dataset;
  if (layout.kind === 'compact') {
    yield toFloat32(new Uint8Array(layout.data), dtype, littleEndian);
  } else if (layout.kind === 'contiguous') {
    const width = DTYPE_BYTES[dtype];
    for (let at = 0; at < count; at += PIECE) {
      const here = Math.min(PIECE, count - at);
      if (layout.address === undefined) yield filled(here, dataset);
      else yield toFloat32(await file.source.read(file.base + layout.address + at * width, here * width, options), dtype, littleEndian);
    }
  } else if (count > 0) {
    const slabs = new Map<number, Chunk[]>();
    for (const chunk of await chunksOf(file, dataset, layout)) {
      const slab = slabs.get(chunk.offset[0]!);
      if (slab) slab.push(chunk);
      else slabs.set(chunk.offset[0]!, [chunk]);
    }
    const rows = layout.chunk[0]!;
    for (let first = 0; first < shape[0]!; first += rows) {
      const here = Math.min(rows, shape[0]! - first);
      const out = filled((count / shape[0]!) * here, dataset);
      await readInto(file, dataset, layout, slabs.get(first) ?? [], out, here, first);
      yield out;
    }
  }
}

type ChunkedLayout = Extract<Layout, { kind: 'chunked' }>;

function filled(count: number, { fill = 0 }: Dataset): Float32Array {
  const out = new Float32Array(count);
  return fill === 0 ? out : out.fill(fill);
}

function chunkBytes({ chunk, element }: ChunkedLayout): number {
  return chunk.reduce((product, side) => product * side, element);
}

function chunksOf(file: Hdf5, { shape, maxima, filters }: Dataset, layout: ChunkedLayout): Promise<Chunk[]> {
  const grid = { shape, maxima, chunk: layout.chunk, bytes: chunkBytes(layout), filtered: filters.length > 0 };
  return readChunks(file, layout.index, grid);
}

/** Puts chunks where they belong in `out`, which has `rows` rows of the dataset from `first` on. */
async function readInto(
  file: Hdf5,
  { shape, dtype, littleEndian, filters }: Dataset,
  layout: ChunkedLayout,
  chunks: readonly Chunk[],
  out: Float32Array,
  rows: number,
  first: number,
): Promise<void> {
  const { chunk, plainEdges } = layout;
  const bytes = chunkBytes(layout);
  const options = file.signal ? { signal: file.signal } : {};
  for (const batch of batches(chunks, bytes)) {
    const start = batch[0]!.address;
    const end = batch.at(-1)!.address + batch.at(-1)!.bytes;
    const packed = await file.source.read(file.base + start, end - start, options);
    const unpack = async ({ address, bytes: length, mask, offset }: Chunk) => {
      const isPlain = plainEdges && offset.some((at, axis) => at + chunk[axis]! > shape[axis]!);
      const own = packed.subarray(address - start, address - start + length);
      const values = toFloat32(await unfilter(file, isPlain ? [] : filters, mask, own, bytes), dtype, littleEndian);
      place(values, offset.with(0, offset[0]! - first), chunk, shape.with(0, rows), out);
    };
    await Promise.all(batch.map(unpack));
  }
}

/** Chunks that lie close together are read at once, and unpacked side by side. */
function batches(chunks: readonly Chunk[], unpacked: number): Chunk[][] {
  const out: Chunk[][] = [];
  for (const chunk of [...chunks].sort((a, b) => a.address - b.address)) {
    const batch = out.at(-1);
    const last = batch?.at(-1);
    const isNear = last && chunk.address - last.address - last.bytes <= MAX_GAP;
    const isSmall = batch && chunk.address + chunk.bytes - batch[0]!.address <= MAX_BATCH && (batch.length + 1) * unpacked <= MAX_BATCH;
    if (isNear && isSmall) batch!.push(chunk);
    else out.push([chunk]);
  }
  return out;
}

/** Copies a chunk's rows to their places; what of it lies past the edge is left. */
function place(
  values: Float32Array,
  offset: readonly number[],
  chunk: readonly number[],
  shape: readonly number[],
  out: Float32Array,
): void {
  const last = shape.length - 1;
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
    // Rows of a chunk are short: a view of each would take longer than its values.
    if (inside) for (let i = 0, at = to + offset[last]!; i < run; i++) out[at + i] = values[from + i]!;
    for (let axis = last - 1; axis >= 0 && ++index[axis]! === chunk[axis]; axis--) index[axis] = 0;
  }
}
