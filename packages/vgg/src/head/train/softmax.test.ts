import { expect, test } from 'vitest';
import { softmaxInPlace } from './softmax.js';

test('probabilities sum to 1, and the loss is -log of the label', () => {
  const rows = Float64Array.from([1, 2, 3, 0, 0, 0]);
  const { loss, correct } = softmaxInPlace(rows, 2, 3, [2, 1]);
  expect(rows[2]).toBeCloseTo(0.6652409557748219, 14);
  expect(rows[3]).toBeCloseTo(1 / 3, 14);
  expect(loss).toBeCloseTo(-Math.log(0.6652409557748219) + Math.log(3), 14);
  // Of three equals the first is the prediction, which is not the label 1.
  expect(correct).toBe(1);
});

test('logits of any size stay finite', () => {
  const rows = Float32Array.from([1e30, 0, -1e30, 5000, 4000, 5000]);
  const { loss } = softmaxInPlace(rows, 2, 3, [0, 1]);
  expect([...rows]).toEqual([1, 0, 0, 0.5, 0, 0.5]);
  expect(loss).toBeCloseTo(1000 + Math.log(2), 9);
});

test('labels are read from their own place', () => {
  const { correct } = softmaxInPlace(Float64Array.from([2, 1]), 1, 2, [1, 1, 0], 2);
  expect(correct).toBe(1);
});
