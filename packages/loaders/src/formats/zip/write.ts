import { throwIfAborted, VggError } from '@vgg/errors';
import type { Patch } from '../../writer.js';
import { crc32 } from '../crc.js';
import { CENTRAL, END, isInside, LOCAL, STORED, UTF8_FLAG } from './records.js';

/** A member to write. */
export interface ZipFile {
  readonly name: string;
  /** Bytes that `chunks` gives, known before any of them is. */
  readonly size: number;
  chunks(): AsyncIterable<Uint8Array>;
}

/** Data starts at multiples of this, so that a reader can map it in place. */
const ALIGNMENT = 64;
/** Extra field of the padding that aligns the data: "resource alignment" (APPNOTE 4.6.1 and Apache Commons Compress). */
const ALIGNMENT_EXTRA = 0xa11e;
/** Id and length of an extra field, and the alignment that it tells of. */
const LEAST_EXTRA = 6;
/** Version 2.0, the first of the format in use. */
const VERSION = 20;
/** 1 January 1980, the first day of the format: the same values make the same file. */
const DATE = 0x0021;
/** Without zip64 the number of members is below 65,535 ... */
const MAX_FILES = 0xfffe;
/** ... and all sizes and places are below this; the largest VGG is 575 MB. */
const MAX_SIZE = 0xffffffff;

/**
 * A zip archive of stored members, in chunks. The checksums, known when the data has passed, are put into the headers by patches at the
 * end and not behind the data, so that readers that never look at the directory (cnpy) can read it too.
 *
 * @throws VggError `VGG_OPTION` for names that are no names, are there twice, or are too many, and past 4 GiB, all before anything is written
 */
export function zipFile(
  files: readonly ZipFile[],
  { signal }: { signal?: AbortSignal | undefined } = {},
): () => AsyncGenerator<Uint8Array | Patch> {
  const places = layOut(files);
  return async function* chunks() {
    const sums: number[] = [];
    for (const [i, file] of files.entries()) {
      yield localHeader(places[i]!);
      let sum = 0;
      let length = 0;
      for await (const bytes of file.chunks()) {
        throwIfAborted(signal, file.name);
        length += bytes.length;
        sum = crc32(bytes, sum);
        yield bytes;
      }
      if (length !== file.size) throw new VggError('VGG_SHAPE', `zip: expected ${file.size} bytes of "${file.name}", received ${length}`);
      sums.push(sum);
    }
    for (const [i, place] of places.entries()) yield centralRecord(place, sums[i]!);
    yield endRecord(places);
    for (const [i, { offset }] of places.entries()) yield { at: offset + 14, bytes: littleEndian32(sums[i]!) };
  };
}

interface Member {
  rawName: Uint8Array;
  size: number;
  offset: number;
  /** Length of the extra field. */
  extra: number;
  end: number;
}

function layOut(files: readonly ZipFile[]): Member[] {
  const names = new Set(files.map(({ name }) => name));
  if (names.size < files.length || files.length > MAX_FILES || !files.every(({ name }) => isInside(name))) {
    throw new VggError('VGG_OPTION', `zip: expected up to ${MAX_FILES} plain names, each once, received others`);
  }
  const places: Member[] = [];
  for (const { name, size } of files) {
    const rawName = new TextEncoder().encode(name);
    const offset = places.at(-1)?.end ?? 0;
    const least = offset + LOCAL.length + rawName.length + LEAST_EXTRA;
    const extra = Math.ceil(least / ALIGNMENT) * ALIGNMENT - least + LEAST_EXTRA;
    places.push({ rawName, size, offset, extra, end: offset + LOCAL.length + rawName.length + extra + size });
  }
  const whole = (places.at(-1)?.end ?? 0) + directorySize(places) + END.length;
  if (whole >= MAX_SIZE) throw new VggError('VGG_OPTION', `zip: expected less than 4 GiB in one archive, received ${whole} bytes`);
  return places;
}

function directorySize(places: readonly Member[]): number {
  return places.reduce((sum, { rawName }) => sum + CENTRAL.length + rawName.length, 0);
}

function localHeader({ rawName, size, extra }: Member): Uint8Array {
  const out = new Uint8Array(LOCAL.length + rawName.length + extra);
  const view = new DataView(out.buffer);
  view.setUint32(0, LOCAL.signature, true);
  writeCommon(view, 4, 0, size, rawName.length);
  view.setUint16(28, extra, true);
  out.set(rawName, LOCAL.length);
  const at = LOCAL.length + rawName.length;
  view.setUint16(at, ALIGNMENT_EXTRA, true);
  view.setUint16(at + 2, extra - 4, true);
  view.setUint16(at + 4, ALIGNMENT, true);
  return out;
}

function centralRecord({ rawName, size, offset }: Member, sum: number): Uint8Array {
  const out = new Uint8Array(CENTRAL.length + rawName.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, CENTRAL.signature, true);
  view.setUint16(4, VERSION, true);
  writeCommon(view, 6, sum, size, rawName.length);
  view.setUint32(42, offset, true);
  out.set(rawName, CENTRAL.length);
  return out;
}

/** The fields that both headers have, from the version needed to the length of the name. */
function writeCommon(view: DataView, at: number, sum: number, size: number, nameLength: number): void {
  view.setUint16(at, VERSION, true);
  view.setUint16(at + 2, UTF8_FLAG, true);
  view.setUint16(at + 4, STORED, true);
  view.setUint16(at + 8, DATE, true);
  view.setUint32(at + 10, sum, true);
  view.setUint32(at + 14, size, true);
  view.setUint32(at + 18, size, true);
  view.setUint16(at + 22, nameLength, true);
}

function endRecord(places: readonly Member[]): Uint8Array {
  const out = new Uint8Array(END.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, END.signature, true);
  view.setUint16(8, places.length, true);
  view.setUint16(10, places.length, true);
  view.setUint32(12, directorySize(places), true);
  view.setUint32(16, places.at(-1)?.end ?? 0, true);
  return out;
}

function littleEndian32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, value, true);
  return out;
}
