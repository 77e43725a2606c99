import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noise } from '../../../test/check-op.js';
import { batchNormTraining } from '../../ops/batch-norm-training.js';
import { softmaxCrossEntropy } from '../../ops/cross-entropy.js';
import { reluGradient } from '../../ops/masked-gradient.js';
import { DROPOUT, RELU_GRADIENT, SOFTMAX_CROSS_ENTROPY } from '../names.js';
import { maximumDifference, pooledSize, referenceLrn, referenceSoftmax } from '../reference.js';
import { referenceBatchNormTraining, referenceMaxPoolGradient, referenceSoftmaxCrossEntropy } from '../reference-training.js';
import { type Conv3x3, installConv3x3 } from './conv3x3.js';
import type { Conv3x3Build } from './conv3x3-module.js';
import { simdOf } from './features.js';
import { instantiate } from './instantiate.js';
import { installLayers, type Layers } from './layers.js';
import { listenServed } from './served.js';

/** Of the largest value. */
const LIMIT = 3e-6;

const tensorOf = ({ data, shape }: { data: ArrayLike<number>; shape: readonly number[] }) => tf.tensor(Float32Array.from(data), [...shape]);
const run = (name: string, inputs: Record<string, tf.Tensor>, attributes: object) =>
  tf.engine().runKernel(name, inputs, attributes as never) as tf.Tensor;

function servedBy(body: () => void): string[] {
  const names: string[] = [];
  const stop = listenServed((name) => names.push(name));
  try {
    tf.tidy(body);
  } finally {
    stop();
  }
  return names;
}

/** Windows of tfjs that lie to the right and below, as `pool` has them. */
function windows(shape: number[], size: number, stride: number, rounding: 'floor' | 'ceil') {
  const [, height, width] = shape;
  const [outHeight, outWidth] = [height, width].map((length) => pooledSize(length, { size, stride, rounding }));
  const beyond = (out: number, length: number) => Math.max(0, (out - 1) * stride + size - length);
  const pad = [[0, 0], [0, beyond(outHeight, height)], [0, beyond(outWidth, width)], [0, 0]]; // biome-ignore format: one axis a pair
  return { attributes: { filterSize: [size, size], strides: [stride, stride], pad }, out: [shape[0], outHeight, outWidth, shape[3]] };
}

/** What tfjs divides by: the whole window. */
function referenceMeanGradient(shape: number[], dy: { data: ArrayLike<number>; shape: number[] }, size: number, stride: number) {
  const [, height, width, channels] = shape;
  const [batch, outHeight, outWidth] = dy.shape;
  const data = new Float64Array(batch * height * width * channels);
  for (let n = 0; n < batch; n++)
    for (let y = 0; y < outHeight * stride + size; y++)
      for (let x = 0; x < outWidth * stride + size; x++) {
        if (y >= height || x >= width) continue;
        for (let i = 0; i < outHeight; i++)
          for (let j = 0; j < outWidth; j++) {
            if (y < i * stride || y >= i * stride + size || x < j * stride || x >= j * stride + size) continue;
            for (let c = 0; c < channels; c++) {
              data[((n * height + y) * width + x) * channels + c] +=
                dy.data[((n * outHeight + i) * outWidth + j) * channels + c] / (size * size);
            }
          }
      }
  return data;
}

const BUILDS: Conv3x3Build[] = simdOf(WebAssembly) === 'relaxed' ? ['fixed', 'relaxed'] : ['fixed'];

describe.each(BUILDS)('kernels of training agree with their definitions: %s', (build) => {
  let conv: Conv3x3;
  let layers: Layers;
  beforeAll(async () => {
    const { runtime } = await instantiate({ simd: true, shared: false });
    if (tf.findBackendFactory('wasm')) tf.removeBackend('wasm');
    tf.registerBackend('wasm', () => runtime.backend, 2);
    await tf.setBackend('wasm');
    conv = await installConv3x3(runtime, { build });
    layers = installLayers(runtime, conv);
  });
  afterAll(() => {
    layers.uninstall();
    expect(tf.getKernel(RELU_GRADIENT, 'wasm')).toBeUndefined();
    tf.removeBackend('wasm');
  });

  const poolCases = fc
    .record({
      batch: fc.integer({ min: 1, max: 3 }),
      height: fc.integer({ min: 1, max: 13 }),
      width: fc.integer({ min: 1, max: 13 }),
      channels: fc.integer({ min: 1, max: 22 }),
      size: fc.integer({ min: 2, max: 4 }),
      stride: fc.integer({ min: 1, max: 4 }),
      rounding: fc.constantFrom('floor' as const, 'ceil' as const),
    })
    .filter(({ height, width, size }) => size <= Math.min(height, width));

  it('gradients of maxima, the first of equal ones', () => {
    fc.assert(
      fc.property(poolCases, ({ batch, height, width, channels, size, stride, rounding }) => {
        const shape = [batch, height, width, channels];
        const { attributes, out } = windows(shape, size, stride, rounding);
        const { data } = noise(shape, 1);
        const input = { data: Float32Array.from(data, (value) => Math.round(value * 3) - 2), shape };
        const dy = noise(out, 2);
        const names = servedBy(() => {
          const x = tensorOf(input);
          const dx = run('MaxPoolGrad', { input: x, output: x, dy: tensorOf(dy) }, attributes);
          expect(maximumDifference(dx.dataSync(), referenceMaxPoolGradient(input, dy, size, stride).data)).toBeLessThan(LIMIT);
        });
        expect(names).toEqual(['MaxPoolGrad']);
      }),
      { numRuns: 120, seed: 4 },
    );
  });

  it('gradients of means', () => {
    fc.assert(
      fc.property(poolCases, ({ batch, height, width, channels, size, stride, rounding }) => {
        const shape = [batch, height, width, channels];
        const { attributes, out } = windows(shape, size, stride, rounding);
        const dy = { ...noise(out, 2), shape: out };
        const names = servedBy(() => {
          const dx = run('AvgPoolGrad', { input: tensorOf(noise(shape, 1)), dy: tensorOf(dy) }, attributes);
          expect(maximumDifference(dx.dataSync(), referenceMeanGradient(shape, dy, size, stride))).toBeLessThan(LIMIT);
        });
        expect(names).toEqual(['AvgPoolGrad']);
      }),
      { numRuns: 60, seed: 5 },
    );
  });

  it('gradients of windows that begin before the map', () => {
    const shape = [2, 7, 9, 6];
    const [n, height, width, channels] = shape;
    const x = noise(shape, 1);
    // The same map inside a margin of what is never the largest, without padding.
    const wideShape = [n, height + 2, width + 2, channels];
    const wide = new Float64Array(n * (height + 2) * (width + 2) * channels).fill(-1e9);
    const inside: number[] = [];
    for (let i = 0; i < x.data.length; i++) {
      const c = i % channels;
      const column = Math.floor(i / channels) % width;
      const row = Math.floor(i / channels / width) % height;
      const image = Math.floor(i / channels / width / height);
      inside.push(((image * (height + 2) + row + 1) * (width + 2) + column + 1) * channels + c);
      wide[inside[i]] = x.data[i];
    }
    for (const [size, stride] of [
      [3, 2],
      [3, 1],
      [2, 1],
      [2, 2],
    ]) {
      // biome-ignore format: sizes in a row
      const attributes = { filterSize: [size, size], strides: [stride, stride], pad: [[0, 0], [1, 1], [1, 1], [0, 0]] }; // biome-ignore format: one axis a pair
      const [outHeight, outWidth] = [height, width].map((length) => Math.floor((length + 2 - size) / stride) + 1);
      const dy = { data: noise([n, outHeight, outWidth, channels], 2).data, shape: [n, outHeight, outWidth, channels] };
      const expected = {
        MaxPoolGrad: referenceMaxPoolGradient({ data: wide, shape: wideShape }, dy, size, stride).data,
        AvgPoolGrad: referenceMeanGradient(wideShape, dy, size, stride),
      };
      const names = servedBy(() => {
        for (const [name, values] of Object.entries(expected)) {
          const dx = run(name, { input: tensorOf(x), output: tensorOf(x), dy: tensorOf(dy) }, attributes);
          expect(maximumDifference(dx.dataSync(), inside.map((at) => values[at]))).toBeLessThan(LIMIT); // biome-ignore format: one line
        }
      });
      expect(names).toEqual(['MaxPoolGrad', 'AvgPoolGrad']);
    }
  });

  it.each([0.5, 0.75, 1])('gradient of a response normalisation with beta %d, of any channels and radius', (beta) => {
    const cases = fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 0, max: 7 }), fc.integer({ min: 1, max: 30 }));
    fc.assert(
      fc.property(cases, ([channels, radius, pixels]) => {
        const x = noise([1, 1, pixels, channels], 1, 2);
        const dy = noise([1, 1, pixels, channels], 2);
        const options = { radius, bias: 1, alpha: 0.5, beta };
        const objective = (delta: number, i: number) => {
          const data = Float64Array.from(x.data);
          data[i] += delta;
          return referenceLrn({ data, shape: x.shape }, options).data.reduce((sum, value, k) => sum + value * dy.data[k], 0);
        };
        const names = servedBy(() => {
          const dx = run(
            'LRNGrad',
            { x: tensorOf(x), y: tensorOf(x), dy: tensorOf(dy) },
            { depthRadius: radius, bias: 1, alpha: 0.5, beta },
          );
          const values = dx.dataSync();
          for (const i of [0, values.length >> 1, values.length - 1]) {
            const central = (objective(1e-5, i) - objective(-1e-5, i)) / 2e-5;
            expect(Math.abs(values[i] - central)).toBeLessThan(1e-5);
          }
        });
        expect(names).toEqual(['LRNGrad']);
      }),
      { numRuns: 25, seed: 9 },
    );
  });

  it('leaves other exponents and types to tfjs', () => {
    const names = servedBy(() => {
      const x = tensorOf(noise([1, 2, 2, 3], 1));
      run('LRNGrad', { x, y: x, dy: x }, { depthRadius: 2, bias: 1, alpha: 1, beta: 0.3 });
    });
    expect(names).toEqual([]);
  });

  it('batch normalisation in training, of any size', () => {
    const size = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(fc.tuple(size, size, size, fc.integer({ min: 1, max: 70 }), fc.boolean()), ([n, h, w, channels, relu]) => {
        fc.pre(n * h * w > 1);
        const x = noise([n, h, w, channels], 1, 3);
        const [scale, offset] = [2, 3].map((seed) => noise([channels], seed));
        const expected = referenceBatchNormTraining(x, { scale: scale.data, offset: offset.data, epsilon: 1e-3, relu });
        tf.tidy(() => {
          const activation = relu ? 'relu' : 'linear';
          const result = batchNormTraining(tensorOf(x), { scale: tensorOf(scale), offset: tensorOf(offset), epsilon: 1e-3, activation });
          expect(maximumDifference(result.mean.dataSync(), expected.mean)).toBeLessThan(1e-7);
          expect(maximumDifference(result.variance.dataSync(), expected.variance)).toBeLessThan(1e-7);
          expect(maximumDifference(result.y.dataSync(), expected.data)).toBeLessThan(LIMIT);
        });
      }),
      { numRuns: 60, seed: 2 },
    );
  });

  it('the gradient of a ReLU passes what is above 0 and nothing else, whatever comes down', () => {
    const y = [0, -0, 1, Number.NaN, Number.POSITIVE_INFINITY, -1, 1e-40, 2, 3];
    const dy = [1, Number.NaN, Number.NaN, 1, 4, Number.POSITIVE_INFINITY, 5, -6, 7];
    const dx = tf.tidy(() => reluGradient(tf.tensor(dy), tf.tensor(y)).dataSync());
    expect(Array.from(dx)).toEqual([0, 0, Number.NaN, 0, 4, 0, 5, -6, 7]);
  });

  it('softmax cross-entropy of any size, of logits near and far', () => {
    const cases = fc.tuple(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 2, max: 300 }),
      fc.constantFrom(0.01, 1, 20, 300),
      fc.constantFrom(0, 0.1),
    );
    fc.assert(
      fc.property(cases, ([rows, classes, scale, smoothing]) => {
        const logits = noise([rows, classes], 1, scale);
        const labels = Int32Array.from({ length: rows }, (_, row) => (row * 7) % classes);
        const target = new Float64Array(rows * classes).fill(smoothing / classes);
        labels.forEach((label, row) => {
          target[row * classes + label] += 1 - smoothing;
        });
        const powers = referenceSoftmax(logits).data;
        const expected = powers.map((p, i) => (p - target[i]) / rows);
        const names = servedBy(() => {
          const loss = (x: tf.Tensor) => softmaxCrossEntropy(x, tf.tensor(labels, [rows], 'int32'), { smoothing });
          const { value, grad } = tf.valueAndGrad(loss)(tensorOf(logits));
          const [reference] = referenceSoftmaxCrossEntropy(logits, { data: target, shape: [rows, classes] }).data;
          expect(Math.abs(value.dataSync()[0] - reference)).toBeLessThanOrEqual(LIMIT * Math.max(reference, 1e-3));
          grad.dataSync().forEach((slope, i) => void expect(Math.abs(slope - expected[i])).toBeLessThan(LIMIT / rows));
        });
        expect(names).toContain(SOFTMAX_CROSS_ENTROPY);
      }),
      { numRuns: 60, seed: 8 },
    );
  });

  it('softmax cross-entropy where a class is ruled out, and where a logit is NaN', () => {
    tf.tidy(() => {
      const labels = tf.tensor([1, 0], [2], 'int32');
      const of = (logits: number[]) => tf.valueAndGrad((x) => softmaxCrossEntropy(x, labels))(tf.tensor(logits, [2, 2]));
      const ruledOut = of([Number.NEGATIVE_INFINITY, 3, 0, 0]);
      expect(ruledOut.value.dataSync()[0]).toBeCloseTo(Math.LN2 / 2, 6);
      expect(Array.from(ruledOut.grad.dataSync())).toEqual([0, 0, -0.25, 0.25]);
      const broken = of([Number.NaN, 3, 0, 0]);
      expect(broken.value.dataSync()[0]).toBeNaN();
      expect(Array.from(broken.grad.dataSync())).toEqual([Number.NaN, Number.NaN, -0.25, 0.25]);
    });
  });

  it('a full heap leaves nothing behind', () => {
    const { backend } = tf.engine() as unknown as { backend: BackendWasm };
    const [x, row] = [tf.ones([4, 3]), tf.ones([3])];
    const before = [tf.memory().numTensors, backend.numDataIds()];
    const { makeOutput } = backend;
    for (const succeed of [0, 1, 2]) {
      let left = succeed;
      // The backend's own allocator answers 0 then.
      backend.makeOutput = (shape, dtype) => {
        const made = makeOutput.call(backend, shape, dtype);
        if (left-- <= 0) backend.dataIdMap.get(made.dataId).memoryOffset = 0;
        return made;
      };
      expect(() => batchNormTraining(x, { scale: row, offset: row, epsilon: 1 })).toThrow(expect.objectContaining({ code: 'VGG_MEMORY' }));
      backend.makeOutput = makeOutput;
    }
    expect([tf.memory().numTensors, backend.numDataIds()]).toEqual(before);
    tf.dispose([x, row]);
  });

  it('a NaN in a batch reaches its channel alone', () => {
    const data = Float32Array.from(noise([2, 3, 3, 5], 1).data);
    data[7] = Number.NaN;
    tf.tidy(() => {
      const row = tf.ones([5]);
      const { y, variance } = batchNormTraining(tensorOf({ data, shape: [2, 3, 3, 5] }), {
        scale: row,
        offset: row,
        epsilon: 1e-3,
        activation: 'relu',
      });
      expect(Array.from(variance.dataSync(), Number.isNaN)).toEqual([false, false, true, false, false]);
      y.dataSync().forEach((value, i) => void expect(Number.isNaN(value)).toBe(i % 5 === 2));
    });
  });

  it('leaves heap and tensors as they were', () => {
    const work = () =>
      tf.tidy(() => {
        const x = tensorOf(noise([2, 8, 8, 8], 1));
        const [scale, offset] = [tf.ones([8]), tf.ones([8])];
        tf.grads((a, b, c) => batchNormTraining(a, { scale: b, offset: c, epsilon: 1e-3, activation: 'relu' }).y)([x, scale, offset]);
        run(DROPOUT, { x }, { keep: 0.5, key: [1] });
      });
    for (let i = 0; i < 5; i++) work();
    const before = [tf.memory().numTensors, tf.memory().numBytes, tf.engine().backend.numDataIds()];
    for (let i = 0; i < 50; i++) work();
    expect([tf.memory().numTensors, tf.memory().numBytes, tf.engine().backend.numDataIds()]).toEqual(before);
  });
});
