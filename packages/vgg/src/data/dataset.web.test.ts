import { expect, test } from 'vitest';
import { chooseFolder } from '../../test/chosen-folder.js';
import { openDataset } from './dataset.js';

test('a folder chosen in the page is classed by the folders below it, and what is no photograph is told', async () => {
  const files = await chooseFolder('packages/vgg/test/chosen/set');
  expect([...files].map(({ webkitRelativePath }) => webkitRelativePath).sort()).toEqual([
    'set/ants/2.png',
    'set/ants/nested/1.png',
    'set/bees/3.png',
    'set/bees/notes.txt',
    'set/beside.png',
  ]);
  const { classes, examples, skipped } = await openDataset(files);
  expect(classes).toEqual(['ants', 'bees']);
  expect(examples.map(({ name, label }) => [name, label])).toEqual([
    ['ants/2.png', 0],
    ['ants/nested/1.png', 0],
    ['bees/3.png', 1],
  ]);
  expect([...files]).toContain(examples[0]!.image);
  expect(skipped.map(({ name }) => name).sort()).toEqual(['bees/notes.txt', 'beside.png']);
});

test('a page has no folders to list by their path', async () => {
  await expect(openDataset('photos')).rejects.toMatchObject({ code: 'VGG_DATASET', message: expect.stringContaining('webkitdirectory') });
});
