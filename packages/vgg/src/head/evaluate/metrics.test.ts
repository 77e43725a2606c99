import { describe, expect, test } from 'vitest';
import { evaluateProbabilities } from './evaluation.js';
import { calibrationError, confusionMatrix, crossEntropy, mostProbable, recalls, topAccuracy } from './metrics.js';

// Ten rows of three; the expected values were computed from the same rows with numpy.
const rows = [
  [0.96, 0.01, 0.03],
  [0.234, 0.294, 0.472],
  [0.021, 0.763, 0.216],
  [0.996, 0.003, 0.001],
  [0.597, 0.276, 0.127],
  [0.124, 0.709, 0.167],
  [0.798, 0.079, 0.123],
  [0.868, 0.117, 0.015],
  [0.013, 0.057, 0.93],
  [0.068, 0.071, 0.861],
];
const probabilities = rows.flat();
const labels = [0, 2, 1, 0, 1, 1, 0, 2, 2, 1];

describe('metrics of ten rows of three classes', () => {
  test('top-1 and top-2', () => {
    expect(topAccuracy(probabilities, labels, 3, 1)).toBe(0.7);
    expect(topAccuracy(probabilities, labels, 3, 2)).toBe(0.9);
    expect(topAccuracy(probabilities, labels, 3, 5)).toBe(1);
  });

  test('confusion and recalls', () => {
    const matrix = confusionMatrix(mostProbable(probabilities, 10, 3), labels, 3);
    expect(matrix).toEqual([
      [3, 0, 0],
      [1, 2, 1],
      [1, 0, 2],
    ]);
    expect(recalls(matrix)).toEqual([1, 0.5, 2 / 3]);
  });

  test('cross-entropy and calibration error', () => {
    expect(crossEntropy(probabilities, labels, 3)).toBeCloseTo(0.9840355576914966, 14);
    expect(calibrationError(probabilities, labels, 3)).toBeCloseTo(0.3558, 14);
  });

  test('all of them in an evaluation', () => {
    const evaluation = evaluateProbabilities(probabilities, labels, ['ant', 'bee', 'wasp']);
    expect(evaluation).toMatchObject({ images: 10, top1: 0.7, top5: 1 });
    expect(evaluation.meanRecall).toBeCloseTo((1 + 0.5 + 2 / 3) / 3, 14);
    expect(evaluation.perClass[1]).toEqual({ label: 'bee', images: 4, recall: 0.5 });
    expect(evaluation.confusion.classes).toEqual(['ant', 'bee', 'wasp']);
  });
});

test('of equal scores the lower class comes first, everywhere', () => {
  expect([...mostProbable([0.5, 0.5], 1, 2)]).toEqual([0]);
  expect(topAccuracy([0.5, 0.5], [1], 2, 1)).toBe(0);
  expect(topAccuracy([0.5, 0.5], [0], 2, 1)).toBe(1);
});

test('scores that are not numbers are never right', () => {
  expect(topAccuracy([Number.NaN, Number.NaN], [0], 2, 1)).toBe(0);
});

test('a class without examples has no recall and is left out of the mean', () => {
  expect(
    recalls([
      [0, 0],
      [1, 1],
    ]),
  ).toEqual([undefined, 0.5]);
  const { meanRecall, perClass } = evaluateProbabilities([0.4, 0.6], [1], ['a', 'b']);
  expect(meanRecall).toBe(1);
  expect(perClass[0]).toEqual({ label: 'a', images: 0 });
});

test('an impossible label costs a finite loss', () => {
  expect(crossEntropy([1, 0], [1], 2)).toBeCloseTo(126 * Math.log(2), 9);
});

describe('labels that are no class', () => {
  const scores = [0.9, 0.1];
  const calls: Record<string, () => unknown> = {
    topAccuracy: () => topAccuracy(scores, [2], 2, 1),
    confusionMatrix: () => confusionMatrix([0], [2], 2),
    crossEntropy: () => crossEntropy(scores, [-1], 2),
    calibrationError: () => calibrationError(scores, [2], 2),
  };
  for (const [name, call] of Object.entries(calls))
    test(`${name} refuses them`, () => expect(call).toThrow(expect.objectContaining({ code: 'VGG_INPUT' })));
});
