import { MESSAGE } from '../header.js';
import { pack, padded } from './fields.js';

/** What an attribute may be: a text, or a list of them, stored in as many bytes each as the longest needs. */
export type AttributeToWrite = string | readonly string[];

export type FloatType = 'float32' | 'float16';

export interface MessageToWrite {
  readonly type: number;
  readonly body: Uint8Array;
}

/** Where a text of variable length has been put: the address of its heap and its number there. */
export interface HeapPlace {
  readonly heap: number;
  readonly index: number;
}

/** Section IV.A.1.a: an object header of version 1. */
export function objectHeader(messages: readonly MessageToWrite[]): Uint8Array {
  const encoded = messages.map(({ type, body }) => {
    const whole = padded(body);
    return pack([type, 2], [whole.length, 2], [type === MESSAGE.datatype ? 1 : 0, 1], [0, 3], whole);
  });
  const length = encoded.reduce((sum, message) => sum + message.length, 0);
  return pack([1, 1], [0, 1], [messages.length, 2], [1, 4], [length, 4], [0, 4], ...encoded);
}

/** A dataset's header: its values lie end to end at an address. */
export function datasetMessages(shape: readonly number[], dtype: FloatType, address: number, bytes: number): MessageToWrite[] {
  return [
    { type: MESSAGE.dataspace, body: dataspace(shape) },
    { type: MESSAGE.datatype, body: floatType(dtype) },
    // Version 2: space allocated late, a fill value written if one is set, the library's own.
    { type: MESSAGE.fill, body: pack([2, 1], [2, 1], [2, 1], [1, 1], [0, 4]) },
    { type: MESSAGE.layout, body: pack([3, 1], [1, 1], [bytes === 0 ? -1 : address, 8], [bytes, 8]) },
  ];
}

/** Section IV.A.2.b, version 1. */
function dataspace(shape: readonly number[]): Uint8Array {
  return pack([1, 1], [shape.length, 1], [0, 6], ...shape.map((size) => [size, 8] as const));
}

/** Section IV.A.2.d: little-endian IEEE 754: bytes, place and size of the exponent, size of the fraction, bias. */
function floatType(dtype: FloatType): Uint8Array {
  const [bytes, exponentAt, exponentBits, fractionBits, bias] = dtype === 'float32' ? [4, 23, 8, 23, 127] : [2, 10, 5, 10, 15];
  const bits = pack([0x20, 1], [bytes * 8 - 1, 1], [0, 1]); // a leading 1 that is not stored; the sign's place
  const places = pack([exponentAt, 1], [exponentBits, 1], [0, 1], [fractionBits, 1]);
  return pack([0x11, 1], bits, [bytes, 4], [0, 2], [bytes * 8, 2], places, [bias, 4]);
}

/** Section IV.A.2.m, version 1. */
export function attributeMessage(name: string, value: AttributeToWrite, nextText: () => HeapPlace): MessageToWrite {
  const encoder = new TextEncoder();
  const label = encoder.encode(`${name}\0`);
  let type: Uint8Array;
  let space: Uint8Array;
  let data: Uint8Array;
  if (typeof value === 'string') {
    const text = encoder.encode(value);
    const isAscii = text.length === value.length;
    const { heap, index } = nextText();
    // A text of variable length, ended by a zero, made of unsigned bytes.
    const byte = pack([0x10, 1], [0, 3], [1, 4], [0, 2], [8, 2]);
    type = pack([0x19, 1], [1, 1], [isAscii ? 0 : 1, 1], [0, 1], [16, 4], byte);
    space = dataspace([]);
    data = pack([text.length, 4], [heap, 8], [index, 4]);
  } else {
    const texts = value.map((text) => encoder.encode(text));
    const longest = Math.max(1, ...texts.map(({ length }) => length));
    const isAscii = texts.every(({ length }, i) => length === value[i]!.length);
    type = pack([0x13, 1], [isAscii ? 0x01 : 0x11, 1], [0, 2], [longest, 4]); // filled up with zeros
    space = dataspace([texts.length]);
    data = new Uint8Array(longest * texts.length);
    for (const [i, text] of texts.entries()) data.set(text, i * longest);
  }
  const sizes = pack([1, 1], [0, 1], [label.length, 2], [type.length, 2], [space.length, 2]);
  return { type: MESSAGE.attribute, body: pack(sizes, padded(label), padded(type), padded(space), data) };
}
