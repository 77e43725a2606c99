import {
  div,
  equal,
  getBackend,
  getKernel,
  mul,
  sqrt,
  square,
  type Tensor,
  type Tensor4D,
  tensor,
  where,
  zerosLike,
} from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { L2_POOL } from '../kernels/names.js';
import { pooledSize } from '../kernels/reference.js';
import { differentiable, kernel } from './differentiable.js';
import { hanningPool } from './hanning-pool.js';
import { checkBinding, checkShape, written } from './shapes.js';
import { thin } from './thin.js';

export interface PoolOptions {
  /** The largest value, the mean, or the root of the mean square of each window. */
  pool: 'max' | 'average' | 'l2';
  /** Side of the window. */
  size: number;
  stride: number;
  /** `ceil` also pools a last window that reaches beyond the map (Caffe); `floor` leaves it out (Keras, PyTorch). */
  rounding?: 'floor' | 'ceil';
  /** `hanning`, for `l2` of size 3, is the pool of DISTS (Ding et al. 2020): squares weighted by a Hanning window over zero padding. */
  window?: 'flat' | 'hanning';
}

/**
 * Pools maps `[N, H, W, C]` to `[N, H', W', C]`. Cells outside the map are never counted, so that the average of a window that reaches
 * beyond it is over the cells it has. The gradient of a maximum goes to its first cell in row order.
 *
 * @throws VggError `VGG_SHAPE` when the map is no `[N, H, W, C]`, or smaller than one window
 * @example
 * pool(x, { pool: 'max', size: 2, stride: 2, rounding: 'ceil' }); // [1, 225, 225, 64] to [1, 113, 113, 64]; with floor 112
 */
export function pool(x: Tensor4D, options: PoolOptions): Tensor4D {
  checkShape('pool', 'input', x, ['N', 'H', 'W', 'C']);
  checkOptions(options);
  checkBinding('pool', { input: x.shape });
  if (options.window === 'hanning') return hanningPool(x, options);
  const geometry = geometryOf(x, options);
  if (options.size === 1) return thin(x, options.stride, options.pool === 'l2');
  if (options.pool === 'max') return maximum(x, geometry);
  return options.pool === 'average' ? average(x, geometry) : rootMeanSquare(x, geometry);
}

function checkOptions({ pool: kind, size, stride, window }: PoolOptions): void {
  for (const [name, value] of Object.entries({ size, stride })) {
    if (!Number.isInteger(value) || value < 1)
      throw new VggError('VGG_OPTION', `pool: expected a positive integer for ${name}, received ${value}`);
  }
  if (window === 'hanning' && (kind !== 'l2' || size !== 3)) {
    throw new VggError('VGG_OPTION', `pool: expected window hanning with an l2 pool of size 3, received ${kind} of size ${size}`);
  }
}

interface Geometry {
  size: number;
  stride: number;
  outHeight: number;
  outWidth: number;
  /** How tfjs is told: all padding lies below and right. */
  attributes: { filterSize: [number, number]; strides: [number, number]; pad: [number, number][] };
}

function geometryOf(x: Tensor4D, options: PoolOptions): Geometry {
  const { size, stride, rounding = 'floor' } = options;
  const [, height, width] = x.shape;
  const outHeight = pooledSize(height, { size, stride, rounding });
  const outWidth = pooledSize(width, { size, stride, rounding });
  if (outHeight < 1 || outWidth < 1) {
    throw new VggError(
      'VGG_SHAPE',
      `pool: expected an input of at least ${size} x ${size}, received ${written(x.shape)}; use a larger picture, or rounding ceil`,
    );
  }
  const beyond = (out: number, length: number) => Math.max(0, (out - 1) * stride + size - length);
  const pad: [number, number][] = [[0, 0], [0, beyond(outHeight, height)], [0, beyond(outWidth, width)], [0, 0]]; // biome-ignore format: one axis a pair
  return { size, stride, outHeight, outWidth, attributes: { filterSize: [size, size], strides: [stride, stride], pad } };
}

function maximum(x: Tensor4D, { attributes }: Geometry): Tensor4D {
  return differentiable({
    inputs: { x },
    forward: (save) => {
      const y = kernel('MaxPool', { x }, attributes);
      save([x, y]);
      return y;
    },
    gradient: (dy, [input, output]) => ({ x: () => kernel('MaxPoolGrad', { dy, input, output }, attributes) }),
  }) as Tensor4D;
}

function average(x: Tensor4D, geometry: Geometry): Tensor4D {
  return differentiable({
    inputs: { x },
    forward: (save) => {
      save([x]);
      return kernel('AvgPool', { x }, geometry.attributes);
    },
    gradient: (dy, [input]) => ({ x: () => averageGradient(dy, input, geometry) }),
  }) as Tensor4D;
}

/** The root of the mean square; where that is zero its gradient is taken to be zero. */
function rootMeanSquare(x: Tensor4D, geometry: Geometry): Tensor4D {
  return differentiable({
    inputs: { x },
    forward: (save) => {
      const own = getKernel(L2_POOL, getBackend());
      const y = own ? kernel(L2_POOL, { x }, geometry.attributes) : sqrt(kernel('AvgPool', { x: square(x) }, geometry.attributes));
      save([x, y]);
      return y;
    },
    gradient: (dy, [input, y]) => ({
      x: () => {
        const zero = zerosLike(y);
        const shared = where(equal(y, zero), zero, div(dy, y));
        return mul(input, averageGradient(shared, input, geometry));
      },
    }),
  }) as Tensor4D;
}

/** tfjs's `AvgPoolGrad` divides by the whole window even where part of it lies outside: undo that first. */
function averageGradient(dy: Tensor, input: Tensor, geometry: Geometry): Tensor {
  const { attributes, outHeight, outWidth, size, stride } = geometry;
  const [, height, width] = input.shape as [number, number, number, number];
  const whole = attributes.pad[1][1] === 0 && attributes.pad[2][1] === 0;
  return kernel('AvgPoolGrad', { dy: whole ? dy : mul(dy, shares()), input }, attributes);

  function shares(): Tensor {
    const cells = (out: number, length: number) => Array.from({ length: out }, (_, i) => Math.min(size, length - i * stride));
    const rows = cells(outHeight, height);
    const columns = cells(outWidth, width);
    const values = rows.flatMap((row) => columns.map((column) => (size * size) / (row * column)));
    return tensor(values, [1, outHeight, outWidth, 1]);
  }
}
