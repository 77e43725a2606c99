import { isVggError } from '@vgg/errors';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mutate } from '../../../../loaders/test/fuzz/fuzz.js';
import { random } from '../../../../loaders/test/random.js';
import { fixture } from '../../../test/tfrecord/fixture.js';
import { parseExample, parseFile, writeFile } from '../../../test/tfrecord/format.js';
import { recordChunks } from './chunks.js';
import type { TfRecordCompression } from './compression.js';
import { decodeExample } from './example.js';
import { type ReadTfRecordsOptions, readTfRecords } from './read.js';
import type { TfRecords } from './write.js';

async function read(bytes: Uint8Array<ArrayBuffer>, options?: ReadTfRecordsOptions) {
  const records = [];
  for await (const record of readTfRecords(bytes, options)) records.push(record);
  return records;
}

async function write(records: TfRecords, compression?: TfRecordCompression): Promise<Uint8Array<ArrayBuffer>> {
  const parts: BlobPart[] = [];
  for await (const chunk of recordChunks(records, compression)) parts.push(chunk.slice() as Uint8Array<ArrayBuffer>);
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const anyRecords = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 });
const RECORDS = [new Uint8Array(0), Uint8Array.of(1, 2, 3), new Uint8Array(700_000).fill(7), Uint8Array.of(255)];
/** Vitest's own comparison of large arrays is slow. */
const hex = (bytes: Uint8Array) =>
  `${bytes.length}:${bytes.slice(0, 64)}:${bytes.reduce((sum, byte, i) => (sum + byte * (i + 1)) % 2 ** 32, 0)}`;

describe('against a reader and writer of the specification', () => {
  test('what we write is read by it', () =>
    fc.assert(
      fc.asyncProperty(anyRecords, async (records) => {
        expect(parseFile(await write(records))).toEqual(records);
      }),
      { seed: 1 },
    ));

  test('what it writes is read by us, with numbers and places', () =>
    fc.assert(
      fc.asyncProperty(anyRecords, async (records) => {
        const found = await read(writeFile(records));
        expect(found.map(({ data }) => data)).toEqual(records);
        let offset = 0;
        for (const [i, { index, offset: at, data }] of found.entries()) {
          expect([index, at]).toEqual([i, offset]);
          offset += 16 + data.length;
        }
      }),
      { seed: 1 },
    ));
});

test.each<[TfRecordCompression]>([['none'], ['gzip'], ['zlib']])('records larger than a piece go and come as %s', async (compression) => {
  const packed = await write(RECORDS, compression);
  for (const options of [{}, { compression }]) {
    expect((await read(packed, options)).map(({ data }) => hex(data))).toEqual(RECORDS.map(hex));
  }
  if (compression !== 'none') expect(packed.length).toBeLessThan(10_000);
});

describe('files that TensorFlow wrote', () => {
  test.each([['plain'], ['gzip'], ['zlib']])('%s', async (name) => {
    const records = await read(await fixture(`${name}.tfrecord`));
    expect(records).toHaveLength(4);
    for (const [i, { data }] of records.entries()) {
      const features = decodeExample(data);
      expect([...features.keys()].sort()).toEqual(['data', 'label']);
      expect(features.get('label')).toEqual({ int64List: [i % 2] });
      expect(features.get('data')).toEqual({ bytesList: [Uint8Array.from({ length: 12 }, (_, k) => (37 * k + i) % 256)] });
    }
  });

  test('our bytes of the same features are the same', async () => {
    const bytes = await fixture('plain.tfrecord');
    const features = (await read(bytes)).map(({ data }) => decodeExample(data));
    expect(await write(features)).toEqual(bytes);
  });

  test('numbers and lists at the ends of their ranges', async () => {
    const [record] = await read(await fixture('edges.tfrecord'));
    const features = decodeExample(record!.data);
    expect(Object.fromEntries(features)).toEqual({
      least: { int64List: [-(2n ** 63n), -1] },
      most: { int64List: [2n ** 63n - 1n, 2n ** 53n] },
      none: { int64List: [] },
      floats: { floatList: Float32Array.of(0.5, -1.25, 3e38) },
      texts: { bytesList: [new Uint8Array(0), Uint8Array.of(255, 0), new TextEncoder().encode('é')] },
    });
    expect(parseExample(record!.data).least).toEqual([-(2n ** 63n), -1n]);
  });
});

describe('corrupt files', () => {
  const records = [Uint8Array.of(1, 2, 3, 4, 5), new Uint8Array(0), Uint8Array.from({ length: 40 }, (_, i) => 5 * i)];
  const whole = writeFile(records);

  test('any flipped bit is detected, in its record', () =>
    fc.assert(
      fc.asyncProperty(fc.nat(whole.length * 8 - 1), async (bit) => {
        const bytes = whole.slice();
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        const index = bit >> 3 < 21 ? 0 : bit >> 3 < 37 ? 1 : 2;
        const offset = [0, 21, 37][index];
        const message = expect.stringContaining(`record ${index} at byte ${offset} corrupt`);
        await expect(read(bytes, { compression: 'none' })).rejects.toMatchObject({ code: 'VGG_INTEGRITY', message });
        await expect(read(bytes)).rejects.toMatchObject({ code: 'VGG_INTEGRITY' });
      }),
      { seed: 1, numRuns: 600 },
    ));

  test('a file that is cut anywhere but between records', async () => {
    for (let end = 1; end < whole.length; end++) {
      const part = whole.slice(0, end);
      if (end === 21 || end === 37) expect(await read(part)).toHaveLength(end === 21 ? 1 : 2);
      else await expect(read(part)).rejects.toMatchObject({ code: 'VGG_INTEGRITY', message: expect.stringMatching(/is cut/) });
    }
  });

  test.each<[TfRecordCompression]>([['gzip'], ['zlib']])('a cut %s file', async (compression) => {
    const packed = await write(records, compression);
    for (let end = 12; end < packed.length; end++)
      await expect(read(packed.slice(0, end), { compression })).rejects.toMatchObject({ code: 'VGG_INTEGRITY' });
  });

  test('a length that lies is refused before anything is read', async () => {
    const head = writeFile([new Uint8Array(300)]).slice(0, 12);
    const length = '300 bytes, where 12 are possible';
    await expect(read(head)).rejects.toMatchObject({ code: 'VGG_INTEGRITY', message: expect.stringContaining(length) });
    const large = await write([new Uint8Array(5000)], 'gzip');
    await expect(read(large, { maxRecordBytes: 4999 })).rejects.toMatchObject({ code: 'VGG_INTEGRITY' });
    expect(await read(large, { maxRecordBytes: 5000 })).toHaveLength(1);
  });

  test('mutated files and Examples give records or a VggError', async () => {
    const next = random(3);
    const seeds = await Promise.all(['plain', 'gzip', 'zlib', 'edges'].map((name) => fixture(`${name}.tfrecord`)));
    let refused = 0;
    for (let i = 0; i < 800; i++) {
      const bytes = mutate(seeds[i % 4]!, next) as Uint8Array<ArrayBuffer>;
      try {
        for (const { data } of await read(bytes)) decodeExample(mutate(data, next));
      } catch (error) {
        if (!isVggError(error)) throw error;
        expect(error.message).not.toContain('\n');
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(400);
  });
});

test('a reader that stops and an abort end the reading', async () => {
  for await (const { index } of readTfRecords(await write(RECORDS, 'gzip'))) if (index === 1) break;
  const stop = new AbortController();
  const seen: number[] = [];
  const reading = (async () => {
    for await (const { index } of readTfRecords(await write(RECORDS), { signal: stop.signal })) {
      seen.push(index);
      stop.abort();
    }
  })();
  await expect(reading).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  expect(seen).toEqual([0]);
});

test('what fails while records are made is thrown as it is, packed or not', async () => {
  async function* failing() {
    yield Uint8Array.of(1);
    throw new RangeError('mine');
  }
  for (const compression of ['none', 'gzip', 'zlib'] as const) await expect(write(failing(), compression)).rejects.toThrow('mine');
  await expect(write([], 'zip' as never)).rejects.toMatchObject({ code: 'VGG_OPTION' });
});
