import { Reader } from './bytes.js';

/** How a picture is to be turned to stand upright: EXIF's 1 (as it is) to 8 (Exif 2.3, tag 274). */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

const ORIENTATION = 0x0112;
const SHORT = 3;
const LONG = 4;

/** Where the orientation's value stands in the bytes, and what it is. */
interface Tag {
  readonly at: number;
  readonly littleEndian: boolean;
  readonly type: number;
  readonly value: number;
}

/** Finds the orientation in the TIFF structure that starts at `start`: its first directory only, where the standard puts it. */
function findTag(reader: Reader, start: number): Tag | undefined {
  const order = reader.text(start, 2);
  if (order !== 'II' && order !== 'MM') return undefined;
  const littleEndian = order === 'II';
  const directory = reader.u32(start + 4, littleEndian);
  if (directory === undefined) return undefined;
  const count = reader.u16(start + directory, littleEndian) ?? 0;
  for (let i = 0; i < count; i++) {
    const entry = start + directory + 2 + i * 12;
    const tag = reader.u16(entry, littleEndian);
    if (tag === undefined) return undefined;
    if (tag !== ORIENTATION) continue;
    const type = reader.u16(entry + 2, littleEndian) ?? 0;
    const value = type === SHORT ? reader.u16(entry + 8, littleEndian) : type === LONG ? reader.u32(entry + 8, littleEndian) : undefined;
    return value === undefined ? undefined : { at: entry + 8, littleEndian, type, value };
  }
  return undefined;
}

/** The orientation of the first TIFF structure that has one; 1 where none has, or it is none of 1 to 8. */
export function readOrientation(bytes: Uint8Array, starts: readonly number[]): Orientation {
  const reader = new Reader(bytes);
  for (const start of starts) {
    const value = findTag(reader, start)?.value;
    if (value !== undefined && value >= 1 && value <= 8) return value as Orientation;
  }
  return 1;
}

/** Sets every orientation to 1, in place: decoders differ in whether they obey it, so none gets to see one. */
export function clearOrientation(bytes: Uint8Array, starts: readonly number[]): void {
  const reader = new Reader(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const start of starts) {
    const tag = findTag(reader, start);
    if (tag === undefined) continue;
    if (tag.type === SHORT) view.setUint16(tag.at, 1, tag.littleEndian);
    else view.setUint32(tag.at, 1, tag.littleEndian);
  }
}
