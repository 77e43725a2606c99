import { describe, expect, test } from 'vitest';
import { random, restoreRandom } from './random.js';

describe('random', () => {
  // From the reference algorithm (xoshiro128** on splitmix32) in Python's whole numbers.
  test.each([
    [0, [3809008728, 1133695204, 53579671, 2891528803]],
    [1, [2442144158, 3238099751, 3819917871, 2104621829]],
    [-1, [4076317958, 2022755225, 3689328358, 469858168]],
    [2 ** 40 + 7, [3221471587, 49821721, 1718060151, 164894849]],
  ])('seed %d gives the reference numbers', (seed, expected) => {
    const rng = random(seed);
    expect(expected.map(() => rng.uint32())).toEqual(expected);
  });

  test('uniform numbers lie in [0, 1) with mean 1/2 and variance 1/12', () => {
    const rng = random(3);
    const values = Array.from({ length: 20_000 }, () => rng.uniform());
    const mean = values.reduce((a, b) => a + b) / values.length;
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
    expect(mean).toBeCloseTo(0.5, 2);
    expect(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length).toBeCloseTo(1 / 12, 2);
  });

  test('below(3) gives each number a third of the time', () => {
    const rng = random(4);
    const counts = [0, 0, 0];
    for (let i = 0; i < 30_000; i++) counts[rng.below(3)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(300);
  });

  test('shuffle keeps the members, moves them, and depends on the seed', () => {
    const list = Array.from({ length: 50 }, (_, i) => i);
    const [a, b, c] = [1, 1, 2].map((seed) => random(seed).shuffle([...list]));
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
    expect(a).not.toEqual(list);
    expect([...a!].sort((x, y) => x - y)).toEqual(list);
  });
  test('normal numbers have mean 0, variance 1 and the tails of a bell', () => {
    const rng = random(5);
    const values = Array.from({ length: 20_000 }, () => rng.normal());
    const mean = values.reduce((a, b) => a + b) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length - 1)).toBeLessThan(0.04);
    const within = values.filter((value) => Math.abs(value) < 1).length / values.length;
    expect(Math.abs(within - 0.6827)).toBeLessThan(0.015);
  });

  test('a restored stream goes on with the same numbers, and the one it was taken from too', () => {
    const rng = random(6);
    rng.normal();
    rng.shuffle([1, 2, 3, 4]);
    const state = rng.state();
    expect(state).toEqual(JSON.parse(JSON.stringify(state)));
    const again = restoreRandom(state);
    const numbers = Array.from({ length: 100 }, () => rng.uint32());
    expect(Array.from({ length: 100 }, () => again.uint32())).toEqual(numbers);
    expect(again.state()).toEqual(rng.state());
    expect(restoreRandom(state).uint32()).toBe(numbers[0]);
  });
});
