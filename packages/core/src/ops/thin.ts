import { abs, mul, pad, sign, slice, stridedSlice, type Tensor4D } from '@tensorflow/tfjs-core';
import { differentiable } from './differentiable.js';
import { spreadOut } from './spread.js';

/**
 * A pool whose window is one cell: every `stride`-th cell, of its absolute value if so wished (the l2 pool of one cell).
 * XNNPACK refuses such windows.
 */
export function thin(x: Tensor4D, stride: number, absolute: boolean): Tensor4D {
  const [batch, height, width, channels] = x.shape;
  return differentiable({
    inputs: { x },
    forward: (save) => {
      save([x]);
      const taken = stride === 1 ? slice(x, [0, 0, 0, 0], x.shape) : stridedSlice(x, [0, 0, 0, 0], x.shape, [1, stride, stride, 1]);
      return absolute ? abs(taken) : taken;
    },
    gradient: (dy, [saved]) => ({
      x: () => {
        const spread = spreadOut(dy as Tensor4D, stride);
        const [, tall, wide] = spread.shape;
        const whole = pad(spread, [[0, 0], [0, Math.max(0, height - tall)], [0, Math.max(0, width - wide)], [0, 0]]); // biome-ignore format: one axis a pair
        const dx = slice(whole, [0, 0, 0, 0], [batch, height, width, channels]);
        return absolute ? mul(dx, sign(saved)) : dx;
      },
    }),
  }) as Tensor4D;
}
