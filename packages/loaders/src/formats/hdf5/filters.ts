import { throwIfAborted } from '@vgg/errors';
import { unsupported } from '../../refusals.js';
import { type InflateMemory, inflate } from '../inflate/index.js';
import { fletcher32 } from './checksum.js';
import { corrupt } from './cursor.js';
import type { Hdf5 } from './file.js';
import type { Filter } from './layout.js';

const DEFLATE = 1;
const SHUFFLE = 2;
const FLETCHER32 = 3;
const NAMES: ReadonlyMap<number, string> = new Map([
  [4, 'szip'],
  [5, 'nbit'],
  [6, 'scaleoffset'],
  [32000, 'lzf'],
  [32001, 'blosc'],
  [32004, 'lz4'],
  [32008, 'bitshuffle'],
  [32015, 'zstd'],
]);

/** @throws VggError `VGG_FORMAT` for a filter that we do not know */
export function checkFilters(filters: readonly Filter[], file: Hdf5): void {
  for (const { id } of filters) {
    if (id === DEFLATE || id === SHUFFLE || id === FLETCHER32) continue;
    throw unsupported(
      file.who,
      `expected datasets packed by gzip, shuffle or fletcher32, received ${NAMES.get(id) ?? `filter ${id}`}; save them with gzip or unpacked`,
    );
  }
}

/** Whether the filters of a chunk are undone as its bytes come, so that they need not be there at once. */
export function isStreamed(filters: readonly Filter[], mask: number): boolean {
  const ids = used(filters, mask).map(({ id }) => id);
  return ids.length === 0 || (ids.at(-1) === DEFLATE && (ids.length === 1 || (ids.length === 2 && ids[0] === SHUFFLE)));
}

function used(filters: readonly Filter[], mask: number): Filter[] {
  return filters.filter((_, i) => !(mask & (1 << i)));
}

/** Undoes the filters of one chunk, the last applied first, into `target`; `mask` says which of them were left out. */
export async function unfilter(
  file: Hdf5,
  filters: readonly Filter[],
  mask: number,
  packed: Uint8Array,
  target: Uint8Array,
  memory?: InflateMemory,
): Promise<void> {
  if (isStreamed(filters, mask)) return unfilterStream(file, filters, mask, [packed], target, memory);
  let data = packed;
  for (const { id, values } of used(filters, mask).reverse()) {
    if (id === FLETCHER32) data = checkFletcher(file, data);
    else if (id === SHUFFLE) data = unshuffled(data, values[0] ?? 1);
    else {
      const out = new Uint8Array(target.length + 4 * filters.length); // checksums inside the packed bytes are 4 more each
      data = out.subarray(0, await unpack(file, [data], out, 1, memory));
    }
  }
  if (data.length !== target.length) throw wrongLength(file, data.length, target);
  target.set(data);
}

/** The same for filters that {@link isStreamed}, whose chunk comes in pieces. */
export async function unfilterStream(
  file: Hdf5,
  filters: readonly Filter[],
  mask: number,
  packed: AsyncIterable<Uint8Array> | readonly Uint8Array[],
  target: Uint8Array,
  memory?: InflateMemory,
): Promise<void> {
  const all = used(filters, mask);
  const length =
    all.length === 0
      ? await copy(packed, target)
      : await unpack(file, packed, target, all.length > 1 ? (all[0]!.values[0] ?? 1) : 1, memory);
  if (length !== target.length) throw wrongLength(file, length, target);
}

async function copy(pieces: AsyncIterable<Uint8Array> | readonly Uint8Array[], target: Uint8Array): Promise<number> {
  let length = 0;
  for await (const piece of pieces) {
    if (length + piece.length <= target.length) target.set(piece, length);
    length += piece.length;
  }
  return length;
}

function wrongLength(file: Hdf5, length: number, target: Uint8Array): Error {
  return corrupt(file.who, `a chunk unpacks to ${length} bytes and not to ${target.length}`);
}

function checkFletcher(file: Hdf5, data: Uint8Array): Uint8Array {
  const end = data.length - 4;
  if (end < 0) throw corrupt(file.who, 'a chunk is shorter than its checksum');
  const stored = new DataView(data.buffer, data.byteOffset + end, 4).getUint32(0, true);
  const sum = fletcher32(data.subarray(0, end));
  // Libraries before 1.6.3 on big-endian machines swapped the bytes of each half; the reference library takes both.
  const swapped = (((sum & 0x00ff00ff) << 8) | ((sum >>> 8) & 0x00ff00ff)) >>> 0;
  if (stored !== sum && stored !== swapped) throw corrupt(file.who, 'the checksum of a chunk does not agree');
  return data.subarray(0, end);
}

function unshuffled(data: Uint8Array, element: number): Uint8Array {
  const out = new Uint8Array(data.length);
  unshuffle(data, 0, out, element);
  return out;
}

/**
 * Shuffled bytes from the `start`-th on to their places: first come the first bytes of all values, then their second bytes ...; a rest that
 * is no whole value is at the end.
 */
function unshuffle(bytes: Uint8Array, start: number, out: Uint8Array, element: number): void {
  const count = Math.floor(out.length / element);
  for (let from = 0; from < bytes.length; ) {
    const plane = Math.floor((start + from) / count);
    if (element <= 1 || count <= 1 || plane >= element) {
      out.set(bytes.subarray(from), start + from);
      break;
    }
    const first = start + from - plane * count;
    const end = Math.min(bytes.length, from + count - first);
    for (let to = first * element + plane; from < end; to += element) out[to] = bytes[from++]!;
  }
}

/** zlib (RFC 1950), stopped where it passes `target`. Returns how many bytes there are. */
async function unpack(
  file: Hdf5,
  packed: AsyncIterable<Uint8Array> | readonly Uint8Array[],
  target: Uint8Array,
  element: number,
  memory: InflateMemory | undefined,
): Promise<number> {
  let length = 0;
  const broken = (what: string) => corrupt(file.who, `a chunk ${what}`);
  for await (const bytes of inflate(packed, { format: 'deflate', broken, ...(memory && { memory }) })) {
    throwIfAborted(file.signal, file.who);
    if (length + bytes.length > target.length) throw corrupt(file.who, `a chunk unpacks to more than ${target.length} bytes`);
    unshuffle(bytes, length, target, element);
    length += bytes.length;
  }
  return length;
}
