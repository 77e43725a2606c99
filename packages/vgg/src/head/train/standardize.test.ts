import { expect, test } from 'vitest';
import { pace } from './pace.js';
import { standardizeInto, standardOf } from './standardize.js';

test('features get mean 0 and deviation 1, constant ones 0', async () => {
  const rows = { vectors: Float32Array.of(1, 5, 0.1, 3, 5, 0.1, 5, 5, 0.1), count: 3, dimensions: 3 };
  const standard = await standardOf(rows, pace(undefined, 'test'));
  expect([...standard.mean]).toEqual([3, 5, Math.fround(0.1)]);
  expect(standard.deviation[0]).toBeCloseTo(Math.sqrt(8 / 3), 6);
  expect([...standard.deviation.subarray(1)]).toEqual([1, 1]);
  const out = new Float64Array(6);
  standardizeInto(rows, standard, 1, 2, out);
  expect([...out].map((value) => value + 0)).toEqual([0, 0, 0, 2 / standard.deviation[0]!, 0, 0]);
});

test('large means lose nothing: 1e6 +- 1', async () => {
  const vectors = Float32Array.from({ length: 1000 }, (_, i) => 1e6 + (i % 2 === 0 ? 1 : -1));
  const { mean, deviation } = await standardOf({ vectors, count: 1000, dimensions: 1 }, pace(undefined, 'test'));
  expect(mean[0]).toBe(1e6);
  expect(deviation[0]).toBe(1);
});
