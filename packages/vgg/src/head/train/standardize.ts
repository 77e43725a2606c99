import { CHUNK, type Pace } from './pace.js';
import type { Rows } from './rows.js';

/** What a head subtracts from a feature and divides it by. */
export interface Standard {
  readonly mean: Float32Array;
  readonly deviation: Float32Array;
}

/**
 * Mean and (population) deviation of each feature over all rows; a feature that never varies gets deviation 1, so it becomes 0 everywhere.
 * Sums are float64, in two passes.
 */
export async function standardOf(rows: Rows, pace: Pace): Promise<Standard> {
  const { vectors, count, dimensions } = rows;
  const sums = new Float64Array(dimensions);
  const squares = new Float64Array(dimensions);
  const step = Math.max(1, Math.floor(CHUNK / dimensions));
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < dimensions; k++) sums[k]! += vectors[i * dimensions + k]!;
    if (i % step === 0) await pace();
  }
  const mean = Float32Array.from(sums, (sum) => sum / count);
  for (let i = 0; i < count; i++) {
    for (let k = 0; k < dimensions; k++) {
      const apart = vectors[i * dimensions + k]! - mean[k]!;
      squares[k]! += apart * apart;
    }
    if (i % step === 0) await pace();
  }
  const deviation = Float32Array.from(squares, (sum, k) => deviationOf(sum / count, mean[k]!));
  return { mean, deviation };
}

/** The deviation to divide by: 1 for a feature that never varies. */
export function deviationOf(variance: number, mean: number): number {
  const size = Math.sqrt(variance);
  // Below float32's resolution of the mean the spread is rounding, not information.
  return size > 1e-6 * Math.abs(mean) && size > 0 ? size : 1;
}

/** Leaves features as they are. */
export function plainStandard(dimensions: number): Standard {
  return { mean: new Float32Array(dimensions), deviation: new Float32Array(dimensions).fill(1) };
}

/** Writes (row - mean) / deviation of `count` rows from row `from` into `out`. */
export function standardizeInto(rows: Rows, standard: Standard, from: number, count: number, out: Float32Array | Float64Array): void {
  const { vectors, dimensions } = rows;
  const { mean, deviation } = standard;
  for (let i = 0; i < count; i++) {
    const at = (from + i) * dimensions;
    for (let k = 0; k < dimensions; k++) out[i * dimensions + k] = (vectors[at + k]! - mean[k]!) / deviation[k]!;
  }
}
