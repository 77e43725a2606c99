import * as tf from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noise } from '../../../test/check-op.js';
import { FILTER_GRADIENT, INPUT_GRADIENT } from '../names.js';
import { maximumDifference, referenceConv2dGradients, type Volume } from '../reference.js';
import { type Conv3x3, installConv3x3 } from './conv3x3.js';
import { MEMORY_MODES, planFilterGradient } from './conv3x3-memory.js';
import type { Conv3x3Build } from './conv3x3-module.js';
import { divideFilterGradient } from './conv3x3-plan.js';
import { simdOf } from './features.js';
import { instantiate } from './instantiate.js';
import type { WasmRuntime } from './runtime.js';

type Shape = [batch: number, height: number, width: number, inChannels: number, outChannels: number];
/** Of the largest value. */
const LIMIT = 4e-5;

const BUILDS: Conv3x3Build[] = simdOf(WebAssembly) === 'relaxed' ? ['fixed', 'relaxed'] : ['fixed'];
const VARIANTS = BUILDS.flatMap((build) => MEMORY_MODES.map((mode) => ({ build, mode })));

async function open(wrap: (runtime: WasmRuntime) => WasmRuntime = (runtime) => runtime): Promise<WasmRuntime> {
  const { runtime } = await instantiate({ simd: true, shared: true });
  if (tf.findBackendFactory('wasm')) tf.removeBackend('wasm');
  tf.registerBackend('wasm', () => runtime.backend, 2);
  await tf.setBackend('wasm');
  return wrap(runtime);
}

const tensorOf = ({ data, shape }: Volume) => tf.tensor(Float32Array.from(data), [...shape]);
const kernel = (name: string, inputs: Record<string, tf.Tensor>, attributes: object) =>
  tf.engine().runKernel(name, inputs, { strides: 1, dataFormat: 'NHWC', ...attributes } as never) as tf.Tensor;
const kernels = (name: string, inputs: Record<string, tf.Tensor>, attributes: object) =>
  kernel(name, inputs, attributes) as unknown as tf.Tensor[];

interface Use {
  valid?: boolean;
  /** As behind a ReLU. */
  masked?: boolean;
}

function volumes([batch, height, width, ins, outs]: Shape, { valid }: Use) {
  const lost = valid ? 2 : 0;
  const outer = [batch, height - lost, width - lost, outs];
  return { x: noise([batch, height, width, ins], 1), filter: noise([3, 3, ins, outs], 2), dy: noise(outer, 3), y: noise(outer, 4) };
}

/** The largest errors of the gradients, over their largest values. */
function errorsOf(shape: Shape, use: Use): [input: number, filter: number, bias: number] {
  const { x, filter, dy, y } = volumes(shape, use);
  const seen = use.masked ? { ...dy, data: Float32Array.from(dy.data, (value, i) => (y.data[i] > 0 ? value : 0)) } : dy;
  const expected = referenceConv2dGradients(x, filter, seen, use.valid ? 'valid' : 'zero');
  return tf.tidy(() => {
    const outer = { dy: tensorOf(dy), ...(use.masked && { y: tensorOf(y) }) };
    const pad = use.valid ? 'valid' : 'same';
    const dx = kernel(INPUT_GRADIENT, { ...outer, filter: tensorOf(filter) }, { pad, inputShape: x.shape });
    const [dw, sums] = kernels(FILTER_GRADIENT, { ...outer, x: tensorOf(x) }, { pad, filterShape: filter.shape, sums: true });
    expect([dx.shape, dw.shape, sums.shape]).toEqual([x.shape, filter.shape, filter.shape.slice(3)]);
    return [
      maximumDifference(dx.dataSync(), expected.x.data),
      maximumDifference(dw.dataSync(), expected.w.data),
      maximumDifference(sums.dataSync(), expected.b.data),
    ];
  });
}

function check(shape: Shape, use: Use): void {
  const [input, filter, bias] = errorsOf(shape, use);
  expect(input, 'of the input').toBeLessThan(LIMIT);
  expect(filter, 'of the filter').toBeLessThan(LIMIT);
  expect(bias, 'of the bias').toBeLessThan(LIMIT);
}

describe.each(VARIANTS)('gradients of the 3x3 convolution agree with their definition: $build, $mode', ({ build, mode }) => {
  beforeAll(async () => {
    const conv = await installConv3x3(await open(), { build });
    conv.mode = mode;
  });
  afterAll(() => tf.removeBackend('wasm'));

  it.each<Shape>([
    [1, 1, 1, 1, 1],
    [1, 2, 1, 5, 3],
    [1, 3, 3, 8, 4],
    [2, 4, 5, 7, 9],
    [3, 7, 13, 65, 17],
    [1, 8, 8, 128, 8],
    [2, 14, 14, 70, 72],
    [1, 31, 33, 20, 33],
    [1, 70, 70, 8, 8],
    [1, 50, 49, 3, 64],
    [2, 9, 97, 5, 1],
    [1, 6, 6, 9, 200],
    [1, 5, 5, 400, 390],
    [1, 2, 2, 5, 3],
    [3, 2, 2, 70, 76],
    [130, 2, 2, 9, 24],
  ])('batch %i, %i x %i, %i to %i channels', (...shape) => {
    for (const masked of [false, true]) {
      check(shape, { masked });
      if (Math.min(shape[1], shape[2]) > 2) check(shape, { masked, valid: true });
    }
  });

  it('any shape, padding and mask', () => {
    const side = fc.integer({ min: 1, max: 40 });
    const channels = fc.integer({ min: 1, max: 40 });
    const shapes = fc.tuple(fc.integer({ min: 1, max: 4 }), side, side, channels, channels);
    fc.assert(
      fc.property(shapes, fc.record({ valid: fc.boolean(), masked: fc.boolean() }), (shape, use) => {
        fc.pre(!use.valid || Math.min(shape[1], shape[2]) > 2);
        fc.pre(shape.reduce((a, b) => a * b) < 1_000_000);
        check(shape, use);
      }),
      { numRuns: 30, seed: 11 },
    );
  });
});

describe('gradients of the 3x3 convolution', () => {
  let conv: Conv3x3;
  const blocks = new Map<number, number>();
  let left = Infinity;
  /** The largest allocation. */
  let most = 0;
  const taken = () => [...blocks.values()].reduce((sum, bytes) => sum + bytes, 0);
  const counting = (runtime: WasmRuntime): WasmRuntime => ({
    ...runtime,
    malloc(bytes) {
      if (left-- <= 0) throw new VggError('VGG_MEMORY', 'the heap is full');
      const pointer = runtime.malloc(bytes);
      blocks.set(pointer, bytes);
      most = Math.max(most, bytes);
      return pointer;
    },
    free(pointer) {
      blocks.delete(pointer);
      runtime.free(pointer);
    },
  });
  beforeAll(async () => {
    conv = await installConv3x3(await open(counting));
  });
  afterAll(() => tf.removeBackend('wasm'));

  it('serve tfjs under its own names, with any padding', () => {
    const pad = [[0, 0], [0, 2], [1, 1], [0, 0]]; // biome-ignore format: one axis a pair
    tf.tidy(() => {
      const { x, filter, dy } = volumes([2, 9, 8, 6, 7], {});
      const wide = tf.pad(tensorOf(x) as tf.Tensor4D, pad as [[number, number], [number, number], [number, number], [number, number]]);
      const seen = { data: wide.dataSync(), shape: wide.shape };
      const expected = referenceConv2dGradients(seen, filter, dy, 'valid');
      const dx = kernel('Conv2DBackpropInput', { dy: tensorOf(dy), filter: tensorOf(filter) }, { pad, inputShape: x.shape });
      const inner = tf.slice(tensorOf(expected.x), [0, 0, 1, 0], [2, 9, 8, 6]).dataSync();
      expect(maximumDifference(dx.dataSync(), inner)).toBeLessThan(LIMIT);
      const [dw] = kernels(FILTER_GRADIENT, { dy: tensorOf(dy), x: tensorOf(x) }, { pad, filterShape: filter.shape });
      expect(maximumDifference(dw.dataSync(), expected.w.data)).toBeLessThan(LIMIT);
    });
  });

  it('take dy for its own mask', () => {
    tf.tidy(() => {
      const { x, filter, dy } = volumes([1, 20, 20, 16, 16], {});
      const expected = referenceConv2dGradients(
        x,
        filter,
        { ...dy, data: Float32Array.from(dy.data, (value) => Math.max(0, value)) },
        'zero',
      );
      const outer = tensorOf(dy);
      const dx = kernel(INPUT_GRADIENT, { dy: outer, y: outer, filter: tensorOf(filter) }, { pad: 'same', inputShape: x.shape });
      const [dw] = kernels(FILTER_GRADIENT, { dy: outer, y: outer, x: tensorOf(x) }, { pad: 'same', filterShape: filter.shape });
      expect(maximumDifference(dx.dataSync(), expected.x.data)).toBeLessThan(LIMIT);
      expect(maximumDifference(dw.dataSync(), expected.w.data)).toBeLessThan(LIMIT);
    });
  });

  it('leave other strides to tfjs', () => {
    tf.tidy(() => {
      const { x, filter } = volumes([1, 9, 9, 4, 5], {});
      const dy = noise([1, 5, 5, 5], 3);
      const attributes = { strides: 2, pad: 'same', inputShape: x.shape };
      const dx = kernel('Conv2DBackpropInput', { dy: tensorOf(dy), filter: tensorOf(filter) }, attributes);
      const spread = { data: new Float32Array(9 * 9 * 5), shape: [1, 9, 9, 5] };
      for (let i = 0; i < 25; i++)
        for (let k = 0; k < 5; k++) spread.data[(Math.floor(i / 5) * 18 + (i % 5) * 2) * 5 + k] = dy.data[i * 5 + k];
      expect(maximumDifference(dx.dataSync(), referenceConv2dGradients(x, filter, spread, 'zero').x.data)).toBeLessThan(LIMIT);
    });
  });

  it('say which shapes they got', () => {
    const { filter, dy } = volumes([1, 6, 6, 4, 5], {});
    const run = () =>
      tf.tidy(() => kernel(INPUT_GRADIENT, { dy: tensorOf(dy), filter: tensorOf(filter) }, { pad: 'same', inputShape: [1, 7, 6, 4] }));
    expect(run).toThrow('VggConv2dInputGradient: expected float32 tensors that go together, received dy [1, 6, 6, 5], filter [3, 3, 4, 5]');
  });

  it('keep the turned filter beside the other, and both as long as its data', () => {
    const before = conv.filterBytes();
    const filter = tensorOf(noise([3, 3, 16, 16], 1)) as tf.Tensor4D;
    const one = 36 * 16 * 16 * 4 + 64;
    tf.tidy(() => {
      const x = tensorOf(noise([1, 8, 8, 16], 2)) as tf.Tensor4D;
      tf.conv2d(x, filter, 1, 'same');
      for (let i = 0; i < 2; i++) kernel(INPUT_GRADIENT, { dy: x, filter }, { pad: 'same', inputShape: x.shape });
      expect(conv.filterBytes()).toBe(before + 2 * one);
    });
    filter.dispose();
    expect(conv.filterBytes()).toBe(before);
  });

  it.each([INPUT_GRADIENT, FILTER_GRADIENT])('%s: a full heap is an error that leaves nothing behind', (name) => {
    const shape: Shape = [1, 40, 40, 70, 70];
    const { x, filter, dy } = volumes(shape, {});
    const tensors = { x: tensorOf(x), filter: tensorOf(filter), dy: tensorOf(dy) };
    const before = [taken(), conv.filterBytes(), tf.memory().numTensors];
    let allocations = 0;
    let results: tf.Tensor[] | undefined;
    while (!results) {
      left = allocations++;
      try {
        results = [kernels(name, tensors, { pad: 'same', inputShape: x.shape, filterShape: filter.shape, sums: true })].flat();
      } catch (error) {
        expect(error).toMatchObject({ name: 'VggError', code: 'VGG_MEMORY' });
        expect([taken(), conv.filterBytes(), tf.memory().numTensors]).toEqual(before);
      }
      left = Infinity;
    }
    expect(allocations).toBeGreaterThan(1);
    const expected = referenceConv2dGradients(x, filter, dy, 'zero')[name === INPUT_GRADIENT ? 'x' : 'w'];
    expect(maximumDifference(results[0].dataSync(), expected.data)).toBeLessThan(LIMIT);
    tf.dispose([...Object.values(tensors), ...results]);
    expect(conv.filterBytes()).toBe(0);
  });

  it('of the filter take what was planned', () => {
    for (const [batchSize, height, width, inChannels, outChannels] of [
      [1, 56, 56, 3, 8],
      [2, 37, 61, 130, 9],
      [9, 14, 14, 16, 200],
      [1, 8, 8, 391, 390],
      [3, 2, 2, 70, 90],
      [300, 2, 2, 70, 20],
    ] as const) {
      tf.tidy(() => {
        const [x, dy] = [tf.zeros([batchSize, height, width, inChannels]), tf.zeros([batchSize, height, width, outChannels])];
        most = 0;
        kernel(FILTER_GRADIENT, { dy, x }, { pad: 'same', filterShape: [3, 3, inChannels, outChannels] });
        const sizes = { batchSize, inChannels, outHeight: height, outWidth: width, outChannels };
        expect(most, String([batchSize, height, width, inChannels, outChannels])).toBe(planFilterGradient(sizes, 1) + 64);
      });
    }
  });

  it('go when the kernels go', () => {
    conv.uninstall();
    expect(tf.getKernel(INPUT_GRADIENT, 'wasm')).toBeUndefined();
    expect(tf.getKernel(FILTER_GRADIENT, 'wasm')).toBeUndefined();
    expect(taken()).toBe(0);
  });
});

describe('the plan of a filter gradient', () => {
  it('sums the same strips whatever the number of threads is', () => {
    for (const rows of [1, 3, 152, 400])
      for (const perRow of [1, 9, 38])
        for (const channels of [3, 64, 512]) {
          const alone = divideFilterGradient(rows, perRow, channels, channels, 1);
          expect(alone.rows).toBeGreaterThanOrEqual(1);
          expect(alone.rows).toBeLessThanOrEqual(rows);
          for (const threads of [2, 3, 8]) expect(divideFilterGradient(rows, perRow, channels, channels, threads).rows).toBe(alone.rows);
        }
  });
});
