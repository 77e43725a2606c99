import { describe, expect, test } from 'vitest';
import { random } from '../../random.js';
import { addCombinations, affine } from './matrix.js';

const rng = random(5);
const values = (length: number) => Float64Array.from({ length }, () => rng.uniform() - 0.5);

// Every remainder of the tiles of four rows and two columns.
describe.each([
  [1, 1, 1],
  [3, 5, 2],
  [4, 7, 3],
  [9, 16, 5],
  [8, 0, 2],
])('%d rows, %d deep, %d columns', (rows, depth, columns) => {
  const x = values(rows * depth);
  const w = values(columns * depth);

  test('affine equals its definition', () => {
    const bias = values(columns);
    const out = new Float64Array(rows * columns);
    affine(x, rows, depth, w, bias, columns, out);
    for (let i = 0; i < rows; i++) {
      for (let o = 0; o < columns; o++) {
        let sum = bias[o]!;
        for (let k = 0; k < depth; k++) sum += x[i * depth + k]! * w[o * depth + k]!;
        expect(out[i * columns + o]).toBeCloseTo(sum, 12);
      }
    }
  });

  test('a row gives the same bits alone and among others', () => {
    const [x32, w32, bias] = [x, w, values(columns)].map((each) => Float32Array.from(each)) as [Float32Array, Float32Array, Float32Array];
    const together = new Float32Array(rows * columns);
    affine(x32, rows, depth, w32, bias, columns, together);
    for (let i = 0; i < rows; i++) {
      const alone = new Float32Array(columns);
      affine(x32.subarray(i * depth, (i + 1) * depth), 1, depth, w32, bias, columns, alone);
      expect(together.subarray(i * columns, (i + 1) * columns)).toEqual(alone);
    }
  });

  test('addCombinations adds coefficients times rows, plain and transposed', () => {
    const coefficients = values(rows * columns);
    const weights = new Float64Array(columns * depth).fill(0.25);
    addCombinations(coefficients, 1, columns, x, rows, weights, columns, depth);
    const inputs = new Float64Array(rows * depth);
    addCombinations(coefficients, columns, 1, w, columns, inputs, rows, depth);
    for (let k = 0; k < depth; k++) {
      for (let o = 0; o < columns; o++) {
        let sum = 0.25;
        for (let i = 0; i < rows; i++) sum += coefficients[i * columns + o]! * x[i * depth + k]!;
        expect(weights[o * depth + k]).toBeCloseTo(sum, 12);
      }
      for (let i = 0; i < rows; i++) {
        let sum = 0;
        for (let o = 0; o < columns; o++) sum += coefficients[i * columns + o]! * w[o * depth + k]!;
        expect(inputs[i * depth + k]).toBeCloseTo(sum, 12);
      }
    }
  });
});
