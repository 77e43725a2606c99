import { describe, expect, test } from 'vitest';
import { network } from '../network/architecture.js';
import { type InitializeOptions, initialValues, initialWeights } from './initialize.js';

const FILTER = { name: 'conv3_1.weight', part: 'weight', shape: [3, 3, 128, 96] } as const; // 110,592 values
const DENSE = { name: 'fc7.weight', part: 'weight', shape: [500, 200] } as const;

function moments(values: Float32Array) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const central = (power: number) => values.reduce((sum, value) => sum + (value - mean) ** power, 0) / values.length;
  return { mean, variance: central(2), kurtosis: central(4) / central(2) ** 2, largest: Math.max(...values.map(Math.abs)) };
}

describe('moments of 1e5 draws', () => {
  test.each<[string, typeof FILTER | typeof DENSE, InitializeOptions, number]>([
    ["the paper's normal", FILTER, { initializer: 'normal' }, 1e-4],
    ['a normal of another deviation', DENSE, { initializer: 'normal', deviation: 0.5 }, 0.25],
    ['glorot-normal', FILTER, { initializer: 'glorot-normal' }, 2 / (9 * (128 + 96))],
    ['glorot-uniform', DENSE, { initializer: 'glorot-uniform' }, 2 / 700],
    ['he-normal', FILTER, {}, 2 / (9 * 128)],
    ['he-normal by outputs', FILTER, { fan: 'out' }, 2 / (9 * 96)],
    ['he-uniform', DENSE, { initializer: 'he-uniform' }, 2 / 500],
    ['he-uniform by outputs', DENSE, { initializer: 'he-uniform', fan: 'out' }, 2 / 200],
  ])('%s', async (_, tensor, options, expected) => {
    const { mean, variance, kurtosis, largest } = moments(await initialValues(tensor, { ...options, seed: 11 }));
    // Four standard deviations of the mean, and of a variance over 1e5 draws.
    expect(Math.abs(mean)).toBeLessThan(4 * Math.sqrt(expected / 1e5));
    expect(Math.abs(variance / expected - 1)).toBeLessThan(0.02);
    const isUniform = options.initializer?.endsWith('uniform');
    expect(Math.abs(kurtosis - (isUniform ? 1.8 : 3))).toBeLessThan(0.1);
    if (isUniform) expect(largest).toBeLessThanOrEqual(Math.fround(Math.sqrt(3 * expected)));
    else expect(largest).toBeGreaterThan(3.5 * Math.sqrt(expected));
  });
});

test('biases are 0 or as given; batch normalisation begins as the identity', async () => {
  const net = network({ blocks: [[4], [6]], batchNorm: true, dense: [], classes: 3, size: 32 });
  const file = initialWeights(net, { bias: 0.1 });
  const all = async (name: string) => [...new Set(await file.read(name))];
  expect(await all('conv1_1.bias')).toEqual([Math.fround(0.1)]);
  expect(await Promise.all(['scale', 'offset', 'mean', 'variance'].map((part) => all(`bn2_1.${part}`)))).toEqual([[1], [0], [0], [1]]);
  expect(await initialValues({ name: 'fc6.bias', part: 'bias', shape: [2] })).toEqual(new Float32Array(2));
});

test('values depend on the seed and the name, not on the order of reading or the depth of the network', async () => {
  const [shallow, deep] = [
    [[4], [6]],
    [[4, 4], [6], [8]],
  ].map((blocks) => initialWeights(network({ blocks, top: false }), { seed: 5 }));
  const later = await deep!.read('conv2_1.weight');
  const first = await deep!.read('conv1_1.weight');
  expect(await shallow!.read('conv1_1.weight')).toEqual(first);
  expect(await shallow!.read('conv2_1.weight')).toEqual(later);
  expect(await initialWeights(network({ blocks: [[4]], top: false }), { seed: 6 }).read('conv1_1.weight')).not.toEqual(first);
  const [one, other] = await Promise.all(['a', 'b'].map((name) => initialValues({ ...FILTER, name }, { seed: 5 })));
  expect(one).not.toEqual(other);
});

test('reading stops when its signal is aborted', async () => {
  const file = initialWeights(network('vgg11'));
  await expect(file.read('fc6.weight', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
});

test.each([{ initializer: 'xavier' }, { deviation: 0 }, { fan: 'both' }, { bias: Number.NaN }, { seed: 0.5 }])(
  '%j is refused',
  (options) => {
    expect(() => initialWeights(network('vgg11'), options as InitializeOptions)).toThrow(expect.objectContaining({ code: 'VGG_OPTION' }));
  },
);
