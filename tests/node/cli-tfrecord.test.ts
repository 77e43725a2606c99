// vgg tfrecord from end to end, with a folder made here and, where it is, with CIFAR-10 beside the repository.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { batchesOf, openDataset } from '../../packages/vgg/src/index.js';
import { vgg } from '../../packages/vgg/test/command-line.js';
import { parseExample, parseFile } from '../../packages/vgg/test/tfrecord/format.js';

let root: string;
const at = (...names: string[]) => join(root, ...names);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'vgg-tfrecord-'));
  for (const [i, name] of ['bees/1.png', 'bees/2.jpg', 'ants/1.jpg'].entries()) {
    await mkdir(at('set', name, '..'), { recursive: true });
    const picture = sharp({ create: { width: 40 + i, height: 32, channels: 3, background: { r: 80 * i, g: 10, b: 200 } } });
    await picture.toFile(at('set', name));
  }
  await writeFile(at('set/ants/notes.txt'), 'words');
});
afterAll(() => rm(root, { recursive: true, force: true }));

const record = async (file: string) => parseFile(await readFile(file)).map(parseExample);

describe('create', () => {
  test('raw: label and pixels, as tutorials have them', async () => {
    const { code, json, err } = await vgg(['tfrecord', 'create', at('set'), at('raw.tfrecord'), '--size', '32', '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({
      files: [at('raw.tfrecord')],
      records: 3,
      form: 'raw',
      size: 32,
      compression: 'none',
      classes: ['ants', 'bees'],
      failed: [],
    });
    expect(err).toContain('skipped ants/notes.txt');
    const examples = await record(at('raw.tfrecord'));
    expect(examples.map((example) => Object.keys(example))).toEqual(Array(3).fill(['data', 'label']));
    expect(examples.map(({ label }) => label)).toEqual([[0n], [1n], [1n]]);
    expect(examples[1]!.data).toEqual(['000ac8'.repeat(1024)]);
  });

  test('encoded: the files as they are, under the names of TensorFlow, in shards and an order of the seed', async () => {
    const line = ['tfrecord', 'create', at('set'), at('deep/e.tfrecord'), '--shards', '2', '--shuffle', '--seed', '3', '--json'];
    const { json } = await vgg(line);
    expect(json.files).toEqual([0, 1].map((i) => at(`deep/e.tfrecord-0000${i}-of-00002`)));
    expect(await readdir(at('deep'))).toEqual(['e.tfrecord-00000-of-00002', 'e.tfrecord-00001-of-00002']);
    const examples = (await Promise.all(json.files.map(record))).flat();
    const text = (value: unknown) => Buffer.from((value as string[])[0]!, 'hex').toString();
    const byName = new Map(examples.map((example) => [text(example['image/filename']), example]));
    expect([...byName.keys()].sort()).toEqual(['ants/1.jpg', 'bees/1.png', 'bees/2.jpg']);
    const bee = byName.get('bees/1.png')!;
    expect(bee).toMatchObject({ 'image/height': [32n], 'image/width': [40n], 'image/class/label': [1n] });
    expect([text(bee['image/format']), text(bee['image/class/text'])]).toEqual(['PNG', 'bees']);
    expect(bee['image/encoded']).toEqual([(await readFile(at('set/bees/1.png'))).toString('hex')]);
    const dataset = await openDataset(json.files);
    expect([dataset.classes, dataset.examples.length]).toEqual([['ants', 'bees'], 3]);
  });

  test('a picture that cannot be read is left out and told; nothing is written where none can', async () => {
    await mkdir(at('bad/a'), { recursive: true });
    await writeFile(at('bad/a/1.jpg'), 'x');
    const all = await vgg(['tfrecord', 'create', at('bad'), at('none.tfrecord'), '--json']);
    expect(all).toMatchObject({ code: 1, json: { error: { code: 'VGG_INPUT' } } });
    expect(existsSync(at('none.tfrecord'))).toBe(false);
    await writeFile(at('bad/a/2.jpg'), await readFile(at('set/ants/1.jpg')));
    const some = await vgg(['tfrecord', 'create', at('bad'), at('some.tfrecord'), '--json']);
    expect(some).toMatchObject({ code: 3, json: { records: 1, failed: [{ image: 'a/1.jpg' }] } });
  });
});

test('list and extract, of a packed file too', async () => {
  await vgg(['tfrecord', 'create', at('set'), at('e.tfrecord.gz'), '--gzip']);
  const { code, json } = await vgg(['tfrecord', 'list', at('e.tfrecord.gz'), '--json']);
  expect(code).toBe(0);
  expect(json).toMatchObject({
    records: 3,
    classes: [
      { class: '0 ants', records: 1 },
      { class: '1 bees', records: 2 },
    ],
  });
  expect(json.features).toContainEqual({ name: 'image/width', type: 'int64', records: 3, least: 1, most: 1 });
  expect((await vgg(['tfrecord', 'list', at('e.tfrecord.gz')])).out).toContain('3 records');
  expect((await vgg(['tfrecord', 'extract', at('e.tfrecord.gz'), at('out'), '--json'])).json).toMatchObject({ pictures: 3 });
  expect(await readFile(at('out/bees/000001.png'))).toEqual(await readFile(at('set/bees/1.png')));
  await vgg(['tfrecord', 'create', at('set'), at('r.tfrecord'), '--raw', '--size', '8']);
  await vgg(['tfrecord', 'extract', at('r.tfrecord'), at('pixels')]);
  expect(await readdir(at('pixels'))).toEqual(['0', '1']);
  const { data, info } = await sharp(at('pixels/1/000001.png')).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels, [...data.subarray(0, 3)]]).toEqual([8, 8, 3, [0, 10, 200]]);
});

test('a corrupt record ends with 4 and its number and place', async () => {
  await vgg(['tfrecord', 'create', at('set'), at('c.tfrecord'), '--size', '4']);
  const bytes = await readFile(at('c.tfrecord'));
  const second = 16 + Number(bytes.readBigUInt64LE(0));
  bytes[second + 20]! ^= 1;
  await writeFile(at('c.tfrecord'), bytes);
  for (const line of [
    ['list', at('c.tfrecord')],
    ['extract', at('c.tfrecord'), at('c')],
  ]) {
    const { code, err } = await vgg(['tfrecord', ...line]);
    expect(code).toBe(4);
    expect(err).toContain(`record 1 at byte ${second} corrupt`);
  }
});

test.each([
  [['tfrecord', 'mkae', 'a', 'b'], 'expected create, list, extract, received "mkae"'],
  [['tfrecord', 'list', 'a', 'b'], 'tfrecord list: expected FILE, received 2 of 1'],
  [['tfrecord', 'create', 'a'], 'tfrecord create: expected DATASET and OUT'],
  [['tfrecord', 'create', 'a', 'b', '--encoded', '--size', '3'], 'received both'],
])('%j is a usage error', async (line, message) => {
  const { code, err } = await vgg(line);
  expect(code).toBe(2);
  expect(err).toContain(message);
});

describe('files on a disk', () => {
  test('a folder of CIFAR batches is the training set, a list has paths beside it', async () => {
    await mkdir(at('cifar'), { recursive: true });
    for (const [i, name] of ['data_batch_1.bin', 'data_batch_2.bin', 'test_batch.bin'].entries())
      await writeFile(at('cifar', name), new Uint8Array(3073).fill(i));
    expect((await openDataset(at('cifar'))).examples.map(({ name, label }) => [name, label])).toEqual([
      ['data_batch_1.bin#0', 0],
      ['data_batch_2.bin#0', 1],
    ]);
    expect((await openDataset(at('cifar/test_batch.bin'))).examples.map(({ label }) => label)).toEqual([2]);
    await writeFile(at('set/list.csv'), 'image,label\nbees/1.png,bee\nants/1.jpg,ant\n');
    const list = await openDataset(at('set/list.csv'));
    expect(list.examples.map(({ image, label }) => [image, label])).toEqual([
      [at('set/bees/1.png'), 1],
      [at('set/ants/1.jpg'), 0],
    ]);
    for await (const { items, failed } of batchesOf(list, { batch: 2, shuffle: false }))
      expect([items.map(({ width }) => width), failed]).toEqual([[40, 42], []]);
  });
});

const cifar = '../shared/data/cifar10';
describe.skipIf(!existsSync(cifar))('CIFAR-10 as archives of JPEGs (../shared/data)', () => {
  test('three classes are 15,000 and 3,000 pictures', async () => {
    const classes = ['airplane', 'automobile', 'bird'];
    for (const [file, count] of [
      ['train.zip', 15_000],
      ['test.zip', 3_000],
    ] as const) {
      const dataset = await openDataset(join(cifar, file), { classes });
      expect([dataset.classes, dataset.examples.length, dataset.skipped]).toEqual([classes, count, []]);
      expect([0, 1, 2].map((label) => dataset.examples.filter((example) => example.label === label).length)).toEqual(
        Array(3).fill(count / 3),
      );
    }
  });

  test('pictures come in batches, and go to records and back', async () => {
    const dataset = await openDataset(join(cifar, 'test.zip'), { limit: 5 });
    for await (const { items, failed } of batchesOf(dataset, { batch: 50, shuffle: false })) {
      expect([items.length, failed]).toEqual([50, []]);
      expect(items.every(({ width, height }) => width === 32 && height === 32)).toBe(true);
    }
    await vgg(['tfrecord', 'create', join(cifar, 'test.zip'), at('cifar.tfrecord'), '--raw', '--classes', 'bird,airplane']);
    const back = await openDataset(at('cifar.tfrecord'));
    expect([back.classes, back.examples.length]).toEqual([['0', '1'], 2000]);
    const [first] = (await openDataset(join(cifar, 'test.zip'), { classes: ['bird'], limit: 1 })).examples;
    const pixels = async (images: typeof dataset) => {
      for await (const { items } of batchesOf(images, { batch: 1, shuffle: false })) return items[0]!.data;
      return undefined;
    };
    const bird = await pixels({ classes: ['bird'], examples: [first!], skipped: [] });
    expect(await pixels({ ...back, examples: back.examples.filter(({ label }) => label === 0) })).toEqual(bird);
  });
});
