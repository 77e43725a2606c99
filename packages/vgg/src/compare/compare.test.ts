import { dequantizeInt4, dequantizeInt8, quantizeInt4, quantizeInt8, toFloat16, toFloat32, writeSafetensors } from '@vgg/loaders';
import { describe, expect, it } from 'vitest';
import { SMALL_PLAN, smallWeights } from '../../test/small-weights.js';
import { network } from '../network/architecture.js';
import type { Plan } from '../network/plan.js';
import { PREPROCESSINGS } from '../pictures/preprocessing.js';
import { compareWeights } from './compare.js';
import { measureErrors } from './compare-sets.js';
import { standardPicture } from './standard-picture.js';

type Values = Map<string, { shape: readonly number[]; values: Float32Array }>;

/** A weight file of the small network, with some of its values changed. */
async function file(change: (weights: Values) => void = () => {}, { plan = {}, preprocessing = PREPROCESSINGS.keras as object } = {}) {
  const net = network({ ...SMALL_PLAN, ...(plan as Partial<Plan>) });
  const weights = smallWeights(net);
  change(weights);
  const tensors = [...weights].map(([name, { shape, values }]) => ({ name, shape, values: async () => values }));
  const metadata = { 'vgg.plan': JSON.stringify(net.plan), 'vgg.preprocessing': JSON.stringify(preprocessing) };
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeSafetensors(tensors, metadata)) chunks.push(chunk.slice());
  return new Blob(chunks as BlobPart[]).arrayBuffer();
}

/** Changes one tensor: the new value at `i`, given all the old ones. */
const changed = (name: string, at: (values: Float32Array, i: number) => number) => (weights: Values) => {
  const { shape, values } = weights.get(name)!;
  weights.set(name, { shape, values: values.map((_, i) => at(values, i)) });
};
const rounded = (round: (values: Float32Array, channels: number) => Float32Array) => (weights: Values) => {
  for (const [name, { shape, values }] of weights) if (shape.length > 1) weights.set(name, { shape, values: round(values, shape.at(-1)!) });
};
const float16 = (values: Float32Array) => toFloat32(new Uint8Array(toFloat16(values).buffer), 'float16');
const int8 = (values: Float32Array, channels: number) => {
  const { values: small, scales } = quantizeInt8(values, channels);
  return dequantizeInt8(small, scales);
};

const int4 = (values: Float32Array, channels: number) => {
  const { indices, palettes } = quantizeInt4(values, channels);
  return dequantizeInt4(indices, palettes, new Float32Array(values.length));
};

const OUT = 8; // of conv1_1
const channelOf = (i: number) => Math.floor(i / OUT) % 3;
const turned = (values: Float32Array, i: number) => values[i + (2 - 2 * channelOf(i)) * OUT]!;
const options = { backend: 'wasm' } as const;

describe('compareWeights', () => {
  it('the same values and the same pictures', async () => {
    const compared = await compareWeights(await file(), await file(), options);
    expect(compared).toMatchObject({ ok: true, firstDifference: null, differing: [], tensors: 14, diverges: null, side: 32 });
    expect(compared.taps.map(({ layer }) => layer)).toEqual([
      ...['relu1_1', 'relu1_2', 'pool1', 'relu2_1', 'pool2', 'relu3_1', 'relu3_2', 'pool3', 'relu6', 'prob'],
    ]);
    expect(compared.taps.every(({ relative, cosine }) => relative === 0 && cosine === 1)).toBe(true);
  });

  it.each([
    ['the mean of the last map in front of the dense layers', { globalPool: true }],
    ['the mean of the scores behind them', { convolutionalTop: true, size: 24 }],
  ])('a network with %s', async (_, plan) => {
    const compared = await compareWeights(await file(undefined, { plan }), await file(undefined, { plan }), options);
    expect(compared).toMatchObject({ ok: true, diverges: null });
    expect(compared.taps.at(-1)).toMatchObject({ layer: 'prob', relative: 0, cosine: 1 });
    const halved = changed('conv2_1.weight', (values, i) => values[i]! / 2);
    const other = await compareWeights(await file(undefined, { plan }), await file(halved, { plan }), options);
    expect(other.diverges).toBe('relu2_1');
    expect(other.taps.at(-1)!.relative).toBeGreaterThan(0);
  });

  it.each<[string, (weights: Values) => void, object, string | null]>([
    ['BGR for RGB', changed('conv1_1.weight', turned), { layer: 'conv1_1', tensor: 'conv1_1.weight', cause: 'bgr-rgb' }, 'relu1_1'],
    [
      'pictures of another scale',
      changed('conv1_1.weight', (values, i) => values[i]! * 255 * [0.229, 0.224, 0.225][channelOf(i)]!),
      { layer: 'conv1_1', cause: 'scale', reason: expect.stringContaining('times 58.39, 57.12, 57.37') },
      'relu1_1',
    ],
    [
      'both at once',
      changed('conv1_1.weight', (values, i) => turned(values, i) * 58.25),
      { cause: 'bgr-rgb', reason: expect.stringMatching(/the other way round, times 58\.25 in the second:/) },
      'relu1_1',
    ],
    [
      'a mean',
      changed('conv1_1.bias', (values, i) => values[i]! + 3),
      { layer: 'conv1_1', tensor: 'conv1_1.bias', cause: 'mean' },
      'relu1_1',
    ],
    [
      'rows of fc6 as C,H,W',
      changed('fc6.weight', (values, i) => {
        const row = Math.floor(i / 20);
        return values[((row % 16) * 16 + Math.floor(row / 16)) * 20 + (i % 20)]!;
      }),
      { layer: 'fc6', cause: 'fc6-order' },
      'relu6',
    ],
    [
      'filters of Theano',
      changed('conv2_1.weight', (values, i) => values[(8 - Math.floor(i / 96)) * 96 + (i % 96)]!),
      { layer: 'conv2_1', cause: 'flipped-filters' },
      'relu2_1',
    ],
    [
      'outputs in another order',
      changed('conv3_1.weight', (values, i) => values[i - (i % 16) + ((i + 5) % 16)]!),
      { layer: 'conv3_1', cause: 'permuted-outputs' },
      'relu3_1',
    ],
    ['float16', rounded(float16), { layer: 'conv1_1', cause: 'float16' }, 'relu1_1'],
    ['int8', rounded(int8), { layer: 'conv1_1', cause: 'int8' }, 'relu1_1'],
    ['int4', rounded(int4), { layer: 'conv1_1', cause: 'int4' }, 'relu1_1'],
    [
      'one value',
      changed('conv2_1.weight', (values, i) => (i === 7 ? values[i]! + 1 : values[i]!)),
      {
        layer: 'conv2_1',
        tensor: 'conv2_1.weight',
        reason: expect.stringMatching(/^has other values: 1 of 864, [-\d.]+ and [-\d.]+$/),
        maxDifference: expect.closeTo(1, 5),
      },
      'relu2_1',
    ],
  ])('%s', async (_, change, expected, diverges) => {
    const compared = await compareWeights(await file(), await file(change), options);
    expect(compared).toMatchObject({ ok: false, firstDifference: expected });
    // Rounding to float16 is about what counts as a difference.
    if (_ !== 'float16') expect(compared.diverges).toBe(diverges);
    const { taps } = compared;
    for (const { layer, relative } of taps.slice(
      0,
      Math.max(
        0,
        taps.findIndex((tap) => tap.layer === diverges),
      ),
    )) {
      expect({ layer, relative }).toEqual({ layer, relative: 0 });
    }
  });

  it('every tensor that differs is told, and a value that is no number', async () => {
    const two = (weights: Values) => {
      changed('conv2_1.bias', (values, i) => (i === 3 ? Number.NaN : values[i]!))(weights);
      changed('fc7.weight', (values, i) => -values[i]!)(weights);
    };
    for (const [sets, which] of [
      [[await file(), await file(two)], 'second'],
      [[await file(two), await file()], 'first'],
    ] as const) {
      const compared = await compareWeights(sets[0]!, sets[1]!, options);
      expect(compared).toMatchObject({ ok: false, differing: ['conv2_1.bias', 'fc7.weight'], tensors: 14, diverges: 'relu2_1' });
      expect(compared.firstDifference!.reason).toMatch(new RegExp(`^has no number as value 3 in the ${which}, where the other has `));
      expect(compared.firstDifference).not.toHaveProperty('maxDifference');
    }
  });

  it.each([
    ['float16', float16],
    ['int8', int8],
    ['int4', int4],
  ] as const)('which of the two is rounded to %s', async (dtype, round) => {
    const [whole, small] = [await file(), await file(rounded(round))];
    const reason = async (a: ArrayBuffer, b: ArrayBuffer) => (await compareWeights(a, b, options)).firstDifference!.reason;
    expect(await reason(whole, small)).toMatch(new RegExp(`^holds the same values, rounded to ${dtype} .*in the second$`));
    expect(await reason(small, whole)).toMatch(new RegExp(`^holds the same values, rounded to ${dtype} .*in the first$`));
  });

  it('networks that differ are named', async () => {
    const other = await file(
      changed('conv1_1.weight', (values, i) => values[i]! + (i % 5)),
      { plan: { rounding: 'ceil' } },
    );
    const { firstDifference } = await compareWeights(await file(), other, options);
    expect(firstDifference!.reason).toMatch(/, and the networks differ in rounding "floor" and "ceil"$/);
  });

  it('one value has no cause', async () => {
    const change = changed('conv1_1.weight', (values, i) => (i === 7 ? values[i]! + 1 : values[i]!));
    expect((await compareWeights(await file(), await file(change), options)).firstDifference).not.toHaveProperty('cause');
  });

  it.each([
    ['bgr-rgb', { ...PREPROCESSINGS.keras, name: 'mine', channelOrder: 'rgb' }],
    ['scale', { ...PREPROCESSINGS.keras, name: 'mine', scale: 1 / 255 }],
    ['mean', { ...PREPROCESSINGS.keras, name: 'mine', mean: [0, 0, 0] }],
  ])('the same values and another preprocessing: %s', async (cause, preprocessing) => {
    const compared = await compareWeights(await file(), await file(undefined, { preprocessing }), options);
    expect(compared).toMatchObject({ ok: false, firstDifference: { layer: 'conv1_1', cause }, diverges: 'relu1_1' });
    expect(compared.firstDifference!.reason).toMatch(/preprocessing of the first is keras \(BGR .*, of the second mine/);
    expect(compared.firstDifference).not.toHaveProperty('tensor');
  });

  it('another size rule is no difference', async () => {
    const preprocessing = { ...PREPROCESSINGS.caffe, name: 'mine' };
    expect((await compareWeights(await file(), await file(undefined, { preprocessing }), options)).ok).toBe(true);
  });

  it('the same values in networks that round otherwise part at the pool', async () => {
    const plan = { top: false, blocks: [[8], [8], [8], [8]] };
    const sized = { ...plan, poolSize: 3 };
    const compared = await compareWeights(
      await file(undefined, { plan: sized }),
      await file(undefined, { plan: { ...sized, rounding: 'ceil' } }),
      options,
    );
    expect(compared.taps.map(({ layer }) => layer)).toEqual(['relu1_1']); // then the maps have other sizes
    const average = await compareWeights(
      await file(undefined, { plan }),
      await file(undefined, { plan: { ...plan, pool: 'average' } }),
      options,
    );
    expect(average).toMatchObject({
      ok: false,
      diverges: 'pool1',
      firstDifference: { layer: 'pool1', reason: expect.stringContaining('pool "max" and "average"') },
    });
  });

  it('a part of a network is compared as far as it goes', async () => {
    const cut = (weights: Values) => {
      for (const name of [...weights.keys()]) if (/^(conv3|fc)/.test(name)) weights.delete(name);
    };
    const compared = await compareWeights(await file(), await file(cut), options);
    expect(compared).toMatchObject({ ok: false, firstDifference: { layer: 'conv3_1', reason: 'is only in the first' }, diverges: null });
    expect(compared.taps.at(-1)!.layer).toBe('pool2');
  });

  it('what rounding costs at each layer, without a look at the values', async () => {
    const taps = await measureErrors(await file(), await file(rounded(int8)), options);
    expect(taps).toHaveLength(10);
    for (const { relative, cosine } of taps) {
      expect(relative).toBeGreaterThan(0);
      expect(relative).toBeLessThan(0.1);
      expect(cosine).toBeGreaterThan(0.999);
      expect(cosine).toBeLessThanOrEqual(1);
    }
  });
});

it('the standard picture is the same everywhere, and every channel is another', () => {
  const picture = standardPicture(4);
  expect([...picture.subarray(0, 12)]).toEqual([0, 40, 80, 3, 45, 87, 6, 50, 94, 9, 55, 101]);
  expect([...picture.subarray(36)]).toEqual([21, 55, 89, 24, 60, 96, 26, 64, 102, 28, 68, 108]);
  expect(new Set(standardPicture(64)).size).toBe(256);
});
