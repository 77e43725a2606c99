import { latin1 } from '../../bytes.js';
import { pastLimit } from '../../refusals.js';
import { MAX_INTEGER, MAX_TEXT } from './limits.js';
import { type Bytes, corrupt, type LongText, type Value } from './values.js';
import type { Window } from './window.js';

/**
 * The value of an opcode that stands for a number, a text or bytes, or undefined for any other opcode. Names and codes are those of
 * Python's Lib/pickletools.py.
 */
export function literal(opcode: number, window: Window): Value | undefined {
  switch (opcode) {
    case 0x4e: // N NONE
      return null;
    case 0x88: // NEWTRUE
      return true;
    case 0x89: // NEWFALSE
      return false;
    case 0x4b: // K BININT1
      return window.uint8();
    case 0x4d: // M BININT2
      return window.uint16();
    case 0x4a: // J BININT
      return window.int32();
    case 0x47: // G BINFLOAT
      return window.float64();
    case 0x8a: // LONG1
      return integer(window, window.uint8());
    case 0x8b: // LONG4
      return integer(window, window.uint32());
    case 0x49: // I INT
    case 0x4c: // L LONG
      return decimal(latin1(window.line()), window);
    case 0x46: // F FLOAT
      return float(latin1(window.line()), window);
    case 0x58: // X BINUNICODE
      return unicode(window, window.uint32());
    case 0x8c: // SHORT_BINUNICODE
      return unicode(window, window.uint8());
    case 0x8d: // BINUNICODE8
      return unicode(window, window.uint64());
    case 0x56: // V UNICODE
      return unescaped(latin1(window.line()), /\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/g);
    case 0x55: // U SHORT_BINSTRING
    case 0x43: // C SHORT_BINBYTES
      return bytes(window, window.uint8());
    case 0x54: // T BINSTRING
    case 0x42: // B BINBYTES
      return bytes(window, window.uint32());
    case 0x8e: // BINBYTES8
    case 0x96: // BYTEARRAY8
      return bytes(window, window.uint64());
    case 0x53: // S STRING
      return quoted(latin1(window.line()), window);
    default:
      return undefined;
  }
}

/** Two's complement, little-endian. */
function integer(window: Window, length: number): number | bigint {
  if (length > MAX_INTEGER) {
    throw pastLimit(window.who, `whole numbers of at most ${MAX_INTEGER} bytes`, `one of ${length}`);
  }
  let value = 0n;
  const stored = window.bytes(length);
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(stored[i]!);
  return narrowed(BigInt.asIntN(8 * length, value));
}

function narrowed(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function decimal(text: string, window: Window): Value {
  if (text === '00') return false;
  if (text === '01') return true;
  if (!/^-?\d{1,154}L?$/.test(text)) throw corrupt(window.who, `"${text.slice(0, 40)}" stands for a whole number in it`);
  return narrowed(BigInt(text.replace('L', '')));
}

function float(text: string, window: Window): number {
  const words: Record<string, number> = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, '-inf': Number.NEGATIVE_INFINITY };
  if (Object.hasOwn(words, text)) return words[text]!;
  if (!/^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(text))
    throw corrupt(window.who, `"${text.slice(0, 40)}" stands for a number in it`);
  return Number(text);
}

function unicode(window: Window, length: number): string | LongText {
  if (length > MAX_TEXT) return { kind: 'text', ...window.skip(length) };
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(window.bytes(length));
}

function bytes(window: Window, length: number): Bytes {
  if (length > MAX_TEXT) return { kind: 'bytes', stored: window.skip(length) };
  return { kind: 'bytes', stored: { offset: window.position, length }, text: latin1(window.bytes(length)) };
}

/** What Python 2 wrote for its strings under protocol 0: as in a program's text. */
function quoted(text: string, window: Window): Bytes {
  const quote = text[0];
  if (text.length < 2 || (quote !== "'" && quote !== '"') || text.at(-1) !== quote)
    throw corrupt(window.who, 'a string in it has no quotes');
  return { kind: 'bytes', text: unescaped(text.slice(1, -1), /\\(?:x([0-9a-fA-F]{2})|(.))/g) };
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);

function unescaped(text: string, sequences: RegExp): string {
  return text.replace(sequences, (all, code?: string, other?: string) => {
    if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
    if (other === undefined) return all;
    if (other.length === 1) return ESCAPES.get(other) ?? other;
    const point = Number.parseInt(other, 16);
    return point <= 0x10ffff ? String.fromCodePoint(point) : all;
  });
}
