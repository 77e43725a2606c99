import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bytesSource, openWeights } from '../../src/index.js';
import { DATA, HAS_DATA } from '../shared-data.js';

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
