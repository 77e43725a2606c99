import { bytesSource, openWeights, readCanonical } from '@vgg/loaders';
import { describe, expect, it } from 'vitest';
import { noise, SMALL_PLAN, smallFile } from '../../test/small-weights.js';
import { load } from '../load.js';
import type { Plan } from '../network/plan.js';
import { PREPROCESSINGS } from '../pictures/preprocessing.js';
import { type FoldOptions, foldWeights } from './fold.js';
import { openNetworkWeights } from './open-weights.js';

const next = noise(3);
const PICTURE = {
  width: 32,
  height: 32,
  channels: 3 as const,
  data: Uint8Array.from({ length: 32 * 32 * 3 }, () => Math.floor((next() + 1) * 128)),
};
const NORMED = { ...SMALL_PLAN, batchNorm: true, epsilon: 1e-3 };

const KERAS = { ...PREPROCESSINGS.keras, resize: { mode: 'none' } };
const TORCH = { name: 'torch', ...without(PREPROCESSINGS.torchvision), resize: { mode: 'none' } };

function without({ channelOrder, scale, mean, std }: typeof PREPROCESSINGS.torchvision) {
  return { channelOrder, scale, mean, std };
}

async function features(plan: Partial<Plan> & Pick<Plan, 'blocks'>, layers: string[], preprocessing: object, fold?: FoldOptions) {
  const weights = await smallFile(plan, { 'vgg.preprocessing': JSON.stringify(preprocessing) });
  using model = await load(undefined, { weights, backend: 'cpu', fold });
  return { model, maps: await model.extract(PICTURE, layers) };
}

type Maps = Record<string, { shape: readonly number[]; data: Float32Array }>;

/** The largest difference of two maps as a fraction of the largest value, without `border` cells on each side. */
function difference(a: Maps[string], b: Maps[string], border = 0): number {
  expect(b.shape).toEqual(a.shape);
  const [, height = 1, width = 1, channels = 1] = a.shape.length === 4 ? a.shape : [1, 1, 1, a.data.length];
  let largest = 0;
  let most = 0;
  for (const [i, value] of a.data.entries()) {
    const [x, y] = [Math.floor(i / channels) % width, Math.floor(i / channels / width)];
    if (Math.min(x, y, width - 1 - x, height - 1 - y) < border) continue;
    largest = Math.max(largest, Math.abs(value));
    most = Math.max(most, Math.abs(value - b.data[i]!));
  }
  expect(largest).toBeGreaterThan(0);
  return most / largest;
}

describe('batch normalisation into the convolutions', () => {
  it('the same outputs, by a network without it', async () => {
    const layers = ['relu1_1', 'pool2', 'relu3_2', 'fc7'];
    const plain = await features(NORMED, layers, KERAS);
    const folded = await features(NORMED, layers, KERAS, { batchNorm: true });
    expect(folded.model.network).toMatchObject({ batchNorm: false, name: 'small' });
    expect(folded.model.network.layers.some(({ kind }) => kind === 'batchnorm')).toBe(false);
    for (const layer of layers) expect(difference((plain.maps as Maps)[layer]!, (folded.maps as Maps)[layer]!), layer).toBeLessThan(1e-5);
    expect(folded.model.preprocessing).toEqual(plain.model.preprocessing);
  });

  it('nothing to do without it, or a second time', async () => {
    const open = async (plan: typeof SMALL_PLAN, fold: FoldOptions) =>
      openNetworkWeights(undefined, { weights: await smallFile(plan), fold }, true);
    const plain = await open(SMALL_PLAN, {});
    expect(foldWeights(plain, { batchNorm: true })).toBe(plain);
    expect(foldWeights(plain, {})).toBe(plain);
    const folded = await open(NORMED, { batchNorm: true, preprocessing: true });
    expect(foldWeights(folded, { batchNorm: true, preprocessing: true })).toBe(folded);
  });
});

describe('preprocessing into the first convolution', () => {
  it.each([
    ['BGR minus the mean', KERAS],
    ['RGB with mean and deviation', TORCH],
  ])('%s: the same away from the border, for RGB from 0 to 255', async (_, preprocessing) => {
    const plain = await features(SMALL_PLAN, ['conv1_1', 'relu1_2'], preprocessing);
    const folded = await features(SMALL_PLAN, ['conv1_1', 'relu1_2'], preprocessing, { preprocessing: true });
    expect(folded.model.preprocessing).toMatchObject({ channelOrder: 'rgb', scale: 1, mean: [0, 0, 0], std: [1, 1, 1] });
    const [a, b] = [plain.maps as Maps, folded.maps as Maps];
    expect(difference(a.conv1_1!, b.conv1_1!, 1)).toBeLessThan(1e-4);
    expect(difference(a.relu1_2!, b.relu1_2!, 2)).toBeLessThan(1e-4);
    // Zeros beyond the border are another colour than before.
    expect(difference(a.conv1_1!, b.conv1_1!)).toBeGreaterThan(1e-3);
  });

  it.each([{ padding: 'reflect' }, { padding: 'valid' }, { padding: 'reflect', colour: true }] as Partial<Plan>[])(
    'with %o the same everywhere, batch normalisation folded too',
    async (options) => {
      const plan = { ...NORMED, ...options, top: false };
      const plain = await features(plan, ['relu1_1', 'pool2'], TORCH);
      const folded = await features(plan, ['relu1_1', 'pool2'], TORCH, { preprocessing: true, batchNorm: true });
      const [a, b] = [plain.maps as Maps, folded.maps as Maps];
      for (const layer of ['relu1_1', 'pool2']) expect(difference(a[layer]!, b[layer]!), layer).toBeLessThan(1e-4);
    },
  );

  it('the size of the picture stays as it was; other numbers of channels are refused', async () => {
    const open = (plan: typeof SMALL_PLAN) => smallFile(plan, { 'vgg.preprocessing': JSON.stringify(PREPROCESSINGS.caffe) });
    const weights = await open(SMALL_PLAN);
    const opened = await openNetworkWeights(undefined, { weights, fold: { preprocessing: true } }, true);
    expect(opened.preprocessing).toMatchObject({ name: 'caffe_folded', resize: { mode: 'shorter', size: 256 }, crop: 224 });
    expect(JSON.parse(opened.file.metadata.get('vgg.preprocessing')!)).toEqual(opened.preprocessing);
    const grey = await open({ ...SMALL_PLAN, channels: 1 });
    await expect(openNetworkWeights(undefined, { weights: grey, fold: { preprocessing: true } }, true)).rejects.toMatchObject({
      code: 'VGG_OPTION',
      message: expect.stringContaining('received 1'),
    });
  });
});

describe('the folded file', () => {
  it('reads and streams the same, leaves the original alone, and passes the others on bit for bit', async () => {
    const weights = await smallFile(NORMED);
    const before = weights.slice();
    const { file, mapping } = await openNetworkWeights(undefined, { weights, fold: { batchNorm: true, preprocessing: true } }, true);
    expect([...file.tensors.keys()].filter((name) => name.startsWith('bn'))).toEqual([]);
    const original = await openWeights(bytesSource(before as Uint8Array<ArrayBuffer>));
    for (const name of mapping.tensors.keys()) {
      const values = await readCanonical(file, mapping, name);
      const streamed: number[] = [];
      for await (const piece of file.stream(name)) streamed.push(...piece);
      expect([...values]).toEqual(streamed);
      const isSame = String(values) === String(await original.read(name));
      expect(isSame, name).toBe(name.startsWith('fc'));
    }
    expect(weights).toEqual(before);
  });

  it('lacks what one of its parts lacks', async () => {
    const weights = await smallFile(NORMED);
    const text = new TextDecoder('latin1').decode(weights);
    const renamed = weights.slice();
    renamed.set(new TextEncoder().encode('xx1_1.variance'), text.indexOf('bn1_1.variance'));
    const { mapping } = await openNetworkWeights(undefined, { weights: renamed, fold: { batchNorm: true } }, true);
    expect(mapping.missing).toEqual(['conv1_1.weight', 'conv1_1.bias']);
  });
});
