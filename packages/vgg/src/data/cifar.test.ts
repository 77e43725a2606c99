import { describe, expect, test } from 'vitest';
import { decodeImage } from '../../test/pictures/fixtures.js';
import { openDataset } from './dataset.js';

/** Value of a colour at a pixel of a record. */
const value = (record: number, pixel: number, colour: number) => (7 * pixel + 85 * colour + record) % 256;

/** A CIFAR file by its description: label bytes, then 1024 red, 1024 green and 1024 blue bytes for each picture. */
function cifar(labels: readonly (readonly number[])[], name: string): File {
  const records = labels.flatMap((head, record) => [
    Uint8Array.from(head),
    ...[0, 1, 2].map((colour) => Uint8Array.from({ length: 1024 }, (_, pixel) => value(record, pixel, colour))),
  ]);
  return new File(records, name);
}

describe('CIFAR-10', () => {
  test('labels, classes and pixels', async () => {
    const { classes, examples } = await openDataset(cifar([[6], [9], [0]], 'data_batch_1.bin'));
    expect(classes).toEqual(['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']);
    expect(examples.map(({ name, label }) => [name, label])).toEqual([
      ['data_batch_1.bin#0', 6],
      ['data_batch_1.bin#1', 9],
      ['data_batch_1.bin#2', 0],
    ]);
    const { width, height, data } = await decodeImage(examples[1]!.image);
    expect([width, height]).toEqual([32, 32]);
    expect(data).toEqual(Uint8Array.from({ length: 3072 }, (_, i) => value(1, Math.floor(i / 3), i % 3)));
  });

  test('several batches, one after another, and a part of the classes in the order that is wanted', async () => {
    const files = [cifar([[0], [3], [1]], 'data_batch_1.bin'), cifar([[1], [2], [1]], 'data_batch_2.bin')];
    expect((await openDataset(files)).examples.map(({ label }) => label)).toEqual([0, 3, 1, 1, 2, 1]);
    const { classes, examples } = await openDataset(files, { classes: ['automobile', 'airplane'], limit: 2 });
    expect(classes).toEqual(['automobile', 'airplane']);
    expect(examples.map(({ name, label }) => `${name} ${label}`)).toEqual([
      'data_batch_1.bin#0 1',
      'data_batch_1.bin#2 0',
      'data_batch_2.bin#0 0',
    ]);
  });

  test('a label that is none is refused with its place', async () => {
    const labels = Array.from({ length: 700 }, (_, i) => [i === 600 ? 10 : i % 10]);
    await expect(openDataset(cifar(labels, 'data_batch_1.bin'))).rejects.toMatchObject({
      code: 'VGG_INTEGRITY',
      message: expect.stringContaining(`received 10 in record 600 at byte ${600 * 3073}`),
    });
  });

  test('a file that is cut is none', async () => {
    const file = cifar([[0], [1]], 'data_batch_1.bin');
    await expect(openDataset(new File([file.slice(0, 6000)], 'data_batch_1.bin'))).rejects.toMatchObject({ code: 'VGG_DATASET' });
  });
});

test('CIFAR-100 has a coarse label before the fine one', async () => {
  const { classes, examples } = await openDataset(
    cifar(
      [
        [19, 99],
        [0, 4],
      ],
      'train.bin',
    ),
  );
  expect([classes.length, classes[4], classes[99]]).toEqual([100, 'beaver', 'worm']);
  expect(examples.map(({ label }) => label)).toEqual([99, 4]);
  expect((await decodeImage(examples[1]!.image)).data.slice(0, 3)).toEqual(Uint8Array.of(1, 86, 171));
});
