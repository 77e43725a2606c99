import { VggError } from '@vgg/errors';
import { latin1, viewOf } from '../../bytes.js';
import { shown } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { cachedSource } from '../../sources/cached.js';
import {
  CENTRAL,
  corrupt,
  DEFLATED,
  END,
  END64,
  isInside,
  LOCAL,
  LOCATOR64,
  REFUSED_FLAGS,
  STORED,
  UTF8_FLAG,
  uint64,
  widened,
} from './records.js';

/** Most members: a data set of pictures, which is told by its names, has some 50,000; weight files have hundreds. */
const MAX_ENTRIES = 2 ** 16;
/** Most bytes of the directory for each of them: names of 200 bytes. */
const MAX_RECORD = 256;
/** A comment at the end of the archive has a 16-bit length. */
const MAX_COMMENT = 2 ** 16 - 1;
/** Longest name of a member in bytes, as file systems have it for a path. */
const MAX_NAME = 4096;
/** Deflate packs at most 258 bytes into two bits (RFC 1951): one to 1032. */
const MAX_RATIO = 1032;

/** A member of an archive, as the directory has it. */
export interface ZipEntry {
  readonly name: string;
  /** Bytes unpacked. */
  readonly size: number;
  /** Bytes in the archive. */
  readonly packedSize: number;
  /** Whether the bytes are in the archive as they are; else they are deflated. */
  readonly stored: boolean;
  readonly crc32: number;
  /** Where the local header is. */
  readonly offset: number;
  /** Where the next member or the directory begins: header and data end before it. */
  readonly limit: number;
  /** The name as it is stored, which the local header repeats. */
  readonly rawName: Uint8Array;
}

export interface ZipOptions extends ReadOptions {
  /** Most members; 65,536 by default. */
  maxEntries?: number;
}

/** An archive whose directory is read. */
export interface Zip {
  /** The file's name, for messages. */
  readonly who: string;
  readonly source: Source;
  /** Files by name, in the directory's order; folders are left out. */
  readonly entries: ReadonlyMap<string, ZipEntry>;
}

/**
 * Reads the directory of a zip archive (PKWARE's APPNOTE.TXT 6.3.10), with zip64; no member is looked at. The archive must be the whole
 * file: nothing before it (a self-extracting program) and nothing behind.
 *
 * @throws VggError `VGG_FORMAT` for encryption, several disks and methods other than stored and deflated; `VGG_INTEGRITY` for an archive
 * that is cut, names a member twice or outside the archive, or passes a limit
 */
export async function openZip(original: Source, options: ZipOptions = {}): Promise<Zip> {
  const source = cachedSource(original);
  const who = source.name;
  const { start, size, count } = await findDirectory(source, options);
  const found: Mutable[] = [];
  const bytes = await source.read(start, size, options);
  let at = 0;
  for (let i = 0; i < count; i++) at = readRecord(bytes, at, found, who);
  if (at !== size) throw corrupt(who, `its directory has ${size - at} bytes more than its ${count} members`);
  setLimits(found, start, who);
  const entries = new Map<string, ZipEntry>();
  const names = new Set<string>();
  for (const entry of found) {
    if (names.has(entry.name)) throw corrupt(who, `the name ${shown(entry.name)} is in it twice`);
    names.add(entry.name);
    if (!entry.name.endsWith('/')) entries.set(entry.name, entry);
    else if (entry.size > 0) throw corrupt(who, `the folder ${shown(entry.name)} has bytes`);
  }
  return { who, source, entries };
}

type Mutable = { -readonly [key in keyof ZipEntry]: ZipEntry[key] };

interface Directory {
  start: number;
  size: number;
  count: number;
}

async function findDirectory(source: Source, { maxEntries = MAX_ENTRIES, ...options }: ZipOptions): Promise<Directory> {
  const who = source.name;
  const length = Math.min(source.size, END64.length + LOCATOR64.length + END.length + MAX_COMMENT);
  const tail = await source.read(source.size - length, length, options);
  const view = viewOf(tail);
  const at = findEnd(view, who);
  const place = source.size - length + at;
  if (view.getUint16(at + 4, true) > 0 && view.getUint16(at + 4, true) < 0xffff) throw severalDisks(who);
  const count = view.getUint16(at + 10, true);
  const size = view.getUint32(at + 12, true);
  const start = view.getUint32(at + 16, true);
  const directory = readEnd64(view, at, place, who);
  for (const [short, long, most] of [
    [count, directory?.count, 0xffff],
    [size, directory?.size, 0xffffffff],
    [start, directory?.start, 0xffffffff],
  ] as const) {
    if (long === undefined ? short === most : short !== long && short !== most) {
      throw corrupt(who, `its end says ${short} where zip64 says ${long ?? 'nothing'}`);
    }
  }
  const found = directory ?? { start, size, count };
  const end = directory ? place - LOCATOR64.length - END64.length : place;
  if (found.count > maxEntries || found.size > maxEntries * MAX_RECORD) {
    throw new VggError(
      'VGG_INTEGRITY',
      `${who}: expected a zip archive of at most ${maxEntries} members and ${maxEntries * MAX_RECORD} bytes of directory, received ${found.count} and ${found.size}`,
    );
  }
  if (found.start + found.size !== end) {
    throw corrupt(who, `its directory is said to be ${found.size} bytes at ${found.start}, and it ends at ${end}`);
  }
  return found;
}

/** The place of the end record in the tail: the one whose comment reaches the end of the file. */
function findEnd(view: DataView, who: string): number {
  const last = view.byteLength - END.length;
  let found = -1;
  for (let at = last; at >= 0 && last - at <= MAX_COMMENT; at--) {
    if (view.getUint32(at, true) !== END.signature || view.getUint16(at + 20, true) !== last - at) continue;
    // Two readers could take the archive for two others.
    if (found >= 0) throw corrupt(who, 'it has two ends');
    found = at;
  }
  if (found < 0) throw corrupt(who, 'its directory, which is at its end, is missing');
  return found;
}

/** The zip64 record, which stands right before its locator, which stands right before the end record. */
function readEnd64(view: DataView, end: number, place: number, who: string): Directory | undefined {
  const locator = end - LOCATOR64.length;
  if (locator < 0 || view.getUint32(locator, true) !== LOCATOR64.signature) return undefined;
  const record = locator - END64.length;
  const recordPlace = place - LOCATOR64.length - END64.length;
  const isThere =
    record >= 0 &&
    view.getUint32(record, true) === END64.signature &&
    uint64(view, record + 4, who) === END64.length - 12 &&
    uint64(view, locator + 8, who) === recordPlace;
  if (!isThere) throw corrupt(who, `its zip64 record is not at ${recordPlace}`);
  if (view.getUint32(locator + 4, true) > 0 || view.getUint32(locator + 16, true) > 1 || view.getUint32(record + 16, true) > 0)
    throw severalDisks(who);
  return {
    count: uint64(view, record + 32, who),
    size: uint64(view, record + 40, who),
    start: uint64(view, record + 48, who),
  };
}

function severalDisks(who: string): VggError {
  return new VggError('VGG_FORMAT', `${who}: expected a zip archive in one file, received one part of several; join them first`);
}

/** Takes one record of the directory; the place of the next is returned. */
function readRecord(bytes: Uint8Array, at: number, into: Mutable[], who: string): number {
  const view = viewOf(bytes);
  if (at + CENTRAL.length > bytes.length || view.getUint32(at, true) !== CENTRAL.signature) {
    throw corrupt(who, `member ${into.length} of its directory is missing`);
  }
  const flags = view.getUint16(at + 8, true);
  const method = view.getUint16(at + 10, true);
  const nameEnd = at + CENTRAL.length + view.getUint16(at + 28, true);
  const extraEnd = nameEnd + view.getUint16(at + 30, true);
  const end = extraEnd + view.getUint16(at + 32, true);
  if (end > bytes.length) throw corrupt(who, `member ${into.length} of its directory is cut`);
  const rawName = bytes.subarray(at + CENTRAL.length, nameEnd);
  const name = decodeName(rawName, (flags & UTF8_FLAG) !== 0, who);
  const label = name.slice(0, 80);
  if (flags & REFUSED_FLAGS)
    throw new VggError(
      'VGG_FORMAT',
      `${who}: expected members without encryption, received "${label}" encrypted or patched; unpack it first`,
    );
  if (method !== STORED && method !== DEFLATED) {
    throw new VggError(
      'VGG_FORMAT',
      `${who}: expected members stored or deflated, received "${label}" packed by method ${method}; pack it again`,
    );
  }
  if (view.getUint16(at + 34, true) !== 0) throw severalDisks(who);
  const extra = bytes.subarray(nameEnd, extraEnd);
  const fields = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)];
  const [size, packedSize, offset] = widened(fields, extra, who) as [number, number, number];
  const stored = method === STORED;
  if (stored ? size !== packedSize : size > packedSize * MAX_RATIO) {
    throw corrupt(who, `"${label}" is said to unpack from ${packedSize} bytes to ${size}`);
  }
  into.push({ name, size, packedSize, stored, crc32: view.getUint32(at + 16, true), offset, limit: 0, rawName });
  return end;
}

/** Each member must lie before the next: no two share bytes ("overlapping" bombs: Fifield, WOOT 2019), none lies in the directory. */
function setLimits(entries: readonly Mutable[], directory: number, who: string): void {
  const inOrder = [...entries].sort((a, b) => b.offset - a.offset);
  let limit = directory;
  for (const entry of inOrder) {
    const least = LOCAL.length + entry.rawName.length + entry.packedSize;
    if (entry.offset + least > limit) {
      throw corrupt(
        who,
        `${shown(entry.name)} is said to have ${least} bytes at ${entry.offset}, where ${Math.max(0, limit - entry.offset)} are its own`,
      );
    }
    entry.limit = limit;
    limit = entry.offset;
  }
  if (entries.length > 0 && limit > 0) throw corrupt(who, 'its first member is not at its beginning');
}

/** Text of a name: UTF-8, or where it is not marked as such and is none, one character to a byte. */
function decodeName(bytes: Uint8Array, isUtf8: boolean, who: string): string {
  let name: string;
  try {
    name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    if (isUtf8) throw corrupt(who, 'a name is no text');
    name = latin1(bytes.subarray(0, MAX_NAME + 1));
  }
  if (!isInside(name) || bytes.length > MAX_NAME) {
    throw new VggError(
      'VGG_INTEGRITY',
      `${who}: expected members with names inside the archive, received ${JSON.stringify(name.slice(0, 80))}; absolute names, "..", and the like are refused`,
    );
  }
  return name;
}
