/** float32 for training, float64 for the convex solver and for the gradient checks; sums are float64 in both. */
export type Floats = Float32Array | Float64Array;

/** An empty array of the same element type. */
export function floatsLike<T extends Floats>(like: T, length: number): T {
  return new (like.constructor as new (length: number) => T)(length);
}

/**
 * out[i, o] = bias[o] + sum over k of x[i, k] * w[o, k]
 *
 * x is [rows, depth], w [columns, depth] (a unit's weights lie together), out [rows, columns]. Tiles of four rows by two columns keep
 * eight sums in registers; every sum runs over k in order, so a row's result does not depend on the rows beside it.
 */
export function affine<T extends Floats>(x: T, rows: number, depth: number, w: T, bias: T, columns: number, out: T): void {
  let i = 0;
  for (; i + 4 <= rows; i += 4) {
    const x0 = i * depth;
    const x1 = x0 + depth;
    const x2 = x1 + depth;
    const x3 = x2 + depth;
    for (let o = 0; o < columns; o += 2) {
      // An odd last column is computed twice in its tile rather than in a loop of its own.
      const p = o + 1 < columns ? o + 1 : o;
      const w0 = o * depth;
      const w1 = p * depth;
      let a0 = 0;
      let a1 = 0;
      let b0 = 0;
      let b1 = 0;
      let c0 = 0;
      let c1 = 0;
      let d0 = 0;
      let d1 = 0;
      for (let k = 0; k < depth; k++) {
        const u = w[w0 + k]!;
        const v = w[w1 + k]!;
        a0 += x[x0 + k]! * u;
        a1 += x[x0 + k]! * v;
        b0 += x[x1 + k]! * u;
        b1 += x[x1 + k]! * v;
        c0 += x[x2 + k]! * u;
        c1 += x[x2 + k]! * v;
        d0 += x[x3 + k]! * u;
        d1 += x[x3 + k]! * v;
      }
      const at = i * columns;
      out[at + o] = a0 + bias[o]!;
      out[at + p] = a1 + bias[p]!;
      out[at + columns + o] = b0 + bias[o]!;
      out[at + columns + p] = b1 + bias[p]!;
      out[at + 2 * columns + o] = c0 + bias[o]!;
      out[at + 2 * columns + p] = c1 + bias[p]!;
      out[at + 3 * columns + o] = d0 + bias[o]!;
      out[at + 3 * columns + p] = d1 + bias[p]!;
    }
  }
  for (; i < rows; i++) {
    for (let o = 0; o < columns; o++) {
      let sum = 0;
      for (let k = 0; k < depth; k++) sum += x[i * depth + k]! * w[o * depth + k]!;
      out[i * columns + o] = sum + bias[o]!;
    }
  }
}

/**
 * out[p, k] += sum over q of c[p, q] * rows[q, k]
 *
 * The rows of `out` [outRows, depth] gain combinations of the rows of `rows` [inRows, depth]. Coefficient (p, q) is read at
 * p * outStride + q * inStride, so that a matrix and its transpose both serve: the gradient of the weights and that of the inputs.
 */
export function addCombinations<T extends Floats>(
  coefficients: T,
  outStride: number,
  inStride: number,
  rows: T,
  inRows: number,
  out: T,
  outRows: number,
  depth: number,
): void {
  let q = 0;
  for (; q + 4 <= inRows; q += 4) {
    const r0 = q * depth;
    const r1 = r0 + depth;
    const r2 = r1 + depth;
    const r3 = r2 + depth;
    for (let p = 0; p < outRows; p++) {
      const at = p * outStride + q * inStride;
      const a = coefficients[at]!;
      const b = coefficients[at + inStride]!;
      const c = coefficients[at + 2 * inStride]!;
      const d = coefficients[at + 3 * inStride]!;
      if (a === 0 && b === 0 && c === 0 && d === 0) continue;
      const to = p * depth;
      for (let k = 0; k < depth; k++) out[to + k]! += a * rows[r0 + k]! + b * rows[r1 + k]! + c * rows[r2 + k]! + d * rows[r3 + k]!;
    }
  }
  for (; q < inRows; q++) {
    for (let p = 0; p < outRows; p++) {
      const a = coefficients[p * outStride + q * inStride]!;
      if (a === 0) continue;
      for (let k = 0; k < depth; k++) out[p * depth + k]! += a * rows[q * depth + k]!;
    }
  }
}
