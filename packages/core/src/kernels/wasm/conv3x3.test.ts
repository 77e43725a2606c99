import * as tf from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kernel } from '../../ops/differentiable.js';
import { CONV_MAX_POOL } from '../names.js';
import { referenceConv2d, referencePool } from '../reference.js';
import { type Conv3x3, installConv3x3 } from './conv3x3.js';
import { MEMORY_MODES, planConvolution } from './conv3x3-memory.js';
import type { Conv3x3Build } from './conv3x3-module.js';
import { cutSide, stripRows } from './conv3x3-plan.js';
import { simdOf } from './features.js';
import { instantiate } from './instantiate.js';
import type { WasmRuntime } from './runtime.js';

type Shape = [batch: number, height: number, width: number, inChannels: number, outChannels: number];
/** Of the largest output. Normal numbers reach 9e-6 at the corners of a 6x6 tile as a rule, and 3e-5 in maps of so few that none is large. */
const LIMIT = 4e-5;

/** A runtime that counts the bytes it has handed out, and can be told to be full. */
interface CountingRuntime extends WasmRuntime {
  blocks: Map<number, number>;
  /** Allocations until the heap is full. */
  left: number;
}

async function openRuntime(shared: boolean): Promise<CountingRuntime> {
  const { runtime } = await instantiate({ simd: true, shared });
  const blocks = new Map<number, number>();
  const counting: CountingRuntime = {
    ...runtime,
    blocks,
    left: Infinity,
    malloc(bytes) {
      if (counting.left-- <= 0) throw new VggError('VGG_MEMORY', 'the heap is full');
      const pointer = runtime.malloc(bytes);
      blocks.set(pointer, bytes);
      return pointer;
    },
    free(pointer) {
      if (!blocks.delete(pointer)) throw new Error(`${pointer} is not allocated`);
      runtime.free(pointer);
    },
  };
  return counting;
}

function taken(runtime: CountingRuntime): number {
  return [...runtime.blocks.values()].reduce((sum, bytes) => sum + bytes, 0);
}

async function useBackend(runtime: WasmRuntime): Promise<void> {
  if (tf.findBackendFactory('wasm')) tf.removeBackend('wasm');
  tf.registerBackend('wasm', () => runtime.backend, 2);
  await tf.setBackend('wasm');
}

let seed = 1;
function random(shape: number[], scale = 1): tf.Tensor4D {
  return tf.randomNormal(shape as [number, number, number, number], 0, scale, 'float32', seed++) as tf.Tensor4D;
}

/** Largest error of a convolution, over the largest output. */
function errorOf([batch, height, width, ins, outs]: Shape, { relu = false, bias = false, fused = true, valid = false } = {}): number {
  return tf.tidy(() => {
    const x = random([batch, height, width, ins]);
    const filter = random([3, 3, ins, outs]);
    const offset = bias ? (random([outs]) as unknown as tf.Tensor1D) : undefined;
    const pad = valid ? 'valid' : 'same';
    const y = fused
      ? tf.fused.conv2d({ x, filter, bias: offset, strides: 1, pad, activation: relu ? 'relu' : 'linear' })
      : tf.conv2d(x, filter, 1, pad);
    const expected = referenceConv2d(
      { data: x.dataSync(), shape: x.shape },
      { data: filter.dataSync(), shape: filter.shape },
      fused ? (offset?.dataSync() ?? null) : null,
      { activation: relu && fused ? 'relu' : 'linear', padding: valid ? 'valid' : 'zero' },
    );
    expect(y.shape).toEqual(expected.shape);
    return difference(y.dataSync(), expected.data);
  });
}

function difference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let error = 0;
  let most = 0;
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(actual[i])) return Infinity;
    error = Math.max(error, Math.abs(actual[i] - expected[i]));
    most = Math.max(most, Math.abs(expected[i]));
  }
  return error === 0 ? 0 : error / most;
}

const RELAXED = simdOf(WebAssembly) === 'relaxed';
const BUILDS: Conv3x3Build[] = RELAXED ? ['fixed', 'relaxed'] : ['fixed'];
const VARIANTS = BUILDS.flatMap((build, i) => MEMORY_MODES.map((mode, j) => ({ build, mode, shared: (i + j) % 2 === 0 })));

describe.each(VARIANTS)('the 3x3 convolution agrees with its definition: $build, $mode, shared heap $shared', ({ build, mode, shared }) => {
  let conv: Conv3x3;
  let runtime: CountingRuntime;
  beforeAll(async () => {
    runtime = await openRuntime(shared);
    await useBackend(runtime);
    conv = await installConv3x3(runtime, { build });
    conv.mode = mode;
  });
  afterAll(() => tf.removeBackend('wasm'));

  it('runs on the heap it was given', () => {
    expect(runtime.memory.buffer instanceof SharedArrayBuffer).toBe(shared);
    expect(conv.build).toBe(build);
  });

  it.each<Shape>([
    [1, 1, 1, 1, 1],
    [1, 2, 1, 5, 3],
    [1, 3, 3, 4, 8],
    [2, 4, 5, 7, 9],
    [3, 7, 13, 65, 17],
    [1, 8, 8, 128, 8],
    [1, 2, 2, 5, 3],
    [3, 2, 2, 70, 76],
    [130, 2, 2, 9, 24],
    [2, 14, 14, 70, 72],
    [1, 31, 33, 20, 33],
    [1, 70, 70, 8, 8],
    [1, 50, 49, 3, 64],
    [2, 9, 97, 1, 5],
    [1, 6, 6, 200, 9],
  ])('batch %i, %i x %i, %i to %i channels', (...shape) => {
    expect(errorOf(shape, { relu: true, bias: true })).toBeLessThan(LIMIT);
    expect(errorOf(shape, { fused: false })).toBeLessThan(LIMIT);
  });

  it.runIf(mode === 'small').each<Shape>([
    [1, 1, 1, 400, 400],
    [1, 6, 5, 391, 385],
    [2, 5, 7, 257, 601],
    [3, 14, 13, 300, 512],
  ])('on the filter as it lies: batch %i, %i x %i, %i to %i channels', (...shape) => {
    const before = conv.filterBytes();
    for (const valid of [false, true]) {
      if (valid && shape[1] < 3) continue;
      expect(errorOf(shape, { relu: true, bias: true, valid })).toBeLessThan(2e-6);
    }
    expect(errorOf(shape, { fused: false })).toBeLessThan(2e-6);
    expect(conv.filterBytes()).toBe(before);
  });

  it('any shape, with and without bias, relu and padding', () => {
    const side = fc.integer({ min: 1, max: 260 });
    const channels = fc.integer({ min: 1, max: 600 });
    const flags = fc.record({ relu: fc.boolean(), bias: fc.boolean(), fused: fc.boolean(), valid: fc.boolean() });
    // One axis after the other is made shorter until the reference is a matter of milliseconds, so that single axes are long.
    const axes = fc.shuffledSubarray([1, 2, 3, 4], { minLength: 4 });
    const shapes = fc.tuple(fc.integer({ min: 1, max: 5 }), side, side, channels, channels, axes).map(([...drawn]): Shape => {
      const order = drawn.pop() as number[];
      const shape = drawn as unknown as Shape;
      for (const axis of order) while (shape[axis] > 1 && shape.reduce((a, b) => a * b) >= 1_500_000) shape[axis] >>= 1;
      return shape;
    });
    fc.assert(
      fc.property(shapes, flags, (shape, use) => {
        fc.pre(!use.valid || Math.min(shape[1], shape[2]) > 2);
        expect(errorOf(shape, use)).toBeLessThan(LIMIT);
      }),
      { numRuns: 60, seed: 7 },
    );
  });

  it('with a max pool behind it: the largest of the same bits', () => {
    const side = fc.integer({ min: 2, max: 60 });
    const channels = fc.integer({ min: 1, max: 70 });
    const flags = fc.record({ relu: fc.boolean(), bias: fc.boolean(), valid: fc.boolean(), nan: fc.boolean() });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), side, side, channels, channels, flags, (batch, height, width, ins, outs, use) => {
        fc.pre(!use.valid || Math.min(height, width) > 3);
        tf.tidy(() => {
          const values = random([batch, height, width, ins]).dataSync().slice();
          // With few channels the pool is tfjs's, which passes over a NaN.
          if (use.nan && ins > 4) values[values.length >> 1] = Number.NaN;
          const x = tf.tensor4d(values, [batch, height, width, ins]);
          const filter = random([3, 3, ins, outs]);
          const inputs: Record<string, tf.Tensor> = { x, filter };
          if (use.bias) inputs.bias = random([outs]);
          const pad = use.valid ? 'valid' : 'same';
          const attributes = { strides: 1, pad, dataFormat: 'NHWC', dilations: 1, activation: use.relu ? 'relu' : 'linear' };
          const [pooled, map] = [CONV_MAX_POOL, 'FusedConv2D'].map((name) => kernel(name, inputs, attributes));
          const expected = referencePool(
            { data: map.dataSync(), shape: map.shape },
            { pool: 'max', size: 2, stride: 2, rounding: 'floor' },
          );
          expect(pooled.shape).toEqual(expected.shape);
          expect(pooled.dataSync()).toEqual(Float32Array.from(expected.data));
        });
      }),
      { numRuns: 40, seed: 3 },
    );
  });

  it.each([1, 3, 4, 9])('explicit padding, %i channels', (ins) => {
    const pad: [[number, number], [number, number], [number, number], [number, number]] = [
      [0, 0],
      [0, 3],
      [2, 1],
      [0, 0],
    ];
    tf.tidy(() => {
      const x = random([2, 9, 11, ins]);
      const filter = random([3, 3, ins, 10]);
      const y = tf.conv2d(x, filter, 1, pad);
      const wide = tf.pad(x, pad);
      const expected = referenceConv2d(
        { data: wide.dataSync(), shape: wide.shape },
        { data: filter.dataSync(), shape: filter.shape },
        null,
        { padding: 'valid' },
      );
      expect(y.shape).toEqual(expected.shape);
      expect(difference(y.dataSync(), expected.data)).toBeLessThan(LIMIT);
    });
  });

  it('a whole block of VGG stays within the limit', () => {
    const error = tf.tidy(() => {
      let x = random([1, 24, 24, 3]);
      let expected = { data: x.dataSync() as ArrayLike<number>, shape: x.shape as number[] };
      for (const [ins, outs] of [
        [3, 64],
        [64, 64],
        [64, 64],
        [64, 64],
      ]) {
        const filter = random([3, 3, ins, outs], Math.sqrt(2 / (9 * ins)));
        expected = referenceConv2d(expected, { data: filter.dataSync(), shape: filter.shape }, null, { activation: 'relu' });
        x = tf.fused.conv2d({ x, filter, strides: 1, pad: 'same', activation: 'relu' });
      }
      return difference(x.dataSync(), expected.data);
    });
    expect(error).toBeLessThan(LIMIT);
  });
});

describe('installConv3x3', () => {
  let runtime: CountingRuntime;
  let conv: Conv3x3;
  const stock = ['Conv2D', 'FusedConv2D'].map((name) => tf.getKernel(name, 'wasm').kernelFunc);
  const kernels = () => ['Conv2D', 'FusedConv2D'].map((name) => tf.getKernel(name, 'wasm').kernelFunc);
  beforeAll(async () => {
    runtime = await openRuntime(true);
    await useBackend(runtime);
    conv = await installConv3x3(runtime);
  });
  afterAll(() => tf.removeBackend('wasm'));

  it('installs once for a backend, and says what it covers', async () => {
    expect(await installConv3x3(runtime, { build: 'fixed' })).toBe(conv);
    expect(conv.coverage).toContain('3x3');
    expect(kernels()).not.toContain(stock[0]);
    expect(kernels()).not.toContain(stock[1]);
  });

  it.skipIf(RELAXED)('refuses fused multiply-add where the engine has none', async () => {
    expect(conv.build).toBe('fixed');
    const other = await openRuntime(true);
    await expect(installConv3x3(other, { build: 'relaxed' })).rejects.toMatchObject({ name: 'VggError', code: 'VGG_BACKEND' });
    expect(taken(other)).toBe(0);
  });

  it('leaves everything else to tfjs', () => {
    const before = conv.filterBytes();
    tf.tidy(() => {
      const x = random([1, 12, 12, 8]);
      const filter = random([3, 3, 8, 8]);
      const plain = tf.conv2d(x, filter, 1, 'same');
      const after = conv.filterBytes();
      expect(after).toBeGreaterThan(before);
      const strided = tf.conv2d(x, filter, 2, 'same');
      const picked = tf.stridedSlice(plain, [0, 1, 1, 0], [1, 12, 12, 8], [1, 2, 2, 1]);
      expect(difference(strided.dataSync(), picked.dataSync())).toBeLessThan(LIMIT);
      const six = tf.fused.conv2d({ x, filter, strides: 1, pad: 'same', activation: 'relu6' });
      // The sums reach 30, so 6 is a small maximum.
      expect(difference(six.dataSync(), tf.clipByValue(plain, 0, 6).dataSync())).toBeLessThan(6 * LIMIT);
      const dilated = tf.conv2d(x, filter, 1, 'same', 'NHWC', 2);
      expect(dilated.shape).toEqual([1, 12, 12, 8]);
      const larger = tf.conv2d(x, random([5, 5, 8, 8]), 1, 'same');
      expect(larger.shape).toEqual([1, 12, 12, 8]);
      expect(conv.filterBytes()).toBe(after);
    });
  });

  it('gives gradients as tfjs does', () => {
    tf.tidy(() => {
      const x = random([1, 6, 6, 8]);
      const filter = random([3, 3, 8, 8]);
      // The gradient with respect to the input is the convolution with the filter turned round.
      const dy = random([1, 6, 6, 8]);
      const turned = tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]) as tf.Tensor4D;
      const byConvolution = tf.conv2d(dy, turned, 1, 'same');
      const stockGradient = tf
        .engine()
        .runKernel(
          'Conv2DBackpropInput',
          { dy, filter },
          { strides: 1, pad: 'same', dataFormat: 'NHWC', inputShape: x.shape },
        ) as tf.Tensor;
      expect(difference(byConvolution.dataSync(), stockGradient.dataSync())).toBeLessThan(LIMIT);
    });
  });

  it('gives the same bits every time, whatever ran between', () => {
    tf.tidy(() => {
      const x = random([2, 37, 23, 40]);
      const filter = random([3, 3, 40, 24]);
      const first = tf.conv2d(x, filter, 1, 'same').dataSync().slice();
      errorOf([1, 20, 20, 64, 64]);
      expect(tf.conv2d(x, filter, 1, 'same').dataSync()).toEqual(first);
      expect(tf.conv2d(x, filter.clone(), 1, 'same').dataSync()).toEqual(first);
    });
  });

  it.each([NaN, Infinity, -Infinity])('never hides %s', (value) => {
    for (const ins of [3, 8]) {
      tf.tidy(() => {
        const x = random([1, 15, 14, ins]);
        const data = x.dataSync().slice();
        data[((7 * 14 + 6) * ins + 1) % data.length] = value;
        const broken = tf.tensor4d(data, x.shape);
        const filter = random([3, 3, ins, 9]);
        const { data: expected } = referenceConv2d({ data, shape: x.shape }, { data: filter.dataSync(), shape: filter.shape }, null);
        expect(expected.some((each) => !Number.isFinite(each))).toBe(true);
        const linear = tf.conv2d(broken, filter, 1, 'same').dataSync();
        const relu = tf.fused.conv2d({ x: broken, filter, strides: 1, pad: 'same', activation: 'relu' }).dataSync();
        expected.forEach((truth, i) => {
          if (Number.isFinite(truth)) return;
          expect(Number.isFinite(linear[i])).toBe(false);
          if (truth !== -Infinity) expect(Number.isFinite(relu[i])).toBe(false);
        });
        // Far from the value nothing has happened.
        expect(Number.isFinite(linear[linear.length - 1])).toBe(true);
      });
    }
  });

  it('tells filters of one data and different shapes apart', () => {
    tf.tidy(() => {
      const filter = random([3, 3, 8, 16]);
      const other = tf.reshape(filter, [3, 3, 16, 8]) as tf.Tensor4D;
      const x = random([1, 5, 5, 8]);
      const z = random([1, 5, 5, 16]);
      for (const [input, used] of [
        [x, filter],
        [z, other],
      ]) {
        const y = tf.conv2d(input, used, 1, 'same');
        const expected = referenceConv2d(
          { data: input.dataSync(), shape: input.shape },
          { data: used.dataSync(), shape: used.shape },
          null,
        );
        expect(difference(y.dataSync(), expected.data)).toBeLessThan(LIMIT);
      }
    });
  });

  it('writes a filter that has changed over what it kept of it, and lets go of what nobody used between two changes', () => {
    const before = [taken(runtime), conv.filterBytes()];
    const filter = random([3, 3, 16, 16]);
    const x = random([1, 8, 8, 16]);
    const values = filter.dataSync();
    const convolved = () => tf.tidy(() => tf.conv2d(x, filter, 1, 'same').dataSync().slice());
    const [first, kept, size] = [convolved(), conv.filterBytes(), taken(runtime)];
    for (const factor of [2, 4]) {
      new Float32Array(runtime.memory.buffer, runtime.backend.getMemoryOffset(filter.dataId), values.length).set(
        values.map((value) => value * factor),
      );
      conv.changed(filter.dataId);
      expect(convolved()).toEqual(first.map((value) => value * factor));
      expect([conv.filterBytes(), taken(runtime)]).toEqual([kept, size]);
    }
    conv.changed(filter.dataId);
    expect(conv.filterBytes()).toBe(kept);
    conv.changed(filter.dataId);
    expect(conv.filterBytes()).toBe(before[1]);
    expect(convolved()).toEqual(first.map((value) => value * 4));
    tf.dispose([filter, x]);
    expect([taken(runtime), conv.filterBytes()]).toEqual(before);
  });

  it('keeps a transformed filter as long as the data of the filter, and no longer', () => {
    const before = taken(runtime);
    const filterBytes = conv.filterBytes();
    const filter = random([3, 3, 16, 16]);
    const alias = tf.reshape(filter, [9, 256]);
    const x = random([1, 8, 8, 16]);
    tf.conv2d(x, filter, 1, 'same').dispose();
    expect(conv.filterBytes()).toBe(filterBytes + 36 * 16 * 16 * 4 + 64);
    filter.dispose();
    expect(conv.filterBytes()).toBeGreaterThan(filterBytes);
    alias.dispose();
    expect(conv.filterBytes()).toBe(filterBytes);
    expect(taken(runtime)).toBe(before);
    x.dispose();
  });

  it('1,000 convolutions leave heap and tensors as they were', () => {
    const work = (): void => {
      tf.tidy(() => {
        const x = random([1, 9, 8, 8]);
        tf.fused.conv2d({ x, filter: random([3, 3, 8, 8]), bias: tf.ones([8]), strides: 1, pad: 'same', activation: 'relu' });
        tf.conv2d(random([1, 6, 6, 3]), random([3, 3, 3, 8]), 1, 'same');
      });
    };
    for (let i = 0; i < 10; i++) work();
    const before = [
      taken(runtime),
      conv.filterBytes(),
      tf.memory().numTensors,
      runtime.backend.numDataIds(),
      runtime.memory.buffer.byteLength,
    ];
    for (let i = 0; i < 500; i++) work();
    expect([
      taken(runtime),
      conv.filterBytes(),
      tf.memory().numTensors,
      runtime.backend.numDataIds(),
      runtime.memory.buffer.byteLength,
    ]).toEqual(before);
  });

  it.each(MEMORY_MODES)('a full heap is an error that leaves nothing behind: %s', (mode) => {
    conv.mode = mode;
    // In the small mode so many channels that the filter stays as it is.
    const [channels, side] = mode === 'small' ? [400, 6] : [70, 40];
    const x = random([1, side, side, channels]);
    const filter = random([3, 3, channels, channels]);
    const before = [conv.filterBytes(), tf.memory().numTensors, runtime.backend.numDataIds()];
    const bytes = taken(runtime);
    // One allocation more each time, until there are enough: the heap is full at every place once.
    let allocations = 0;
    let y: tf.Tensor | undefined;
    while (!y) {
      runtime.left = allocations++;
      try {
        y = tf.conv2d(x, filter, 1, 'same');
      } catch (error) {
        expect(error).toMatchObject({ name: 'VggError', code: 'VGG_MEMORY' });
        expect(taken(runtime)).toBe(bytes);
        expect([conv.filterBytes(), tf.memory().numTensors, runtime.backend.numDataIds()]).toEqual(before);
      }
      runtime.left = Infinity;
    }
    expect(allocations).toBeGreaterThan(mode === 'small' ? 1 : 3);
    const expected = referenceConv2d({ data: x.dataSync(), shape: x.shape }, { data: filter.dataSync(), shape: filter.shape }, null);
    expect(difference(y.dataSync(), expected.data)).toBeLessThan(LIMIT);
    tf.dispose([x, filter, y]);
    expect(taken(runtime)).toBe(bytes);
    conv.mode = 'fast';
  });

  it('a filter that is used at two sizes and in all modes stays right', () => {
    tf.tidy(() => {
      const filter = random([3, 3, 24, 16]);
      const maps = [random([1, 9, 9, 24]), random([1, 60, 9, 24])];
      const first = maps.map((x) => tf.conv2d(x, filter, 1, 'same').dataSync().slice());
      for (const mode of [...MEMORY_MODES, 'fast'] as const) {
        conv.mode = mode;
        maps.forEach((x, i) => {
          const y = tf.conv2d(x, filter, 1, 'same').dataSync();
          if (mode === 'fast') expect(y).toEqual(first[i]);
          const { data } = referenceConv2d({ data: x.dataSync(), shape: x.shape }, { data: filter.dataSync(), shape: filter.shape }, null);
          expect(difference(y, data)).toBeLessThan(LIMIT);
        });
      }
    });
    conv.mode = 'fast';
  });

  it.each(MEMORY_MODES)('takes what was planned: %s', (mode) => {
    conv.mode = mode;
    for (const [batchSize, height, width, inChannels, outChannels] of [
      [1, 224, 224, 3, 8],
      [1, 112, 112, 64, 16],
      [2, 37, 61, 130, 9],
      [1, 28, 28, 256, 24],
      [1, 8, 8, 391, 390],
      [3, 2, 2, 70, 90],
      [150, 2, 2, 70, 20],
    ]) {
      const sizes: number[] = [];
      const { malloc } = runtime;
      tf.tidy(() => {
        const x = tf.zeros([batchSize, height, width, inChannels]) as tf.Tensor4D;
        const filter = tf.zeros([3, 3, inChannels, outChannels]) as tf.Tensor4D;
        const before = conv.filterBytes();
        runtime.malloc = (bytes) => {
          sizes.push(bytes);
          return malloc(bytes);
        };
        tf.conv2d(x, filter, 1, 'same');
        runtime.malloc = malloc;
        const plan = planConvolution(mode, { batchSize, inChannels, outHeight: height, outWidth: width, outChannels }, 1);
        const kept = conv.filterBytes() - before;
        expect(kept).toBe(plan.filter === 0 ? 0 : plan.filter + 64);
        expect(sizes.at(-1)).toBe(plan.scratch + 64);
      });
    }
    conv.mode = 'fast';
  });

  it('gives tfjs its kernels back when the backend goes, and frees everything', async () => {
    const filter = random([3, 3, 8, 8]);
    tf.conv2d(random([1, 4, 4, 8]), filter, 1, 'same');
    expect(taken(runtime)).toBeGreaterThan(0);
    tf.removeBackend('wasm');
    expect(taken(runtime)).toBe(0);
    expect(kernels()).toEqual(stock);
    const next = await openRuntime(true);
    await useBackend(next);
    const again = await installConv3x3(next);
    expect(again).not.toBe(conv);
    expect(errorOf([1, 8, 8, 8, 8])).toBeLessThan(LIMIT);
    again.uninstall();
    again.uninstall();
    expect(taken(next)).toBe(0);
    expect(kernels()).toEqual(stock);
  });
});

describe.runIf(RELAXED)('two panels at once, as for an engine that joins vectors', () => {
  const compute = async (wide: boolean): Promise<ArrayLike<number>[]> => {
    const runtime = await openRuntime(false);
    await useBackend(runtime);
    const conv = await installConv3x3(runtime, { build: 'relaxed', wide });
    seed = 1000;
    // Odd and even numbers of panels; tiles in sixes, fives and what is left.
    const results = [
      [1, 28, 28, 64, 64],
      [2, 14, 14, 70, 72],
      [1, 31, 33, 20, 33],
      [1, 1, 1, 8, 16],
      [130, 2, 2, 70, 72],
      [1, 56, 30, 12, 200],
    ].map(([batch, height, width, ins, outs]) =>
      tf.tidy(() =>
        tf.fused
          .conv2d({
            x: random([batch, height, width, ins]),
            filter: random([3, 3, ins, outs]),
            strides: 1,
            pad: 'same',
            activation: 'relu',
          })
          .dataSync()
          .slice(),
      ),
    );
    conv.uninstall();
    tf.removeBackend('wasm');
    return results;
  };

  it('gives the same bits', async () => {
    expect(await compute(true)).toEqual(await compute(false));
  });
});

describe('the plan', () => {
  it('cuts even sides without a partial tile, and every side at no more than the cost of sixes', () => {
    for (let length = 1; length <= 300; length++) {
      const { six, four } = cutSide(length);
      expect(six * 6 + four * 4).toBeGreaterThanOrEqual(length);
      expect(six * 6 + four * 4 - length).toBeLessThan(4);
      if (length % 2 === 0 && length >= 4) expect(six * 6 + four * 4).toBe(length);
      expect(six * 8 + four * 6).toBeLessThanOrEqual(Math.ceil(length / 6) * 8);
    }
    expect(cutSide(14)).toEqual({ six: 1, four: 2 });
    expect(cutSide(224)).toEqual({ six: 36, four: 2 });
    expect(cutSide(9, true)).toEqual({ six: 0, four: 3 });
  });

  it('makes strips of at least one row and at most all', () => {
    for (const rows of [1, 2, 22, 38, 400])
      for (const perRow of [1, 3, 38])
        for (const channels of [5, 64, 128, 512]) {
          const strip = stripRows(rows, perRow, channels);
          expect(strip).toBeGreaterThanOrEqual(1);
          expect(strip).toBeLessThanOrEqual(rows);
        }
  });
});
