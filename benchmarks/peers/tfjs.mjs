// tfjs with its own wasm backend, as its guide says to use it.
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { readPixels, serve } from './serve.mjs';
import { readSafetensors } from './weights.mjs';

const BLOCKS = [2, 2, 3, 3, 3];

serve(async ({ weightsPath, layer, batch, size, ...options }) => {
  if (layer !== 'pool5') throw new Error('tfjs: runs the convolutions alone');
  const start = performance.now();
  setWasmPaths(
    `${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/../wasm-out/`.replace('/dist/../', '/'),
  );
  await tf.setBackend('wasm');
  await tf.ready();
  const tensors = readSafetensors(weightsPath);
  const layers = BLOCKS.map((count, block) =>
    Array.from({ length: count }, (_, i) => {
      const name = `conv${block + 1}_${i + 1}`;
      const [filter, bias] = [tensors.get(`${name}.weight`), tensors.get(`${name}.bias`)];
      return { filter: tf.tensor4d(filter.values, filter.shape), bias: tf.tensor1d(bias.values) };
    }),
  );
  const values = readPixels(options);
  const x = tf.tensor4d(Float32Array.from(values), [batch, size, size, 3]);
  const forward = () =>
    tf.tidy(() =>
      layers.reduce((input, block) => {
        const maps = block.reduce(
          (map, { filter, bias }) => tf.fused.conv2d({ x: map, filter, bias, strides: 1, pad: 'same', activation: 'relu' }),
          input,
        );
        return tf.maxPool(maps, 2, 2, 'valid');
      }, x),
    );
  return {
    setUp: performance.now() - start,
    async run() {
      const y = forward();
      const result = await y.data();
      y.dispose();
      return result;
    },
  };
});
