import { describe, expect, test } from 'vitest';
import { openDataset } from './dataset.js';

/** A File of a chosen folder, as a page gives it. */
function chosen(path: string): File {
  const file = new File(['x'], path.split('/').at(-1)!);
  Object.defineProperty(file, 'webkitRelativePath', { value: path });
  return file;
}

describe('the files of a chosen folder', () => {
  test('are classed by the folder below the chosen one', async () => {
    const paths = [
      'set/bees/2.jpg',
      'set/bees/1.jpg',
      'set/ants/1.png',
      'set/ants/n/2.webp',
      'set/ants/a.gif',
      'set/beside.jpg',
      'set/ants/.DS_Store',
    ];
    const { classes, examples, skipped } = await openDataset(paths.map(chosen));
    expect(classes).toEqual(['ants', 'bees']);
    expect(examples.map(({ name }) => name)).toEqual(['ants/1.png', 'ants/n/2.webp', 'bees/1.jpg', 'bees/2.jpg']);
    expect(examples[0]!.image).toBeInstanceOf(File);
    expect(skipped.map(({ name }) => name)).toEqual(['ants/a.gif', 'beside.jpg']);
  });

  test('files without a folder are refused', async () => {
    await expect(openDataset([new File([''], 'a.jpg')])).rejects.toMatchObject({
      code: 'VGG_DATASET',
      message: expect.stringContaining('webkitRelativePath'),
    });
  });
});

describe('pictures by class name', () => {
  test('keep their order within the class; classes come by name', async () => {
    const buffer = new Uint8Array(3);
    const { classes, examples } = await openDataset({ b: ['z.jpg', 'a.jpg'], a: new Set([buffer, new URL('https://example.com/c.jpg')]) });
    expect(classes).toEqual(['a', 'b']);
    expect(examples.map(({ name, label }) => [name, label])).toEqual([
      ['a[0]', 0],
      ['https://example.com/c.jpg', 0],
      ['z.jpg', 1],
      ['a.jpg', 1],
    ]);
    expect(examples[0]!.image).toBe(buffer);
  });

  test.each([
    [{}, /empty object/],
    [{ a: [] }, /class "a", received an empty list/],
    [{ a: 'a.jpg' }, /a list of pictures for class "a"/],
    [{ a: new Uint8Array(2) }, /a list of pictures for class "a"/],
    [null, /received object/],
    [7, /received number/],
  ])('%j is refused', async (input, message) => {
    await expect(openDataset(input as never)).rejects.toMatchObject({ code: 'VGG_DATASET', message: expect.stringMatching(message) });
  });
});

describe('a dataset made before', () => {
  test('is taken as it is', async () => {
    const dataset = await openDataset({ a: ['1.jpg'], b: ['2.jpg'] });
    expect(await openDataset(dataset)).toEqual(dataset);
  });

  test.each([
    [{ classes: ['a'], examples: [{ image: 'x.jpg', label: 1, name: 'x' }] }, /labels from 0 to 0/],
    [{ classes: ['a', 'a'], examples: [{ image: 'x.jpg', label: 1, name: 'x' }] }, /each class name once/],
    [{ classes: ['a'], examples: [] }, /received none/],
  ])('%j is refused', async (input, message) => {
    await expect(openDataset(input as never)).rejects.toMatchObject({ code: 'VGG_DATASET', message: expect.stringMatching(message) });
  });
});
