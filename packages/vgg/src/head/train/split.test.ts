import { describe, expect, test } from 'vitest';
import { stratifiedSplit } from './split.js';

describe('stratifiedSplit', () => {
  const labels = [...new Array(10).fill(0), ...new Array(30).fill(1), 2, ...new Array(2).fill(3)];

  test('holds out the part of every class, at least one, and never the only one', () => {
    const { fitted, held } = stratifiedSplit(labels, 4, 0.2, 0);
    const counts = [0, 0, 0, 0];
    for (const place of held) counts[labels[place]]!++;
    expect(counts).toEqual([2, 6, 0, 1]);
    expect([...fitted, ...held].sort((a, b) => a - b)).toEqual(labels.map((_, i) => i));
  });

  test('0.99 leaves every class an example to fit', () => {
    const { fitted } = stratifiedSplit(labels, 4, 0.99, 0);
    expect(new Set(Array.from(fitted, (place) => labels[place]))).toEqual(new Set([0, 1, 2, 3]));
  });

  test('the seed decides', () => {
    expect(stratifiedSplit(labels, 4, 0.3, 1)).toEqual(stratifiedSplit(labels, 4, 0.3, 1));
    expect(stratifiedSplit(labels, 4, 0.3, 1)).not.toEqual(stratifiedSplit(labels, 4, 0.3, 2));
  });

  test.each([0, 1, -0.5, Number.NaN])('refuses the part %d', (fraction) => {
    expect(() => stratifiedSplit(labels, 4, fraction, 0)).toThrow(/between 0 and 1/);
  });
});
