import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bytesSource, openWeights } from '../src/index.js';
import { DATA, fixture, HAS_DATA, open, ramp, refuses } from './helpers.js';

const KERAS3 = JSON.parse(new TextDecoder().decode(fixture('keras3.json'))) as Record<string, Record<string, number[]>>;

describe('files written by Keras 3', () => {
  test.each([
    ['keras3.weights.h5', 'vgg'],
    ['keras3-full.h5', 'vgg'],
    ['keras3-unnamed.weights.h5', 'unnamed'],
    ['keras3-nested.weights.h5', 'nested'],
    ['keras3-nested-full.h5', 'nested'],
  ])('%s has the values that Keras says', async (name, model) => {
    const file = await open(name);
    const expected = Object.entries(KERAS3[model]!);
    expect([...file.tensors.keys()].sort()).toEqual(expected.map(([path]) => path.split('/').slice(-2).join('/')).sort());
    for (const [path, first] of expected) {
      const values = await file.read(path.split('/').slice(-2).join('/'));
      expect([...values.slice(0, 4)], path).toEqual(first);
    }
  });

  test('the configuration is carried as text', async () => {
    const { metadata, format } = await open('keras3-full.h5');
    expect(format).toBe('keras-h5');
    expect(metadata.get('keras_version')).toBe(KERAS3.keras);
    expect(JSON.parse(metadata.get('model_config')!)).toMatchObject({ class_name: 'Functional' });
  });
});

test('the published layout: no keras_version, names of Keras 1', async () => {
  const file = await open('keras-published.h5');
  expect(file.metadata.size).toBe(0);
  expect([...file.tensors.keys()].slice(0, 3)).toEqual(['block1_conv1/kernel', 'block1_conv1/bias', 'block1_conv2/kernel']);
  expect([...(await file.read('predictions/kernel'))]).toEqual(ramp(80));
});

test('names split over several attributes', async () => {
  expect([...(await open('keras-split-names.h5')).tensors.keys()]).toEqual([
    'block1_conv1/kernel',
    'block1_conv1/bias',
    'block1_conv2/kernel',
    'block1_conv2/bias',
  ]);
});

test('the first .weights.h5, in the order of the numbers', async () => {
  const names = [...(await open('keras-checkpoint-2.12.h5')).tensors.keys()];
  expect(names.filter((name) => name.endsWith('kernel'))).toEqual(
    ['conv2d', ...Array.from({ length: 11 }, (_, i) => `conv2d_${i + 1}`)].map((name) => `${name}/kernel`),
  );
});

test('a tensor that the file does not name, and an aborted read', async () => {
  const file = await open('keras-published.h5');
  await refuses(file.read('block9_conv1/kernel'), 'VGG_WEIGHTS_MISSING', /block9_conv1/);
  await refuses(file.read('block1_conv1/kernel', { signal: AbortSignal.abort() }), 'VGG_ABORTED', /AbortSignal/);
});

describe.skipIf(!HAS_DATA)('real files of shared/data/keras', () => {
  const real = (name: string) => openWeights(bytesSource(readFileSync(`${DATA}keras/${name}`), name));

  test('bottleneck_fc_model.h5: Keras 2.0.5, weights only', async () => {
    const file = await real('bottleneck_fc_model.h5');
    expect([...file.tensors.values()].map(({ name, shape }) => [name, shape])).toEqual([
      ['dense_1/kernel', [2048, 256]],
      ['dense_1/bias', [256]],
      ['dense_2/kernel', [256, 1]],
      ['dense_2/bias', [1]],
    ]);
    expect((await file.read('dense_1/kernel'))[0]).toBe(Math.fround(0.009866571985185146)); // h5py
    expect(file.metadata.get('keras_version')).toBe('2.0.5');
  });

  test('mnist_cnn.h5: tf.keras full model, without its optimizer', async () => {
    const file = await real('mnist_cnn.h5');
    expect([...file.tensors.keys()]).toEqual(
      ['conv2d', 'conv2d_1', 'dense', 'dense_1'].flatMap((name) => [`${name}/kernel`, `${name}/bias`]),
    );
    expect(file.metadata.get('model_config')).toContain('"Sequential"');
  });

  test('fer2013_mini_XCEPTION: batch normalisation and separable convolutions', async () => {
    const file = await real('fer2013_mini_XCEPTION.102-0.66.hdf5');
    expect(file.tensors.get('batch_normalization_14/moving_variance')!.shape).toEqual([128]);
    expect(file.tensors.get('separable_conv2d_1/depthwise_kernel')!.shape).toEqual([3, 3, 8, 1]);
    for (const name of file.tensors.keys()) expect((await file.read(name)).every(Number.isFinite)).toBe(true);
  });
});
