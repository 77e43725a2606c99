import { describe, expect, test } from 'vitest';
import { mutate } from '../../../loaders/test/fuzz/fuzz.js';
import { random } from '../../../loaders/test/random.js';
import { buildZip } from '../../../loaders/test/zip/helpers.js';
import { decodeImage, fixture } from '../../test/pictures/fixtures.js';
import { openDataset } from './dataset.js';

const picture = fixture('exif-6.png');
const text = new TextEncoder().encode('words');
const folders = (...names: string[]) => names.map((name) => ({ name: `${name}/` }));
const members = (...names: string[]) => names.map((name, i) => ({ name, data: picture, deflate: i % 2 === 0 }));

describe('a zip archive', () => {
  test('has its classes as folders; what is no photograph is told', async () => {
    const archive = await buildZip([
      ...folders('bees', 'none'),
      ...members('bees/2.png', 'ants/1.jpg', 'bees/deep/1.jpg', 'top.png'),
      { name: 'ants/a.txt', data: text },
      { name: '__MACOSX/ants/._1.jpg', data: text },
    ]);
    const { classes, examples, skipped } = await openDataset(archive);
    expect(classes).toEqual(['ants', 'bees']);
    expect(examples.map(({ name, label }) => [name, label])).toEqual([
      ['ants/1.jpg', 0],
      ['bees/2.png', 1],
      ['bees/deep/1.jpg', 1],
    ]);
    expect(skipped.map(({ name }) => name).sort()).toEqual(['ants/a.txt', 'top.png']);
  });

  test.each([
    ['bytes', (bytes: Uint8Array<ArrayBuffer>) => bytes],
    ['a File', (bytes: Uint8Array<ArrayBuffer>) => new File([bytes], 'set.zip')],
    ['a list of a File', (bytes: Uint8Array<ArrayBuffer>) => [new File([bytes], 'set.zip')]],
  ])('as %s; its pictures are unpacked when they are read', async (_, make) => {
    const bytes = (await buildZip(members('a/1.png', 'b/2.png'))) as Uint8Array<ArrayBuffer>;
    const { examples } = await openDataset(make(bytes));
    for (const { image } of examples) expect(await decodeImage(image)).toEqual(await decodeImage(picture));
  });

  test('folders that hold all class folders are passed over', async () => {
    const archive = await buildZip([
      ...folders('set', 'set/train'),
      ...members('set/train/ants/1.png', 'set/train/bees/1.png'),
      { name: 'set/readme.md', data: text },
    ]);
    const { classes, examples, skipped } = await openDataset(archive);
    expect([classes, examples[0]!.name]).toEqual([['ants', 'bees'], 'ants/1.png']);
    expect(skipped.map(({ name }) => name)).toEqual(['readme.md']);
    expect((await openDataset(await buildZip(members('ants/1.png', 'ants/old/2.png')))).classes).toEqual(['ants']);
  });

  test('a damaged picture costs only itself, and a lie of its size nothing', async () => {
    const broken = picture.slice();
    broken[20]! ^= 1;
    const [, { image }] = (await openDataset(await buildZip([...members('a/1.png'), { name: 'a/2.png', data: picture, packed: broken }])))
      .examples as [unknown, { image: Uint8Array }];
    await expect(decodeImage(image)).rejects.toMatchObject({ code: 'VGG_INTEGRITY', message: expect.stringContaining('a/2.png') });
    const lies = { size: 2 ** 31, packed: 2 ** 22 };
    await expect(openDataset(await buildZip([{ name: 'a/1.png', data: picture, deflate: true, central: lies }]))).rejects.toMatchObject({
      code: 'VGG_INTEGRITY',
    });
  });

  test('a picture that is packed as none is, is not unpacked', async () => {
    const bomb = await buildZip([{ name: 'a/1.png', data: new Uint8Array(2 ** 24 + 1), deflate: true }, ...members('a/2.png')]);
    const { examples } = await openDataset(bomb);
    await expect(decodeImage(examples[0]!.image)).rejects.toMatchObject({
      code: 'VGG_INPUT',
      message: expect.stringMatching(/a\/1\.png: expected a picture, received 16777217 bytes packed in \d+$/),
    });
  });

  test('without class folders, or of nothing, it is refused', async () => {
    await expect(openDataset(await buildZip(members('1.png')))).rejects.toMatchObject({ code: 'VGG_DATASET' });
    await expect(openDataset(await buildZip([]))).rejects.toMatchObject({ code: 'VGG_DATASET' });
  });

  test('mutated, it gives pictures or a VggError', async () => {
    const bytes = await buildZip(members('set/a/1.png', 'set/b/2.png', 'set/b/3.png'));
    const next = random(2);
    let [opened, refused] = [0, 0];
    for (let i = 0; i < 300; i++) {
      try {
        const { examples } = await openDataset(mutate(bytes, next));
        for (const { image } of examples) await decodeImage(image);
        opened++;
      } catch (error) {
        expect(error).toMatchObject({ name: 'VggError' });
        refused++;
      }
    }
    expect(opened + refused).toBe(300);
    expect(refused).toBeGreaterThan(50);
  });
});

test('bytes of no known kind are refused with what is', async () => {
  await expect(openDataset(picture)).rejects.toMatchObject({ code: 'VGG_DATASET', message: expect.stringContaining('a zip archive') });
  await expect(openDataset(new Uint8Array(0))).rejects.toMatchObject({ code: 'VGG_DATASET' });
});
