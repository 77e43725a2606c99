import { describe, expect, test } from 'vitest';
import { colours, PixelEmbedder } from '../../../test/pixel-embedder.js';
import { random } from '../../random.js';
import { loadHead } from '../head.js';
import { pace } from './pace.js';
import type { LabelledRows } from './rows.js';
import { fitTemperature, type ScoreSolver, trainScores } from './scores.js';
import { standardOf } from './standardize.js';
import { trainHead } from './train-head.js';

const wait = pace(undefined, 'test');
const CLASSES = 3;

/** Overlapping classes around random centres. */
function examples(count: number, dimensions: number, seed: number): LabelledRows {
  const rng = random(1);
  const own = random(seed);
  const centres = Float64Array.from({ length: CLASSES * dimensions }, () => 3 * rng.uniform());
  const labels = Int32Array.from({ length: count }, (_, i) => i % CLASSES);
  const vectors = Float32Array.from({ length: count * dimensions }, (_, at) => {
    return centres[labels[Math.floor(at / dimensions)]! * dimensions + (at % dimensions)]! + 5 * (own.uniform() + own.uniform() - 1);
  });
  return { vectors, labels, count, dimensions };
}

async function fitted(solver: ScoreSolver, rows: LabelledRows, l2?: number) {
  const standard = await standardOf(rows, wait);
  const trained = await trainScores(rows, examples(30, rows.dimensions, 9), standard, CLASSES, { solver, l2, epochs: 1000, seed: 0 }, wait);
  const { weights, bias } = trained.net[0]!;
  const feature = (i: number, k: number) => (rows.vectors[i * rows.dimensions + k]! - standard.mean[k]!) / standard.deviation[k]!;
  // Scores before the temperature.
  const weight = (c: number, k: number) => weights[c * rows.dimensions + k]! / trained.temperature;
  const score = (i: number, c: number) => {
    let sum = bias[c]! / trained.temperature;
    for (let k = 0; k < rows.dimensions; k++) sum += weight(c, k) * feature(i, k);
    return sum;
  };
  return { trained, feature, weight, score };
}

// More examples than features, and fewer: the second is solved in the examples' own basis.
describe.each([
  [90, 6],
  [24, 60],
])('%d examples of %d features', (count, dimensions) => {
  const rows = examples(count, dimensions, 2);

  test.each<[ScoreSolver, (score: number, target: number) => number]>([
    ['ridge', (score, target) => 2 * (score - target)],
    ['svm', (score, target) => -2 * target * Math.max(0, 1 - target * score)],
  ])('%s is at its optimum: no weight and no bias has a gradient', async (solver, derivative) => {
    const l2 = 0.3;
    const { trained, feature, weight, score } = await fitted(solver, rows, l2);
    expect(trained.converged).toBe(true);
    for (let c = 0; c < CLASSES; c++) {
      const slopes = Array.from({ length: count }, (_, i) => derivative(score(i, c), rows.labels[i] === c ? 1 : -1) / count);
      expect(slopes.reduce((a, b) => a + b)).toBeCloseTo(0, 4);
      for (let k = 0; k < dimensions; k++)
        expect(slopes.reduce((sum, slope, i) => sum + slope * feature(i, k), 0) + l2 * weight(c, k)).toBeCloseTo(0, 4);
    }
  });

  test('nearest-mean orders classes by the distance to their means', async () => {
    const { feature, score } = await fitted('nearest-mean', rows);
    for (let i = 0; i < count; i++) {
      const distances = Array.from({ length: CLASSES }, (_, c) => {
        let square = 0;
        for (let k = 0; k < dimensions; k++) {
          const own = Array.from({ length: count }, (_, j) => j).filter((j) => rows.labels[j] === c);
          square += (feature(i, k) - own.reduce((sum, j) => sum + feature(j, k), 0) / own.length) ** 2;
        }
        return square;
      });
      // Scores are -distance^2 / 2 up to what all classes share.
      expect(score(i, 0) - score(i, 1)).toBeCloseTo((distances[1]! - distances[0]!) / 2, 3);
      expect(score(i, 2) - score(i, 1)).toBeCloseTo((distances[1]! - distances[2]!) / 2, 3);
    }
  });
});

test('the temperature has the least cross-entropy', async () => {
  const rows = examples(60, 4, 3);
  const held = { x: Float64Array.from(rows.vectors), labels: rows.labels };
  const parameters = Float64Array.from({ length: 15 }, (_, i) => Math.sin(i * 7));
  const best = await fitTemperature(parameters, held, 4, CLASSES, wait);
  const lossAt = (factor: number) => {
    let loss = 0;
    for (let i = 0; i < 60; i++) {
      const powers = [0, 1, 2].map((c) => {
        let score = parameters[12 + c]!;
        for (let k = 0; k < 4; k++) score += parameters[c * 4 + k]! * held.x[i * 4 + k]!;
        return Math.exp(factor * score);
      });
      loss -= Math.log(powers[rows.labels[i]!]! / (powers[0]! + powers[1]! + powers[2]!));
    }
    return loss;
  };
  for (const nearby of [0.9, 0.99, 1.01, 1.1]) expect(lossAt(best * nearby)).toBeGreaterThanOrEqual(lossAt(best));
});

test.each<ScoreSolver>(['svm', 'ridge', 'nearest-mean'])('%s: a head comes back from its file and predicts the same', async (solver) => {
  const model = new PixelEmbedder();
  const head = await trainHead(model, colours(10), { solver, validation: colours(4, 100) });
  const again = await loadHead(await head.toBytes(), model);
  expect(again.info).toEqual(head.info);
  expect(again.info.training).toMatchObject({ solver, temperature: expect.any(Number) });
  expect('l2' in again.info.training).toBe(solver !== 'nearest-mean');
  expect(await again.predict(colours(2, 50).green!)).toEqual(await head.predict(colours(2, 50).green!));
});

test('a hidden layer needs adam', async () => {
  await expect(trainHead(new PixelEmbedder(), colours(3), { solver: 'svm', hidden: 4 })).rejects.toMatchObject({ code: 'VGG_OPTION' });
});
