import { describe, expect, test } from 'vitest';
import { linearScale, logScale, type Scale, wholeScale } from './scale.js';

const labels = ({ ticks }: Scale) => ticks.map(({ label }) => label);

describe('linear axes go in steps of 1, 2 or 5 between round numbers around the values', () => {
  test.each([
    [0.03, 0.91, ['0.0', '0.2', '0.4', '0.6', '0.8', '1.0']],
    [0, 0.69, ['0.0', '0.2', '0.4', '0.6', '0.8']],
    [0.5, 1, ['0.5', '0.6', '0.7', '0.8', '0.9', '1.0']],
    [-3, 4, ['-4', '-2', '0', '2', '4']],
    [0, 230, ['0', '50', '100', '150', '200', '250']],
    [0, 0.00004, ['0.00000', '0.00001', '0.00002', '0.00003', '0.00004']],
  ])('%d to %d', (least, largest, expected) => {
    const scale = linearScale(least, largest, 5);
    expect(labels(scale).map(Number)).toEqual(expected.map(Number));
    expect(scale.at(scale.ticks[0]!.value)).toBe(0);
    expect(scale.at(scale.ticks.at(-1)!.value)).toBeCloseTo(1, 12);
    expect(scale.at(least)).toBeGreaterThanOrEqual(0);
    expect(scale.at(largest)).toBeLessThanOrEqual(1 + 1e-12);
  });

  test.each([0, 1, -2, 0.3])('a single value %d has an axis too', (value) => {
    const scale = linearScale(value, value, 5);
    expect(scale.ticks.length).toBeGreaterThan(1);
    expect(Number.isFinite(scale.at(value))).toBe(true);
  });
});

test('axes of whole numbers begin and end with the data', () => {
  expect(labels(wholeScale(1, 20, 10))).toEqual(['1', '2', '4', '6', '8', '10', '12', '14', '16', '18', '20']);
  expect(labels(wholeScale(1, 3, 10))).toEqual(['1', '2', '3']);
  expect(labels(wholeScale(7, 7, 10))).toEqual(['7']);
  expect([wholeScale(1, 20, 10).at(1), wholeScale(1, 20, 10).at(20), wholeScale(7, 7, 10).at(7)]).toEqual([0, 1, 0.5]);
});

test('logarithmic axes go in powers of ten', () => {
  const scale = logScale(0.004, 2.3);
  expect(labels(scale)).toEqual(['0.001', '0.01', '0.1', '1', '10']);
  expect(scale.at(0.1)).toBeCloseTo(0.5, 12);
  expect(labels(logScale(1e-9, 1e-5))).toEqual(['1e-9', '1e-8', '1e-7', '1e-6', '1e-5']);
  expect(labels(logScale(1e-12, 1)).length).toBeLessThanOrEqual(7);
});
