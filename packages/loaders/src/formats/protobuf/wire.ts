import type { VggError } from '@vgg/errors';
import { corruptFile, pastLimit } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';

/**
 * Protocol Buffers' wire format (protobuf.dev, "Encoding"): a message is a list of fields, each a number, a type and a value. Messages are
 * walked over a source, so that the weights in them are skipped and not read.
 */

/** One field of a message. */
export interface Field {
  readonly number: number;
  readonly type: 'varint' | 'fixed64' | 'bytes' | 'fixed32';
  /** Of a varint: a whole number, negative where it is below zero as an int64, exact up to 2^53; 0 for others. */
  readonly value: number;
  /** Where the value's bytes lie in the source: of `bytes` the content, of the fixed types the 8 or 4 bytes. */
  readonly start: number;
  readonly end: number;
}

/** Fields of one message: a network's weights are few and large, and a million small fields are still walked in half a second. */
const MAX_FIELDS = 2 ** 20;
/** A field's tag and length are 15 bytes at most. */
const HEAD = 20;
/** After a jump over weights a little is read; the more small fields follow one another, the more at a time. */
const MIN_WINDOW = 1024;
const MAX_WINDOW = 64 * 1024;
const TYPES = ['varint', 'fixed64', 'bytes', undefined, undefined, 'fixed32'] as const;

/**
 * The fields of the message that lies from `start` to `end`, one after another; the bytes of long ones are not read. Reads are small: wrap
 * the source in a `cachedSource` where messages in messages are walked.
 * @throws VggError `VGG_INTEGRITY` if a field passes the end, or is no field
 */
export async function* fields(source: Source, start: number, end: number, options: ReadOptions = {}): AsyncGenerator<Field> {
  const cursor: Cursor = { who: source.name, bytes: new Uint8Array(0), base: start, at: start, end };
  let size = MIN_WINDOW;
  for (let count = 0; cursor.at < end; count++) {
    if (count >= MAX_FIELDS) throw pastLimit(source.name, `at most ${MAX_FIELDS} fields in one message`);
    const known = cursor.base + cursor.bytes.length;
    if (cursor.at + HEAD > known && known < end) {
      size = cursor.at > known ? MIN_WINDOW : Math.min(2 * size, MAX_WINDOW);
      cursor.base = cursor.at;
      cursor.bytes = await source.read(cursor.at, Math.min(size, end - cursor.at), options);
    }
    yield nextField(cursor);
  }
}

/** The same over bytes in memory, such as a small message that was read whole; of a message that goes `onward` the last field may end beyond them. */
export function* fieldsOf(bytes: Uint8Array, who: string, onward = false): Generator<Field> {
  const cursor: Cursor = { who, bytes, base: 0, at: 0, end: onward ? Number.MAX_SAFE_INTEGER : bytes.length };
  while (cursor.at < bytes.length) yield nextField(cursor);
}

/** Where in a message reading is, and the part of it that is in memory. */
interface Cursor {
  readonly who: string;
  bytes: Uint8Array;
  /** Offset of `bytes`, of what is read next, and of the message's end, in the source. */
  base: number;
  at: number;
  readonly end: number;
}

/** Takes one field; the cursor is then behind its value. */
function nextField(cursor: Cursor): Field {
  const from = cursor.at;
  const tag = takeVarint(cursor);
  const number = Math.floor(tag / 8);
  const type = TYPES[tag % 8];
  if (!type || number < 1 || number >= 2 ** 29) throw corrupt(cursor.who, `tag ${tag} at byte ${from}`);
  const first = cursor.at;
  const value = type === 'varint' || type === 'bytes' ? takeVarint(cursor) : 0;
  const start = type === 'bytes' ? cursor.at : first;
  const size = type === 'varint' ? cursor.at - first : type === 'bytes' ? value : type === 'fixed64' ? 8 : 4;
  const end = start + size;
  if (size < 0 || end > cursor.end) {
    const past = size < 0 ? 'is too long' : `ends at byte ${end}, ${end - cursor.end} bytes past the end of what holds it`;
    throw corrupt(cursor.who, `field ${number} at byte ${from} ${past}`);
  }
  cursor.at = end;
  return { number, type, value: type === 'varint' ? value : 0, start, end };
}

/** Seven bits to a byte, the lowest first; taken as three parts, since a number holds 53 bits and a negative one has all 64 set. */
function takeVarint(cursor: Cursor): number {
  const { bytes, base, end } = cursor;
  let low = 0;
  let middle = 0;
  let high = 0;
  for (let i = 0; i < 10; i++) {
    const byte = cursor.at < end ? bytes[cursor.at - base] : undefined;
    if (byte === undefined) throw corrupt(cursor.who, 'a number passes its end');
    cursor.at++;
    const bits = byte & 127;
    if (i < 4) low += bits << (7 * i);
    else if (i < 8) middle += bits << (7 * (i - 4));
    else high += bits << (7 * (i - 8));
    if (byte < 128) {
      if (high === 0) return middle === 0 ? low : middle * 2 ** 28 + low;
      if (high < 256) return (high < 128 ? high : high - 256) * 2 ** 56 + middle * 2 ** 28 + low;
      break;
    }
  }
  throw corrupt(cursor.who, 'a number of more than 64 bits');
}

/** The error for a file that breaks the rules of its format. */
export const corrupt = (who: string, what: string): VggError => corruptFile(who, 'file', what);

/** Text of a bytes field. */
export const utf8 = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** The next varints, from byte `at` on, and where they end. */
export function varintsAt(bytes: Uint8Array, at: number, count: number, who: string): { values: number[]; end: number } {
  const cursor: Cursor = { who, bytes, base: 0, at, end: bytes.length };
  const values = Array.from({ length: count }, () => takeVarint(cursor));
  return { values, end: cursor.at };
}

/** Varints one after another, as a packed list of whole numbers has them. */
export function packedVarints(bytes: Uint8Array, who: string): number[] {
  const cursor: Cursor = { who, bytes, base: 0, at: 0, end: bytes.length };
  const out: number[] = [];
  while (cursor.at < bytes.length) out.push(takeVarint(cursor));
  return out;
}
