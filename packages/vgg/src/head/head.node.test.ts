import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { colours, PixelEmbedder, patch } from '../../test/pixel-embedder.js';
import { type Head, loadHead } from './head.js';
import { trainHead } from './train/train-head.js';

const model = new PixelEmbedder();
const pictures = [patch(200, 80, 90, 1), patch(90, 90, 120, 2), patch(100, 190, 70, 3), patch(128, 128, 128, 4), patch(60, 61, 62, 5)];
let folder = '';
let linear: Head;
let deep: Head;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-head-'));
  linear = await trainHead(model, colours(8), { validation: colours(3, 50) });
  deep = await trainHead(model, colours(8), { hidden: [7, 5], epochs: 4, validation: 0.25, size: 4 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each(['linear', 'deep'] as const)('%s: saved and loaded, it gives the same probabilities bit for bit', async (which) => {
  const head = { linear, deep }[which];
  const path = join(folder, `${which}.safetensors`);
  await head.save(path);
  const loaded = await loadHead(path, new PixelEmbedder());
  expect(await loaded.predict(pictures)).toEqual(await head.predict(pictures));
  expect(loaded.info).toEqual(head.info);
  expect(await loaded.toBytes()).toEqual(await head.toBytes());
  expect((await readdir(folder)).filter((name) => name.includes('.part'))).toEqual([]);
});

test('after dispose there is nothing to save', async () => {
  const head = await loadHead(await linear.toBytes(), model);
  head.dispose();
  await expect(head.save(join(folder, 'gone'))).rejects.toMatchObject({ code: 'VGG_HEAD' });
});

test('text and a missing file', async () => {
  const path = join(folder, 'notes.txt');
  await writeFile(path, 'not a head');
  await expect(loadHead(path, model)).rejects.toMatchObject({ code: 'VGG_FORMAT' });
  await expect(loadHead(join(folder, 'none.safetensors'), model)).rejects.toMatchObject({ code: 'VGG_NOT_FOUND' });
});
