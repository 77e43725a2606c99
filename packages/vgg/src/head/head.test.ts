import { type NamedValues, writeSafetensors } from '@vgg/loaders';
import { beforeAll, describe, expect, test } from 'vitest';
import manifest from '../../package.json';
import kept from '../../test/kept-head.json';
import { colours, PixelEmbedder, patch } from '../../test/pixel-embedder.js';
import type { ImageInput } from '../pictures/images.js';
import { PREPROCESSINGS } from '../pictures/preprocessing.js';
import { VERSION } from '../version.js';
import { type Head, loadHead } from './head.js';
import { inspectHead } from './head-file.js';
import { trainHead } from './train/train-head.js';

const model = new PixelEmbedder();
const pictures = [patch(200, 80, 90, 1), patch(90, 90, 120, 2), patch(100, 190, 70, 3), patch(128, 128, 128, 4), patch(60, 61, 62, 5)];
let linear: Head;
let deep: Head;

beforeAll(async () => {
  linear = await trainHead(model, colours(8), { validation: colours(3, 50) });
  deep = await trainHead(model, colours(8), { hidden: [7, 5], epochs: 4, validation: 0.25, size: 4 });
});

describe('predict', () => {
  test('one picture gives a list, most probable first; several give lists in order', async () => {
    const one = await linear.predict(pictures[0]!);
    expect(one.map(({ probability }) => probability)).toEqual(one.map(({ probability }) => probability).sort((a, b) => b - a));
    expect(one[0]).toMatchObject({ label: 'red', index: 2 });
    const all = await linear.predict(pictures, { top: 1 });
    expect(all.map((each) => each.length)).toEqual([1, 1, 1, 1, 1]);
    expect(all[0]![0]).toEqual(one[0]);
  });

  test('predictAll keeps the good ones; predict throws the first failure', async () => {
    const mixed = [pictures[0]!, 'not pixels', pictures[2]!];
    const items = [];
    for await (const item of linear.predictAll(mixed)) items.push(item);
    expect(items.map((item) => [item.index, 'error' in item ? item.error.code : item.predictions[0]!.label])).toEqual([
      [0, 'red'],
      [1, 'VGG_INPUT'],
      [2, 'green'],
    ]);
    await expect(linear.predict(mixed)).rejects.toMatchObject({ code: 'VGG_INPUT' });
  });

  test.each([0, 1.5, -1])('top %d is refused', async (top) => {
    await expect(linear.predict(pictures[0]!, { top })).rejects.toMatchObject({ code: 'VGG_OPTION' });
  });
});

describe('evaluate', () => {
  test('counts every class, and twice gives the same', async () => {
    const data: Record<string, ImageInput[]> = { ...colours(4, 70), red: [...colours(3, 70).red!, patch(60, 60, 200, 9)] };
    const before = await linear.toBytes();
    const first = await linear.evaluate(data);
    expect(first).toMatchObject({ images: 12, top1: 11 / 12, top5: 1 });
    expect(first.confusion).toEqual({
      classes: ['blue', 'green', 'red'],
      matrix: [
        [4, 0, 0],
        [0, 4, 0],
        [1, 0, 3],
      ],
    });
    expect(first.perClass[2]).toEqual({ label: 'red', images: 4, recall: 0.75 });
    expect(await linear.evaluate(data)).toEqual(first);
    expect(await linear.toBytes()).toEqual(before);
  });

  test('its loss is the mean of -log of the predicted probabilities', async () => {
    const data = colours(4, 70);
    const { loss } = await deep.evaluate(data);
    let sum = 0;
    for (const [label, images] of Object.entries(data)) {
      for (const predictions of await deep.predict(images)) sum -= Math.log(predictions.find((each) => each.label === label)!.probability);
    }
    expect(loss).toBeCloseTo(sum / 12, 6);
  });

  test('one class is enough, an unknown one is refused', async () => {
    expect((await linear.evaluate({ red: colours(2, 30).red! })).perClass.map(({ images }) => images)).toEqual([0, 0, 2]);
    await expect(linear.evaluate({ purple: [patch(1, 1, 1, 1)] })).rejects.toMatchObject({ code: 'VGG_DATASET' });
  });
});

describe('a head file', () => {
  test.each(['linear', 'deep'] as const)('%s: written and read, it gives the same probabilities and bytes', async (which) => {
    const head = { linear, deep }[which];
    const loaded = await loadHead(await head.toBytes(), new PixelEmbedder());
    expect(await loaded.predict(pictures)).toEqual(await head.predict(pictures));
    expect(loaded.info).toEqual(head.info);
    expect(await loaded.toBytes()).toEqual(await head.toBytes());
  });

  test('made elsewhere: the same bytes and probabilities here, and training here finds it again', async () => {
    // Made in Node by the options of `deep`; only the engine's exp and log may differ, in the last digits.
    const bytes = Uint8Array.from(atob(kept.bytes), (character) => character.charCodeAt(0));
    const loaded = await loadHead(bytes, model);
    expect(await loaded.toBytes()).toEqual(bytes);
    for (const head of [loaded, deep]) {
      for (const [i, predictions] of (await head.predict(pictures)).entries()) {
        for (const { index, probability } of predictions) expect(probability).toBeCloseTo(kept.probabilities[i]![index]!, 6);
      }
    }
  });

  test('is read from bytes and a Blob too, and tells what it needs', async () => {
    const bytes = await deep.toBytes();
    expect((await loadHead(new Blob([bytes as Uint8Array<ArrayBuffer>]), model)).classes).toEqual(deep.classes);
    expect(await inspectHead(bytes)).toEqual(deep.info);
    expect(deep.info).toMatchObject({
      dimensions: 3,
      hidden: [7, 5],
      version: VERSION,
      base: { layer: 'pixels', size: 4, network: 'pixels' },
    });
    expect(bytes.length).toBeLessThan(5000);
  });

  test('another kind of file, and no model, are refused in a sentence', async () => {
    await expect(loadHead(Uint8Array.of(1, 2, 3, 250, 5, 6, 7, 8, 9), new PixelEmbedder())).rejects.toMatchObject({
      code: 'VGG_FORMAT',
      message: 'bytes: expected a head file, received bytes of an unknown kind',
    });
    await expect(loadHead(await linear.toBytes(), undefined as never)).rejects.toMatchObject({
      code: 'VGG_OPTION',
      message: 'loadHead: expected the model that the head is for as second argument, received undefined',
    });
  });

  test('refuses another base in a sentence that names both, unless forced', async () => {
    const bytes = await linear.toBytes();
    await expect(loadHead(bytes, new PixelEmbedder(2))).rejects.toMatchObject({
      code: 'VGG_HEAD',
      message:
        'loadHead: expected the base that the head was trained on, pixels with the weights scale-1 up to pixels, received pixels with scale-2, whose values differ; load those weights, or pass force',
    });
    await expect(loadHead(bytes, new PixelEmbedder(1, PREPROCESSINGS.caffe))).rejects.toMatchObject({
      code: 'VGG_HEAD',
      message: expect.stringContaining('caffe'),
    });
    expect((await loadHead(bytes, new PixelEmbedder(2), { force: true })).classes).toEqual(linear.classes);
  });

  test('with an explicit size, only what still matters of the preprocessing must agree', async () => {
    const { none } = PREPROCESSINGS;
    const bytes = await deep.toBytes();
    const cropped = new PixelEmbedder(1, { ...none, crop: 224 });
    expect((await loadHead(bytes, cropped)).size).toBe(4);
    await expect(loadHead(await linear.toBytes(), cropped)).rejects.toMatchObject({
      code: 'VGG_HEAD',
      message: expect.stringContaining('crop'),
    });
  });

  test('after dispose it says so', async () => {
    const head = await loadHead(await linear.toBytes(), model);
    head.dispose();
    await expect(head.predict(pictures[0]!)).rejects.toMatchObject({ code: 'VGG_HEAD' });
    await expect(head.toBytes()).rejects.toMatchObject({ code: 'VGG_HEAD' });
  });
});

describe('a hostile or broken head file', () => {
  /** The linear head's parts, with some replaced; `undefined` leaves one out. */
  async function forged(
    metadata: Record<string, string | undefined>,
    tensors: Record<string, NamedValues | undefined> = {},
  ): Promise<Uint8Array> {
    const tensor = (name: string, shape: number[], fill = 1): NamedValues => ({
      name,
      shape,
      values: async () => new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(fill),
    });
    const good: Record<string, NamedValues | undefined> = {
      mean: tensor('mean', [3]),
      deviation: tensor('deviation', [3]),
      weight: tensor('dense1.weight', [3, 2]),
      bias: tensor('dense1.bias', [2]),
      ...tensors,
    };
    const entry = { epoch: 1, loss: 0.5, accuracy: 1 };
    const said = {
      'vgg.head': '1',
      'vgg.version': '0.1.0',
      'vgg.classes': '["a","b"]',
      'vgg.layer': 'pixels',
      'vgg.pooling': 'average',
      'vgg.normalize': 'false',
      'vgg.orientation': 'false',
      'vgg.preprocessing': JSON.stringify(PREPROCESSINGS.none),
      'vgg.network': 'pixels',
      'vgg.weights': 'scale-1',
      'vgg.fingerprint': 'pixels-1',
      'vgg.history': JSON.stringify([entry]),
      'vgg.best': JSON.stringify(entry),
      'vgg.training': '{"solver":"lbfgs","seed":0,"images":2}',
      ...metadata,
    };
    const kept = Object.fromEntries(Object.entries(said).filter((pair): pair is [string, string] => pair[1] !== undefined));
    const chunks: Uint8Array[] = [];
    for await (const chunk of writeSafetensors(
      Object.values(good).filter((each) => each !== undefined),
      kept,
    ))
      chunks.push(chunk);
    return new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  }
  const named = (name: string, shape: number[], values: number[]): NamedValues => ({
    name,
    shape,
    values: async () => Float32Array.from(values),
  });

  test('the parts unchanged are accepted', async () => {
    expect((await loadHead(await forged({}), model)).classes).toEqual(['a', 'b']);
  });

  test.each<[string, Record<string, string | undefined>, Record<string, NamedValues | undefined>, string]>([
    ['weights, not a head', { 'vgg.head': undefined }, {}, 'VGG_FORMAT'],
    ['a later format', { 'vgg.head': '3' }, {}, 'VGG_FORMAT'],
    ['no classes', { 'vgg.classes': undefined }, {}, 'VGG_HEAD'],
    ['classes that are no JSON', { 'vgg.classes': '[' }, {}, 'VGG_HEAD'],
    ['classes that are no texts', { 'vgg.classes': '[1,2]' }, {}, 'VGG_HEAD'],
    ['a class twice', { 'vgg.classes': '["a","a"]' }, {}, 'VGG_HEAD'],
    ['three classes for two outputs', { 'vgg.classes': '["a","b","c"]' }, {}, 'VGG_HEAD'],
    ['an unknown pooling', { 'vgg.pooling': 'sum' }, {}, 'VGG_HEAD'],
    ['a size of 1e9', { 'vgg.size': '1000000000' }, {}, 'VGG_HEAD'],
    ['preprocessing of another shape', { 'vgg.preprocessing': '{"mean":[1]}' }, {}, 'VGG_HEAD'],
    ['a history of texts', { 'vgg.history': '[{"epoch":"one"}]' }, {}, 'VGG_HEAD'],
    ['no deviation', {}, { deviation: undefined }, 'VGG_HEAD'],
    ['a deviation of 0', {}, { deviation: named('deviation', [3], [1, 0, 1]) }, 'VGG_HEAD'],
    ['a mean that is not a number', {}, { mean: named('mean', [3], [1, Number.NaN, 1]) }, 'VGG_HEAD'],
    ['weights of another width', {}, { weight: named('dense1.weight', [2, 2], [1, 2, 3, 4]) }, 'VGG_HEAD'],
    ['a bias of another length', {}, { bias: named('dense1.bias', [3], [1, 2, 3]) }, 'VGG_HEAD'],
    ['no dense layer', {}, { weight: undefined, bias: undefined }, 'VGG_HEAD'],
    ['kept features without labels', { 'vgg.head': '2' }, { kept: named('features.vectors', [1, 3], [1, 2, 3]) }, 'VGG_HEAD'],
    [
      'kept features of another width',
      { 'vgg.head': '2' },
      { kept: named('features.vectors', [1, 2], [1, 2]), labels: named('features.labels', [1], [0]) },
      'VGG_HEAD',
    ],
    [
      'a kept label that is no class',
      { 'vgg.head': '2' },
      { kept: named('features.vectors', [1, 3], [1, 2, 3]), labels: named('features.labels', [1], [2]) },
      'VGG_HEAD',
    ],
    [
      'neighbours without examples',
      { 'vgg.head': '2', 'vgg.training': '{"solver":"knn","neighbours":{"k":5,"distance":"cosine","votes":"distance"}}' },
      { weight: undefined, bias: undefined },
      'VGG_HEAD',
    ],
    [
      'a distance that nobody knows',
      { 'vgg.head': '2', 'vgg.training': '{"solver":"knn","neighbours":{"k":5,"distance":"manhattan","votes":"distance"}}' },
      {},
      'VGG_HEAD',
    ],
    ['a tensor that does not belong', {}, { stray: named('virus', [1], [1]) }, 'VGG_HEAD'],
  ])('%s', async (_, metadata, tensors, code) => {
    const bytes = await forged(metadata, tensors);
    await expect(loadHead(bytes, model)).rejects.toMatchObject({ code });
    await expect(loadHead(bytes, model)).rejects.toThrow(/expected|cannot/);
  });

  test('cut anywhere, it is refused', async () => {
    const bytes = await linear.toBytes();
    for (let length = 0; length < bytes.length; length += 97) {
      await expect(loadHead(bytes.slice(0, length), model)).rejects.toMatchObject({
        code: expect.stringMatching(/^VGG_(FORMAT|INTEGRITY|HEAD)$/),
      });
    }
  });
});

test('the version is that of package.json', () => {
  expect(VERSION).toBe(manifest.version);
});
