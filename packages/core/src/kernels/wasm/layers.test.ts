import * as tf from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHANNEL_SUMS, RELU_GRADIENT } from '../names.js';
import { type Result, referenceBatchNorm, referenceConv2d, referenceDense, referenceLrn, referencePool } from '../reference.js';
import { type Conv3x3, installConv3x3 } from './conv3x3.js';
import type { Conv3x3Build } from './conv3x3-module.js';
import { simdOf } from './features.js';
import { instantiate } from './instantiate.js';
import { installLayers, type Layers } from './layers.js';
import type { WasmRuntime } from './runtime.js';
import { listenServed } from './served.js';

/** Of the largest value: sums in blocks of 256 stay below it at every depth here. */
const LIMIT = 3e-6;

interface CountingRuntime extends WasmRuntime {
  taken: Map<number, number>;
  /** Allocations until the heap is full. */
  left: number;
}

async function openRuntime(shared: boolean): Promise<CountingRuntime> {
  const { runtime } = await instantiate({ simd: true, shared });
  const taken = new Map<number, number>();
  const counting: CountingRuntime = {
    ...runtime,
    taken,
    left: Infinity,
    malloc(bytes) {
      if (counting.left-- <= 0) throw new VggError('VGG_MEMORY', 'the heap is full');
      const pointer = runtime.malloc(bytes);
      taken.set(pointer, bytes);
      return pointer;
    },
    free(pointer) {
      if (!taken.delete(pointer)) throw new Error(`${pointer} is not allocated`);
      runtime.free(pointer);
    },
  };
  return counting;
}

async function open(shared: boolean, build?: Conv3x3Build): Promise<{ runtime: CountingRuntime; conv: Conv3x3; layers: Layers }> {
  const runtime = await openRuntime(shared);
  if (tf.findBackendFactory('wasm')) tf.removeBackend('wasm');
  tf.registerBackend('wasm', () => runtime.backend, 2);
  await tf.setBackend('wasm');
  const conv = await installConv3x3(runtime, build ? { build } : {});
  return { runtime, conv, layers: installLayers(runtime, conv) };
}

let seed = 1;
function random<T extends tf.Tensor>(shape: number[]): T {
  return tf.randomNormal(shape, 0, 1, 'float32', seed++) as tf.Tensor as T;
}

/** Runs a test's body in a tidy, and says which of our kernels ran. */
function ours(body: () => void): string[] {
  const names: string[] = [];
  const stop = listenServed((name) => names.push(name));
  try {
    tf.tidy(body);
  } finally {
    stop();
  }
  return names;
}

function expectClose(actual: tf.Tensor, expected: Result, limit = LIMIT): void {
  expect(actual.shape).toEqual(expected.shape);
  const values = actual.dataSync();
  let error = 0;
  let most = 0;
  expected.data.forEach((value, i) => {
    // `max` would pass over a NaN.
    const difference = Math.abs(value - values[i]);
    if (!(difference <= error)) error = difference;
    most = Math.max(most, Math.abs(value));
  });
  expect(error).toBeLessThanOrEqual(limit * most);
}

const values = (tensor: tf.Tensor) => ({ data: tensor.dataSync(), shape: tensor.shape });

interface ProductCase {
  rows: number;
  depth: number;
  columns: number;
  transposeA?: boolean;
  transposeB?: boolean;
  bias?: boolean;
  relu?: boolean;
}

function checkProduct({ rows, depth, columns, transposeA = false, transposeB = false, bias = false, relu = false }: ProductCase): void {
  const names = ours(() => {
    const a = random<tf.Tensor2D>([rows, depth]);
    const b = random<tf.Tensor2D>([depth, columns]);
    const offset = bias ? random<tf.Tensor1D>([columns]) : undefined;
    const y = tf.fused.matMul({
      a: transposeA ? tf.transpose(a) : a,
      b: transposeB ? tf.transpose(b) : b,
      transposeA,
      transposeB,
      bias: offset,
      activation: relu ? 'relu' : 'linear',
    });
    const expected = referenceDense(values(a), values(b), offset?.dataSync() ?? null, { activation: relu ? 'relu' : 'linear' });
    expectClose(y, expected);
  });
  expect(names).toEqual(['_FusedMatMul']);
}

const VARIANTS: [string, boolean, Conv3x3Build][] = [
  ['shared heap', true, 'fixed'],
  ['heap of its own', false, 'fixed'],
  ...(simdOf(WebAssembly) === 'relaxed' ? [['fused multiply-add', true, 'relaxed'] as [string, boolean, Conv3x3Build]] : []),
];

describe.each(VARIANTS)('layers agree with their definitions: %s', (_, shared, build) => {
  beforeAll(async () => {
    const { runtime, conv } = await open(shared, build);
    expect(runtime.memory.buffer instanceof SharedArrayBuffer).toBe(shared);
    expect(conv.build).toBe(build);
  });
  afterAll(() => tf.removeBackend('wasm'));

  it.each([
    [1, 1, 1],
    [1, 3000, 700],
    [6, 259, 4100],
    [7, 300, 129],
    [5, 600, 3],
    [100, 513, 140],
    [49, 255, 8],
    [3, 1, 5],
    [1, 1, 4097],
    [1200, 7, 2],
  ])('[%i, %i] times [%i]', (rows, depth, columns) => {
    for (const transposeA of [false, true]) {
      for (const transposeB of [false, true]) {
        checkProduct({ rows, depth, columns, transposeA, transposeB, bias: true, relu: true });
      }
    }
  });

  it('products of any size', () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 600 }));
    const flag = fc.boolean();
    const products = fc.record({ rows: size, depth: size, columns: size, transposeA: flag, transposeB: flag, bias: flag, relu: flag });
    fc.assert(
      fc.property(
        products.filter(({ rows, depth, columns }) => rows * depth * columns < 3_000_000),
        checkProduct,
      ),
      { numRuns: 80, seed: 11 },
    );
  });

  it('convolutions without padding, of any window and stride', () => {
    const side = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 60 }));
    const channels = fc.integer({ min: 1, max: 80 });
    const kernel = fc.integer({ min: 1, max: 7 });
    const shapes = fc.record({
      batch: fc.integer({ min: 1, max: 5 }),
      height: side,
      width: side,
      ins: channels,
      outs: channels,
      kernelY: kernel,
      kernelX: kernel,
      stride: fc.integer({ min: 1, max: 3 }),
      relu: fc.boolean(),
    });
    const few = shapes.filter(
      (s) =>
        s.kernelY <= s.height &&
        s.kernelX <= s.width &&
        (s.kernelY !== 3 || s.kernelX !== 3) &&
        s.batch * s.height * s.width * s.ins * s.outs * s.kernelY * s.kernelX < 4_000_000,
    );
    fc.assert(
      fc.property(few, ({ batch, height, width, ins, outs, kernelY, kernelX, stride, relu }) => {
        const names = ours(() => {
          const x = random<tf.Tensor4D>([batch, height, width, ins]);
          const filter = random<tf.Tensor4D>([kernelY, kernelX, ins, outs]);
          const bias = random<tf.Tensor1D>([outs]);
          const y = tf.fused.conv2d({ x, filter, bias, strides: stride, pad: 'valid', activation: relu ? 'relu' : 'linear' });
          const whole = referenceConv2d(values(x), values(filter), bias.dataSync(), {
            activation: relu ? 'relu' : 'linear',
            padding: 'valid',
          });
          expectClose(y, strided(whole, stride));
        });
        expect(names).toEqual(['FusedConv2D']);
      }),
      { numRuns: 80, seed: 5 },
    );
  });

  it.each([
    [1, 1, 600, 600],
    [260, 260, 3, 5],
    [14, 14, 512, 33],
  ])('a 1x1 convolution of %i x %i, %i to %i channels', (height, width, ins, outs) => {
    const names = ours(() => {
      const x = random<tf.Tensor4D>([1, height, width, ins]);
      const filter = random<tf.Tensor4D>([1, 1, ins, outs]);
      expectClose(tf.conv2d(x, filter, 1, 'same'), referenceConv2d(values(x), values(filter), null));
    });
    expect(names).toEqual(['Conv2D']);
  });

  it('pools of any window, stride and rounding', () => {
    const side = fc.integer({ min: 1, max: 40 });
    const cases = fc.record({
      batch: fc.integer({ min: 1, max: 3 }),
      height: side,
      width: side,
      channels: fc.integer({ min: 1, max: 70 }),
      size: fc.integer({ min: 2, max: 5 }),
      stride: fc.integer({ min: 1, max: 5 }),
      kind: fc.constantFrom('MaxPool', 'AvgPool', 'VggL2Pool'),
      rounding: fc.constantFrom('floor' as const, 'ceil' as const),
    });
    fc.assert(
      fc.property(
        cases.filter(({ height, width, size }) => size <= Math.min(height, width)),
        ({ batch, height, width, channels, size, stride, kind, rounding }) => {
          ours(() => {
            const x = random<tf.Tensor4D>([batch, height, width, channels]);
            const pool = ({ MaxPool: 'max', AvgPool: 'average', VggL2Pool: 'l2' } as const)[kind as 'MaxPool'];
            const expected = referencePool(values(x), { pool, size, stride, rounding });
            const beyond = (out: number, length: number) => Math.max(0, (out - 1) * stride + size - length);
            const [, outHeight, outWidth] = expected.shape;
            const pad = [[0, 0], [0, beyond(outHeight, height)], [0, beyond(outWidth, width)], [0, 0]]; // biome-ignore format: one axis a pair
            const y = tf.engine().runKernel(kind, { x }, { filterSize: [size, size], strides: [stride, stride], pad }) as tf.Tensor;
            expectClose(y, expected);
          });
        },
      ),
      { numRuns: 80, seed: 3 },
    );
  });

  it.each([0.5, 0.75, 1])('response normalisation with beta %d, of any channels and radius', (beta) => {
    const cases = fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 0, max: 7 }), fc.integer({ min: 1, max: 30 }));
    fc.assert(
      fc.property(cases, ([channels, radius, pixels]) => {
        const names = ours(() => {
          const x = random<tf.Tensor4D>([1, 1, pixels, channels]);
          const y = tf.localResponseNormalization(x, radius, 1, 0.5, beta);
          expectClose(y, referenceLrn(values(x), { radius, bias: 1, alpha: 0.5, beta }));
        });
        expect(names).toEqual(['LRN']);
      }),
      { numRuns: 30, seed: 9 },
    );
  });

  it.each([1, 3, 4, 67])('batch normalisation of %i channels', (channels) => {
    for (const plain of [false, true]) {
      const names = ours(() => {
        const x = random<tf.Tensor4D>([2, 3, 5, channels]);
        const [mean, scale, offset] = [1, 2, 3].map(() => random<tf.Tensor1D>([channels]));
        const variance = tf.abs(random<tf.Tensor1D>([channels])) as tf.Tensor1D;
        const y = plain ? tf.batchNorm(x, mean, variance) : tf.batchNorm(x, mean, variance, offset, scale, 1e-5);
        const expected = referenceBatchNorm(values(x), {
          mean: mean.dataSync(),
          variance: variance.dataSync(),
          scale: plain ? new Array(channels).fill(1) : scale.dataSync(),
          offset: plain ? new Array(channels).fill(0) : offset.dataSync(),
          epsilon: plain ? 1e-3 : 1e-5,
        });
        expectClose(y, expected);
      });
      expect(names).toContain('FusedBatchNorm');
    }
  });
});

/** Every n-th row and column of a convolution of stride 1. */
function strided({ data, shape: [batch, height, width, channels] }: Result, stride: number): Result {
  const [outHeight, outWidth] = [height, width].map((size) => Math.floor((size - 1) / stride) + 1);
  const picked: number[] = [];
  for (let n = 0; n < batch; n++)
    for (let y = 0; y < outHeight; y++)
      for (let x = 0; x < outWidth; x++)
        for (let c = 0; c < channels; c++) picked.push(data[((n * height + y * stride) * width + x * stride) * channels + c]);
  return { data: Float64Array.from(picked), shape: [batch, outHeight, outWidth, channels] };
}

describe('installLayers', () => {
  let runtime: CountingRuntime;
  let layers: Layers;
  let conv: Conv3x3;
  const NAMES = ['BatchMatMul', '_FusedMatMul', 'MaxPool', 'AvgPool', 'LRN', 'FusedBatchNorm', 'MaxPoolGrad', 'AvgPoolGrad', 'LRNGrad'];
  const stock = NAMES.map((name) => tf.getKernel(name, 'wasm').kernelFunc);
  const running = () => NAMES.map((name) => tf.getKernel(name, 'wasm').kernelFunc);
  beforeAll(async () => {
    const opened = await open(true);
    ({ runtime, layers, conv } = opened);
  });
  afterAll(() => tf.removeBackend('wasm'));

  it('installs once, and leaves the 3x3 convolution to its own kernel', () => {
    expect(installLayers(runtime, conv)).toBe(layers);
    for (const [i, kernel] of running().entries()) expect(kernel).not.toBe(stock[i]);
    const names = ours(() => {
      const [x, filter] = [random<tf.Tensor4D>([1, 8, 8, 8]), random<tf.Tensor4D>([3, 3, 8, 8])];
      expectClose(tf.conv2d(x, filter, 1, 'valid'), referenceConv2d(values(x), values(filter), null, { padding: 'valid' }), 1e-5);
    });
    expect(names).toEqual(['Conv2D']);
  });

  it('leaves to tfjs what is not ours', () => {
    const names = ours(() => {
      const x = random<tf.Tensor4D>([1, 9, 9, 4]);
      tf.conv2d(x, random<tf.Tensor4D>([5, 5, 4, 4]), 1, 'same');
      tf.conv2d(x, random<tf.Tensor4D>([3, 3, 4, 4]), 1, 'valid', 'NHWC', 2);
      tf.localResponseNormalization(x, 2, 1, 1, 0.3);
      expect(tf.matMul(random<tf.Tensor2D>([0, 3]), random<tf.Tensor2D>([3, 2])).shape).toEqual([0, 2]);
    });
    expect(names).toEqual([]);
  });

  it('multiplies stacks of matrices, one side repeated or none', () => {
    for (const [left, right] of [
      [[3], [3]],
      [[3], [1]],
      [[1], [4]],
      [
        [2, 3],
        [2, 3],
      ],
      [
        [2, 2],
        [1, 1],
      ],
    ]) {
      for (const transposeA of [false, true]) {
        for (const transposeB of [false, true]) {
          const names = ours(() => {
            const a = random(transposeA ? [...left, 5, 7] : [...left, 7, 5]);
            const b = random(transposeB ? [...right, 9, 5] : [...right, 5, 9]);
            const y = tf.matMul(a, b, transposeA, transposeB);
            const batch = left.map((size, i) => Math.max(size, right[i]));
            const wide = (t: tf.Tensor, turned: boolean) => {
              const axes = [...t.shape.keys()];
              const straight = turned ? tf.transpose(t, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]) : t;
              const all = tf.broadcastTo(straight, [...batch, ...straight.shape.slice(-2)] as [number]);
              return tf.reshape(all, [-1, ...straight.shape.slice(-2)]);
            };
            const parts = [wide(a, transposeA), wide(b, transposeB)].map((t) => tf.unstack(t));
            const data = parts[0].flatMap((part, i) => [...referenceDense(values(part), values(parts[1][i]), null).data]);
            expectClose(y, { data: Float64Array.from(data), shape: [...batch, 7, 9] });
          });
          expect(names).toEqual(['BatchMatMul']);
        }
      }
    }
  });

  it.each(['relu6', 'elu', 'sigmoid', 'leakyrelu', 'prelu'] as const)('a product with %s, bias and transpositions', (activation) => {
    ours(() => {
      const [a, b] = [random<tf.Tensor2D>([9, 4]), random<tf.Tensor2D>([6, 9])];
      const bias = random<tf.Tensor1D>([6]);
      const alpha = activation === 'prelu' ? random<tf.Tensor1D>([6]) : undefined;
      const before = runtime.backend.numDataIds();
      const y = tf.fused.matMul({
        a,
        b,
        transposeA: true,
        transposeB: true,
        bias,
        activation,
        preluActivationWeights: alpha,
        leakyreluAlpha: 0.1,
      });
      expect(runtime.backend.numDataIds()).toBe(before + 1);
      const linear = tf.add(tf.matMul(tf.transpose(a), tf.transpose(b)), bias);
      const expected = {
        relu6: () => tf.relu6(linear),
        elu: () => tf.elu(linear),
        sigmoid: () => tf.sigmoid(linear),
        leakyrelu: () => tf.leakyRelu(linear, 0.1),
        prelu: () => tf.prelu(linear, alpha!),
      }[activation]();
      expectClose(y, { data: Float64Array.from(expected.dataSync()), shape: [4, 6] });
    });
  });

  it('spreads a bias of one value', () => {
    ours(() => {
      const [a, b, bias] = [random<tf.Tensor2D>([2, 3]), random<tf.Tensor2D>([3, 20]), random<tf.Tensor1D>([1])];
      const expected = referenceDense(values(a), values(b), new Array(20).fill(bias.dataSync()[0]));
      expectClose(tf.fused.matMul({ a, b, bias }), expected);
    });
  });

  it('gives a row the same bits alone, in a batch, and in parts', () => {
    tf.tidy(() => {
      const a = random<tf.Tensor2D>([50, 700]);
      const b = random<tf.Tensor2D>([700, 147]);
      const all = tf.matMul(a, b).dataSync();
      for (const [from, count] of [
        [0, 1],
        [7, 1],
        [3, 6],
        [20, 11],
      ]) {
        const part = tf.matMul(tf.slice(a, [from, 0], [count, 700]), b).dataSync();
        expect(part).toEqual(all.slice(from * 147, (from + count) * 147));
      }
    });
  });

  it('gives the same bits when the columns or rows are computed in turns', () => {
    const [rows, depth, columns] = [5, 300, 77];
    for (const count of [rows, 20]) {
      tf.tidy(() => {
        const a = random<tf.Tensor2D>([count, depth]);
        const b = random<tf.Tensor2D>([depth, columns]);
        const whole = tf.matMul(a, b).dataSync().slice();
        const work = runtime.malloc(128 + 64 + conv.kernels.productBytes());
        const c = runtime.malloc(count * columns * 4);
        const at = Math.ceil(work / 64) * 64;
        const pointer = (t: tf.Tensor) => runtime.backend.getMemoryOffset(t.dataId);
        const fields = [pointer(a), pointer(b), c, 0, count, depth, columns, 0, 0, 0, 1, 1, depth, 0, 0, depth, 0];
        for (const [rowsPerItem, panelsPerItem] of [
          [2, 3],
          [count, 1],
          [7, 10],
        ]) {
          new Float32Array(runtime.memory.buffer, c, count * columns).fill(NaN);
          new Uint32Array(runtime.memory.buffer, at, fields.length + 2).set([...fields, rowsPerItem, panelsPerItem]);
          // From the last to the first: an item is on its own.
          for (let item = Math.ceil(count / rowsPerItem) * Math.ceil(10 / panelsPerItem) - 1; item >= 0; item--) {
            conv.kernels.multiplyBlockItem(at, at + 128, item);
          }
          expect(new Float32Array(runtime.memory.buffer, c, count * columns).slice()).toEqual(whole);
        }
        runtime.free(c);
        runtime.free(work);
      });
    }
  });

  it.each([NaN, Infinity, -Infinity])('never hides %s', (value) => {
    ours(() => {
      const data = random([2 * 6 * 6 * 9])
        .dataSync()
        .slice();
      data[100] = value;
      const x = tf.tensor4d(data, [2, 6, 6, 9]);
      const hides = (y: tf.Tensor, { data: expected }: Result) => {
        const found = y.dataSync();
        expect(expected.some((each) => !Number.isFinite(each))).toBe(true);
        expected.forEach((truth, i) => {
          expect(Number.isFinite(found[i]), `${found[i]} in the place of ${truth}`).toBe(Number.isFinite(truth));
        });
      };
      const filter = random<tf.Tensor4D>([2, 2, 9, 5]);
      hides(tf.conv2d(x, filter, 1, 'valid'), referenceConv2d(values(x), values(filter), null, { padding: 'valid' }));
      for (const rows of [2, 18]) {
        const a = tf.reshape(x, [rows, -1]) as tf.Tensor2D;
        const b = random<tf.Tensor2D>([a.shape[1], 11]);
        hides(tf.matMul(a, b), referenceDense(values(a), values(b), null));
      }
      if (value !== -Infinity) {
        hides(tf.maxPool(x, 2, 2, 'valid'), referencePool(values(x), { pool: 'max', size: 2, stride: 2, rounding: 'floor' }));
      }
      hides(tf.avgPool(x, 2, 2, 'valid'), referencePool(values(x), { pool: 'average', size: 2, stride: 2, rounding: 'floor' }));
      if (Number.isNaN(value))
        hides(tf.localResponseNormalization(x, 2), referenceLrn(values(x), { radius: 2, bias: 1, alpha: 1, beta: 0.5 }));
    });
  });

  it('clones share their data, and each can go first', () => {
    for (const first of [0, 1]) {
      const x = random([3, 5]);
      const before = runtime.backend.numDataIds();
      const tensors = [x, tf.clone(x)];
      expect(tensors[1].dataId).toBe(x.dataId);
      expect(runtime.backend.numDataIds()).toBe(before);
      const data = x.dataSync().slice();
      tensors[first].dispose();
      expect(tensors[1 - first].dataSync()).toEqual(data);
      tensors[1 - first].dispose();
      expect(runtime.backend.numDataIds()).toBe(before - 1);
    }
    const words = tf.tensor(['a', 'b']);
    const copy = tf.clone(words);
    expect(copy.dataSync()).toEqual(['a', 'b']);
    tf.dispose([words, copy]);
  });

  it("a ReLU's gradient, and the sums of channels", () => {
    const shapes = fc
      .array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 })
      .filter((shape) => shape.reduce((a, b) => a * b) < 1e5);
    fc.assert(
      fc.property(shapes, (shape) => {
        const names = ours(() => {
          const [dy, y] = [random(shape), random(shape)];
          const inner = dy.dataSync().map((value, i) => (y.dataSync()[i] > 0 ? value : 0));
          const kernel = (name: string, inputs: Record<string, tf.Tensor>) => tf.engine().runKernel(name, inputs) as tf.Tensor;
          expect(kernel(RELU_GRADIENT, { dy, y }).dataSync()).toEqual(inner);
          const channels = shape[shape.length - 1];
          for (const [inputs, summed] of [
            [{ dy }, dy.dataSync()],
            [{ dy, y }, inner],
          ] as const) {
            const expected = { data: new Float64Array(channels), shape: [channels] };
            summed.forEach((value, i) => {
              expected.data[i % channels] += value;
            });
            expectClose(kernel(CHANNEL_SUMS, inputs), expected, 2e-5);
          }
        });
        expect(names).toEqual([RELU_GRADIENT, CHANNEL_SUMS, CHANNEL_SUMS]);
      }),
      { numRuns: 50, seed: 5 },
    );
    const wrong = () => tf.tidy(() => tf.engine().runKernel(RELU_GRADIENT, { dy: random([2, 3]), y: random([3, 2]) }));
    expect(wrong).toThrow('VggReluGradient: expected float32 tensors that go together, received dy [2, 3], y [3, 2]');
  });

  it('1,000 calls leave heap and tensors as they were', () => {
    const work = () =>
      tf.tidy(() => {
        const x = random<tf.Tensor4D>([2, 8, 8, 8]);
        tf.maxPool(tf.fused.conv2d({ x, filter: random<tf.Tensor4D>([1, 1, 8, 8]), strides: 1, pad: 'same' }), 2, 2, 'valid');
        tf.matMul(random<tf.Tensor2D>([9, 20]), random<tf.Tensor2D>([9, 20]), true);
        tf.localResponseNormalization(x);
      });
    for (let i = 0; i < 10; i++) work();
    const state = () => [
      [...runtime.taken.values()],
      tf.memory().numTensors,
      runtime.backend.numDataIds(),
      runtime.memory.buffer.byteLength,
    ];
    const before = state();
    for (let i = 0; i < 250; i++) work();
    expect(state()).toEqual(before);
  });

  it('a full heap is an error that leaves nothing behind', async () => {
    const other = await openRuntime(true);
    // The module without measuring, so that its own allocations are over.
    const conv = await installConv3x3(other, { build: 'fixed' });
    conv.uninstall();
    tf.removeBackend('wasm');
    tf.registerBackend('wasm', () => other.backend, 2);
    await tf.setBackend('wasm');
    const opened = installLayers(other, conv);
    const a = random<tf.Tensor2D>([30, 30]);
    const before = [tf.memory().numTensors, other.backend.numDataIds()];
    other.left = 0;
    expect(() => tf.matMul(a, a)).toThrow('the heap is full');
    other.left = Infinity;
    // The backend's own allocator, which answers 0.
    const { makeOutput } = other.backend;
    other.backend.makeOutput = (shape, dtype) => {
      const made = makeOutput.call(other.backend, shape, dtype);
      other.backend.dataIdMap.get(made.dataId).memoryOffset = 0;
      return made;
    };
    expect(() => tf.matMul(a, a)).toThrow(expect.objectContaining({ code: 'VGG_MEMORY' }));
    other.backend.makeOutput = makeOutput;
    expect([tf.memory().numTensors, other.backend.numDataIds()]).toEqual(before);
    expectClose(
      tf.tidy(() => tf.keep(tf.matMul(a, a))),
      referenceDense(values(a), values(a), null),
    );
    opened.uninstall();
    expect(other.taken.size).toBe(0);
  });
});
