import { describe, expect, test } from 'vitest';
import { openNpz } from '../../src/formats/numpy/npz.js';
import { npzWriter } from '../../src/formats/numpy/write.js';
import { openZip, readEntry } from '../../src/formats/zip/index.js';
import { type ZipFile, zipFile } from '../../src/formats/zip/write.js';
import { bytesSource, type WriteRequest } from '../../src/index.js';
import { ramp, refuses } from '../helpers.js';
import { toWrite, written } from '../writing.js';

const values = (count: number, scale = 1) => Float32Array.from(ramp(count), (value) => value * scale);
const TENSORS = [
  toWrite('conv1_1.weight', [3, 3, 3, 2], values(54, 0.1)),
  toWrite('conv1_1.bias', [2], values(2)),
  toWrite('fc6.weight', [50, 40], values(2000, 1e-3)),
  toWrite('bn1_1.scale', [0], values(0)),
];

async function write(request: Partial<WriteRequest>): Promise<Uint8Array> {
  const files = await written(npzWriter.write({ name: 'vgg16.npz', tensors: TENSORS, ...request }));
  expect([...files.keys()]).toEqual(['vgg16.npz']);
  return files.get('vgg16.npz')!;
}

const archive = async (files: readonly ZipFile[]) => (await written([{ name: 'a.zip', chunks: zipFile(files) }])).get('a.zip')!;

async function open(bytes: Uint8Array) {
  const source = bytesSource(bytes, 'vgg16.npz');
  return openNpz(await openZip(source), source);
}

describe('an .npz that we wrote', () => {
  test('has the names, shapes, values and metadata that went into it', async () => {
    const metadata = new Map([
      ['plan', 'vgg16'],
      ['licence', 'CC BY 4.0 \u{1d11e}'],
      ['__proto__', 'no prototype'],
    ]);
    const file = await open(await write({ metadata }));
    expect([...file.tensors.values()].map(({ name, shape, dtype }) => ({ name, shape, dtype }))).toEqual(
      TENSORS.map(({ name, shape }) => ({ name, shape, dtype: 'float32' })),
    );
    for (const { name, values: all } of TENSORS) expect(await file.read(name)).toEqual(await all());
    expect(new Map(file.metadata)).toEqual(metadata);
  });

  test('as float16, rounded to the nearest', async () => {
    const file = await open(await write({ dtype: 'float16' }));
    const { dtype, shape } = file.tensors.get('fc6.weight')!;
    expect([dtype, shape]).toEqual(['float16', [50, 40]]);
    const read = await file.read('fc6.weight');
    const worst = Math.max(...values(2000, 1e-3).map((value, i) => Math.abs(value - read[i]!)));
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(2 ** -15);
  });

  test('is an archive of stored .npy members at multiples of 64, of one day, the same each time', async () => {
    const bytes = await write({});
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const zip = await openZip(bytesSource(bytes));
    expect([...zip.entries.keys()]).toEqual(TENSORS.map(({ name }) => `${name}.npy`));
    for (const { name, offset, size, crc32 } of zip.entries.values()) {
      expect(view.getUint32(offset, true)).toBe(0x04034b50);
      expect([view.getUint16(offset + 6, true), view.getUint16(offset + 8, true), view.getUint16(offset + 12, true)]).toEqual([
        0x0800, 0, 0x21,
      ]);
      expect([view.getUint32(offset + 14, true), view.getUint32(offset + 18, true), view.getUint32(offset + 22, true)]).toEqual([
        crc32,
        size,
        size,
      ]);
      const data = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
      expect(data % 64).toBe(0);
      expect(new TextDecoder('latin1').decode(bytes.subarray(data + 1, data + 6))).toBe('NUMPY');
      expect((await readEntry(zip, name, 1e6)).length).toBe(size);
    }
    expect(await write({})).toEqual(bytes);
  });
});

describe('refused before anything is written', () => {
  const refused = (request: Partial<WriteRequest>, code: 'VGG_OPTION' | 'VGG_INTEGRITY', sentence: RegExp) =>
    refuses(() => npzWriter.write({ name: 'x.npz', tensors: TENSORS, ...request }), code, sentence);

  test('int8, names twice, names that lead elsewhere, the name of the metadata', async () => {
    await refused({ dtype: 'int8' }, 'VGG_OPTION', /float32 or float16, received int8/);
    await refused({ tensors: [TENSORS[1]!, TENSORS[1]!] }, 'VGG_OPTION', /each once/);
    await refused({ tensors: [toWrite('../x', [1], values(1))] }, 'VGG_OPTION', /plain names/);
    await refused({ tensors: [toWrite('__metadata__', [1], values(1))] }, 'VGG_OPTION', /other names than __metadata__/);
    await refused({ tensors: [toWrite('a', [1.5], values(1))] }, 'VGG_INTEGRITY', /whole numbers/);
  });

  test('more than 4 GiB, or more members than the format counts', async () => {
    const file = (name: string, size: number) => ({ name, size, async *chunks() {} });
    await refuses(() => zipFile([file('a', 2 ** 31), file('b', 2 ** 31)]), 'VGG_OPTION', /less than 4 GiB/);
    const many = Array.from({ length: 65535 }, (_, i) => file(String(i), 0));
    await refuses(() => zipFile(many), 'VGG_OPTION', /up to 65534 plain names/);
  });
});

test('values that are more or fewer than the shape says, and an abort', async () => {
  await refuses(write({ tensors: [toWrite('a', [3], values(2))] }), 'VGG_SHAPE', /3 values for "a" \[3\], received 2/);
  await refuses(write({ tensors: [toWrite('a', [3], values(4))] }), 'VGG_SHAPE', /received 4/);
  await refuses(write({ signal: AbortSignal.abort() }), 'VGG_ABORTED', /AbortSignal/);
  const short = {
    name: 'a',
    size: 3,
    async *chunks() {
      yield new Uint8Array(2);
    },
  };
  await refuses(archive([short]), 'VGG_SHAPE', /expected 3 bytes of "a", received 2/);
});

test('an archive of nothing', async () => {
  expect((await openZip(bytesSource(await archive([])))).entries.size).toBe(0);
});
