import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDataset } from './dataset.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'vgg-dataset-'));
  const files = [
    'set/wasps/z.jpg',
    'set/wasps/deep/y.tiff',
    'set/ants/b.JPEG',
    'set/ants/a.png',
    'set/ants/x.gif',
    'set/beside.jpg',
    'flat/a.jpg',
    'texts/a/notes.txt',
  ];
  for (const file of files) {
    await mkdir(join(root, file, '..'), { recursive: true });
    await writeFile(join(root, file), '');
  }
  for (const folder of ['set/empty', 'nothing']) await mkdir(join(root, folder));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('a folder of class folders', () => {
  test('classes and pictures come by name, nested ones in their top class, the rest is reported', async () => {
    const { classes, examples, skipped } = await openDataset(join(root, 'set'));
    expect(classes).toEqual(['ants', 'wasps']);
    expect(examples.map(({ name, label }) => [name, label])).toEqual([
      ['ants/a.png', 0],
      ['ants/b.JPEG', 0],
      ['wasps/deep/y.tiff', 1],
      ['wasps/z.jpg', 1],
    ]);
    expect(examples[0]!.image).toBe(join(root, 'set/ants/a.png'));
    expect(skipped.map(({ name }) => name).sort()).toEqual(['ants/x.gif', 'beside.jpg', 'empty']);
    expect(skipped.find(({ name }) => name === 'ants/x.gif')!.reason).toContain('received .gif');
  });

  test.each([
    ['nothing', /an empty folder/],
    ['flat', /1 files without folders/],
    ['texts', /received none \(a\/notes.txt/],
  ])('%s is refused', async (folder, message) => {
    await expect(openDataset(join(root, folder))).rejects.toMatchObject({ code: 'VGG_DATASET', message: expect.stringMatching(message) });
  });

  test('a folder that does not exist is refused', async () => {
    await expect(openDataset(join(root, 'typo'))).rejects.toMatchObject({ code: 'VGG_NOT_FOUND' });
  });
});
