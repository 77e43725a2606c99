import { throwIfAborted, VggError } from '@vgg/errors';
import { viewOf } from '../../bytes.js';
import type { StreamOptions } from '../../format.js';
import { pastLimit } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { readInto } from '../../sources/read-into.js';
import { sliceSource } from '../../sources/slice.js';
import { crc32 } from '../crc.js';
import { inflate } from '../inflate/index.js';
import type { Zip, ZipEntry } from './directory.js';
import { corrupt, DEFLATED, DESCRIPTOR_FLAG, LOCAL, REFUSED_FLAGS, STORED, widened } from './records.js';

/** Bytes read at a time, and unpacked ones yielded: few at first, for callers that look only at the beginning, then twice as many each time. */
const FIRST_READ = 2 ** 9;
const FIRST_PIECE = 2 ** 14;
const LAST_PIECE = 2 ** 20;

/**
 * A stored member as a source of its own; the checksum is not looked at, since any part may be read.
 *
 * @throws VggError `VGG_FORMAT` if it is deflated, `VGG_INTEGRITY` if its local header does not agree with the directory
 */
export async function zipSource(zip: Zip, entry: ZipEntry, options: ReadOptions = {}): Promise<Source> {
  if (!entry.stored) throw new VggError('VGG_FORMAT', `${zip.who}: expected "${entry.name.slice(0, 80)}" stored, received it deflated`);
  return sliceSource(zip.source, await dataOffset(zip, entry, options), entry.size, entry.name);
}

/**
 * A member's bytes from its first to its last, in pieces of up to 1 MB. Once all are there, their number and their checksum are those of
 * the directory, or it throws.
 *
 * @throws VggError `VGG_INTEGRITY` if the member is corrupt
 */
export async function* zipStream(zip: Zip, entry: ZipEntry, options: StreamOptions = {}): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const start = await dataOffset(zip, entry, options);
  const reuse = options.reuse === true;
  const packed = packedBytes(zip, entry, start, { ...options, reuse: reuse || !entry.stored });
  let length = 0;
  let sum = 0;
  for await (const bytes of entry.stored ? packed : inPieces(inflated(zip, entry, packed), reuse)) {
    throwIfAborted(options.signal, zip.who);
    length += bytes.length;
    sum = crc32(bytes, sum);
    if (length === entry.size && sum !== entry.crc32) throw corrupt(zip.who, `the checksum of "${entry.name.slice(0, 80)}" does not agree`);
    yield bytes;
  }
  if (length !== entry.size || sum !== entry.crc32) {
    throw corrupt(zip.who, `"${entry.name.slice(0, 80)}" has ${length} bytes of ${entry.size}, or others than its checksum is of`);
  }
}

/**
 * A whole member in memory, its checksum looked at.
 *
 * @throws VggError `VGG_FORMAT` if there is none such, `VGG_INTEGRITY` if it has more than `maxBytes` or is corrupt
 */
export async function readEntry(zip: Zip, name: string, maxBytes: number, options: ReadOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
  const entry = zip.entries.get(name);
  if (!entry) throw new VggError('VGG_FORMAT', `${zip.who}: expected a member "${name}" in the archive, and there is none`);
  if (entry.size > maxBytes) {
    throw pastLimit(zip.who, `at most ${maxBytes} bytes in "${name}"`, entry.size);
  }
  const out = new Uint8Array(entry.size);
  let at = 0;
  for await (const bytes of zipStream(zip, entry, { ...options, reuse: true })) {
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}

/** Where the data begins: behind the local header, which must be of the same member as the directory's record. */
async function dataOffset(zip: Zip, entry: ZipEntry, options: ReadOptions): Promise<number> {
  const { who, source } = zip;
  const { rawName, offset } = entry;
  const header = await source.read(offset, LOCAL.length + rawName.length, options);
  const view = viewOf(header);
  const flags = view.getUint16(6, true);
  const agrees =
    view.getUint32(0, true) === LOCAL.signature &&
    (flags & REFUSED_FLAGS) === 0 &&
    view.getUint16(8, true) === (entry.stored ? STORED : DEFLATED) &&
    view.getUint16(26, true) === rawName.length &&
    rawName.every((byte, i) => header[LOCAL.length + i] === byte);
  const extraLength = view.getUint16(28, true);
  const start = offset + header.length + extraLength;
  if (!agrees || start + entry.packedSize > entry.limit) throw corrupt(who, `"${entry.name.slice(0, 80)}" is not where its directory says`);
  const extra = await source.read(offset + header.length, extraLength, options);
  const hasSizes = (flags & DESCRIPTOR_FLAG) === 0;
  const fields = [view.getUint32(22, true), view.getUint32(18, true)];
  if (hasSizes) {
    const [size, packedSize] = widened(fields, extra, who);
    if (size !== entry.size || packedSize !== entry.packedSize || view.getUint32(14, true) !== entry.crc32) {
      throw corrupt(who, `the header of "${entry.name.slice(0, 80)}" and the directory do not agree on its size or checksum`);
    }
  }
  return start;
}

/** Sizes of pieces. */
function* sizes(first: number): Generator<number> {
  for (let size = first; ; size = Math.min(LAST_PIECE, size * 2)) yield size;
}

async function* packedBytes(
  zip: Zip,
  entry: ZipEntry,
  start: number,
  { reuse, ...options }: StreamOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const size = sizes(FIRST_READ);
  let memory = new Uint8Array(0);
  for (let at = 0; at < entry.packedSize; ) {
    const length = Math.min(size.next().value!, entry.packedSize - at);
    if (!reuse || memory.length < length) memory = new Uint8Array(length);
    const piece = memory.subarray(0, length);
    await readInto(zip.source, piece, start + at, options);
    yield piece;
    at += length;
  }
}

/** A deflated member, stopped where it passes its size. */
async function* inflated(zip: Zip, entry: ZipEntry, packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const name = `"${entry.name.slice(0, 80)}"`;
  let length = 0;
  for await (const bytes of inflate(packed, { format: 'deflate-raw', broken: (what) => corrupt(zip.who, `${name} ${what}`) })) {
    length += bytes.length;
    if (length > entry.size) throw corrupt(zip.who, `${name} unpacks to more than its ${entry.size} bytes`);
    yield bytes;
  }
}

/** The inflater's small chunks put together. */
async function* inPieces(chunks: AsyncIterable<Uint8Array<ArrayBuffer>>, reuse: boolean): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const size = sizes(FIRST_PIECE);
  let piece = new Uint8Array(size.next().value!);
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + piece.length - filled);
      piece.set(part, filled);
      filled += part.length;
      at += part.length;
      if (filled < piece.length) continue;
      yield piece;
      const next = size.next().value!;
      if (!reuse || piece.length < next) piece = new Uint8Array(next);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}
