import { CHUNK, type Pace } from './pace.js';
import type { LabelledRows, Rows } from './rows.js';

/** How examples near a picture say what it is. */
export interface NeighbourRule {
  /** How many of the nearest examples vote. */
  readonly k: number;
  /** `cosine` is 1 - the cosine of the angle between two vectors. */
  readonly distance: Distance;
  /** What a vote weighs: one over its distance, or each the same. */
  readonly votes: Votes;
}

export type Distance = 'cosine' | 'euclidean';
export type Votes = 'distance' | 'uniform';
export const DISTANCES: readonly Distance[] = ['cosine', 'euclidean'];
export const VOTES: readonly Votes[] = ['distance', 'uniform'];

/**
 * Probabilities [count, classes] of rows `from` and on by their k nearest examples (Cover and Hart 1967): the class's part of the votes. Of
 * equally near examples the first comes first; where a neighbour is at distance 0, only those at 0 vote. Sums are float64, in the order of
 * the features, so an example is at distance 0 from itself.
 */
export async function neighbourProbabilities(
  examples: LabelledRows,
  { k, distance, votes }: NeighbourRule,
  classes: number,
  rows: Rows,
  from: number,
  count: number,
  pace: Pace,
): Promise<Float32Array> {
  const { dimensions } = examples;
  const probabilities = new Float32Array(count * classes);
  const squares = distance === 'cosine' ? await squaresOf(examples, pace) : undefined;
  const distances = new Float64Array(examples.count);
  const step = Math.max(1, Math.floor(CHUNK / dimensions));
  for (let i = 0; i < count; i++) {
    const row = rows.vectors.subarray((from + i) * dimensions, (from + i + 1) * dimensions);
    const own = squareOf(row);
    for (let j = 0; j < examples.count; j += step) {
      const part = Math.min(step, examples.count - j);
      if (squares) cosineDistances(row, own, examples, squares, j, part, distances);
      else euclideanDistances(row, examples, j, part, distances);
      await pace();
    }
    const nearest = nearestOf(distances, k);
    const weights = nearest.map((j) => (votes === 'uniform' ? 1 : 1 / distances[j]!));
    const isExact = weights.includes(Number.POSITIVE_INFINITY);
    const votesOf = (weight: number) => (isExact ? Number(weight === Number.POSITIVE_INFINITY) : weight);
    const total = weights.reduce((sum, weight) => sum + votesOf(weight), 0);
    const sums = new Float64Array(classes);
    nearest.forEach((j, n) => {
      sums[examples.labels[j]!]! += votesOf(weights[n]!);
    });
    probabilities.set(
      sums.map((sum) => sum / total),
      i * classes,
    );
  }
  return probabilities;
}

/** The places of the k smallest distances, nearest first, the lower place of equals. */
function nearestOf(distances: Float64Array, k: number): number[] {
  const nearest: number[] = [];
  for (let j = 0; j < distances.length; j++) {
    const own = distances[j]!;
    if (nearest.length === k && own >= distances[nearest[k - 1]!]!) continue;
    let at = nearest.length;
    while (at > 0 && distances[nearest[at - 1]!]! > own) at--;
    nearest.splice(at, 0, j);
    if (nearest.length > k) nearest.pop();
  }
  return nearest;
}

async function squaresOf({ vectors, count, dimensions }: Rows, pace: Pace): Promise<Float64Array> {
  const squares = new Float64Array(count);
  const step = Math.max(1, Math.floor(CHUNK / dimensions));
  for (let j = 0; j < count; j++) {
    squares[j] = squareOf(vectors.subarray(j * dimensions, (j + 1) * dimensions));
    if (j % step === 0) await pace();
  }
  return squares;
}

function squareOf(vector: Float32Array): number {
  let sum = 0;
  for (let k = 0; k < vector.length; k++) sum += vector[k]! * vector[k]!;
  return sum;
}

/** Of `count` examples from place `from` on, four sums at a time. A vector of zeros has no direction: it is at distance 1 from every other. */
function cosineDistances(
  row: Float32Array,
  own: number,
  { vectors, dimensions }: Rows,
  squares: Float64Array,
  from: number,
  count: number,
  out: Float64Array,
): void {
  for (let j = from; j < from + count; j += 4) {
    const [a, b, c, d] = placesOf(j, from + count, dimensions);
    let p = 0;
    let q = 0;
    let r = 0;
    let s = 0;
    for (let k = 0; k < dimensions; k++) {
      const value = row[k]!;
      p += value * vectors[a + k]!;
      q += value * vectors[b + k]!;
      r += value * vectors[c + k]!;
      s += value * vectors[d + k]!;
    }
    [p, q, r, s].slice(0, from + count - j).forEach((product, n) => {
      const size = own * squares[j + n]!;
      out[j + n] = size > 0 ? Math.max(0, 1 - product / Math.sqrt(size)) : 1;
    });
  }
}

function euclideanDistances(row: Float32Array, { vectors, dimensions }: Rows, from: number, count: number, out: Float64Array): void {
  for (let j = from; j < from + count; j += 4) {
    const [a, b, c, d] = placesOf(j, from + count, dimensions);
    let p = 0;
    let q = 0;
    let r = 0;
    let s = 0;
    for (let k = 0; k < dimensions; k++) {
      const value = row[k]!;
      p += (value - vectors[a + k]!) ** 2;
      q += (value - vectors[b + k]!) ** 2;
      r += (value - vectors[c + k]!) ** 2;
      s += (value - vectors[d + k]!) ** 2;
    }
    [p, q, r, s].slice(0, from + count - j).forEach((square, n) => {
      out[j + n] = Math.sqrt(square);
    });
  }
}

/** Where four examples begin; past the end the last one stands in. */
function placesOf(j: number, end: number, dimensions: number): [number, number, number, number] {
  const place = (n: number) => Math.min(j + n, end - 1) * dimensions;
  return [place(0), place(1), place(2), place(3)];
}
