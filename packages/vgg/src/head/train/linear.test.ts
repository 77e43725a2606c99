import { describe, expect, test } from 'vitest';
import { random } from '../../random.js';
import { minimize } from './lbfgs.js';
import { designOf, logisticObjective, scoreLinear, searchL2 } from './linear.js';
import { pace } from './pace.js';
import type { Scored } from './softmax.js';
import { standardOf } from './standardize.js';

const wait = pace(undefined, 'test');

/** Noisy classes around random centres; the first feature never varies. */
function examples(count: number, dimensions: number, classes: number, seed: number) {
  const rng = random(seed);
  const centres = Float64Array.from({ length: classes * dimensions }, () => 4 * rng.uniform());
  const labels = Int32Array.from({ length: count }, (_, i) => i % classes);
  const vectors = Float32Array.from({ length: count * dimensions }, (_, at) => {
    const [i, k] = [Math.floor(at / dimensions), at % dimensions];
    return k === 0 ? 7.3 : centres[labels[i]! * dimensions + k]! + 6 * (rng.uniform() + rng.uniform() - 1);
  });
  return { vectors, labels, count, dimensions };
}

/** Solves A x = b by elimination with pivoting. */
function solve(matrix: number[][], right: number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  for (let c = 0; c < rows.length; c++) {
    const pivot = rows.slice(c).reduce((best, row, i) => (Math.abs(row[c]!) > Math.abs(rows[best]![c]!) ? c + i : best), c);
    [rows[c], rows[pivot]] = [rows[pivot]!, rows[c]!];
    for (let r = 0; r < rows.length; r++) {
      if (r === c) continue;
      const factor = rows[r]![c]! / rows[c]![c]!;
      rows[r] = rows[r]!.map((value, k) => value - factor * rows[c]![k]!);
    }
  }
  return rows.map((row, i) => row.at(-1)! / row[i]!);
}

/** Newton's method with the full Hessian of the softmax loss, written from its formulae; the last bias is held at 0. */
function newton(x: Float64Array, labels: Int32Array, width: number, classes: number, l2: number): Float64Array {
  const count = labels.length;
  const size = classes * (width + 1);
  const free = size - 1;
  const theta = new Float64Array(size);
  const feature = (i: number, k: number) => (k === width ? 1 : x[i * width + k]!);
  const place = (c: number, k: number) => (k === width ? classes * width + c : c * width + k);
  for (let step = 0; step < 30; step++) {
    const gradient = new Array<number>(size).fill(0);
    const hessian = Array.from({ length: size }, () => new Array<number>(size).fill(0));
    for (let i = 0; i < count; i++) {
      const logits = Array.from({ length: classes }, (_, c) => {
        let sum = 0;
        for (let k = 0; k <= width; k++) sum += theta[place(c, k)]! * feature(i, k);
        return sum;
      });
      const powers = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
      const p = powers.map((power) => power / powers.reduce((a, b) => a + b));
      for (let c = 0; c < classes; c++) {
        for (let k = 0; k <= width; k++) {
          gradient[place(c, k)]! += ((p[c]! - (labels[i] === c ? 1 : 0)) * feature(i, k)) / count;
          for (let d = 0; d < classes; d++) {
            const curvature = (p[c]! * ((c === d ? 1 : 0) - p[d]!)) / count;
            for (let j = 0; j <= width; j++) hessian[place(c, k)]![place(d, j)]! += curvature * feature(i, k) * feature(i, j);
          }
        }
      }
    }
    for (let k = 0; k < classes * width; k++) {
      gradient[k]! += l2 * theta[k]!;
      hessian[k]![k]! += l2;
    }
    const change = solve(
      hessian.slice(0, free).map((row) => row.slice(0, free)),
      gradient.slice(0, free),
    );
    change.forEach((value, k) => {
      theta[k]! -= value;
    });
    if (Math.max(...change.map(Math.abs)) < 1e-13) break;
  }
  return theta;
}

describe('the L-BFGS optimum', () => {
  test.each([0.3, 0.01])("equals Newton's to 1e-6 with l2 %d (60 examples, 6 features, 3 classes)", async (l2) => {
    const rows = examples(60, 6, 3, 11);
    const design = await designOf(rows, await standardOf(rows, wait), wait);
    const { x, converged } = await minimize(logisticObjective(design, rows.labels, 3, l2, wait), new Float64Array(21), { tolerance: 1e-9 });
    expect(converged).toBe(true);
    const exact = newton(design.x, rows.labels, 6, 3, l2);
    for (let k = 0; k < 18; k++) expect(Math.abs(x[k]! - exact[k]!)).toBeLessThan(1e-6);
    // A constant added to all biases changes no probability.
    for (let c = 0; c < 3; c++) expect(Math.abs(x[18 + c]! - x[20]! - exact[18 + c]!)).toBeLessThan(1e-6);
  });

  test.each([
    [30, 200, 3],
    [25, 40, 2],
    [40, 12, 4],
  ])("is the same in the examples' own basis (%d examples, %d features, %d classes)", async (count, dimensions, classes) => {
    const rows = examples(count, dimensions, classes, 21);
    const others = examples(17, dimensions, classes, 22);
    const standard = await standardOf(rows, wait);
    const [plain, basis] = await Promise.all([designOf(rows, standard, wait, false), designOf(rows, standard, wait, true)]);
    // Standardised rows sum to 0, so one direction is missing.
    expect(basis.width).toBe(Math.min(count - 1, dimensions - 1));
    const fits: { value: number; weights: Float64Array; score: Scored }[] = [];
    for (const design of [plain, basis]) {
      const start = new Float64Array(classes * (design.width + 1));
      const { x, value } = await minimize(logisticObjective(design, rows.labels, classes, 0.02, wait), start, {
        tolerance: 1e-9,
        maxIterations: 2000,
      });
      const weights = await design.lift(x.subarray(0, classes * design.width), classes);
      const score = await scoreLinear(x, await design.project(others), others.labels, design.width, classes, wait);
      fits.push({ value, weights, score });
    }
    expect(fits[1]!.value).toBeCloseTo(fits[0]!.value, 11);
    expect(fits[1]!.score.loss).toBeCloseTo(fits[0]!.score.loss, 5);
    expect(fits[1]!.score.correct).toBe(fits[0]!.score.correct);
    fits[0]!.weights.forEach((weight, k) => void expect(Math.abs(weight - fits[1]!.weights[k]!)).toBeLessThan(1e-6));
  });
});

test('the gradient equals finite differences', async () => {
  const rows = examples(13, 5, 3, 31);
  const design = await designOf(rows, await standardOf(rows, wait), wait, false);
  const objective = logisticObjective(design, rows.labels, 3, 0.1, wait);
  const rng = random(32);
  const at = Float64Array.from({ length: 18 }, () => rng.uniform() - 0.5);
  const gradient = new Float64Array(18);
  await objective(at, gradient);
  for (let k = 0; k < 18; k++) {
    const values = [];
    for (const step of [1e-6, -1e-6])
      values.push(
        await objective(
          at.map((value, i) => (i === k ? value + step : value)),
          new Float64Array(18),
        ),
      );
    expect(gradient[k]).toBeCloseTo((values[0]! - values[1]!) / 2e-6, 8);
  }
});

test('the search visits strengths from strong to weak, and a stronger one fits the held-out rows of noise better', async () => {
  const rows = examples(40, 60, 2, 41);
  rows.labels.forEach((_, i) => {
    rows.labels[i] = random(i).below(2);
  });
  const others = examples(30, 60, 2, 42);
  const design = await designOf(rows, await standardOf(rows, wait), wait);
  const trials = await searchL2(design, rows.labels, { x: await design.project(others), labels: others.labels }, 2, wait);
  const strengths = trials.map(({ l2 }) => l2);
  expect([...strengths].sort((a, b) => b - a)).toEqual(strengths);
  expect(trials[0]!.valLoss).toBeLessThan(trials.at(-1)!.valLoss);
});

test('examples that are all the same leave only the biases', async () => {
  const rows = { vectors: new Float32Array(5 * 9).fill(3), labels: Int32Array.of(0, 0, 0, 0, 1), count: 5, dimensions: 9 };
  const design = await designOf(rows, await standardOf(rows, wait), wait);
  const { x } = await minimize(logisticObjective(design, rows.labels, 2, 0.1, wait), new Float64Array(2 * (design.width + 1)), {});
  expect(design.width).toBe(0);
  expect(1 / (1 + Math.exp(x[1]! - x[0]!))).toBeCloseTo(0.8, 5);
});

test('a copy of the features beyond a gigabyte is refused', async () => {
  const rows = { vectors: new Float32Array(0), count: 300_000, dimensions: 4096 };
  const standard = { mean: new Float32Array(4096), deviation: new Float32Array(4096).fill(1) };
  await expect(designOf(rows, standard, wait)).rejects.toMatchObject({ code: 'VGG_MEMORY' });
});
