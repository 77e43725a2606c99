import { describe, expect, test } from 'vitest';
import { fletcher32, lookup3 } from '../../src/formats/hdf5/checksum.js';
import { openHdf5 } from '../../src/formats/hdf5/file.js';
import { readTree } from '../../src/formats/hdf5/tree.js';
import { readValues, streamValues } from '../../src/formats/hdf5/values.js';
import { bytesSource } from '../../src/index.js';
import sparse from '../fixtures/hdf5/sparse.json';
import { counted, fixture, open, ramp, refuses } from '../helpers.js';

async function tree(name: string) {
  const file = await openHdf5(bytesSource(await fixture(`hdf5/${name}`), name));
  return { file, ...(await readTree(file)) };
}

describe.each(['earliest.h5', 'latest.h5'])('%s, written by h5py', (name) => {
  test('every number type in both byte orders, every layout and filter', async () => {
    const { file, datasets } = await tree(name);
    expect(datasets.size).toBe(17 + 2 + 10 + 2 + 300);
    for (const [path, dataset] of datasets) {
      const unsigned = /^type .*u\d$/.test(path);
      expect([...(await readValues(file, dataset))], path).toEqual(ramp(dataset.count, unsigned));
    }
    expect(datasets.get('scalar')!.shape).toEqual([]);
    expect(datasets.get('empty')!.shape).toEqual([0, 4]);
    expect(datasets.get('type big f8')).toMatchObject({ dtype: 'float64', littleEndian: false, shape: [5, 3] });
    expect(datasets.get('type little f2')).toMatchObject({ dtype: 'float16', littleEndian: true });
    expect(datasets.get('many/weight 299')!.shape).toEqual([2]);
  });

  test('attributes: text of fixed and variable length, numbers, and those it leaves out', async () => {
    const { groups } = await tree(name);
    expect(Object.fromEntries(groups.get('attributes')!)).toEqual({
      fixed: ['one', 'three', 'über'],
      vlen: ['one', 'three', 'über', ''],
      text: 'a text',
      bytes: 'some bytes',
      number: 2.5,
      numbers: [1, -2, 3],
    });
    const many = groups.get('many attributes')!;
    expect(many.size).toBe(40);
    expect(many.get('attribute 39')).toBe('value 39');
  });
});

test.each([
  ['superblock-1.h5', 0],
  ['superblock-2.h5', 2],
  ['offsets-of-4.h5', 0],
  ['paged.h5', 3],
])('%s: other superblocks, sizes and orders', async (name) => {
  const { file, datasets, groups } = await tree(name);
  expect([...datasets.keys()].sort()).toEqual(['a', 'b/kernel', ...Array.from({ length: 9 }, (_, i) => `ordered/weight ${i}`)].sort());
  for (const dataset of datasets.values()) expect([...(await readValues(file, dataset))]).toEqual(ramp(dataset.count));
  expect(groups.get('')!.get('keras_version')).toBe('2.0');
  expect(groups.get('ordered')!.get('names')).toEqual(['one', 'two']);
});

test.each(['growing.h5', 'plain-edges.h5'])('%s: every index of chunks', async (name) => {
  const { file, datasets } = await tree(name);
  const indexes = [...datasets.values()].map(({ layout }) => layout.kind === 'chunked' && layout.index.kind);
  expect(new Set(indexes)).toEqual(new Set(['extensible-array', 'btree2', 'fixed-array', ...(name === 'growing.h5' ? ['implicit'] : [])]));
  for (const [path, dataset] of datasets) expect([...(await readValues(file, dataset))], path).toEqual(ramp(dataset.count));
});

describe.each(['earliest', 'latest'] as const)('what %s leaves out', (version) => {
  test('chunks that were never written have the fill value', async () => {
    const { file, datasets } = await tree(`sparse-${version}.h5`);
    for (const [path, expected] of Object.entries(sparse[version])) {
      expect([...(await readValues(file, datasets.get(path)!))], path).toEqual(expected);
    }
    const pages = ramp(1100).map((value, i) => (i >= 1060 && i < 1070 ? value : 0.5));
    expect([...(await readValues(file, datasets.get('pages')!))]).toEqual(pages);
  });

  test('committed types, and datasets without numbers', async () => {
    const { file, datasets, groups, unreadable } = await tree(`committed-${version}.h5`);
    expect([...datasets.keys()]).toEqual(['kernel']);
    expect(datasets.get('kernel')!.littleEndian).toBe(false);
    expect([...(await readValues(file, datasets.get('kernel')!))]).toEqual(ramp(12));
    expect(groups.get('')!.get('scale')).toBe(2.5);
    expect([...unreadable.keys()].sort()).toEqual(['complex', 'fixed', 'strings', 'truth']);
  });
});

test('a stream is the same values, a row of chunks at a time', async () => {
  for (const name of ['earliest.h5', 'growing.h5', 'plain-edges.h5', 'sparse-latest.h5']) {
    const { file, datasets } = await tree(name);
    for (const [path, dataset] of datasets) {
      if (path.startsWith('many/')) continue;
      const { layout, shape, count } = dataset;
      const pieces: Float32Array[] = [];
      for await (const piece of streamValues(file, dataset)) pieces.push(piece);
      expect(
        pieces.flatMap((piece) => [...piece]),
        path,
      ).toEqual([...(await readValues(file, dataset))]);
      if (layout.kind === 'chunked') expect(pieces.length, path).toBe(Math.ceil(shape[0]! / layout.chunk[0]!));
      if (layout.kind === 'chunked') expect(pieces[0]!.length).toBe((count / shape[0]!) * Math.min(shape[0]!, layout.chunk[0]!));
    }
  }
});

test('chunks that lie together are read together', async () => {
  const { file, datasets } = await tree('latest.h5');
  const dataset = datasets.get('filters/many')!; // 1500 chunks of one value each
  const source = counted(file.source);
  await readValues({ ...file, source }, dataset);
  expect(source.reads).toBeLessThan(30);
});

test('a file behind a user block', async () => {
  const { file, datasets } = await tree('userblock.h5');
  expect([...(await readValues(file, datasets.get('layer/kernel')!))]).toEqual(ramp(12));
});

test.each([
  ['external-link.h5', 'VGG_FORMAT', /"bias".*external link/],
  ['external-link-latest.h5', 'VGG_FORMAT', /"kernel".*external link/],
  ['soft-link.h5', 'VGG_FORMAT', /"bias".*soft link/],
  ['external-storage.h5', 'VGG_FORMAT', /"kernel".*external storage/],
  ['virtual.h5', 'VGG_FORMAT', /virtual/],
  ['lzf.h5', 'VGG_FORMAT', /lzf/],
  ['references.h5', 'VGG_FORMAT', /reference/],
  ['cycle.h5', 'VGG_INTEGRITY', /contains itself/],
  ['unwritten.h5', 'VGG_INTEGRITY', /never written/],
] as const)('%s is refused as %s', (name, code, text) => refuses(open(`hdf5/${name}`), code, text));

test('a broken checksum of a chunk is an error, not other weights', async () => {
  const bytes = await fixture('hdf5/earliest.h5');
  const { file, datasets } = await tree('earliest.h5');
  const dataset = datasets.get('filters/fletcher32')!;
  const source = counted(file.source);
  await readValues({ ...file, source }, dataset);
  bytes[source.offsets.at(-1)! + 5]! ^= 1; // inside the last chunk
  const again = await openHdf5(bytesSource(bytes, 'changed.h5'));
  const changed = (await readTree(again)).datasets.get('filters/fletcher32')!;
  await refuses(readValues(again, changed), 'VGG_INTEGRITY', /checksum of a chunk/);
});

test('checksums agree with the published vectors', () => {
  // driver5 of lookup3.c: hashlittle("", 0, 0) and hashlittle("Four score and seven years ago", 30, 0).
  expect(lookup3(new Uint8Array(0))).toBe(0xdeadbeef);
  expect(lookup3(new TextEncoder().encode('Four score and seven years ago'))).toBe(0x17770551);
  // Sums by hand: words 1, 2, 3 give 6 and 1 + 3 + 6 = 10; an odd byte is the high half of a word.
  expect(fletcher32(new Uint8Array([0, 1, 0, 2, 0, 3]))).toBe((10 << 16) | 6);
  expect(fletcher32(new Uint8Array([0, 1, 2]))).toBe((514 << 16) | 513);
});
