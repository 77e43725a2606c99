// Ours, as its users have it: the built package.
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { load } from 'vgg';
import { readInput, serve } from './serve.mjs';

serve(async ({ weightsPath, threads, layer, batch, size, turbo, ...options }) => {
  const start = performance.now();
  const model = await load('vgg16', {
    weights: weightsPath,
    backend: 'wasm',
    threads,
    layers: layer,
    preprocessing: 'none',
    ...(turbo && { turbo }),
  });
  await model.warmUp({ layer, batch, size });
  const setUp = performance.now() - start;
  const heapBytes = async () => (await model.memory()).heapBytes;
  if (options.pixelsPath) {
    const data = new Uint8Array(readFileSync(options.pixelsPath));
    return { setUp, heapBytes, run: async () => (await model.extract({ data, width: size, height: size, channels: 3 }, layer)).data };
  }
  const values = readInput(options);
  const x = model.run(() => tf.tensor4d(values, [batch, size, size, 3]));
  return {
    setUp,
    details: model.backend,
    heapBytes,
    async run() {
      const { [layer]: y } = model.activations(x, [layer]);
      const result = await y.data();
      y.dispose();
      return result;
    },
  };
});
