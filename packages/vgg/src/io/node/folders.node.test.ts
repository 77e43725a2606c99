import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listClassFolders, listImages } from './folders.js';

let root = '';
const at = (...parts: string[]) => join(root, ...parts);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'vgg-folders-'));
  for (const folder of ['ants/nested/deep', 'bees', 'empty', '.git']) await mkdir(at(folder), { recursive: true });
  const files = [
    'ants/b.jpg',
    'ants/A.JPG',
    'ants/nested/deep/c.png',
    'ants/stray.gif',
    'ants/.DS_Store',
    'bees/d.webp',
    'bees/photo[1].jpg',
    'readme.txt',
    '.git/x.jpg',
  ];
  for (const file of files) await writeFile(at(file), file);
  await symlink(at('ants'), at('ants/nested/loop'));
  await symlink(at('nowhere.jpg'), at('bees/gone.jpg'));
  await symlink(at('ants/b.jpg'), at('bees/same-as-b.jpg'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe('listClassFolders', () => {
  test('lists files by name with their parts, folders, and what it skipped', async () => {
    const { folders, files, skipped } = (await listClassFolders(root))!;
    expect(folders).toEqual(['ants', 'bees', 'empty']);
    expect(files.map(({ parts }) => parts.join('/'))).toEqual([
      'ants/A.JPG',
      'ants/b.jpg',
      'ants/nested/deep/c.png',
      'ants/stray.gif',
      'bees/d.webp',
      'bees/photo[1].jpg',
      'bees/same-as-b.jpg',
      'readme.txt',
    ]);
    expect(files[0]!.image).toBe(at('ants/A.JPG'));
    expect(skipped).toEqual([
      { name: 'ants/nested/loop', reason: 'a link back to a folder that holds it' },
      { name: 'bees/gone.jpg', reason: 'a link to nothing' },
    ]);
  });

  test('takes a file: URL', async () => {
    expect((await listClassFolders(pathToFileURL(root)))!.folders).toHaveLength(3);
  });

  test('a file and an address are no folder; what is not there is refused', async () => {
    expect(await listClassFolders(at('readme.txt'))).toBeUndefined();
    expect(await listClassFolders('https://example.org/set.zip')).toBeUndefined();
    await expect(listClassFolders(at('none'))).rejects.toMatchObject({ code: 'VGG_NOT_FOUND' });
  });

  test('stops when aborted', async () => {
    await expect(listClassFolders(root, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  });
});

describe('listImages', () => {
  test('a folder gives its photographs by name and reports the others', async () => {
    const { images, skipped } = await listImages([at('ants')]);
    expect(images).toEqual([at('ants/A.JPG'), at('ants/b.jpg'), at('ants/nested/deep/c.png')]);
    expect(skipped.map(({ name }) => name)).toEqual(['nested/loop', at('ants/stray.gif')]);
  });

  test('the order of the arguments is kept, and nothing comes twice, not even through a link', async () => {
    const { images } = await listImages([at('bees/d.webp'), at('ants/b.jpg'), at('bees'), at('ants/*.jpg'), at('bees/../bees/d.webp')]);
    expect(images).toEqual([at('bees/d.webp'), at('ants/b.jpg'), at('bees/photo[1].jpg')]);
  });

  test('globs', async () => {
    expect((await listImages([at('**/*.{png,webp}')])).images).toEqual([at('ants/nested/deep/c.png'), at('bees/d.webp')]);
    expect((await listImages([at('*/[a-c].jpg')])).images).toEqual([at('ants/b.jpg')]);
    const { images, skipped } = await listImages([at('ants/*.gif'), at('nothing/*.jpg')]);
    expect(images).toEqual([]);
    expect(skipped.map(({ name }) => name)).toEqual([at('ants/stray.gif'), at('nothing/*.jpg')]);
  });

  test('a name with brackets that exists is a file, not a pattern', async () => {
    expect((await listImages([at('bees/photo[1].jpg')])).images).toEqual([at('bees/photo[1].jpg')]);
  });

  test('files that do not exist, other suffixes, URLs and - are kept for whoever opens them', async () => {
    const args = [at('missing.jpg'), at('readme.txt'), 'https://example.com/a?b=*', '-'];
    expect(await listImages(args)).toEqual({ images: args, skipped: [] });
  });

  test('an empty folder is reported', async () => {
    expect((await listImages([at('empty')])).skipped).toEqual([{ name: at('empty'), reason: 'the folder holds no photographs' }]);
  });
});
