import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { chooseFolder } from '../../test/chosen-folder.js';
import { smallFile } from '../../test/small-weights.js';
import { load, type Model } from '../index.js';
import { type Head, loadHead } from './head.js';
import { trainHead } from './train/train-head.js';

// A real network, though a small one, on files that a page was given.
let model: Model;
let files: FileList;
let head: Head;

beforeAll(async () => {
  model = await load(undefined, { weights: await smallFile(), preprocessing: 'none', backend: 'wasm' });
  files = await chooseFolder('packages/vgg/test/chosen/set');
  head = await trainHead(model, files, { layer: 'relu2_1', size: 32, l2: 0.01 });
});
afterAll(() => model.dispose());
afterEach(() => void vi.restoreAllMocks());

const pictures = () => [...files].filter(({ name }) => name.endsWith('.png'));

test('is trained on the files of a chosen folder, by its class folders', async () => {
  expect(head.classes).toEqual(['ants', 'bees']);
  const labels = new Map(await Promise.all(pictures().map(async (file) => [file.name, (await head.predict(file))[0]!.label] as const)));
  expect([labels.get('1.png'), labels.get('2.png'), labels.get('3.png')]).toEqual(['ants', 'ants', 'bees']);
  expect(await head.evaluate(files)).toMatchObject({ images: 3, top1: 1 });
});

test('saved as a download and loaded as a File, it gives the same bytes and probabilities', async () => {
  const click = vi.spyOn(HTMLAnchorElement.prototype, 'click');
  await head.save('insects.safetensors');
  expect(click).toHaveBeenCalledOnce();
  const anchor = click.mock.contexts[0] as HTMLAnchorElement;
  expect(anchor.download).toBe('insects.safetensors');
  const blob = await (await fetch(anchor.href)).blob();
  for (const source of [new File([blob], anchor.download), [new File([blob], anchor.download)], anchor.href]) {
    const loaded = await loadHead(source, model);
    expect(await loaded.toBytes()).toEqual(await head.toBytes());
    expect(loaded.info).toEqual(head.info);
    expect(await loaded.predict(pictures())).toEqual(await head.predict(pictures()));
  }
});

test('after dispose there is nothing to save', async () => {
  const click = vi.spyOn(HTMLAnchorElement.prototype, 'click');
  const other = await loadHead(await head.toBytes(), model);
  other.dispose();
  await expect(other.save('gone.safetensors')).rejects.toMatchObject({ code: 'VGG_HEAD' });
  expect(click).not.toHaveBeenCalled();
});
