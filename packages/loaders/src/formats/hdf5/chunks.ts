import { readTreeNode } from './btree1.js';
import { corrupt, cursor, refused } from './cursor.js';
import { checkSum, cursorAt, type Hdf5, readAt } from './file.js';
import type { ChunkIndex } from './layout.js';
import { MAX_CHUNKS } from './limits.js';

/** One stored chunk. */
export interface Chunk {
  /** Of its first value, by axis. */
  readonly offset: readonly number[];
  readonly address: number;
  readonly bytes: number;
  /** Bits of the filters that were left out. */
  readonly mask: number;
}

export interface Grid {
  readonly shape: readonly number[];
  readonly chunk: readonly number[];
  /** Bytes of an unpacked chunk. */
  readonly bytes: number;
  readonly filtered: boolean;
}

/** All chunks of a dataset: each place of the grid exactly once, and no two in the same bytes. */
export async function readChunks(file: Hdf5, index: ChunkIndex, grid: Grid): Promise<Chunk[]> {
  const counts = grid.shape.map((size, axis) => Math.ceil(size / grid.chunk[axis]!));
  const total = counts.reduce((product, count) => product * count, 1);
  if (total > MAX_CHUNKS) throw refused(file.who, `expected at most ${MAX_CHUNKS} chunks in one dataset, received ${total}`);
  if (total === 0) return [];
  const places = total; // by number, the last axis fastest
  const offsetOf = (place: number): number[] => {
    const offset: number[] = [];
    for (let axis = counts.length - 1, rest = place; axis >= 0; axis--) {
      offset[axis] = (rest % counts[axis]!) * grid.chunk[axis]!;
      rest = Math.floor(rest / counts[axis]!);
    }
    return offset;
  };
  const chunks: Chunk[] = [];
  if (index.kind === 'btree') {
    await readTree(file, index.address, undefined, grid, places, chunks, new Set());
  } else if (index.kind === 'single') {
    chunks.push({ offset: offsetOf(0), address: defined(file, index.address), bytes: index.bytes ?? grid.bytes, mask: index.mask });
  } else if (index.kind === 'implicit') {
    const start = defined(file, index.address);
    for (let place = 0; place < places; place++)
      chunks.push({ offset: offsetOf(place), address: start + place * grid.bytes, bytes: grid.bytes, mask: 0 });
  } else {
    const entries = await readFixedArray(file, index.address, grid, places);
    chunks.push(...entries.map((entry, place) => ({ ...entry, offset: offsetOf(place) })));
  }
  checkCover(file, chunks, grid, places);
  return chunks;
}

function defined(file: Hdf5, address: number | undefined): number {
  if (address === undefined) throw corrupt(file.who, 'a chunk was never written');
  return address;
}

function checkCover(file: Hdf5, chunks: readonly Chunk[], grid: Grid, places: number): void {
  const seen = new Set<string>();
  for (const { offset, address, bytes } of chunks) {
    const inside = offset.every((at, axis) => at % grid.chunk[axis]! === 0 && at < grid.shape[axis]!);
    if (!inside || file.base + address + bytes > file.source.size) throw corrupt(file.who, 'a chunk lies outside its dataset or the file');
    if (!grid.filtered && bytes !== grid.bytes) throw corrupt(file.who, `a chunk has ${bytes} bytes and not ${grid.bytes}`);
    seen.add(offset.join());
  }
  if (seen.size !== places || chunks.length !== places) throw corrupt(file.who, `${seen.size} chunks of ${places} are there`);
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
    if (own > 0) await readTree(file, child, own - 1, grid, most, into, seen);
    else into.push({ offset, address: defined(file, child), bytes, mask });
  }
}

/** Section VII.C: a fixed array, in pages where it is long. */
async function readFixedArray(file: Hdf5, address: number | undefined, grid: Grid, places: number): Promise<Omit<Chunk, 'offset'>[]> {
  const { offsetSize: O, lengthSize: L, who } = file;
  const header = await readAt(file, address, 8 + L + O + 4);
  const fields = cursor(header, file);
  fields.signature('FAHD');
  checkSum(header, who);
  fields.skip(1);
  const filtered = fields.u8() === 1;
  const entry = fields.u8();
  const pageBits = fields.u8();
  const count = fields.length();
  const block = fields.address();
  const sizeBytes = entry - O - 4;
  if (
    filtered !== grid.filtered ||
    count !== places ||
    entry !== (filtered ? O + sizeBytes + 4 : O) ||
    (filtered && (sizeBytes < 1 || sizeBytes > 8))
  ) {
    throw corrupt(who, 'the array of chunks does not fit its dataset');
  }
  const pageEntries = 2 ** pageBits;
  const paged = count > pageEntries;
  const pages = Math.ceil(count / pageEntries);
  const frame = 6 + O + (paged ? Math.ceil(pages / 8) : 0);
  const parts: Uint8Array[] = [];
  const first = await readAt(file, block, frame + (paged ? 0 : count * entry) + 4);
  checkSum(first, who);
  cursor(first, file).signature('FADB');
  if (!paged) parts.push(first.subarray(frame, frame + count * entry));
  for (let page = 0, at = block! + first.length; paged && page < pages; page++) {
    const length = Math.min(pageEntries, count - page * pageEntries) * entry;
    const bytes = await readAt(file, at, length + 4);
    checkSum(bytes, who);
    parts.push(bytes.subarray(0, length));
    at += length + 4;
  }
  return parts.flatMap((part) => {
    const at = cursor(part, file);
    return Array.from({ length: part.length / entry }, () => {
      const chunk = defined(file, at.address());
      return filtered ? { address: chunk, bytes: at.uint(sizeBytes), mask: at.u32() } : { address: chunk, bytes: grid.bytes, mask: 0 };
    });
  });
}
