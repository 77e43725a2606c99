import { add, div, mul, neg, rsqrt, sub, sum, type Tensor } from '@tensorflow/tfjs-core';
import { BATCH_NORM_PARAMETER_GRADIENTS } from '../kernels/names.js';
import { differentiable, hasKernel, kernel, kernelOfMany } from './differentiable.js';
import { checkBinding, checkShape } from './shapes.js';

/** The statistics and parameters of one layer, each `[C]`. */
export interface BatchNormParameters {
  mean: Tensor;
  variance: Tensor;
  scale: Tensor;
  offset: Tensor;
  /** Added to the variance: 1e-3 in Keras, 1e-5 in PyTorch. */
  epsilon: number;
}

/**
 * `(x - mean) / sqrt(variance + epsilon) . scale + offset` with given statistics: input and result `[N, H, W, C]`.
 * Differentiable in the input, the parameters and the statistics.
 *
 * @throws VggError `VGG_SHAPE` when the shapes do not go together
 */
export function batchNorm(x: Tensor, parameters: BatchNormParameters): Tensor {
  const { mean, variance, scale, offset, epsilon } = parameters;
  const channels = x.shape[3] as number;
  checkShape('batchNorm', 'input', x, ['N', 'H', 'W', 'C']);
  for (const [name, tensor] of Object.entries({ mean, variance, scale, offset })) checkShape('batchNorm', name, tensor, [channels]);
  checkBinding('batchNorm', { input: x.shape });
  return differentiable({
    inputs: { x, mean, variance, scale, offset },
    forward: (save) => {
      save([x, mean, variance, scale]);
      return kernel('FusedBatchNorm', { x, mean, variance, scale, offset }, { varianceEpsilon: epsilon });
    },
    gradient: (dy, [savedX, savedMean, savedVariance, savedScale]) => {
      const inverse = () => rsqrt(add(savedVariance, epsilon));
      const saved = { x: savedX, dy, mean: savedMean, variance: savedVariance, scale: savedScale };
      /** The sums over the pixels of `dy . (x - mean) / deviation`, and of `dy`. */
      const sums = (): Tensor[] =>
        hasKernel(BATCH_NORM_PARAMETER_GRADIENTS)
          ? kernelOfMany(BATCH_NORM_PARAMETER_GRADIENTS, saved, { epsilon, relu: false })
          : [mul(sum(mul(dy, sub(savedX, savedMean)), [0, 1, 2]), inverse()), sum(dy, [0, 1, 2])];
      return {
        x: () => mul(dy, mul(savedScale, inverse())),
        offset: () => sums()[1],
        scale: () => sums()[0],
        mean: () => neg(mul(sums()[1], mul(savedScale, inverse()))),
        variance: () => div(mul(sums()[0], mul(savedScale, -0.5)), add(savedVariance, epsilon)),
      };
    },
  });
}
