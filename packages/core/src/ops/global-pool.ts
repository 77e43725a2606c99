import { div, mean, mul, ones, reshape, type Tensor2D, type Tensor4D } from '@tensorflow/tfjs-core';
import { differentiable, kernel } from './differentiable.js';
import { checkBinding, checkShape } from './shapes.js';

/**
 * The mean or the maximum of each channel over its whole map: `[N, H, W, C]` to `[N, C]`. The gradient of a maximum goes to its first
 * cell in row order.
 *
 * @throws VggError `VGG_SHAPE` when the input is no `[N, H, W, C]`
 */
export function globalPool(x: Tensor4D, kind: 'average' | 'max'): Tensor2D {
  checkShape('globalPool', 'input', x, ['N', 'H', 'W', 'C']);
  checkBinding('globalPool', { input: x.shape });
  return kind === 'average' ? average(x) : maximum(x);
}

function average(x: Tensor4D): Tensor2D {
  const [batch, height, width, channels] = x.shape;
  return differentiable({
    inputs: { x },
    forward: () => mean(x, [1, 2]),
    gradient: (dy) => ({
      x: () => mul(reshape(div(dy, height * width), [batch, 1, 1, channels]), ones([1, height, width, 1])),
    }),
  }) as Tensor2D;
}

/** A max pool whose window is the map; the map is laid out as one row, where a window of one cell is an identity. */
function maximum(x: Tensor4D): Tensor2D {
  const [batch, height, width, channels] = x.shape;
  const cells = height * width;
  const attributes = { filterSize: [1, cells], strides: [1, 1], pad: 'valid' };
  return differentiable({
    inputs: { x },
    forward: (save) => {
      const row = reshape(x, [batch, 1, cells, channels]);
      const y = cells === 1 ? row : kernel('MaxPool', { x: row }, attributes);
      save([row, y]);
      return reshape(y, [batch, channels]);
    },
    gradient: (dy, [input, output]) => ({
      x: () => {
        const back = reshape(dy, [batch, 1, 1, channels]);
        const spread = cells === 1 ? back : kernel('MaxPoolGrad', { dy: back, input, output }, attributes);
        return reshape(spread, x.shape);
      },
    }),
  }) as Tensor2D;
}
