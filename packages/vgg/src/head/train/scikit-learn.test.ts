import { describe, expect, test } from 'vitest';
import golden from '../../../test/heads/golden.json';
import { PixelEmbedder } from '../../../test/pixel-embedder.js';
import type { Head } from '../head.js';
import { baseOf, type FeatureSet } from './features.js';
import { type TrainHeadOptions, trainHead } from './train-head.js';

// packages/vgg/test/heads/golden.py made the numbers with scikit-learn.
const model = new PixelEmbedder();
const { l2, k, train, asked } = golden;

async function features(rows: number[][], more: Partial<FeatureSet>): Promise<FeatureSet> {
  const common = { count: rows.length, dimensions: 5, names: rows.map((_, i) => `row ${i}`), failed: [], skipped: [] };
  const base = await baseOf(model, {});
  return {
    ...common,
    classes: ['a', 'b', 'c'],
    labels: new Int32Array(rows.length),
    vectors: Float32Array.from(rows.flat()),
    base,
    ...more,
  };
}

const classes = () => features(train, { labels: Int32Array.from(golden.classes) });
const labels = () => features(train, { classes: ['p', 'q'], targetKind: 'labels', targets: Float32Array.from(golden.labels.flat()) });
const numbers = () => features(train, { classes: ['value'], targetKind: 'number', targets: Float32Array.from(golden.targets) });

/** The head's outputs for the rows that are asked for, before a softmax or sigmoid. */
function outputs(head: Head): number[][] {
  const { weight, bias } = head.denseLayers()[0]!;
  return asked.map((row) => Array.from(bias, (own, c) => row.reduce((sum, value, i) => sum + value * weight[i * bias.length + c]!, own)));
}

function expectClose(found: number[][], expected: number[][], within: number): void {
  expected.forEach((row, i) => {
    for (const [c, value] of row.entries()) expect(Math.abs(found[i]![c]! - value), `row ${i}, ${c}`).toBeLessThan(within);
  });
}

describe('as scikit-learn', () => {
  test('svm: its decision values', async () => {
    const head = await trainHead(model, await classes(), { solver: 'svm', l2 });
    const { temperature } = head.info.training;
    expectClose(
      outputs(head).map((row) => row.map((value) => value / temperature!)),
      golden.svm,
      1e-3,
    );
  });

  test.each(['cosine', 'euclidean'] as const)('knn by %s: its probabilities', async (distance) => {
    const options: TrainHeadOptions = { solver: 'knn', k, distance };
    const head = await trainHead(model, await classes(), options);
    const { neighbourProbabilities } = await import('./knn.js');
    const known = await classes();
    const rule = head.info.training.neighbours!;
    const found = await neighbourProbabilities(known, rule, 3, await features(asked, {}), 0, asked.length, () => undefined);
    expectClose(
      asked.map((_, i) => [...found.subarray(i * 3, i * 3 + 3)]),
      golden.knn[distance],
      1e-5,
    );
  });

  test('multi-label: its probabilities and average precisions', async () => {
    const head = await trainHead(model, await labels(), { solver: 'multi-label', l2 });
    expectClose(
      outputs(head).map((row) => row.map((value) => 1 / (1 + Math.exp(-value)))),
      golden.multiLabel,
      1e-4,
    );
    const { perClass, meanAveragePrecision } = await head.evaluateLabels(await labels());
    perClass.forEach(({ averagePrecision }, c) => {
      expect(averagePrecision).toBeCloseTo(golden.averagePrecision[c]!, 6);
    });
    expect(meanAveragePrecision).toBeCloseTo((golden.averagePrecision[0]! + golden.averagePrecision[1]!) / 2, 6);
  });

  test('regression: its numbers and R2', async () => {
    const head = await trainHead(model, await numbers(), { solver: 'regression', l2 });
    expectClose(
      outputs(head),
      golden.regression.map((value) => [value]),
      1e-3,
    );
    const { rmse, r2, images } = await head.evaluateNumbers(await numbers());
    expect(r2).toBeCloseTo(golden.r2, 5);
    expect(head.best.accuracy).toBeCloseTo(r2, 5);
    expect(head.best.loss).toBeCloseTo(rmse ** 2, 4);
    expect(images).toBe(36);
  });
});
