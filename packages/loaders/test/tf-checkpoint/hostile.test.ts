import { isVggError } from '@vgg/errors';
import { describe, expect, test } from 'vitest';
import { concat } from '../../src/bytes.js';
import { crc32c } from '../../src/formats/crc.js';
import { bytesField, numberField, varint } from '../../src/formats/protobuf/encode.js';
import { tfCheckpoint } from '../../src/formats/tf-checkpoint/index.js';
import { masked } from '../../src/formats/tf-checkpoint/table.js';
import { bytesSource, openWeights, type WeightFile } from '../../src/index.js';
import { fixture, refuses } from '../helpers.js';
import { random } from '../random.js';

const text = (value: string) => new TextEncoder().encode(value);
const word = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);

function open(index: Uint8Array, data?: Uint8Array, name = 'x.index', checked = false): Promise<WeightFile> {
  const source = { ...bytesSource(index, name), sibling: async (other: string) => data && bytesSource(data, other) };
  const sha256 = () => ({ update() {}, digest: () => '' });
  return checked ? tfCheckpoint.open(source, { sha256 }) : openWeights(source, { formats: [tfCheckpoint] });
}

/** An entry of a block: how much of the key before it shares, the rest of its own, its value. */
interface Entry {
  shared?: number;
  key: string;
  value: Uint8Array;
  length?: number;
}

const entry = ({ shared = 0, key, value, length = value.length }: Entry) =>
  concat([varint(shared), varint(key.length), varint(length), text(key), value]);

function block(entries: Entry[], { restarts = [0], type = 0 } = {}): Uint8Array {
  const contents = concat([...entries.map(entry), ...restarts.map(word), word(restarts.length)]);
  return trailed(contents, type);
}

function trailed(contents: Uint8Array, type = 0): Uint8Array {
  const sum = crc32c(Uint8Array.of(type), crc32c(contents));
  return concat([contents, Uint8Array.of(type), word(masked(sum))]);
}

/** A table of one block; `handle` is what the index says of it, `index` what the footer says of that. */
function table(data: Uint8Array, handle = [0, data.length - 5], at?: number[]): Uint8Array {
  const index = block([{ key: '~', value: concat(handle.map(varint)) }]);
  const footer = new Uint8Array(48);
  footer.set(concat([varint(0), varint(0), ...(at ?? [data.length, index.length - 5]).map(varint)]));
  footer.set([0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb], 40);
  return concat([data, index, footer]);
}

const HEADER: Entry = { key: '', value: concat([numberField(1, 1), numberField(2, 0)]) };
const shape = (...sizes: number[]) => concat(sizes.map((size) => bytesField(2, numberField(1, size))));

interface Tensor {
  name?: string;
  type?: number;
  sizes?: number[];
  shard?: number;
  offset?: number;
  size?: number;
  sum?: number;
}

function tensor({ name = 'a', type = 1, sizes = [2], shard = 0, offset = 0, size = 8, sum = 0 }: Tensor): Entry {
  const value = concat([
    numberField(1, type),
    bytesField(2, shape(...sizes)),
    numberField(3, shard),
    numberField(4, offset),
    numberField(5, size),
    Uint8Array.of(6 * 8 + 5),
    word(sum),
  ]);
  return { key: name, value };
}

const bundle = (...tensors: Tensor[]) => table(block([HEADER, ...tensors.map(tensor)]));
const DATA = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);

test('what the pieces make is a checkpoint', async () => {
  const file = await open(bundle({ name: 'a', offset: 8 }, { name: 'b' }), DATA);
  expect([...(await file.read('a'))]).toEqual([3, 4]);
  expect([...(await file.read('b'))]).toEqual([1, 2]);
});

test('sums agree with the published vectors', () => {
  // RFC 3720, B.4: 32 bytes of zeros, of ones, rising and falling.
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
  const rising = Uint8Array.from({ length: 32 }, (_, i) => i);
  expect(crc32c(rising)).toBe(0x46dd794e);
  expect(crc32c(rising.toReversed())).toBe(0x113fdb5c);
  // In parts and at any place in memory.
  const bytes = Uint8Array.from({ length: 99 }, (_, i) => (i * 31) & 255);
  for (const at of [1, 2, 3, 4, 8, 50]) expect(crc32c(bytes.subarray(at), crc32c(bytes.subarray(0, at)))).toBe(crc32c(bytes));
});

describe('tables', () => {
  const good = block([HEADER, tensor({})]);
  test.each<[string, Uint8Array, RegExp]>([
    ['a block outside the file', table(good, [0, 10_000]), /lies outside/],
    ['a block at the end of the world', table(good, [2 ** 60, 8]), /past any file/],
    ['an index outside the file', table(good, undefined, [10_000, 8]), /lies outside/],
    ['two blocks in one place', overlapping(good), /overlap/],
    ['a block whose sum is wrong', table(good.with(20, good[20]! ^ 1)), /checksum/],
    ['a key that shares more than there is', table(block([HEADER, { ...tensor({}), shared: 3 }])), /shares more/],
    ['a key of 8 KB', table(block([HEADER, tensor({ name: 'n'.repeat(8192) })])), /name of at most/],
    ['names that all begin alike', table(block(alike(2000))), /names of at most \d+ bytes in all/],
    ['a key that grows by itself', table(block(growing())), /name of at most/],
    ['a value that passes the block', table(block([HEADER, { ...tensor({}), length: 1e6 }])), /passes the end of its block/],
    ['a value of 2^62 bytes', table(block([HEADER, { ...tensor({}), length: 2 ** 62 }])), /past any file/],
    ['no places to begin anew', table(block([HEADER], { restarts: [] })), /begin anew do not fit/],
    ['more such places than bytes', table(trailed(concat([entry(HEADER), word(2 ** 30)]))), /begin anew do not fit/],
    ['such places out of order', table(block([HEADER], { restarts: [0, 5, 3] })), /out of order/],
    ['such places outside', table(block([HEADER], { restarts: [0, 500] })), /out of order/],
    ['a file that was cut', table(good).subarray(0, -9), /cut/],
    ['only a footer', Uint8Array.of(0, 0, 2, 8, ...table(good).subarray(-48)), /lies outside/],
    ['an index block of 20 MB', table(new Uint8Array(2 ** 24 + 100), undefined, [0, 2 ** 24 + 50]), /at most/],
  ])('%s', (_, bytes, message) => refuses(tfCheckpoint.open(headed(bytes)), 'VGG_INTEGRITY', message));

  test('a block that is compressed is refused by name', async () => {
    await refuses(open(table(block([HEADER, tensor({})], { type: 1 })), DATA), 'VGG_FORMAT', /Snappy/);
  });

  test('an entry of a mebibyte', async () => {
    await refuses(open(table(block([HEADER, { key: 'a', value: new Uint8Array(2 ** 20) }])), DATA), 'VGG_INTEGRITY', /at most 65536/);
  });
});

/** Bytes that begin as a checkpoint does, so that it is the table that is looked at. */
function headed(bytes: Uint8Array): ReturnType<typeof bytesSource> {
  const source = bytesSource(bytes, 'x.index');
  return {
    ...source,
    async read(offset, length, options) {
      const out = await source.read(offset, length, options);
      if (offset === 0 && length >= 512 && out[0] === 0 && out[1] === 0 && out[3] === 0) out.set([0, 0, 4, 8]);
      return out;
    },
  };
}

function overlapping(data: Uint8Array): Uint8Array {
  const index = block([
    { key: 'k', value: concat([varint(0), varint(data.length - 5)]) },
    { key: 'l', value: concat([varint(4), varint(data.length - 9)]) },
  ]);
  const footer = new Uint8Array(48);
  footer.set(concat([varint(0), varint(0), varint(data.length), varint(index.length - 5)]));
  footer.set([0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb], 40);
  return concat([data, index, footer]);
}

/** Names of which the file has only the last few letters. */
function alike(count: number): Entry[] {
  const first = { ...tensor({ size: 0, sizes: [0] }), key: 'k'.repeat(4000) };
  const others = Array.from({ length: count }, (_, i) => ({ ...first, shared: 3990, key: String(i).padStart(10, '0') }));
  return [HEADER, first, ...others];
}

/** Each key is the one before and 32 characters more: of few bytes, many long ones. */
function growing(): Entry[] {
  const entries: Entry[] = [HEADER];
  for (let shared = 0; shared < 8192; shared += 32) entries.push({ ...tensor({}), shared, key: 'k'.repeat(32) });
  return entries;
}

describe('entries', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['a data file that is none of theirs', bundle({ shard: 1 }), /expected data file 0 to 0, received 1/],
    ['a tensor past the end of its file', bundle({ offset: 12 }), /at least 20 bytes/],
    ['a tensor at 2^60', bundle({ offset: 2 ** 60 }), /outside of any file/],
    ['a tensor of a negative offset', table(block([HEADER, negative()])), /outside of any file/],
    ['two tensors in one place', bundle({ name: 'a' }, { name: 'b', offset: 4 }), /lies in another/],
    ['a shape that does not fit its bytes', bundle({ sizes: [3] }), /expected 12 bytes/],
    ['a shape of 2^60 values', bundle({ sizes: [2 ** 30, 2 ** 30] }), /at most/],
    ['a shape of many axes', bundle({ sizes: new Array(100).fill(1) }), /axes/],
    ['a name twice', bundle({ name: 'a' }, { name: 'a', offset: 8 }), /is there twice/],
    ['a header of no files', table(block([{ key: '', value: numberField(1, 0) }])), /1 to 1024 data files/],
    ['a header of a million files', table(block([{ key: '', value: numberField(1, 1e6) }])), /1 to 1024 data files/],
    ['an entry that is no message', table(block([HEADER, { key: 'a', value: Uint8Array.of(0xff, 0xff) }])), /cut or corrupt/],
  ])('%s', (_, bytes, message) =>
    refuses(tfCheckpoint.open({ ...headed(bytes), sibling: async (name) => bytesSource(DATA, name) }), 'VGG_INTEGRITY', message),
  );

  test('a table of other things than tensors', async () => {
    for (const data of [block([{ ...tensor({}), key: 'a' }]), trailed(new Uint8Array(0))])
      await refuses(open(table(data), DATA), 'VGG_FORMAT', /expected/);
  });

  test('only files by the name of the index are asked for, inside its folder', async () => {
    const asked: string[] = [];
    const index = bytesSource(bundle({}), 'model.ckpt-5.index');
    await tfCheckpoint.open({
      ...index,
      async sibling(name) {
        asked.push(name);
        return undefined;
      },
    });
    expect(asked).toEqual(['model.ckpt-5.data-00000-of-00001']);
  });

  test('a byte that is wrong is found where the values are checked', async () => {
    const sum = masked(crc32c(DATA.subarray(0, 8)));
    const wrong = DATA.with(3, 0x40);
    const index = bundle({ sum });
    expect([...(await (await open(index, DATA, 'x.index', true)).read('a'))]).toEqual([1, 2]);
    await refuses((await open(index, wrong, 'x.index', true)).read('a'), 'VGG_INTEGRITY', /checksum/);
    expect([...(await (await open(index, wrong)).read('a'))][0]).not.toBe(1);
  });
});

function negative(): Entry {
  const minus = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1);
  return { key: 'a', value: concat([numberField(1, 1), bytesField(2, shape(2)), Uint8Array.of(4 * 8), minus, numberField(5, 8)]) };
}

describe('the first version', () => {
  const listed = (name: string, ...sizes: number[]) =>
    bytesField(1, concat([bytesField(1, name), bytesField(2, shape(...sizes)), numberField(3, 1), bytesField(4, bytesField(1, ''))]));
  const meta = (...tensors: Uint8Array[]): Entry => ({ key: '', value: bytesField(1, concat(tensors)) });
  const values = (name: string, floats: Uint8Array, field = 5, key = '\0a'): Entry => ({
    key,
    value: bytesField(
      2,
      concat([bytesField(1, name), bytesField(2, ''), bytesField(3, concat([numberField(1, 1), bytesField(field, floats)]))]),
    ),
  });
  const floats = DATA.subarray(0, 8);

  test('what the pieces make is a checkpoint', async () => {
    const file = await open(table(block([meta(listed('a', 2)), values('a', floats)])), undefined, 'vgg_16.ckpt');
    expect([...(await file.read('a'))]).toEqual([1, 2]);
  });

  test.each<[string, Entry[], RegExp]>([
    ['values that are not listed', [meta(listed('a', 2)), values('b', floats)], /does not list/],
    ['listed values that are not there', [meta(listed('a', 2))], /no values of "a"/],
    ['too few values', [meta(listed('a', 3)), values('a', floats)], /expected 12 bytes/],
    ['values of another type', [meta(listed('a', 2)), values('a', floats, 10)], /in field 10/],
    ['a tensor listed twice', [meta(listed('a', 2), listed('a', 2)), values('a', floats)], /listed twice/],
    ['a tensor of 2^40 values', [meta(listed('a', 2 ** 20, 2 ** 20)), values('a', floats)], /at most/],
    ['a name of 5 KB', [meta(listed('a', 2)), values('n'.repeat(5000), floats)], /name of at most/],
    ['a value that is no message', [meta(listed('a', 2)), { key: '\0a', value: Uint8Array.of(0x12, 0x7f) }], /past the end|passes the end/],
  ])('%s', (_, entries, message) => refuses(open(table(block(entries)), undefined, 'x.ckpt'), 'VGG_INTEGRITY', message));

  test('a byte that is wrong is found where the values are checked', async () => {
    const bytes = await fixture('tf-checkpoint/saver-v1.ckpt');
    const at = indexOf(bytes, new Uint8Array(new Float32Array([-50, -13, 24, -40, -3]).buffer));
    expect(at).toBeGreaterThan(0);
    const wrong = bytes.with(at + 9, 1);
    const file = await open(wrong, undefined, 'saver-v1.ckpt', true);
    await refuses(file.read('vgg_16/fc6/weights'), 'VGG_INTEGRITY', /checksum/);
  });
});

function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  return bytes.findIndex((_, at) => part.every((byte, i) => bytes[at + i] === byte));
}

describe.each<[string, string | undefined, number]>([
  ['saver.index', 'saver.data-00000-of-00001', 500],
  ['keras.index', 'keras.data-00000-of-00001', 200],
  ['saver-v1.ckpt', undefined, 500],
])('%s', (name, data, count) => {
  test(`${count} seeded mutations, their sums made right again, give values or a VggError`, async () => {
    const bytes = await fixture(`tf-checkpoint/${name}`);
    const values = data ? await fixture(`tf-checkpoint/${data}`) : undefined;
    const next = random(count + name.length);
    const outcome = { opened: 0, refused: 0 };
    for (let i = 0; i < count; i++) {
      const changed = bytes.slice();
      for (let changes = 1 + Math.floor(next() * 3); changes > 0; changes--) {
        const at = Math.floor(next() * (changed.length - 48));
        if (next() < 0.6) changed[at] = Math.floor(next() * 256);
        else changed.fill(next() < 0.5 ? 255 : 0, at, at + 1 + Math.floor(next() * 8));
      }
      if (next() < 0.9) mend(changed);
      try {
        const file = await open(changed, values, name);
        for (const { name: key, present } of file.tensors.values()) if (present) await file.read(key);
        outcome.opened++;
      } catch (error) {
        if (!isVggError(error)) throw error;
        outcome.refused++;
      }
    }
    expect(outcome.opened).toBeGreaterThan(0);
    expect(outcome.refused).toBeGreaterThan(0);
  });
});

/** Puts the right sums behind the blocks of a file of one data block, so that more than the sums is tested. */
function mend(bytes: Uint8Array): void {
  const footer = bytes.subarray(-48);
  const numbers: number[] = [];
  for (let at = 0, value = 0, scale = 1; numbers.length < 4 && at < 40; at++) {
    value += (footer[at]! & 127) * scale;
    scale *= 128;
    if (footer[at]! < 128) {
      numbers.push(value);
      value = 0;
      scale = 1;
    }
  }
  const [metaStart, metaSize, indexStart, indexSize] = numbers as [number, number, number, number];
  for (const [start, size] of [
    [0, metaStart - 5],
    [metaStart, metaSize],
    [indexStart, indexSize],
  ] as const) {
    const sum = masked(crc32c(bytes.subarray(start, start + size + 1)));
    new DataView(bytes.buffer).setUint32(start + size + 1, sum, true);
  }
}
