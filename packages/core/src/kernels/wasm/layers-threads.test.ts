import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noise } from '../../../test/check-op.js';
import { batchNormTraining } from '../../ops/batch-norm-training.js';
import { CHANNEL_SUMS, DROPOUT, FILTER_GRADIENT, INPUT_GRADIENT, RELU_GRADIENT, SOFTMAX_CROSS_ENTROPY } from '../names.js';
import { installConv3x3 } from './conv3x3.js';
import { planFilterGradient } from './conv3x3-memory.js';
import { instantiate } from './instantiate.js';
import { installLayers } from './layers.js';
import { type Task, ThreadPool } from './threads/pool.js';

const random = <T extends tf.Tensor>(shape: number[], seed: number): T =>
  tf.tensor(noise(shape, seed).data as Float32Array, shape) as tf.Tensor as T;
const kernel = (name: string, inputs: Record<string, tf.Tensor>, attributes: object): tf.Tensor =>
  tf.engine().runKernel(name, inputs, attributes as never) as tf.Tensor;

function product(rows: number, depth: number, columns: number, transposeA = false, transposeB = false): () => tf.Tensor {
  return () =>
    tf.fused.matMul({
      a: random<tf.Tensor2D>(transposeA ? [depth, rows] : [rows, depth], 1),
      b: random<tf.Tensor2D>(transposeB ? [columns, depth] : [depth, columns], 2),
      bias: random<tf.Tensor1D>([columns], 3),
      transposeA,
      transposeB,
      activation: 'relu',
    });
}
const convolution = (side: number, window: number, ins: number, outs: number) => () =>
  tf.conv2d(random<tf.Tensor4D>([1, side, side, ins], 1), random<tf.Tensor4D>([window, window, ins, outs], 2), 1, 'valid');
const pool = (name: string, shape: number[], size: number, stride: number) => () =>
  kernel(name, { x: random(shape, 1) }, { filterSize: [size, size], strides: [stride, stride], pad: 'valid' });

function poolGradient(name: string, shape: number[], size: number, stride: number) {
  const attributes = { filterSize: [size, size], strides: [stride, stride], pad: 'valid' };
  const [height, width] = [1, 2].map((axis) => Math.floor((shape[axis] - size) / stride) + 1);
  return () => {
    // Few values, so that many are equal.
    const input = tf.round(tf.mul(random(shape, 1), 2));
    return kernel(name, { input, dy: random([shape[0], height, width, shape[3]], 2), output: input }, attributes);
  };
}
/** Results and gradients in one row. */
function batchNormTrained(shape: number[]): tf.Tensor {
  const [x, dy] = [1, 2].map((seed) => random<tf.Tensor4D>(shape, seed));
  const [scale, offset] = [3, 4].map((seed) => random<tf.Tensor1D>([shape[3]], seed));
  const { y, mean, variance } = batchNormTraining(x, { scale, offset, epsilon: 1e-5 });
  const trained = (a: tf.Tensor, b: tf.Tensor, c: tf.Tensor) =>
    batchNormTraining(a, { scale: b, offset: c, epsilon: 1e-5, activation: 'relu' }).y;
  const gradients = tf.grads(trained)([x, scale, offset], dy);
  return tf.concat([y, mean, variance, ...gradients].map((part) => tf.reshape(part, [-1])));
}

/** Enough work for several threads, of every kind, with remainders everywhere. */
const SHARED: [what: string, compute: () => tf.Tensor][] = [
  ['one row', product(1, 700, 1003)],
  ['one row, few columns', product(1, 9000, 21)],
  ['one row, little depth', product(1, 100, 6007)],
  ['few rows', product(5, 300, 2050)],
  ['one row, right side transposed', product(1, 601, 999, false, true)],
  ['many rows', product(413, 130, 77)],
  ['many rows, left side transposed', product(413, 130, 77, true)],
  ['many columns', product(31, 200, 900)],
  ['many columns, both transposed', product(31, 200, 900, true, true)],
  ['one column', product(1100, 700, 1)],
  ['very many columns', product(9, 40, 9000)],
  ['a stack of products', () => tf.matMul(random<tf.Tensor3D>([3, 70, 300], 1), random<tf.Tensor3D>([3, 300, 101], 2))],
  ['1x1 windows', convolution(37, 1, 90, 70)],
  ['7x7 windows', convolution(9, 7, 130, 40)],
  ['largest', pool('MaxPool', [2, 61, 60, 33], 2, 2)],
  ['mean', pool('AvgPool', [1, 101, 80, 40], 3, 2)],
  ['root of the mean square', pool('VggL2Pool', [3, 40, 41, 50], 3, 1)],
  ['one window', pool('AvgPool', [1, 28, 28, 600], 28, 1)],
  ['response', () => tf.localResponseNormalization(random<tf.Tensor4D>([1, 40, 41, 67], 1), 2, 2, 1e-1, 0.75)],
  [
    'batch normalisation',
    () => {
      const x = random<tf.Tensor4D>([2, 40, 31, 67], 1);
      const [mean, offset, scale] = [2, 3, 4].map((seed) => random<tf.Tensor1D>([67], seed));
      return tf.batchNorm(x, mean, tf.abs(mean), offset, scale);
    },
  ],
  ['batch normalisation in training', () => batchNormTrained([3, 40, 31, 67])],
  ['batch normalisation in training, few pixels', () => batchNormTrained([600, 1, 1, 203])],
  ['largest, its gradient', poolGradient('MaxPoolGrad', [2, 60, 60, 33], 2, 2)],
  ['largest, overlapping, its gradient', poolGradient('MaxPoolGrad', [3, 61, 60, 33], 3, 2)],
  ['mean, its gradient', poolGradient('AvgPoolGrad', [2, 61, 60, 33], 3, 2)],
  [
    'response, its gradient',
    () => {
      const [x, dy] = [1, 2].map((seed) => random<tf.Tensor4D>([1, 40, 41, 67], seed));
      return kernel('LRNGrad', { x, y: x, dy }, { depthRadius: 2, bias: 2, alpha: 0.1, beta: 0.75 });
    },
  ],
  ['gradient of a ReLU', () => kernel(RELU_GRADIENT, { y: random([501, 603], 1), dy: random([501, 603], 2) }, {})],
  [
    'softmax cross-entropy and its gradient',
    () => {
      const [logits, target] = [random([301, 203], 1), tf.abs(random([301, 203], 2))];
      const results = tf.engine().runKernel(SOFTMAX_CROSS_ENTROPY, { logits, target }) as unknown as tf.Tensor[];
      return tf.concat(results.map((part) => tf.reshape(part, [-1])));
    },
  ],
  ['dropout', () => kernel(DROPOUT, { x: random([701, 603], 1) }, { keep: 0.4, key: [1, 2] })],
];

/** Both gradients of a 3x3 convolution behind a ReLU. */
const gradient =
  (name: string, [batch, height, width, ins, outs]: number[]) =>
  () => {
    const [x, filter] = [random<tf.Tensor4D>([batch, height, width, ins], 1), random<tf.Tensor4D>([3, 3, ins, outs], 2)];
    const [dy, y] = [3, 4].map((seed) => random<tf.Tensor4D>([batch, height, width, outs], seed));
    const shapes = { inputShape: x.shape, filterShape: filter.shape };
    const attributes = { strides: 1, pad: 'same', dataFormat: 'NHWC', sums: true, ...shapes };
    const results = [kernel(name, { dy, y, ...(name === FILTER_GRADIENT ? { x } : { filter }) }, attributes)].flat();
    return tf.concat(results.map((part) => tf.reshape(part, [-1])));
  };
for (const [what, shape] of [
  ['few channels', [2, 61, 60, 3, 20]],
  ['few outputs', [2, 61, 60, 20, 3]],
  ['large maps', [1, 70, 71, 30, 36]],
  ['many channels', [2, 15, 14, 131, 135]],
  ['maps of 2 x 2', [131, 2, 2, 70, 67]],
] as const) {
  SHARED.push([`input gradient, ${what}`, gradient(INPUT_GRADIENT, [...shape])]);
  SHARED.push([`filter gradient, ${what}`, gradient(FILTER_GRADIENT, [...shape])]);
}
// More strips than wait at once to be added.
SHARED.push(['filter gradient, strips of their own', gradient(FILTER_GRADIENT, [2, 97, 60, 63, 311])]);
const maps = (seed: number) => random([2, 41, 40, 67], seed);
SHARED.push(['sums of channels', () => kernel(CHANNEL_SUMS, { dy: maps(1) }, {})]);
SHARED.push(['sums of channels behind a ReLU', () => kernel(CHANNEL_SUMS, { dy: maps(1), y: maps(2) }, {})]);

/** A single row of the output. */
const INDIVISIBLE = ['one window'];

describe('layers shared among threads', () => {
  let threads: ThreadPool;
  /** Jobs that more than one thread could take part in. */
  let shared = 0;
  let bytes = 0;
  /** The largest allocation. */
  let most = 0;
  const warnings: string[] = [];
  beforeAll(async () => {
    const { runtime } = await instantiate({ simd: true, shared: true });
    const sizes = new Map<number, number>();
    const counting = {
      ...runtime,
      malloc(size: number) {
        const pointer = runtime.malloc(size);
        sizes.set(pointer, size);
        bytes += size;
        most = Math.max(most, size);
        return pointer;
      },
      free(pointer: number) {
        bytes -= sizes.get(pointer) ?? Number.NaN;
        runtime.free(pointer);
      },
    };
    if (tf.findBackendFactory('wasm')) tf.removeBackend('wasm');
    tf.registerBackend('wasm', () => runtime.backend, 2);
    await tf.setBackend('wasm');
    threads = new ThreadPool(counting, { onWarning: (message) => warnings.push(message) });
    const { run } = threads;
    threads.run = (item, task: Task) => {
      if (task.threads > 1 && task.items > 1) shared++;
      run.call(threads, item, task);
    };
    installLayers(counting, await installConv3x3(counting, { pool: threads }));
    await threads.grow(5);
    expect(threads.threads).toBe(5);
  });
  afterAll(() => {
    threads.close();
    tf.removeBackend('wasm');
  });

  function bits(limit: number, compute: () => tf.Tensor): Uint32Array {
    threads.limit = limit;
    const values = tf.tidy(() => compute().dataSync<'float32'>());
    return new Uint32Array(values.buffer, values.byteOffset, values.length).slice();
  }
  const same = (a: Uint32Array, b: Uint32Array) => a.length === b.length && a.every((word, i) => word === b[i]);

  it.each(SHARED)('%s: the same bits whatever the number of threads is', (what, compute) => {
    shared = 0;
    const alone = bits(1, compute);
    expect(shared).toBe(0);
    for (const limit of [2, 3, 5]) {
      for (let round = 0; round < 2; round++) expect(same(bits(limit, compute), alone), `${limit} threads`).toBe(true);
    }
    if (INDIVISIBLE.includes(what)) expect(shared).toBe(0);
    else expect(shared).toBeGreaterThanOrEqual(6);
    expect(warnings).toEqual([]);
  });

  it('gradients of filters take what was planned', () => {
    for (const [batchSize, outHeight, outWidth, inChannels, outChannels] of [
      [2, 97, 60, 63, 311],
      [2, 61, 60, 3, 20],
      [2, 15, 14, 131, 135],
      [131, 2, 2, 70, 67],
    ] as const) {
      const sizes = { batchSize, outHeight, outWidth, inChannels, outChannels };
      for (const limit of [1, 2, 5]) {
        tf.tidy(() => {
          const [x, dy] = [inChannels, outChannels].map((channels) => tf.zeros([batchSize, outHeight, outWidth, channels]));
          threads.limit = limit;
          most = 0;
          kernel(FILTER_GRADIENT, { x, dy }, { strides: 1, pad: 'same', dataFormat: 'NHWC', filterShape: [3, 3, inChannels, outChannels] });
          expect(most, `${Object.values(sizes)}, ${limit} threads`).toBe(planFilterGradient(sizes, limit) + 64);
        });
      }
    }
  });

  it('products of any size', () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1000 }));
    const products = fc.record({ rows: size, depth: size, columns: size, left: fc.boolean(), right: fc.boolean() });
    fc.assert(
      fc.property(
        products.filter(({ rows, depth, columns }) => rows * depth * columns > 5e5 && rows * depth * columns < 5e6),
        ({ rows, depth, columns, left, right }) => {
          const compute = product(rows, depth, columns, left, right);
          return same(bits(3, compute), bits(1, compute));
        },
      ),
      { numRuns: 40, seed: 21 },
    );
  });

  it('keeps small layers on one thread', () => {
    shared = 0;
    for (const compute of [
      product(10, 100, 100),
      product(1, 200, 200),
      convolution(14, 1, 64, 64),
      pool('MaxPool', [1, 14, 14, 256], 2, 2),
    ])
      bits(5, compute);
    expect(shared).toBe(0);
  });

  it('leaves the heap as it was', () => {
    const all = () => {
      for (const [, compute] of SHARED) bits(5, compute);
    };
    all();
    const before = [bytes, tf.memory().numTensors, tf.memory().numBytes];
    for (let i = 0; i < 2; i++) all();
    expect([bytes, tf.memory().numTensors, tf.memory().numBytes]).toEqual(before);
  });
});
