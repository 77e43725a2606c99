import { maxPool, tensor1d, tensor4d, tidy } from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import type { Backend } from './backend.js';
import { maximumDifference, referenceConv2d, referencePool } from './kernels/reference.js';
import { conv2d } from './ops/conv2d.js';

const LIMIT_MS = 15_000;
const TOLERANCE = 1e-4;

/**
 * A small real piece of work, whose numbers are compared with the reference: an adapter that is there may still compute wrongly,
 * answer with zeros, or never answer.
 *
 * @throws VggError `VGG_BACKEND` when the numbers are wrong or late
 */
export async function selfTest(backend: Backend): Promise<void> {
  const shape = [1, 10, 10, 8] as const;
  const x = wave(800, 7);
  const filter = wave(3 * 3 * 8 * 16, 11);
  const bias = wave(16, 5);
  const hidden = referenceConv2d({ data: x, shape: [...shape] }, { data: filter, shape: [3, 3, 8, 16] }, bias, {
    activation: 'relu',
    padding: 'zero',
  });
  const expected = referencePool(hidden, { pool: 'max', size: 2, stride: 2, rounding: 'floor' });
  const result = backend.run(() =>
    tidy(() => {
      const filterTensor = tensor4d(filter, [3, 3, 8, 16]);
      const mapped = conv2d(tensor4d(x, [...shape]), filterTensor, tensor1d(bias), { activation: 'relu', padding: 'zero' });
      return maxPool(mapped, 2, 2, 'valid');
    }),
  );
  try {
    const data = await within(LIMIT_MS, backend.read(result));
    const error = maximumDifference(data, expected.data);
    if (!(error <= TOLERANCE))
      throw new VggError('VGG_BACKEND', `${backend.name}: a small convolution is wrong by ${error.toExponential(1)} of the maximum`);
  } finally {
    result.dispose();
  }
}

/** Values between -1 and 1 that repeat nowhere soon. */
function wave(length: number, step: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * step + 1));
}

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new VggError('VGG_BACKEND', `webgpu: a small convolution took more than ${milliseconds / 1000} seconds`)),
      milliseconds,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
