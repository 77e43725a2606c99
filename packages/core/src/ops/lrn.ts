import type { Tensor4D } from '@tensorflow/tfjs-core';
import { differentiable, kernel } from './differentiable.js';
import { checkBinding, checkShape } from './shapes.js';

export interface LrnOptions {
  /** Channels on either side that count. */
  radius?: number;
  bias?: number;
  /** Of the sum of squares, as Krizhevsky has it; Caffe and PyTorch write the alpha of a mean, which is `2 radius + 1` times this one. */
  alpha?: number;
  beta?: number;
}

/** AlexNet's values. */
export const LRN_DEFAULTS = { radius: 2, bias: 2, alpha: 1e-4, beta: 0.75 } as const;

/**
 * Local response normalisation across channels: `x / (bias + alpha . sum of squares of the near channels)^beta`, `[N, H, W, C]`.
 * Source: Krizhevsky, Sutskever and Hinton 2012, section 3.3.
 *
 * @throws VggError `VGG_SHAPE` when the input is no `[N, H, W, C]`
 */
export function lrn(x: Tensor4D, options: LrnOptions = {}): Tensor4D {
  const { radius, bias, alpha, beta } = { ...LRN_DEFAULTS, ...options };
  checkShape('lrn', 'input', x, ['N', 'H', 'W', 'C']);
  checkBinding('lrn', { input: x.shape });
  const attributes = { depthRadius: radius, bias, alpha, beta };
  return differentiable({
    inputs: { x },
    forward: (save) => {
      const y = kernel('LRN', { x }, attributes);
      save([x, y]);
      return y;
    },
    gradient: (dy, [savedX, y]) => ({ x: () => kernel('LRNGrad', { x: savedX, y, dy }, attributes) }),
  }) as Tensor4D;
}
