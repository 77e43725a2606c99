import { describe, expect, test } from 'vitest';
import keras3 from '../fixtures/keras/keras3.json';
import { open, ramp, refuses } from '../helpers.js';

const KERAS3 = keras3 as unknown as Record<string, Record<string, number[]>>;

describe('files written by Keras 3', () => {
  test.each([
    ['keras/keras3.weights.h5', 'vgg'],
    ['keras/keras3-full.h5', 'vgg'],
    ['keras/keras3-unnamed.weights.h5', 'unnamed'],
    ['keras/keras3-nested.weights.h5', 'nested'],
    ['keras/keras3-nested-full.h5', 'nested'],
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
    const { metadata, format } = await open('keras/keras3-full.h5');
    expect(format).toBe('keras-h5');
    expect(metadata.get('keras_version')).toBe(KERAS3.keras);
    expect(JSON.parse(metadata.get('model_config')!)).toMatchObject({ class_name: 'Functional' });
  });
});

test('the published layout: no keras_version, names of Keras 1', async () => {
  const file = await open('keras/keras-published.h5');
  expect(file.metadata.size).toBe(0);
  expect([...file.tensors.keys()].slice(0, 3)).toEqual(['block1_conv1/kernel', 'block1_conv1/bias', 'block1_conv2/kernel']);
  expect([...(await file.read('predictions/kernel'))]).toEqual(ramp(80));
});

test('names split over several attributes', async () => {
  expect([...(await open('keras/keras-split-names.h5')).tensors.keys()]).toEqual([
    'block1_conv1/kernel',
    'block1_conv1/bias',
    'block1_conv2/kernel',
    'block1_conv2/bias',
  ]);
});

test('the first .weights.h5, in the order of the numbers', async () => {
  const names = [...(await open('keras/keras-checkpoint-2.12.h5')).tensors.keys()];
  expect(names.filter((name) => name.endsWith('kernel'))).toEqual(
    ['conv2d', ...Array.from({ length: 11 }, (_, i) => `conv2d_${i + 1}`)].map((name) => `${name}/kernel`),
  );
});

test('a tensor that the file does not name, and an aborted read', async () => {
  const file = await open('keras/keras-published.h5');
  await refuses(file.read('block9_conv1/kernel'), 'VGG_WEIGHTS_MISSING', /block9_conv1/);
  await refuses(file.read('block1_conv1/kernel', { signal: AbortSignal.abort() }), 'VGG_ABORTED', /AbortSignal/);
});
