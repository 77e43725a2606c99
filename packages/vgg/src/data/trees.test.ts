import { describe, expect, test } from 'vitest';
import { openDataset } from './dataset.js';
import type { DroppedEntry } from './tree-kinds.js';

type Tree = { readonly [name: string]: Tree | string };

/** What a browser gives for a dropped tree; a reader gives two entries at a time. */
function dropped(name: string, content: Tree | string): DroppedEntry {
  if (typeof content === 'string') {
    const file = (found: (file: File) => void) => found(new File([content], name));
    return Object.assign({ name, isFile: true, isDirectory: false }, { file });
  }
  const createReader = () => {
    const left = Object.entries(content)
      .map(([child, inner]) => dropped(child, inner))
      .reverse();
    return { readEntries: (found: (entries: DroppedEntry[]) => void) => found(left.splice(0, 2)) };
  };
  return Object.assign({ name, isFile: false, isDirectory: true }, { createReader });
}

/** `event.dataTransfer.items`, which is empty once the event is over. */
function items(...entries: DroppedEntry[]) {
  const list = { entries };
  setTimeout(() => {
    list.entries = [];
  });
  return {
    *[Symbol.iterator]() {
      for (const [i] of list.entries.entries()) yield { kind: 'file', webkitGetAsEntry: () => list.entries[i] ?? null };
    },
  };
}

const TREE: Tree = {
  bees: { '2.jpg': 'x', '1.jpg': 'y', deep: { '3.png': 'z' } },
  ants: { '1.jpg': 'x', 'a.txt': 'words', '.DS_Store': '' },
  none: {},
  'top.jpg': 'x',
};
const EXPECTED = [
  ['ants/1.jpg', 0],
  ['bees/1.jpg', 1],
  ['bees/2.jpg', 1],
  ['bees/deep/3.png', 1],
];

describe('what was dropped', () => {
  test.each([
    ['a folder', () => items(dropped('set', TREE))],
    ['an entry', () => dropped('set', TREE)],
    ['its class folders', () => items(...Object.entries(TREE).map(([name, inner]) => dropped(name, inner)))],
  ])('%s', async (_, make) => {
    const { classes, examples, skipped } = await openDataset(make());
    expect(classes).toEqual(['ants', 'bees']);
    expect(examples.map(({ name, label }) => [name, label])).toEqual(EXPECTED);
    expect(skipped.map(({ name }) => name).sort()).toEqual(['ants/a.txt', 'none', 'top.jpg']);
    expect(examples[0]!.image).toBeInstanceOf(File);
  });

  test('a folder that holds all class folders is passed over', async () => {
    const { 'top.jpg': _, ...folders } = TREE;
    const { examples } = await openDataset(items(dropped('set', { train: folders })));
    expect(examples.map(({ name, label }) => [name, label])).toEqual(EXPECTED);
  });

  test('a file is opened as a data file, and pictures without folders are refused', async () => {
    await expect(openDataset(items(dropped('a.jpg', 'x')))).rejects.toMatchObject({ code: 'VGG_DATASET' });
    const { classes } = await openDataset(items(dropped('list.txt', 'https://example.org/a.jpg ant')));
    expect(classes).toEqual(['ant']);
  });
});
