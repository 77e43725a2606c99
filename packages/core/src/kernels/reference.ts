/**
 * The definition: every operation as its formula says, on plain arrays, with float64 sums. Slow, and meant to be read;
 * every other kernel of this package is tested against it.
 */

/** Numbers and their shape; maps are NHWC, filters HWIO. */
export interface Volume {
  data: ArrayLike<number>;
  shape: readonly number[];
}

/** A result of the reference, in float64. */
export interface Result {
  data: Float64Array;
  shape: number[];
}

export interface ReferenceConvOptions {
  activation?: 'linear' | 'relu';
  padding?: 'zero' | 'reflect' | 'valid';
}

/**
 * `y[n, i, j, k] = act(b[k] + sum over r, s, c of x[n, i + r - top, j + s - left, c] . w[r, s, c, k])`, stride 1.
 * x `[N, H, W, C]`, w `[KH, KW, C, K]`, b `[K]` or null. An even kernel has its larger margin below and right, as in TensorFlow.
 */
export function referenceConv2d(x: Volume, w: Volume, b: ArrayLike<number> | null, options: ReferenceConvOptions = {}): Result {
  const [batch, height, width, inputs] = x.shape;
  const [kernelY, kernelX, , outputs] = w.shape;
  const valid = options.padding === 'valid';
  const top = valid ? 0 : (kernelY - 1) >> 1;
  const left = valid ? 0 : (kernelX - 1) >> 1;
  const outHeight = valid ? height - kernelY + 1 : height;
  const outWidth = valid ? width - kernelX + 1 : width;
  const place = options.padding === 'reflect' ? mirror : inside;
  const data = new Float64Array(batch * outHeight * outWidth * outputs);
  let at = 0;
  for (let n = 0; n < batch; n++)
    for (let i = 0; i < outHeight; i++)
      for (let j = 0; j < outWidth; j++)
        for (let k = 0; k < outputs; k++) {
          let sum = b ? b[k] : 0;
          for (let r = 0; r < kernelY; r++) {
            const y = place(i + r - top, height);
            if (y < 0) continue;
            for (let s = 0; s < kernelX; s++) {
              const z = place(j + s - left, width);
              if (z < 0) continue;
              for (let c = 0; c < inputs; c++) {
                sum += x.data[((n * height + y) * width + z) * inputs + c] * w.data[((r * kernelX + s) * inputs + c) * outputs + k];
              }
            }
          }
          data[at++] = options.activation === 'relu' ? Math.max(0, sum) : sum;
        }
  return { data, shape: [batch, outHeight, outWidth, outputs] };
}

/**
 * From the gradient `dy` of `referenceConv2d`'s result, those of its input, its filter and its bias, for padding zero or valid:
 * `dx[n, y, z, c] = sum of dy[n, i, j, k] . w[r, s, c, k]` and `dw[r, s, c, k] = sum of dy[n, i, j, k] . x[n, y, z, c]` over all that
 * go together, `y = i + r - top` and `z = j + s - left`; `db[k] = sum of dy[n, i, j, k]`.
 */
export function referenceConv2dGradients(x: Volume, w: Volume, dy: Volume, padding: 'zero' | 'valid'): Record<'x' | 'w' | 'b', Result> {
  const [, height, width, inputs] = x.shape;
  const [kernelY, kernelX, , outputs] = w.shape;
  const [batch, outHeight, outWidth] = dy.shape;
  const top = padding === 'valid' ? 0 : (kernelY - 1) >> 1;
  const left = padding === 'valid' ? 0 : (kernelX - 1) >> 1;
  const dx = new Float64Array(x.data.length);
  const dw = new Float64Array(w.data.length);
  const db = new Float64Array(outputs);
  for (let i = 0; i < dy.data.length; i++) db[i % outputs] += dy.data[i];
  for (let n = 0; n < batch; n++)
    for (let i = 0; i < outHeight; i++)
      for (let j = 0; j < outWidth; j++)
        for (let r = 0; r < kernelY; r++)
          for (let s = 0; s < kernelX; s++) {
            const y = inside(i + r - top, height);
            const z = inside(j + s - left, width);
            if (y < 0 || z < 0) continue;
            for (let c = 0; c < inputs; c++) {
              const from = ((n * height + y) * width + z) * inputs + c;
              const tap = ((r * kernelX + s) * inputs + c) * outputs;
              for (let k = 0; k < outputs; k++) {
                const g = dy.data[((n * outHeight + i) * outWidth + j) * outputs + k];
                dx[from] += g * w.data[tap + k];
                dw[tap + k] += g * x.data[from];
              }
            }
          }
  return { x: { data: dx, shape: [...x.shape] }, w: { data: dw, shape: [...w.shape] }, b: { data: db, shape: [outputs] } };
}

function inside(i: number, size: number): number {
  return i >= 0 && i < size ? i : -1;
}

/** Mirrored without repeating the border: -1 is 1, and size is size - 2. */
function mirror(i: number, size: number): number {
  if (i < 0) return -i;
  return i < size ? i : 2 * size - 2 - i;
}

export interface ReferencePoolOptions {
  pool: 'max' | 'average' | 'l2';
  size: number;
  stride: number;
  rounding: 'floor' | 'ceil';
  window?: 'flat' | 'hanning';
}

/** Windows along one axis; the last starts inside the map. */
export function pooledSize(size: number, options: { size: number; stride: number; rounding: 'floor' | 'ceil'; pad?: number }): number {
  const pad = options.pad ?? 0;
  const steps = (size + 2 * pad - options.size) / options.stride;
  const count = (options.rounding === 'ceil' ? Math.ceil(steps) : Math.floor(steps)) + 1;
  return (count - 1) * options.stride >= size + pad ? count - 1 : count;
}

/**
 * Max, mean or root of the mean square of the cells of each window that lie on the map; `[N, H, W, C]` in and out.
 * With `window: 'hanning'` (size 3) the l2 pool is that of DISTS: squares weighted by a Hanning window, one cell of zeros around the map,
 * 1e-12 under the root.
 */
export function referencePool(x: Volume, options: ReferencePoolOptions): Result {
  const [batch, height, width, channels] = x.shape;
  const hanning = options.window === 'hanning';
  const pad = hanning ? 1 : 0;
  const outHeight = pooledSize(height, { ...options, pad });
  const outWidth = pooledSize(width, { ...options, pad });
  const data = new Float64Array(batch * outHeight * outWidth * channels);
  const weight = [0.25, 0.5, 0.25];
  let at = 0;
  for (let n = 0; n < batch; n++)
    for (let i = 0; i < outHeight; i++)
      for (let j = 0; j < outWidth; j++)
        for (let c = 0; c < channels; c++) {
          let maximum = -Infinity;
          let sum = 0;
          let squares = 0;
          let count = 0;
          for (let r = 0; r < options.size; r++)
            for (let s = 0; s < options.size; s++) {
              const y = i * options.stride + r - pad;
              const z = j * options.stride + s - pad;
              if (y < 0 || z < 0 || y >= height || z >= width) continue;
              const value = x.data[((n * height + y) * width + z) * channels + c];
              maximum = Math.max(maximum, value);
              sum += value;
              squares += value * value * (hanning ? weight[r] * weight[s] : 1);
              count++;
            }
          if (options.pool === 'max') data[at++] = maximum;
          else if (options.pool === 'average') data[at++] = sum / count;
          else data[at++] = Math.sqrt(hanning ? squares + 1e-12 : squares / count);
        }
  return { data, shape: [batch, outHeight, outWidth, channels] };
}

/** `y[n, k] = act(b[k] + sum over i of x[n, i] . w[i, k])`; x `[N, I]`, w `[I, K]`. */
export function referenceDense(
  x: Volume,
  w: Volume,
  b: ArrayLike<number> | null,
  options: { activation?: 'linear' | 'relu' } = {},
): Result {
  const [batch, inputs] = x.shape;
  const outputs = w.shape[1];
  const data = new Float64Array(batch * outputs);
  for (let n = 0; n < batch; n++)
    for (let k = 0; k < outputs; k++) {
      let sum = b ? b[k] : 0;
      for (let i = 0; i < inputs; i++) sum += x.data[n * inputs + i] * w.data[i * outputs + k];
      data[n * outputs + k] = options.activation === 'relu' ? Math.max(0, sum) : sum;
    }
  return { data, shape: [batch, outputs] };
}

export interface ReferenceBatchNorm {
  mean: ArrayLike<number>;
  variance: ArrayLike<number>;
  scale: ArrayLike<number>;
  offset: ArrayLike<number>;
  epsilon: number;
}

/** `(x - mean) / sqrt(variance + epsilon) . scale + offset`, a channel at a time (the last axis). */
export function referenceBatchNorm(x: Volume, p: ReferenceBatchNorm): Result {
  const channels = x.shape[x.shape.length - 1];
  return map(x, (value, i) => {
    const c = i % channels;
    return ((value - p.mean[c]) / Math.sqrt(p.variance[c] + p.epsilon)) * p.scale[c] + p.offset[c];
  });
}

/** `x / (bias + alpha . sum of squares over the channels within radius)^beta` (Krizhevsky et al. 2012, section 3.3). */
export function referenceLrn(x: Volume, p: { radius: number; bias: number; alpha: number; beta: number }): Result {
  const channels = x.shape[x.shape.length - 1];
  return map(x, (value, i) => {
    const c = i % channels;
    let squares = 0;
    for (let k = Math.max(0, c - p.radius); k <= Math.min(channels - 1, c + p.radius); k++) squares += x.data[i - c + k] ** 2;
    return value / (p.bias + p.alpha * squares) ** p.beta;
  });
}

/** `max(x, 0)`. */
export function referenceRelu(x: Volume): Result {
  return map(x, (value) => Math.max(0, value));
}

/** `exp(x - max) / sum of exp(x - max)` over the last axis. */
export function referenceSoftmax(x: Volume): Result {
  return rows(x, (row) => {
    const maximum = Math.max(...row);
    const powers = row.map((value) => Math.exp(value - maximum));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((value) => value / sum);
  });
}

/** `x / sqrt(max(sum of squares, epsilon))` over the last axis. */
export function referenceL2Normalize(x: Volume, epsilon = 1e-12): Result {
  return rows(x, (row) => {
    const squares = row.reduce((sum, value) => sum + value * value, 0);
    return row.map((value) => value / Math.sqrt(Math.max(squares, epsilon)));
  });
}

/** The mean or maximum of each channel over the whole map: `[N, H, W, C]` to `[N, C]`. */
export function referenceGlobalPool(x: Volume, kind: 'average' | 'max'): Result {
  const [batch, height, width, channels] = x.shape;
  const cells = height * width;
  const data = new Float64Array(batch * channels).fill(kind === 'max' ? -Infinity : 0);
  for (let i = 0; i < batch * cells * channels; i++) {
    const to = Math.floor(i / (cells * channels)) * channels + (i % channels);
    data[to] = kind === 'max' ? Math.max(data[to], x.data[i]) : data[to] + x.data[i] / cells;
  }
  return { data, shape: [batch, channels] };
}

/** The largest difference between two lists, as a part of the second's largest absolute value; infinite if either is not finite. */
export function maximumDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i] - expected[i]);
    if (!(d < Number.POSITIVE_INFINITY)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, d);
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return largest === 0 ? difference : difference / largest;
}

function map(x: Volume, fn: (value: number, index: number) => number): Result {
  return { data: Float64Array.from({ length: x.data.length }, (_, i) => fn(x.data[i], i)), shape: [...x.shape] };
}

function rows(x: Volume, fn: (row: number[]) => number[]): Result {
  const width = x.shape[x.shape.length - 1];
  const data = new Float64Array(x.data.length);
  for (let start = 0; start < data.length; start += width) {
    data.set(fn(Array.from({ length: width }, (_, i) => x.data[start + i])), start);
  }
  return { data, shape: [...x.shape] };
}
