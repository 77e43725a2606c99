import { throwIfAborted } from '@vgg/errors';
import { fletcher32 } from './checksum.js';
import { corrupt, refused } from './cursor.js';
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
    throw refused(
      file.who,
      `expected datasets packed by gzip, shuffle or fletcher32, received ${NAMES.get(id) ?? `filter ${id}`}; save them with gzip or unpacked`,
    );
  }
}

/** Undoes the filters of one chunk, the last applied first; `mask` says which of them were left out. The result has `bytes` bytes. */
export async function unfilter(
  file: Hdf5,
  filters: readonly Filter[],
  mask: number,
  packed: Uint8Array,
  bytes: number,
): Promise<Uint8Array> {
  let data = packed;
  for (let i = filters.length - 1; i >= 0; i--) {
    if (mask & (1 << i)) continue;
    const { id, values } = filters[i]!;
    if (id === FLETCHER32) data = checkFletcher(file, data);
    else if (id === SHUFFLE) data = unshuffle(data, values[0] ?? 1);
    else data = await inflate(file, data, bytes + 4 * filters.length); // checksums inside the packed bytes are 4 more each
  }
  if (data.length !== bytes) throw corrupt(file.who, `a chunk unpacks to ${data.length} bytes and not to ${bytes}`);
  return data;
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

/** Puts the first bytes of all values, then their second bytes ... back together; a rest that is no whole value stays at the end. */
function unshuffle(data: Uint8Array, element: number): Uint8Array {
  const count = element > 1 ? Math.floor(data.length / element) : 0;
  if (count <= 1) return data;
  const out = new Uint8Array(data);
  if (element === 4) {
    // float32, which nearly all weights are, at twice the speed.
    for (let i = 0, at = 0; i < count; i++, at += 4) {
      out[at] = data[i]!;
      out[at + 1] = data[count + i]!;
      out[at + 2] = data[2 * count + i]!;
      out[at + 3] = data[3 * count + i]!;
    }
    return out;
  }
  for (let byte = 0; byte < element; byte++) {
    for (let i = 0; i < count; i++) out[i * element + byte] = data[byte * count + i]!;
  }
  return out;
}

/** Bytes given to the decompressor at a time: what it makes of them, at most 1032 times as much, may all be in memory before it is stopped. */
const SLICE = 65536;

/** zlib (RFC 1950), stopped where it passes `limit` bytes. */
async function inflate(file: Hdf5, data: Uint8Array, limit: number): Promise<Uint8Array> {
  const { readable, writable } = new DecompressionStream('deflate');
  const reader = readable.getReader();
  const fed = feed(writable.getWriter(), data);
  const out = new Uint8Array(limit);
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      throwIfAborted(file.signal, file.who);
      if (done) break;
      if (length + value.length > limit) throw corrupt(file.who, `a chunk unpacks to more than ${limit} bytes`);
      out.set(value, length);
      length += value.length;
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    throwIfAborted(file.signal, file.who);
    if (error instanceof TypeError || (error as { code?: string }).code?.startsWith('Z_'))
      throw corrupt(file.who, 'a chunk does not unpack');
    throw error;
  }
  await fed;
  return out.subarray(0, length);
}

/** Writes all bytes as they are taken; what goes wrong is seen by whoever reads the other end. */
async function feed(writer: WritableStreamDefaultWriter<BufferSource>, data: Uint8Array): Promise<void> {
  try {
    for (let at = 0; at < data.length; at += SLICE) {
      await writer.ready;
      await writer.write(data.subarray(at, at + SLICE) as Uint8Array<ArrayBuffer>);
    }
    await writer.close();
  } catch {
    // the reader has the same error
  }
}
