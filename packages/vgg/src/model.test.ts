import * as tf from '@tensorflow/tfjs-core';
import { splitRows } from '@vgg/core';
import { maximumDifference } from '@vgg/core/reference';
import { describeEachBackend, TOLERANCE } from '@vgg/core/testing';
import { describe, expect, it } from 'vitest';
import { referenceForward } from '../test/reference-forward.js';
import { noise, SMALL_PLAN, smallFile, smallWeights } from '../test/small-weights.js';
import { load } from './load.js';
import type { Model } from './model.js';
import { type NetworkOptions, network } from './network/architecture.js';
import { tapNames } from './network/layers.js';
import { prepare } from './pictures/preprocess.js';
import { PREPROCESSINGS } from './pictures/preprocessing.js';
import { poolMap, toNCHW } from './run/feature-map.js';
import { place } from './run/placement.js';

function picture(width = 32, height = width, seed = 3) {
  const next = noise(seed);
  return {
    width,
    height,
    channels: 3 as const,
    data: Uint8Array.from({ length: width * height * 3 }, () => Math.floor((next() + 1) * 127.9)),
  };
}

const VARIANTS: Record<string, NetworkOptions> = {
  plain: {},
  'batch norm': { batchNorm: true },
  LRN: { lrn: true },
  'average pool, ceil': { pool: 'average', rounding: 'ceil', top: false },
  'reflect padding': { padding: 'reflect', top: false },
  'valid padding': { padding: 'valid', top: false },
  'FC as convolutions': { convolutionalTop: true, size: 24 },
};

describeEachBackend('model', (backend) => {
  async function open(options: NetworkOptions = {}): Promise<Model> {
    const plan = { ...SMALL_PLAN, ...options };
    return load(undefined, { weights: await smallFile(plan), backend: backend().name });
  }

  for (const [name, options] of Object.entries(VARIANTS)) {
    it(`${name}: every tap equals the float64 reference`, async () => {
      const net = network({ ...SMALL_PLAN, ...options });
      const image = picture(options.convolutionalTop ? 48 : 32);
      const input = prepare(image, PREPROCESSINGS.keras, { size: image.width });
      const expected = referenceForward(net, smallWeights(net), { data: input.data, shape: [1, input.height, input.width, 3] });
      const model = await open(options);
      try {
        const taps = tapNames(net);
        const maps = await model.extract(image, taps, { size: image.width });
        expect(Object.keys(maps)).toEqual(taps);
        for (const tap of taps) {
          expect(maps[tap].shape, tap).toEqual(expected.get(tap)!.shape);
          expect(maximumDifference(maps[tap].data, expected.get(tap)!.data), tap).toBeLessThan(TOLERANCE);
        }
        // Alone, with the ReLU fused into its convolution, a tap is the same.
        const alone = await model.extract(image, taps[1], { size: image.width });
        expect(maximumDifference(alone.data, expected.get(taps[1])!.data)).toBeLessThan(TOLERANCE);
      } finally {
        model.dispose();
        await new Promise((resolve) => setTimeout(resolve));
      }
    });
  }

  it('a batch gives what each picture gives alone, in order', async () => {
    const model = await open();
    const images = [1, 2, 3, 4, 5].map((seed) => picture(32, 32, seed));
    const together = await model.extract(images, 'relu2_1', { size: 32 });
    expect(together.shape).toEqual([5, 16, 16, 12]);
    for (const [i, image] of images.entries()) {
      const alone = await model.extract(image, 'relu2_1', { size: 32 });
      const length = alone.data.length;
      expect(maximumDifference(together.data.subarray(i * length, (i + 1) * length), alone.data)).toBeLessThan(TOLERANCE);
    }
    model.dispose();
    await new Promise((resolve) => setTimeout(resolve));
  });

  it('activations are differentiable down to the picture', async () => {
    const model = await open();
    await model.ready('relu3_1');
    const { data } = picture();
    const loss = (values: ArrayLike<number>) => {
      const net = network(SMALL_PLAN);
      const bgr = Float64Array.from(values, (_, i) => values[i - (i % 3) + 2 - (i % 3)] - PREPROCESSINGS.keras.mean[i % 3]);
      const map = referenceForward(net, smallWeights(net), { data: bgr, shape: [1, 32, 32, 3] }).get('relu3_1')!;
      return map.data.reduce((a, b) => a + b, 0) / map.data.length;
    };
    const gradient = model.run(() =>
      tf.tidy(() => {
        const mean = (rgb: tf.Tensor4D) => tf.mean(model.activations(model.normalize(rgb), ['relu3_1']).relu3_1);
        return tf.grad(mean as (x: tf.Tensor) => tf.Tensor)(tf.tensor4d(Float32Array.from(data), [1, 32, 32, 3]));
      }),
    );
    const slopes = await gradient.data();
    gradient.dispose();
    for (const at of [0, 100, 1501, 3071]) {
      const step = 1e-3;
      const moved = (by: number) => loss(Float64Array.from(data, (value, i) => (i === at ? value + by : value)));
      const expected = (moved(step) - moved(-step)) / (2 * step);
      expect(Math.abs(slopes[at] - expected)).toBeLessThan(1e-3 * Math.max(...slopes.map(Math.abs)));
    }
    model.dispose();
    await new Promise((resolve) => setTimeout(resolve));
  });

  it('runs as a hybrid where buffers are small: large maps on wasm, dense weights in blocks, the same numbers', async () => {
    if (backend().name !== 'webgpu') return;
    const net = network(SMALL_PLAN);
    const input = prepare(picture(), PREPROCESSINGS.keras, { size: 32 });
    const expected = referenceForward(net, smallWeights(net), { data: input.data, shape: [1, 32, 32, 3] });
    // The maps of block 1 take 32 KiB, fc6's weights 20 KiB.
    const model = await load(undefined, { weights: await smallFile(), backend: 'webgpu', maxBindingBytes: 15 * 1024 });
    const placement = model.placement();
    expect(placement.filter((each) => each.backend === 'wasm').map((each) => each.layer)).toEqual([
      'conv1_1',
      'relu1_1',
      'conv1_2',
      'relu1_2',
      'pool1',
    ]);
    expect(placement.filter((each) => each.parts > 1).map((each) => each.layer)).toEqual(['fc6']);
    const maps = await model.extract(picture(), tapNames(net), { size: 32 });
    for (const tap of tapNames(net)) expect(maximumDifference(maps[tap].data, expected.get(tap)!.data), tap).toBeLessThan(TOLERANCE);
    await model.ready('prob');
    const zeros = model.run(() => tf.zeros<tf.Rank.R4>([1, 32, 32, 3]));
    expect(() => model.activations(zeros, ['prob'])).toThrow(expect.objectContaining({ code: 'VGG_MEMORY' }));
    zeros.dispose();
    model.dispose();
    await new Promise((resolve) => setTimeout(resolve));
  });

  it('is warmed up to a layer: its weights are read, and nothing but them is held afterwards', async () => {
    const model = await open();
    await model.warmUp({ layer: 'pool2', size: 32, batch: 2 });
    const zeros = model.run(() => tf.zeros<tf.Rank.R4>([1, 32, 32, 3]));
    model.activations(zeros, ['pool2']).pool2.dispose();
    expect(() => model.activations(zeros, ['pool3'])).toThrow(expect.objectContaining({ code: 'VGG_WEIGHTS_MISSING' }));
    zeros.dispose();
    const { tensors } = await model.memory();
    await model.warmUp({ layer: 'pool2', size: 32 });
    expect((await model.memory()).tensors).toBe(tensors);
    await expect(model.warmUp({ layer: 'pool2', signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    await expect(model.warmUp({ layer: 'pol2' })).rejects.toMatchObject({ code: 'VGG_LAYER' });
    model.dispose();
    await new Promise((resolve) => setTimeout(resolve));
  });

  it('an abort stops an extraction and leaves nothing', async () => {
    const model = await open();
    await model.ready('pool3');
    const before = backend().memory().tensors;
    const controller = new AbortController();
    const endless = (async function* () {
      for (;;) yield picture();
    })();
    const reading = (async () => {
      for await (const _ of model.extractAll(endless, ['pool3'], { size: 32, signal: controller.signal })) {
        // Until stopped.
      }
    })();
    setTimeout(() => controller.abort(), 50);
    await expect(reading).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect(backend().memory().tensors).toBe(before);
    model.dispose();
    await new Promise((resolve) => setTimeout(resolve));
  });
});

it('pictures are not for networks of other than three channels, and it says so', async () => {
  const weights = await smallFile({ ...SMALL_PLAN, channels: 1 });
  const model = await load(undefined, { weights, backend: 'cpu' });
  const picture = { data: new Uint8Array(32 * 32 * 3), width: 32, height: 32, channels: 3 } as const;
  await expect(model.extract(picture, 'pool1')).rejects.toMatchObject({
    code: 'VGG_SHAPE',
    message: 'extract: pictures have 3 channels and small takes 1; give activations() tensors of your own',
  });
  model.dispose();
});

describe('model', () => {
  it('a failing picture costs only itself', async () => {
    const model = await load(undefined, { weights: await smallFile(), backend: 'cpu' });
    const found = [];
    for await (const item of model.extractAll([picture(), new TextEncoder().encode('no picture'), picture()], ['pool1'], { size: 32 }))
      found.push(item);
    expect(found.map((item) => ('error' in item ? item.error.code : item.features.pool1.shape))).toEqual([
      [1, 16, 16, 8],
      'VGG_INPUT',
      [1, 16, 16, 8],
    ]);
    model.dispose();
  });

  it('classifies: probabilities sum to one, the likeliest first, the same as softmax of the logits', async () => {
    const model = await load(undefined, {
      weights: await smallFile(),
      backend: 'cpu',
      classes: ['ant', 'bee', 'cat', 'dog', 'eel'].map((label, index) => ({ index, wnid: '', label })),
    });
    const all = await model.classify(picture(), { top: 5, size: 32 });
    expect(all.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 10);
    expect(all.map(({ logit }) => logit)).toEqual(all.map(({ logit }) => logit).sort((a, b) => b - a));
    const { data } = await model.extract(picture(), 'prob', { size: 32 });
    for (const { index, probability } of all) expect(data[index]).toBeCloseTo(probability, 5);
    expect(['ant', 'bee', 'cat', 'dog', 'eel']).toContain(all[0].label);
    model.dispose();
  });

  it('embeds: pooled vectors of the sizes their layers have', async () => {
    const model = await load(undefined, { weights: await smallFile(), backend: 'cpu' });
    const map = await model.extract(picture(), 'pool2', { size: 32 });
    const average = await model.embed(picture(), { layer: 'pool2', size: 32 });
    expect(average).toEqual(poolMap(map, 'average'));
    expect(await model.embed(picture(), { layer: 'pool2', size: 32, pooling: 'none' })).toHaveLength(8 * 8 * 12);
    expect(await model.embed(picture(), { layer: 'relu6', size: 32 })).toHaveLength(20);
    const unit = await model.embed(picture(), { layer: 'pool2', size: 32, normalize: true });
    expect(Math.hypot(...unit)).toBeCloseTo(1, 6);
    expect(toNCHW(map).shape).toEqual([1, 12, 8, 8]);
    expect(toNCHW(map).data[8 * 8 * 3 + 5]).toBe(map.data[5 * 12 + 3]);
    model.dispose();
  });

  it('refuses what cannot be: unknown layers, pictures too small, a disposed model', async () => {
    const model = await load(undefined, { weights: await smallFile(), backend: 'cpu' });
    await expect(model.extract(picture(), 'relu9_9')).rejects.toMatchObject({ code: 'VGG_LAYER' });
    await expect(model.extract(picture(), 'pool1', { size: 7 })).rejects.toMatchObject({ code: 'VGG_INPUT' });
    await expect(model.extract(picture(), 'fc6', { size: 40 })).rejects.toMatchObject({ code: 'VGG_SHAPE' });
    model.dispose();
    await expect(model.extract(picture(), 'pool1')).rejects.toMatchObject({ code: 'VGG_OPTION' });
  });

  it('places a layer that a GPU cannot hold: dense weights in blocks, large maps on wasm', () => {
    const net = network('vgg16');
    const gpu = { name: 'webgpu', limits: { maxBindingBytes: 128 * 2 ** 20, maxBufferBytes: 256 * 2 ** 20 } } as Model['backend'];
    const at224 = place(net, net.layers, 1, 224, 224, gpu);
    expect(at224.find(({ layer }) => layer === 'fc6')).toMatchObject({
      backend: 'webgpu',
      parts: splitRows(25088, 4096, 128 * 2 ** 20).length,
    });
    expect(at224.filter(({ parts }) => parts > 1).map(({ layer }) => layer)).toEqual(['fc6']);
    const large = network('vgg16', { top: false });
    const at1500 = place(large, large.layers, 1, 1500, 1500, gpu);
    const upToPool3 = large.layers.slice(0, large.layers.findIndex(({ name }) => name === 'pool3') + 1);
    expect(at1500.filter(({ backend }) => backend === 'wasm').map(({ layer }) => layer)).toEqual(upToPool3.map(({ name }) => name));
    expect(at1500[0].reason).toMatch(/MiB/);
    expect(at1500.at(-1)!.backend).toBe('webgpu');
  });
});
