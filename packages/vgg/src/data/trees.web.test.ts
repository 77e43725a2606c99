import { expect, test } from 'vitest';
import { decodeImage, fixture } from '../../test/pictures/fixtures.js';
import { openDataset } from './dataset.js';
import { batchesOf } from './loader.js';

test('a directory handle: its files are opened when they are read', async () => {
  const picture = fixture('exif-6.png');
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('trees', { create: true });
  for (const path of ['bees/1.png', 'ants/2.png', 'ants/1.png', 'ants/a.txt']) {
    const [folder, name] = path.split('/') as [string, string];
    const handle = await (await root.getDirectoryHandle(folder, { create: true })).getFileHandle(name, { create: true });
    const stream = await handle.createWritable();
    await stream.write(picture);
    await stream.close();
  }
  const dataset = await openDataset(root);
  expect(dataset.classes).toEqual(['ants', 'bees']);
  expect(dataset.examples.map(({ name, label }) => [name, label])).toEqual([
    ['ants/1.png', 0],
    ['ants/2.png', 0],
    ['bees/1.png', 1],
  ]);
  expect(dataset.skipped.map(({ name }) => name)).toEqual(['ants/a.txt']);
  const expected = await decodeImage(picture);
  for await (const { items } of batchesOf(dataset, { batch: 2 })) for (const item of items) expect(item).toEqual(expected);
});
