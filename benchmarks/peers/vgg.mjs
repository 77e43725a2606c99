// Ours, as its users have it: the built package.
import { load } from 'vgg';
import { readPixels, serve } from './serve.mjs';

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
  const pixels = readPixels(options);
  const pictures = Array.from({ length: batch }, (_, i) => {
    const data = pixels.subarray((i * pixels.length) / batch, ((i + 1) * pixels.length) / batch);
    return { data, width: size, height: size, channels: 3 };
  });
  return { setUp, heapBytes, run: async () => (await model.extract(pictures, layer)).data };
});
