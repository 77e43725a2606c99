import { VggError } from '@vgg/errors';
import type { ReadOptions, Source } from '../../source.js';

/**
 * Protocol Buffers' wire format (protobuf.dev, "Encoding"): a message is a list of fields, each a number, a type and a value. Messages are
 * walked over a source, so that the weights in them are skipped and not read.
 */

/** One field of a message. */
export interface Field {
  readonly number: number;
  readonly type: 'varint' | 'fixed64' | 'bytes' | 'fixed32';
  /** Of a varint, as an unsigned whole number; 0 for others. */
  readonly value: number;
  /** Where the value's bytes lie in the source: of `bytes` the content, of the fixed types the 8 or 4 bytes. */
  readonly start: number;
  readonly end: number;
}

/** Fields of one message that are walked over: weights are few and large; a typed list of floats has one field per number at worst. */
const MAX_FIELDS = 2 ** 24;
/** A field's tag and length are 15 bytes at most; small fields are read from one window. */
const WINDOW = 64 * 1024;
const TYPES = ['varint', 'fixed64', 'bytes', undefined, undefined, 'fixed32'] as const;

/**
 * The fields of the message that lies from `start` to `end`, one after another; the bytes of long ones are not read.
 * @throws VggError `VGG_INTEGRITY` if a field passes the end, or is no field
 */
export async function* fields(source: Source, start: number, end: number, options: ReadOptions = {}): AsyncGenerator<Field> {
  let window: Uint8Array = new Uint8Array(0);
  let base = start;
  let at = start;
  for (let count = 0; at < end; count++) {
    if (count >= MAX_FIELDS) throw broken(source, `more than ${MAX_FIELDS} fields`);
    if (at < base || at + 20 > base + window.length) {
      if (at < base || base + window.length < end) {
        base = at;
        window = await source.read(at, Math.min(WINDOW, end - at), options);
      }
    }
    const field = fieldAt(source, window, base, at, end);
    at = field.end;
    yield field;
  }
}

/** The same over bytes in memory, such as a small message that was read whole. */
export function* fieldsOf(bytes: Uint8Array, who: string): Generator<Field> {
  for (let at = 0; at < bytes.length; ) {
    const field = fieldAt({ name: who }, bytes, 0, at, bytes.length);
    at = field.end;
    yield field;
  }
}

function fieldAt(source: { name: string }, window: Uint8Array, base: number, from: number, end: number): Field {
  let at = from;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = at < end ? window[at - base] : undefined;
      if (byte === undefined) throw broken(source, 'a number passes its end');
      at++;
      // Past 53 bits only negative numbers go, which no field that we read may have.
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) return value;
    }
    throw broken(source, 'a number of more than ten bytes');
  };
  const tag = varint();
  const number = Math.floor(tag / 8);
  const type = TYPES[tag % 8];
  if (!type || number < 1 || number >= 2 ** 29) throw broken(source, `tag ${tag} at byte ${from}`);
  let value = 0;
  let size = 0;
  if (type === 'varint') value = varint();
  else size = type === 'bytes' ? varint() : type === 'fixed64' ? 8 : 4;
  if (size > end - at) throw broken(source, `field ${number} at byte ${from} passes the end of its message`);
  return { number, type, value, start: at, end: at + size };
}

/** The error for a file that breaks the rules of its format. */
export function broken(source: { readonly name: string }, what: string): VggError {
  return new VggError(
    'VGG_INTEGRITY',
    `${source.name}: expected a whole file, received one that is cut or corrupt (${what}); fetch it again`,
  );
}

/** Text of a bytes field. */
export const utf8 = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Varints one after another, as a packed list of whole numbers has them. */
export function packedVarints(bytes: Uint8Array, who: string): number[] {
  const out: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    let value = 0;
    let scale = 1;
    for (let i = 0; ; i++) {
      const byte = bytes[at++];
      if (byte === undefined || i === 10) throw broken({ name: who }, 'a number passes its end');
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) break;
    }
    out.push(value);
  }
  return out;
}
