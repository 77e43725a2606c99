import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { concat } from '../src/bytes.js';
import { bytesField, bytesHead, floatField, numberField, varint } from '../src/formats/protobuf/encode.js';
import { type Field, fields, fieldsOf, packedVarints, utf8 } from '../src/formats/protobuf/wire.js';
import { bytesSource } from '../src/index.js';
import { counted, refuses } from './helpers.js';
import { random } from './random.js';

const NUMBERS = [
  0,
  1,
  127,
  128,
  300,
  2 ** 28 - 1,
  2 ** 28,
  2 ** 31,
  2 ** 32,
  2 ** 35 + 5,
  2 ** 53 - 1,
  -1,
  -2,
  -128,
  -(2 ** 31),
  -(2 ** 53) + 1,
];

/** The peer's writer for the same numbers. */
function peer(write: (writer: protobuf.Writer) => protobuf.Writer): Uint8Array {
  return new Uint8Array(write(protobuf.Writer.create()).finish());
}

async function all(bytes: Uint8Array): Promise<Field[]> {
  const out: Field[] = [];
  for await (const field of fields(bytesSource(bytes, 'wire'), 0, bytes.length)) out.push(field);
  expect([...fieldsOf(bytes, 'wire')]).toEqual(out);
  return out;
}

describe('numbers as protobufjs has them', () => {
  test.each(NUMBERS)('%d', async (value) => {
    const bytes = peer((writer) => writer.int64(value));
    expect(varint(value)).toEqual(bytes);
    expect(packedVarints(bytes, 'wire')).toEqual([value]);
    const field = peer((writer) => writer.uint32(5 * 8).int64(value));
    expect(numberField(5, value)).toEqual(field);
    expect(await all(field)).toEqual([{ number: 5, type: 'varint', value, start: 1, end: field.length }]);
  });

  test('packed one after another', () => {
    expect(packedVarints(concat(NUMBERS.map(varint)), 'wire')).toEqual(NUMBERS);
    expect(packedVarints(new Uint8Array(0), 'wire')).toEqual([]);
  });
});

test('every type of field', async () => {
  const bytes = peer((writer) =>
    writer
      .uint32((1 << 3) | 1)
      .double(Math.PI)
      .uint32(((536870911 << 3) >>> 0) | 5)
      .float(1.5)
      .uint32((16 << 3) | 2)
      .string('conv1_1 é')
      .uint32((2 << 3) | 0)
      .bool(true),
  );
  const found = await all(bytes);
  expect(found.map(({ number, type, value }) => [number, type, value])).toEqual([
    [1, 'fixed64', 0],
    [536870911, 'fixed32', 0],
    [16, 'bytes', 0],
    [2, 'varint', 1],
  ]);
  expect(utf8(bytes.subarray(found[2]!.start, found[2]!.end))).toBe('conv1_1 é');
  expect(new DataView(bytes.buffer).getFloat64(found[0]!.start, true)).toBe(Math.PI);
  expect(bytes.subarray(9, 18)).toEqual(floatField(536870911, 1.5));
  expect(bytes.subarray(found[2]!.start - 3, found[2]!.end)).toEqual(bytesField(16, 'conv1_1 é'));
  expect(bytesHead(16, 10)).toEqual(bytes.subarray(found[2]!.start - 3, found[2]!.start));
});

test('long fields are passed over, in small reads', async () => {
  const weights = new Uint8Array(2 ** 20);
  const bytes = concat([bytesField(1, 'a'), bytesField(7, weights), bytesField(2, 'b'), bytesField(7, weights), numberField(3, 4)]);
  const source = counted(bytesSource(bytes));
  const seen: number[] = [];
  for await (const { number } of fields(source, 0, bytes.length)) seen.push(number);
  expect(seen).toEqual([1, 7, 2, 7, 3]);
  expect(source.reads).toBe(3);
  expect(source.bytes).toBeLessThan(4096);
});

test('many small fields, in larger and larger reads', async () => {
  const many = 100_000;
  const bytes = concat([...Array(many).keys()].map((i) => numberField(1, i)));
  const source = counted(bytesSource(bytes));
  const seen: number[] = [];
  for await (const { value } of fields(source, 0, bytes.length)) seen.push(value);
  expect(seen).toEqual([...Array(many).keys()]);
  expect(source.reads).toBeLessThan(20);
});

test('a message within a file', async () => {
  const inner = concat([numberField(1, 2 ** 40), bytesField(2, 'x')]);
  const bytes = concat([new Uint8Array(5).fill(255), inner, new Uint8Array(5).fill(255)]);
  const seen: Field[] = [];
  for await (const field of fields(bytesSource(bytes), 5, 5 + inner.length)) seen.push(field);
  expect(seen.map(({ number, start }) => [number, start])).toEqual([
    [1, 6],
    [2, 14],
  ]);
});

describe('refused', () => {
  const cases: [string, number[], RegExp][] = [
    ['a tag of more than ten bytes', Array(12).fill(0x80), /more than 64 bits/],
    ['a number of more than 64 bits', [8, ...Array(9).fill(0x80), 2], /more than 64 bits/],
    ['a number that is cut', [8, 0x80], /a number passes its end/],
    ['field 0', [0, 0], /tag 0 at byte 0/],
    ['a field number past 2^29', [0x80, 0x80, 0x80, 0x80, 0x10, 0], /tag 4294967296 at byte 0/],
    ['the start of a group', [0x0b], /tag 11 at byte 0/],
    ['type 7', [0x0f], /tag 15/],
    ['a length past the end', [8, 1, 0x12, 5, 0, 0], /field 2 at byte 2 ends at byte 9, 3 bytes past the end/],
    ['a float past the end', [0x0d, 0, 0], /field 1 at byte 0 ends at byte 5, 2 bytes past/],
    ['a negative length', [0x12, ...Array(9).fill(0xff), 1], /field 2 at byte 0 is too long/],
    ['a length of 2^62', [0x12, ...Array(8).fill(0x80), 0x40], /field 2 at byte 0 ends at byte 4611686018427388000/],
  ];
  test.each(cases)('%s', async (_, bytes, sentence) => {
    await refuses(all(Uint8Array.from(bytes)), 'VGG_INTEGRITY', sentence);
    await refuses(() => [...fieldsOf(Uint8Array.from(bytes), 'wire')], 'VGG_INTEGRITY', sentence);
  });

  test('more than a million fields in one message', async () => {
    const bytes = new Uint8Array(2 ** 21 + 2).fill(8).map((byte, i) => (i % 2 ? 0 : byte));
    const walk = async () => {
      for await (const _ of fields(bytesSource(bytes, 'wire'), 0, bytes.length));
    };
    await refuses(walk, 'VGG_INTEGRITY', /at most 1048576 fields/);
  });
});

test('random messages, walked and written as protobufjs does', async () => {
  const next = random(5);
  for (let i = 0; i < 300; i++) {
    const writer = protobuf.Writer.create();
    const pieces: Uint8Array[] = [];
    for (let k = Math.floor(next() * 12); k >= 0; k--) {
      const number = 1 + Math.floor(next() ** 6 * (2 ** 29 - 2));
      const kind = Math.floor(next() * 3);
      if (kind === 0) {
        const value = Math.floor((next() - 0.3) * 2 ** (1 + next() * 52));
        writer.uint32((number * 8) >>> 0).int64(value);
        pieces.push(numberField(number, value));
      } else if (kind === 1) {
        const content = new Uint8Array(Math.floor(next() * 300));
        writer.uint32((number * 8 + 2) >>> 0).bytes(content);
        pieces.push(bytesField(number, content));
      } else {
        writer.uint32((number * 8 + 5) >>> 0).float(next());
        pieces.push(new Uint8Array(writer.finish()).slice(-4));
        pieces.splice(-1, 1, floatField(number, new DataView(pieces.at(-1)!.buffer).getFloat32(0, true)));
      }
    }
    const bytes = new Uint8Array(writer.finish());
    expect(concat(pieces)).toEqual(bytes);
    expect((await all(bytes)).length).toBe(pieces.length);
  }
});
