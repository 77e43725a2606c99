import { product } from '../../numbers.js';
import { pastLimit } from '../../refusals.js';
import { readTreeNode } from './btree1.js';
import { readBtree2 } from './btree2.js';
import { type ChunkEntry, readExtensibleArray, readFixedArray } from './chunk-arrays.js';
import { corrupt, cursor } from './cursor.js';
import { cursorAt, type Hdf5 } from './file.js';
import type { ChunkIndex } from './layout.js';
import { MAX_CHUNKS } from './limits.js';

/** One stored chunk. */
export interface Chunk extends ChunkEntry {
  /** Of its first value, by axis. */
  readonly offset: readonly number[];
}

export interface Grid {
  readonly shape: readonly number[];
  /** How far each axis may grow. */
  readonly maxima: readonly number[];
  readonly chunk: readonly number[];
  /** Bytes of an unpacked chunk. */
  readonly bytes: number;
  readonly filtered: boolean;
}

/** The stored chunks of a dataset: each place of the grid at most once, and no two in the same bytes. */
export async function readChunks(file: Hdf5, index: ChunkIndex, grid: Grid): Promise<Chunk[]> {
  const counts = countsOf(grid.shape, grid.chunk);
  const total = product(counts);
  checkCount(file, total);
  if (total === 0 || index.address === undefined) return [];
  const chunks: Chunk[] = [];
  if (index.kind === 'btree') {
    await readTree(file, index.address, undefined, grid, total, chunks, new Set());
  } else if (index.kind === 'btree2') {
    chunks.push(...(await readTree2(file, index.address, grid)));
  } else if (index.kind === 'single') {
    chunks.push({ offset: grid.shape.map(() => 0), address: index.address, bytes: index.bytes ?? grid.bytes, mask: index.mask });
  } else {
    const places = arrayPlaces(file, grid, counts, index.kind === 'extensible-array');
    const entries = index.kind === 'implicit' ? undefined : await readArray(file, index.kind, index.address, grid, places);
    for (const { place, offset } of places) {
      const entry = entries ? entries[place] : { address: index.address + place * grid.bytes, bytes: grid.bytes, mask: 0 };
      if (entry) chunks.push({ ...entry, offset });
    }
  }
  checkCover(file, chunks, grid, total);
  return chunks;
}

function countsOf(sizes: readonly number[], chunk: readonly number[]): number[] {
  return sizes.map((size, axis) => Math.ceil(size / chunk[axis]!));
}

function checkCount(file: Hdf5, count: number): void {
  if (count > MAX_CHUNKS) throw pastLimit(file.who, `at most ${MAX_CHUNKS} chunks in one dataset`, count);
}

interface GridCell {
  /** Number in the array. */
  readonly place: number;
  readonly offset: readonly number[];
}

/**
 * Arrays number the chunks of the largest shape that the dataset may take, the last axis fastest; an extensible array's axis without
 * limit is the slowest.
 */
function arrayPlaces(file: Hdf5, { maxima, chunk }: Grid, counts: readonly number[], extensible: boolean): GridCell[] {
  const most = countsOf(maxima, chunk);
  const endless = most.flatMap((count, axis) => (count === Number.POSITIVE_INFINITY ? [axis] : []));
  if (endless.length !== (extensible ? 1 : 0)) throw corrupt(file.who, `an array of chunks has ${endless.length} axes without limit`);
  const axes = [...endless, ...most.flatMap((count, axis) => (count === Number.POSITIVE_INFINITY ? [] : [axis]))];
  checkCount(file, product(axes.map((axis) => (axis === endless[0] ? counts[axis]! : most[axis]!))));
  let places: GridCell[] = [{ place: 0, offset: counts.map(() => 0) }];
  for (const axis of axes) {
    const stride = axis === endless[0] ? 0 : most[axis]!;
    places = places.flatMap(({ place, offset }) =>
      Array.from({ length: counts[axis]! }, (_, i) => ({ place: place * stride + i, offset: offset.with(axis, i * chunk[axis]!) })),
    );
  }
  return places;
}

function readArray(
  file: Hdf5,
  kind: 'fixed-array' | 'extensible-array',
  address: number,
  grid: Grid,
  places: readonly GridCell[],
): Promise<(ChunkEntry | undefined)[]> {
  if (kind === 'fixed-array') {
    const most = product(countsOf(grid.maxima, grid.chunk));
    return readFixedArray(file, address, grid, most);
  }
  const last = places.reduce((max, { place }) => Math.max(max, place), 0);
  return readExtensibleArray(file, address, grid, last + 1);
}

function checkCover(file: Hdf5, chunks: readonly Chunk[], grid: Grid, total: number): void {
  const seen = new Set<string>();
  for (const { offset, address, bytes } of chunks) {
    const inside = offset.every((at, axis) => at % grid.chunk[axis]! === 0 && at < grid.shape[axis]!);
    if (!inside || file.base + address + bytes > file.source.size) throw corrupt(file.who, 'a chunk lies outside its dataset or the file');
    if (!grid.filtered && bytes !== grid.bytes) throw corrupt(file.who, `a chunk has ${bytes} bytes and not ${grid.bytes}`);
    seen.add(offset.join());
  }
  if (seen.size !== chunks.length || chunks.length > total) throw corrupt(file.who, 'a chunk is there twice');
  checkOverlap(file, chunks);
}

/** @throws VggError `VGG_INTEGRITY` where two extents share bytes */
export function checkOverlap(file: Hdf5, extents: readonly { address: number; bytes: number }[]): void {
  let end = 0;
  for (const { address, bytes } of [...extents].sort((a, b) => a.address - b.address)) {
    if (bytes > 0 && address < end) throw corrupt(file.who, 'two pieces of data overlap');
    end = Math.max(end, address + bytes);
  }
}

/** Section III.A.1: a version 1 B-tree whose keys are chunks. */
async function readTree(
  file: Hdf5,
  address: number | undefined,
  level: number | undefined,
  grid: Grid,
  most: number,
  into: Chunk[],
  seen: Set<number>,
): Promise<void> {
  const node = await readTreeNode(file, address, { type: 1, level, what: 'its chunks' }, seen);
  const { level: own, used } = node;
  if (into.length + (own === 0 ? used : 0) > most) throw corrupt(file.who, `it has more than its ${most} chunks`);
  const rank = grid.shape.length;
  const entry = 8 + 8 * (rank + 1) + file.offsetSize;
  const fields = await cursorAt(file, node.entries, used * entry);
  for (let i = 0; i < used; i++) {
    const bytes = fields.u32();
    const mask = fields.u32();
    const offset = Array.from({ length: rank }, () => fields.uint(8));
    fields.skip(8); // within the value: always 0
    const child = fields.address();
    if (child === undefined) throw corrupt(file.who, 'the tree of its chunks lacks one');
    if (own > 0) await readTree(file, child, own - 1, grid, most, into, seen);
    else into.push({ offset, address: child, bytes, mask });
  }
}

/** Section III.A.2, types 10 and 11: records of a chunk's address, its size and mask where it is filtered, and its place by axis. */
async function readTree2(file: Hdf5, address: number, { shape, chunk, bytes, filtered }: Grid): Promise<Chunk[]> {
  const rank = shape.length;
  return (await readBtree2(file, address, filtered ? 11 : 10)).map((record) => {
    const fields = cursor(record, file);
    const at = fields.address();
    const packed = filtered ? fields.uint(sizeWidth(file, record.length - file.offsetSize - 4 - 8 * rank)) : bytes;
    const mask = filtered ? fields.u32() : 0;
    const offset = chunk.map((side) => fields.uint(8) * side);
    if (at === undefined) throw corrupt(file.who, 'the tree of its chunks lacks one');
    return { offset, address: at, bytes: packed, mask };
  });
}

function sizeWidth(file: Hdf5, width: number): number {
  if (width < 1 || width > 8) throw corrupt(file.who, 'the size of a chunk takes an impossible number of bytes');
  return width;
}
