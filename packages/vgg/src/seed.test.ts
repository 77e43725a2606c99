import { expect, test } from 'vitest';
import { random } from './random.js';
import { derivedSeed } from './seed.js';

test('a derived seed is a whole number that depends on the seed, on every key and on their order', () => {
  const seeds = [
    derivedSeed(0),
    derivedSeed(1),
    derivedSeed(0, 1),
    derivedSeed(0, '1'),
    derivedSeed(0, 1, 2),
    derivedSeed(0, 2, 1),
    derivedSeed(0, 12),
    derivedSeed(0, 'conv1_1.weight'),
  ];
  expect(new Set(seeds).size).toBe(seeds.length);
  for (const seed of seeds) expect(Number.isSafeInteger(seed) && seed >= 0).toBe(true);
  expect(derivedSeed(0, 'conv1_1.weight')).toBe(seeds.at(-1));
});

test('10,000 neighbours get 10,000 seeds, whose first draws are uniform', () => {
  const seeds = Array.from({ length: 10_000 }, (_, i) => derivedSeed(3, 'augment', i % 100, Math.floor(i / 100)));
  expect(new Set(seeds).size).toBe(10_000);
  const tenths = new Array<number>(10).fill(0);
  for (const seed of seeds) tenths[Math.floor(random(seed).uniform() * 10)]!++;
  // Four standard deviations of a count of 1000.
  for (const count of tenths) expect(Math.abs(count - 1000)).toBeLessThan(120);
});
