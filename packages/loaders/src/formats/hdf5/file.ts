import { throwIfAborted } from '@vgg/errors';
import { viewOf } from '../../bytes.js';
import { pastLimit, unsupported } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { lookup3 } from './checksum.js';
import { type Cursor, corrupt, cursor, type FieldSizes } from './cursor.js';
import { MAX_METADATA, MAX_STRUCTURE } from './limits.js';

/** An HDF5 file being read (HDF5 File Format Specification, version 3.0, The HDF Group). */
export interface Hdf5 extends FieldSizes {
  readonly source: Source;
  /** What every offset is counted from: 0, or the length of a user block. */
  readonly base: number;
  /** The root group's object header. */
  readonly root: number;
  readonly signal?: AbortSignal;
  /** Metadata read so far in this index or dataset. */
  readonly spent: { bytes: number };
}

const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];

/** Where in the head of a file its superblock is: at 0, or behind a user block of 512, 1024, 2048 ... bytes. */
export function findSuperblock(head: Uint8Array): number | undefined {
  for (let at = 0; at + SIGNATURE.length <= head.length; at = at === 0 ? 512 : at * 2) {
    if (SIGNATURE.every((byte, i) => head[at + i] === byte)) return at;
  }
  return undefined;
}

/** Section II.A: reads superblock 0 to 3. */
export async function openHdf5(source: Source, options: ReadOptions = {}): Promise<Hdf5> {
  const who = source.name;
  const head = await source.read(0, Math.min(4096, source.size), options);
  const start = findSuperblock(head);
  if (start === undefined) throw unsupported(who, 'expected an HDF5 file, received other bytes');
  const superblock = head.subarray(start, start + 256);
  const version = superblock[8];
  const old = version === 0 || version === 1;
  if (!old && version !== 2 && version !== 3) throw unsupported(who, `expected an HDF5 superblock of version 0 to 3, received ${version}`);
  const offsetSize = superblock[old ? 13 : 9]!;
  const lengthSize = superblock[old ? 14 : 10]!;
  for (const size of [offsetSize, lengthSize]) {
    if (size !== 4 && size !== 8) throw unsupported(who, `expected HDF5 offsets and lengths of 4 or 8 bytes, received ${size}`);
  }
  const at = cursor(superblock, { who, offsetSize, lengthSize });
  at.skip(old ? (version === 1 ? 28 : 24) : 12);
  const base = at.address();
  at.address(); // free space, or the superblock's extension
  const end = at.address();
  if (old) {
    at.address(); // the driver's block: files split over several
    at.length(); // the root's name
  }
  const root = at.address();
  if (!old) checkSum(superblock.subarray(0, at.at + 4), who);
  if (base !== start || root === undefined) throw corrupt(who, 'the superblock gives no base or root');
  if (end === undefined || end > source.size) throw corrupt(who, `it is ${source.size} bytes long and says ${end}`);
  return { who, source, base, root, offsetSize, lengthSize, spent: { bytes: 0 }, ...(options.signal && { signal: options.signal }) };
}

/** The same file with a fresh allowance of metadata and another signal. */
export function renew({ signal: _, ...file }: Hdf5, options: ReadOptions = {}): Hdf5 {
  return { ...file, spent: { bytes: 0 }, ...(options.signal && { signal: options.signal }) };
}

/** Bytes of a structure, within the limits. */
export async function readAt(file: Hdf5, address: number | undefined, length: number): Promise<Uint8Array> {
  throwIfAborted(file.signal, file.who);
  if (address === undefined) throw corrupt(file.who, 'a structure that must be there has no address');
  if (length > MAX_STRUCTURE) throw pastLimit(file.who, `at most ${MAX_STRUCTURE} bytes in one structure of HDF5`, length);
  charge(file, length);
  return file.source.read(file.base + address, length, file.signal ? { signal: file.signal } : {});
}

/**
 * Counts what is made of metadata as if it were read: a few bytes may name one text, or one group, a thousand times over.
 * @throws VggError `VGG_INTEGRITY` past {@link MAX_METADATA}
 */
export function charge(file: Hdf5, bytes: number): void {
  file.spent.bytes += bytes;
  if (file.spent.bytes > MAX_METADATA) throw pastLimit(file.who, `at most ${MAX_METADATA} bytes of HDF5 metadata`);
}

/** As {@link readAt}, as fields to read. */
export async function cursorAt(file: Hdf5, address: number | undefined, length: number): Promise<Cursor> {
  return cursor(await readAt(file, address, length), file);
}

/** Checks a structure that ends in its lookup3 checksum. */
export function checkSum(structure: Uint8Array, who: string): void {
  const end = structure.length - 4;
  if (end < 0) throw corrupt(who, 'a structure ends early');
  const stored = viewOf(structure).getUint32(end, true);
  if (stored !== lookup3(structure.subarray(0, end))) throw corrupt(who, 'a checksum of its metadata does not agree');
}
