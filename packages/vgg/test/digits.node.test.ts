import { existsSync, readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { bytesSource, openWeights } from '@vgg/loaders';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { load } from '../src/index.js';

// Real networks on the first 3000 test digits of MNIST, where they lie beside the repository: the figures that are known of them.
const DATA = '../shared/data/';
const PIXELS = 28 * 28;
const COUNT = 3000;

describe.skipIf(!existsSync(`${DATA}mnist`))('the MNIST test digits (../shared/data)', () => {
  let digits: Float32Array;
  let labels: number[];
  beforeAll(async () => {
    // One digit to a row.
    const { data, info } = await sharp(`${DATA}mnist/mnist_batch_20.png`).grayscale().raw().toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, info.channels]).toEqual([PIXELS, COUNT, 1]);
    digits = Float32Array.from(data, (value) => value / 255);
    labels = JSON.parse(readFileSync(`${DATA}mnist/labels-test-3000.json`, 'utf8'));
  });

  const accuracy = (scores: Float32Array) =>
    labels.filter((label, i) => {
      const row = scores.subarray(10 * i, 10 * i + 10);
      return row.indexOf(Math.max(...row)) === label;
    }).length / COUNT;

  test('keras/mnist_cnn.h5, a tf.keras model: 98.37 %', async () => {
    const plan = {
      blocks: [[32], [64]],
      padding: 'valid',
      dense: [128],
      dropout: 0,
      classes: 10,
      channels: 1,
      size: 28,
    };
    const model = await load(JSON.stringify(plan), { weights: `${DATA}keras/mnist_cnn.h5`, backend: 'wasm' });
    await model.ready('prob');
    const scores = model.run(() =>
      tf.tidy(() => model.activations(tf.tensor4d(digits, [COUNT, 28, 28, 1]), ['prob']).prob!.dataSync() as Float32Array),
    );
    model.dispose();
    expect(accuracy(scores)).toBeCloseTo(0.9837, 4);
  });

  test('safetensors/mnist-mlp.safetensors, two dense layers with a leaky ReLU between: 87.77 %', async () => {
    const file = await openWeights(bytesSource(readFileSync(`${DATA}safetensors/mnist-mlp.safetensors`), 'mnist-mlp.safetensors'));
    const l1 = await file.read('l1.weight');
    const l2 = await file.read('l2.weight');
    const scores = new Float32Array(10 * COUNT);
    for (let i = 0; i < COUNT; i++) {
      const hidden = product(l1, digits.subarray(i * PIXELS, (i + 1) * PIXELS)).map((value) => (value > 0 ? value : 0.01 * value));
      scores.set(product(l2, hidden), 10 * i);
    }
    expect(accuracy(scores)).toBeCloseTo(0.8777, 4);
  });
});

/** A matrix [out, in] times a vector. */
function product(matrix: Float32Array, vector: Float32Array): Float32Array {
  return Float32Array.from({ length: matrix.length / vector.length }, (_, row) =>
    vector.reduce((sum, value, i) => sum + value * matrix[row * vector.length + i]!, 0),
  );
}
