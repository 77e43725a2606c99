import { describe, expect, test } from 'vitest';
import { random } from '../../random.js';
import { adam } from './adam.js';
import { addGradients, copyNet, createNet, forward, workspaceFor } from './net.js';
import { pace } from './pace.js';

const F64 = new Float64Array(0);

describe.each([[[4, 3]], [[5, 7, 3]], [[3, 6, 5, 4]]])('layers %j', (sizes) => {
  test.each([0, 0.4])('the gradients equal finite differences in float64, dropout %d', (rate) => {
    const rows = 6;
    const net = createNet(sizes, random(1), F64);
    const rng = random(2);
    for (const { weights, bias } of net)
      for (const array of [weights, bias]) for (let k = 0; k < array.length; k++) array[k]! += rng.uniform() - 0.5;
    const x = Float64Array.from({ length: rows * sizes[0]! }, () => 2 * rng.uniform() - 1);
    const labels = Int32Array.from({ length: rows }, () => rng.below(sizes.at(-1)!));
    // The same seed drops the same units each time, so the loss stays a function of the parameters.
    const dropout = () => (rate > 0 ? { rate, random: random(3) } : undefined);
    const work = workspaceFor(net, rows);
    addGradients(net, x, labels, rows, work, dropout());
    const loss = () => addGradients(net, x, labels, rows, workspaceFor(net, rows), dropout()).loss;
    net.forEach((layer, l) => {
      for (const name of ['weights', 'bias'] as const) {
        const parameters = layer[name];
        parameters.forEach((value, k) => {
          parameters[k] = value + 1e-6;
          const above = loss();
          parameters[k] = value - 1e-6;
          const below = loss();
          parameters[k] = value;
          expect(work.gradients[l]![name][k]).toBeCloseTo((above - below) / 2e-6, 7);
        });
      }
    });
  });
});

test('gradients add up over parts of a batch', () => {
  const net = createNet([4, 5, 3], random(4), F64);
  const rng = random(5);
  const x = Float64Array.from({ length: 7 * 4 }, () => rng.uniform());
  const labels = Int32Array.of(0, 1, 2, 0, 1, 2, 0);
  const whole = workspaceFor(net, 7);
  addGradients(net, x, labels, 7, whole);
  const parts = workspaceFor(net, 4);
  addGradients(net, x.subarray(0, 16), labels.subarray(0, 4), 4, parts);
  addGradients(net, x.subarray(16), labels.subarray(4), 3, parts);
  for (const [l, { weights }] of parts.gradients.entries()) {
    for (const [k, value] of weights.entries()) expect(value).toBeCloseTo(whole.gradients[l]!.weights[k]!, 12);
  }
});

test('Glorot weights have the variance 2 / (inputs + outputs); a single layer starts at 0', () => {
  const [layer] = createNet([300, 200, 2], random(6), new Float32Array(0));
  const variance = layer!.weights.reduce((sum, weight) => sum + weight * weight, 0) / layer!.weights.length;
  expect(variance).toBeCloseTo(2 / 500, 4);
  expect(layer!.bias.every((value) => value === 0)).toBe(true);
  expect(createNet([300, 2], random(6), new Float32Array(0))[0]!.weights.every((value) => value === 0)).toBe(true);
});

test('dropout keeps the mean of the hidden units and is absent at prediction', () => {
  const net = [
    { inputs: 1, outputs: 10_000, weights: new Float64Array(10_000).fill(1), bias: new Float64Array(10_000) },
    { inputs: 10_000, outputs: 1, weights: new Float64Array(10_000).fill(1e-4), bias: new Float64Array(1) },
  ];
  const outputs = workspaceFor(net, 1).outputs;
  const dropped = forward(net, Float64Array.of(1), 1, outputs, { rate: 0.5, random: random(7) })[0]!;
  expect(dropped).not.toBe(1);
  expect(dropped).toBeCloseTo(1, 1);
  expect(outputs[0]!.filter((unit) => unit === 0).length).toBeGreaterThan(4800);
  expect(forward(net, Float64Array.of(1), 1, outputs)[0]).toBeCloseTo(1, 12);
});

test('three steps of Adam with decoupled decay equal the formulae in numpy', async () => {
  const net = [{ inputs: 2, outputs: 1, weights: Float64Array.of(0.5, -1), bias: Float64Array.of(0.25) }];
  const work = workspaceFor(net, 1);
  const options = { learningRate: 0.1, weightDecay: 0.5, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  const step = adam(net, work, options, pace(undefined, 'test'));
  for (const [a, b, c] of [
    [1, -2, 0.5],
    [0.5, 3, -1],
    [-0.25, 0, 2],
  ] as const) {
    work.gradients[0]!.weights.set([4 * a, 4 * b]);
    work.gradients[0]!.bias.set([4 * c]);
    await step(4);
    expect([...work.gradients[0]!.weights, ...work.gradients[0]!.bias]).toEqual([0, 0, 0]);
  }
  expect(net[0]!.weights[0]).toBeCloseTo(0.19351429953392157, 14);
  expect(net[0]!.weights[1]).toBeCloseTo(-0.8098040949785899, 14);
  expect(net[0]!.bias[0]).toBeCloseTo(0.14464479271810454, 14);
});

test('a copy does not follow its original', () => {
  const net = createNet([2, 3, 2], random(8), F64);
  const copy = copyNet(net);
  const before = [...copy[0]!.weights];
  net[0]!.weights.fill(9);
  expect([...copy[0]!.weights]).toEqual(before);
});
