import type { Pace } from './pace.js';
import type { Rows } from './rows.js';
import { type Standard, standardizeInto } from './standardize.js';

/**
 * The examples in as few coordinates as they need. The optimum of a loss with an L2 penalty is a combination of the training examples (the
 * representer theorem: Kimeldorf and Wahba 1970; Schölkopf, Herbrich and Smola 2001), so for n examples of d >> n features the problem has at
 * most n unknowns a class. With X = L Q', where Q' [rank, d] has orthonormal rows, logits are L V and the penalty on W = Q V is that on V: the
 * same problem, whose unknowns are V.
 */
export interface Basis {
  /** L [count, rank]: the training examples in the basis. */
  readonly coordinates: Float64Array;
  readonly rank: number;
  /** V [classes, rank] to W = Q V [classes, dimensions]. */
  lift(weights: Float64Array, classes: number): Promise<Float64Array>;
  /** Other examples in the basis, [count, rank]. */
  project(rows: Rows): Promise<Float64Array>;
}

/** Features taken at a time, so that memory stays at count x PANEL numbers. */
const PANEL = 256;
/** Directions whose squared length is below this part of the largest are rounding. */
const RANK_TOLERANCE = 1e-13;

/** @param standard how the rows are standardised on the way */
export async function basisOf(rows: Rows, standard: Standard, pace: Pace): Promise<Basis> {
  const { count, dimensions } = rows;
  const gram = await products(rows, rows, standard, pace);
  const { factor, pivots, rank } = await pivotedCholesky(gram, count, pace);

  const pivotRows: Rows = { vectors: gather(rows, pivots), count: rank, dimensions };
  // The pivots' own rows of L: lower triangular, so Q' = corner^-1 X_pivots.
  const corner = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i++) for (let j = 0; j <= i; j++) corner[i * rank + j] = factor[pivots[i]! * rank + j]!;

  return {
    coordinates: factor,
    rank,
    async lift(weights, classes) {
      const scaled = Float64Array.from(weights);
      for (let c = 0; c < classes; c++) {
        for (let i = rank - 1; i >= 0; i--) {
          let sum = scaled[c * rank + i]!;
          for (let j = i + 1; j < rank; j++) sum -= corner[j * rank + i]! * scaled[c * rank + j]!;
          scaled[c * rank + i] = sum / corner[i * rank + i]!;
        }
      }
      const lifted = new Float64Array(classes * dimensions);
      const row = new Float64Array(dimensions);
      for (let i = 0; i < rank; i++) {
        standardizeInto(pivotRows, standard, i, 1, row);
        for (let c = 0; c < classes; c++) {
          const a = scaled[c * rank + i]!;
          for (let k = 0; k < dimensions; k++) lifted[c * dimensions + k]! += a * row[k]!;
        }
        await pace();
      }
      return lifted;
    },
    async project(others) {
      const projected = await products(others, pivotRows, standard, pace);
      for (let e = 0; e < others.count; e++) {
        const at = e * rank;
        for (let i = 0; i < rank; i++) {
          let sum = projected[at + i]!;
          for (let j = 0; j < i; j++) sum -= corner[i * rank + j]! * projected[at + j]!;
          projected[at + i] = sum / corner[i * rank + i]!;
        }
        await pace();
      }
      return projected;
    },
  };
}

/** A B' of two standardised sets, [a.count, b.count], a panel of features at a time; symmetric sets are computed once. */
async function products(a: Rows, b: Rows, standard: Standard, pace: Pace): Promise<Float64Array> {
  const out = new Float64Array(a.count * b.count);
  const same = a === b;
  for (let from = 0; from < a.dimensions; from += PANEL) {
    const width = Math.min(PANEL, a.dimensions - from);
    const left = panel(a, standard, from, width);
    const right = same ? left : panel(b, standard, from, width);
    for (let i = 0; i < a.count; i++) {
      const columns = same ? i + 1 : b.count;
      let j = 0;
      for (; j + 4 <= columns; j += 4) {
        const r = j * width;
        let s0 = 0;
        let s1 = 0;
        let s2 = 0;
        let s3 = 0;
        for (let k = 0; k < width; k++) {
          const value = left[i * width + k]!;
          s0 += value * right[r + k]!;
          s1 += value * right[r + width + k]!;
          s2 += value * right[r + 2 * width + k]!;
          s3 += value * right[r + 3 * width + k]!;
        }
        const at = i * b.count + j;
        out[at]! += s0;
        out[at + 1]! += s1;
        out[at + 2]! += s2;
        out[at + 3]! += s3;
      }
      for (; j < columns; j++) {
        let sum = 0;
        for (let k = 0; k < width; k++) sum += left[i * width + k]! * right[j * width + k]!;
        out[i * b.count + j]! += sum;
      }
      await pace();
    }
  }
  if (same) for (let i = 0; i < a.count; i++) for (let j = i + 1; j < a.count; j++) out[i * a.count + j] = out[j * a.count + i]!;
  return out;
}

function panel(rows: Rows, standard: Standard, from: number, width: number): Float64Array {
  const out = new Float64Array(rows.count * width);
  const { mean, deviation } = standard;
  for (let i = 0; i < rows.count; i++) {
    const at = i * rows.dimensions + from;
    for (let k = 0; k < width; k++) out[i * width + k] = (rows.vectors[at + k]! - mean[from + k]!) / deviation[from + k]!;
  }
  return out;
}

function gather(rows: Rows, chosen: Int32Array): Float32Array {
  const { dimensions } = rows;
  const out = new Float32Array(chosen.length * dimensions);
  for (let i = 0; i < chosen.length; i++)
    out.set(rows.vectors.subarray(chosen[i]! * dimensions, (chosen[i]! + 1) * dimensions), i * dimensions);
  return out;
}

/**
 * G = L L' of a positive semidefinite G [n, n], largest remaining diagonal first, until what remains is rounding (Higham, "Accuracy and
 * Stability of Numerical Algorithms", section 10.3). L is [n, rank] in the order of G's rows; `pivots` are the rows that were chosen.
 */
async function pivotedCholesky(gram: Float64Array, n: number, pace: Pace) {
  const rest = Float64Array.from({ length: n }, (_, i) => gram[i * n + i]!);
  const limit = RANK_TOLERANCE * n * rest.reduce((a, b) => Math.max(a, b), 0);
  const columns: Float64Array[] = [];
  const pivots: number[] = [];
  while (columns.length < n) {
    let pivot = 0;
    for (let i = 1; i < n; i++) if (rest[i]! > rest[pivot]!) pivot = i;
    if (!(rest[pivot]! > limit)) break;
    const scale = Math.sqrt(rest[pivot]!);
    const column = Float64Array.from({ length: n }, (_, i) => gram[pivot * n + i]!);
    for (const earlier of columns) {
      const a = earlier[pivot]!;
      for (let i = 0; i < n; i++) column[i]! -= a * earlier[i]!;
    }
    for (let i = 0; i < n; i++) {
      column[i]! /= scale;
      rest[i]! -= column[i]! * column[i]!;
    }
    for (const chosen of pivots) column[chosen] = 0;
    column[pivot] = scale;
    rest[pivot] = 0;
    columns.push(column);
    pivots.push(pivot);
    await pace();
  }
  const rank = columns.length;
  const factor = new Float64Array(n * rank);
  for (let j = 0; j < rank; j++) for (let i = 0; i < n; i++) factor[i * rank + j] = columns[j]![i]!;
  return { factor, pivots: Int32Array.from(pivots), rank };
}
