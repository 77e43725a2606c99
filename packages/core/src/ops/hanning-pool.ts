import { add, depthwiseConv2d, div, mul, pad, slice, sqrt, square, type Tensor4D, tensor, tile } from '@tensorflow/tfjs-core';
import { pooledSize } from '../kernels/reference.js';
import { differentiable } from './differentiable.js';
import type { PoolOptions } from './pool.js';
import { spreadOut } from './spread.js';

const HANNING = [0.25, 0.5, 0.25];
const EPSILON = 1e-12;

/**
 * `sqrt(sum of window . x^2 + 1e-12)` over 3 x 3 windows with one cell of zeros around the map: the pool of DISTS
 * (Ding, Ma, Wang and Simoncelli, "Image Quality Assessment: Unifying Structure and Texture Similarity", 2020), which does not alias.
 */
export function hanningPool(x: Tensor4D, options: PoolOptions): Tensor4D {
  const { stride, rounding = 'floor' } = options;
  const [, height, width, channels] = x.shape;
  const outHeight = pooledSize(height, { size: 3, stride, rounding, pad: 1 });
  const outWidth = pooledSize(width, { size: 3, stride, rounding, pad: 1 });
  const after = (out: number, length: number) => Math.max(0, (out - 1) * stride + 3 - length - 1);
  const margins: [number, number][] = [[0, 0], [1, after(outHeight, height)], [1, after(outWidth, width)], [0, 0]]; // biome-ignore format: one axis a pair

  return differentiable({
    inputs: { x },
    forward: (save) => {
      const weighted = depthwiseConv2d(pad(square(x), margins), window(channels), stride, 'valid');
      const y = sqrt(add(weighted, EPSILON));
      save([x, y]);
      return y;
    },
    gradient: (dy, [input, y]) => ({
      x: () => {
        // Spread dy over the places its windows began at, and let each cell collect what the windows over it hold.
        const spread = spreadOut(div(dy, y) as Tensor4D, stride);
        const reach = [height + 2, width + 2];
        const space = (axis: number): [number, number] => [2, Math.max(0, reach[axis - 1] - spread.shape[axis])];
        const collected = depthwiseConv2d(pad(spread, [[0, 0], space(1), space(2), [0, 0]]), window(channels), 1, 'valid'); // biome-ignore format: one axis a pair
        return mul(input, slice(collected, [0, 1, 1, 0], [input.shape[0], height, width, channels]));
      },
    }),
  }) as Tensor4D;
}

/** The separable window as a depthwise filter `[3, 3, C, 1]`; it is symmetric, so that its transpose is itself. */
function window(channels: number): Tensor4D {
  const values = HANNING.flatMap((row) => HANNING.map((column) => row * column));
  return tile(tensor(values, [3, 3, 1, 1]), [1, 1, channels, 1]);
}
