import { isNativeFloat32, toFloat32 } from '../../dtype.js';
import type { StreamOptions } from '../../format.js';
import { product } from '../../numbers.js';
import type { ReadOptions } from '../../source.js';
import { readInto } from '../../sources/read-into.js';
import { type InflateMemory, inflateMemory } from '../inflate/index.js';
import { collect, contiguousTensor, PIECE, type StoredTensor } from '../tensors.js';
import { type Chunk, readChunks } from './chunks.js';
import type { Dataset } from './dataset.js';
import { type Hdf5, renew } from './file.js';
import { isStreamed, unfilter, unfilterStream } from './filters.js';
import type { Layout } from './layout.js';
import { MAX_BATCH, MAX_GAP } from './limits.js';

/** The values of a dataset as float32, in C order: at most a few chunks are in memory beside them. */
export async function readValues(opened: Hdf5, dataset: Dataset, options: ReadOptions = {}): Promise<Float32Array> {
  const file = renew(opened, options);
  const { layout, count, shape } = dataset;
  if (layout.kind === 'chunked') {
    const out = filled(count, dataset);
    await unpackChunks(file, dataset, layout, await chunksOf(file, dataset, layout), { out, rows: shape[0]!, first: 0 }, newMemory());
    return out;
  }
  const stored = contiguous(file, dataset);
  return stored?.read ? stored.read(options) : collect(streamValues(file, dataset, { ...options, reuse: true }), count);
}

/** The same in pieces of a few MB; of a chunked dataset a row of chunks at a time, which may be more. */
export async function* streamValues(opened: Hdf5, dataset: Dataset, options: StreamOptions = {}): AsyncGenerator<Float32Array> {
  const file = renew(opened, options);
  const { layout, dtype, littleEndian, count, shape } = dataset;
  if (layout.kind === 'compact') {
    yield toFloat32(new Uint8Array(layout.data), dtype, littleEndian);
  } else if (layout.kind === 'contiguous') {
    const stored = contiguous(file, dataset);
    if (stored) yield* stored.stream(options);
    else for (let at = 0; at < count; at += PIECE) yield filled(Math.min(PIECE, count - at), dataset);
  } else if (count > 0) {
    const slabs = new Map<number, Chunk[]>();
    for (const chunk of await chunksOf(file, dataset, layout)) {
      const slab = slabs.get(chunk.offset[0]!);
      if (slab) slab.push(chunk);
      else slabs.set(chunk.offset[0]!, [chunk]);
    }
    const rows = Math.min(shape[0]!, layout.chunk[0]!);
    const row = count / shape[0]!;
    const slab = options.reuse ? filled(row * rows, dataset) : undefined;
    const memory = newMemory();
    for (let first = 0; first < shape[0]!; first += rows) {
      const here = Math.min(rows, shape[0]! - first);
      const out = slab?.subarray(0, row * here) ?? filled(row * here, dataset);
      if (slab && first > 0) out.fill(dataset.fill ?? 0);
      await unpackChunks(file, dataset, layout, slabs.get(first) ?? [], { out, rows: here, first }, memory);
      yield out;
    }
  }
}

/** Values that lie end to end; undefined for others and for those that were never written. */
function contiguous({ source, base }: Hdf5, { layout, dtype, littleEndian, count }: Dataset): StoredTensor | undefined {
  if (layout.kind !== 'contiguous' || layout.address === undefined) return undefined;
  return contiguousTensor({ name: '', shape: [count], dtype, present: true }, source, base + layout.address, littleEndian);
}

type ChunkedLayout = Extract<Layout, { kind: 'chunked' }>;

function filled(count: number, { fill = 0 }: Dataset): Float32Array {
  const out = new Float32Array(count);
  return fill === 0 ? out : out.fill(fill);
}

function chunkBytes({ chunk, element }: ChunkedLayout): number {
  return product(chunk) * element;
}

function chunksOf(file: Hdf5, { shape, maxima, filters }: Dataset, layout: ChunkedLayout): Promise<Chunk[]> {
  const grid = { shape, maxima, chunk: layout.chunk, bytes: chunkBytes(layout), filtered: filters.length > 0 };
  return readChunks(file, layout.index, grid);
}

/** `rows` rows of a dataset from `first` on. */
interface Slab {
  readonly out: Float32Array;
  readonly rows: number;
  readonly first: number;
}

/** Used again from one batch of chunks to the next. */
interface Memory {
  packed: Uint8Array;
  chunk: Uint8Array;
  readonly inflate: InflateMemory;
}

const newMemory = (): Memory => ({ packed: new Uint8Array(0), chunk: new Uint8Array(0), inflate: inflateMemory() });

/** Puts chunks where they belong. */
async function unpackChunks(
  file: Hdf5,
  { shape, dtype, littleEndian, filters }: Dataset,
  layout: ChunkedLayout,
  chunks: readonly Chunk[],
  { out, rows, first }: Slab,
  memory: Memory,
): Promise<void> {
  const { chunk, plainEdges } = layout;
  const bytes = chunkBytes(layout);
  const options = file.signal ? { signal: file.signal } : {};
  // A chunk that is all of it needs no other place.
  const isWhole = chunks.length === 1 && isNativeFloat32(dtype, littleEndian) && bytes === out.byteLength && covers(chunk, shape);
  for (const batch of batches(chunks, bytes)) {
    const start = batch[0]!.address;
    const length = batch.at(-1)!.address + batch.at(-1)!.bytes - start;
    const filtersOf = ({ offset }: Chunk) => (plainEdges && offset.some((at, axis) => at + chunk[axis]! > shape[axis]!) ? [] : filters);
    const isLong = length > MAX_BATCH && isStreamed(filtersOf(batch[0]!), batch[0]!.mask);
    if (!isLong) {
      if (memory.packed.length < length) memory.packed = new Uint8Array(length);
      await readInto(file.source, memory.packed.subarray(0, length), file.base + start, options);
    }
    for (const stored of batch) {
      const { address, bytes: size, mask, offset } = stored;
      if (!isWhole && memory.chunk.length !== bytes) memory.chunk = new Uint8Array(bytes);
      const target = isWhole ? new Uint8Array(out.buffer, out.byteOffset, bytes) : memory.chunk;
      if (isLong) await unfilterStream(file, filtersOf(stored), mask, pieces(file, stored, options), target, memory.inflate);
      else
        await unfilter(
          file,
          filtersOf(stored),
          mask,
          memory.packed.subarray(address - start, address - start + size),
          target,
          memory.inflate,
        );
      if (!isWhole) place(toFloat32(target, dtype, littleEndian), offset.with(0, offset[0]! - first), chunk, shape.with(0, rows), out);
    }
  }
}

/** Whether the chunk is as large as the dataset on every axis but the first. */
function covers(chunk: readonly number[], shape: readonly number[]): boolean {
  return chunk.every((side, axis) => axis === 0 || side === shape[axis]);
}

/** The packed bytes of a chunk that is too large to be read at once. */
async function* pieces(file: Hdf5, { address, bytes }: Chunk, options: ReadOptions): AsyncGenerator<Uint8Array> {
  const memory = new Uint8Array(Math.min(bytes, PIECE * 4));
  for (let at = 0; at < bytes; at += memory.length) {
    const piece = memory.subarray(0, Math.min(memory.length, bytes - at));
    await readInto(file.source, piece, file.base + address + at, options);
    yield piece;
  }
}

/** Chunks that lie close together are read at once. */
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
