import { describe, expect, test } from 'vitest';
import type { Hdf5 } from '../../src/formats/hdf5/file.js';
import { isStreamed, unfilter, unfilterStream } from '../../src/formats/hdf5/filters.js';
import { refuses } from '../helpers.js';

const FILE = { who: 'a.h5' } as Hdf5;
const DEFLATE = { id: 1, values: [6] };
const FLETCHER = { id: 3, values: [] };
const shuffle = (element: number) => ({ id: 2, values: [element] });

const DATA = Uint8Array.from({ length: 1003 }, (_, i) => (i * i) >> 3);

/** As the filter does it: the first bytes of all values, then their second bytes ..., and what is no whole value behind them. */
function shuffled(data: Uint8Array, element: number): Uint8Array<ArrayBuffer> {
  const count = Math.floor(data.length / element);
  return Uint8Array.from({ length: data.length }, (_, i) =>
    i < count * element ? data[(i % count) * element + Math.floor(i / count)]! : data[i]!,
  );
}

async function deflated(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([data]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function cut(bytes: Uint8Array, step: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) => bytes.subarray(i * step, (i + 1) * step));
}

describe.each([1, 2, 3, 4, 8, 2000])('values of %i bytes', (element) => {
  test('whole or in pieces, packed, plain or shuffled only', async () => {
    const planes = element > 1 && element <= DATA.length ? shuffled(DATA, element) : DATA;
    const packed = await deflated(planes);
    for (const step of [1, 100, packed.length]) {
      const target = new Uint8Array(DATA.length);
      await unfilterStream(FILE, [shuffle(element), DEFLATE], 0, cut(packed, step), target);
      expect(target).toEqual(DATA);
    }
    for (const [mask, bytes, expected] of [
      [0b00, packed, DATA],
      [0b01, packed, planes],
      [0b10, planes, DATA],
      [0b11, DATA, DATA],
    ] as const) {
      const target = new Uint8Array(DATA.length);
      await unfilter(FILE, [shuffle(element), DEFLATE], mask, bytes, target);
      expect(target).toEqual(expected);
    }
  });
});

test('which chunks need not be there at once', () => {
  expect(isStreamed([], 0)).toBe(true);
  expect(isStreamed([DEFLATE], 0)).toBe(true);
  expect(isStreamed([shuffle(4), DEFLATE], 0)).toBe(true);
  expect(isStreamed([shuffle(4), DEFLATE, FLETCHER], 0)).toBe(false);
  expect(isStreamed([shuffle(4), DEFLATE, FLETCHER], 0b100)).toBe(true);
  expect(isStreamed([shuffle(4)], 0)).toBe(false);
  expect(isStreamed([DEFLATE, shuffle(4)], 0)).toBe(false);
});

test('a chunk of another length', async () => {
  for (const [data, text] of [
    [DATA.subarray(1), /unpacks to 1002 bytes and not to 1003/],
    [Uint8Array.of(...DATA, 1), /unpacks to more than 1003 bytes/],
  ] as const) {
    const packed = await deflated(data);
    await refuses(unfilter(FILE, [DEFLATE], 0, packed, new Uint8Array(1003)), 'VGG_INTEGRITY', text);
    await refuses(unfilterStream(FILE, [shuffle(4), DEFLATE], 0, cut(packed, 50), new Uint8Array(1003)), 'VGG_INTEGRITY', text);
  }
  for (const length of [1002, 1004]) {
    const work = unfilterStream(FILE, [], 0, cut(new Uint8Array(length), 500), new Uint8Array(1003));
    await refuses(work, 'VGG_INTEGRITY', new RegExp(`unpacks to ${length} bytes`));
  }
});
