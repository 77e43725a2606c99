import { add, div, mean, mul, relu, rsqrt, square, step, sub, sum, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { BATCH_NORM_INPUT_GRADIENT, BATCH_NORM_PARAMETER_GRADIENTS, BATCH_NORM_TRAINING } from '../kernels/names.js';
import { differentiableMany, hasKernel, kernel, kernelOfMany } from './differentiable.js';
import { checkBinding, checkShape, written } from './shapes.js';

export interface BatchNormTrainingOptions {
  /** `[C]`. */
  scale: Tensor;
  /** `[C]`. */
  offset: Tensor;
  /** Added to the variance: 1e-3 in Keras, 1e-5 in PyTorch. */
  epsilon: number;
  /** `relu` is computed with the normalisation, not after it. */
  activation?: 'linear' | 'relu';
}

/** The statistics of each channel, `[C]`. */
export interface BatchStatistics {
  mean: Tensor;
  /** Of a batch: biased, the mean of the squared distances. Of running statistics: unbiased. */
  variance: Tensor;
}

export interface BatchNormTrainingResult<T extends Tensor> extends BatchStatistics {
  y: T;
}

/**
 * Batch normalisation in training: `(x - mean) / sqrt(variance + epsilon) . scale + offset` by the mean and the biased variance of the
 * batch itself, a channel at a time; `[N, H, W, C]` or `[N, C]`. Differentiable in `x`, `scale` and `offset`, through the
 * statistics too. The `mean` and `variance` of the result are numbers to keep: a gradient does not go through them.
 *
 * What evaluation normalises by is an average of such statistics over the steps, with the unbiased variance: {@link updateRunning}.
 *
 * @throws VggError `VGG_SHAPE` when the shapes do not go together, or a channel has fewer than two values
 * @example
 * const { y, mean, variance } = batchNormTraining(x, { scale, offset, epsilon: 1e-5 }); // x [128, 32, 32, 64]
 * const next = updateRunning(running, { mean, variance }, 0.1, 128 * 32 * 32);
 */
export function batchNormTraining<T extends Tensor>(x: T, options: BatchNormTrainingOptions): BatchNormTrainingResult<T> {
  const { scale, offset, epsilon, activation = 'linear' } = options;
  checkShape('batchNormTraining', 'input', x, x.rank === 2 ? ['N', 'C'] : ['N', 'H', 'W', 'C']);
  const channels = x.shape[x.rank - 1] as number;
  checkShape('batchNormTraining', 'scale', scale, [channels]);
  checkShape('batchNormTraining', 'offset', offset, [channels]);
  checkBinding('batchNormTraining', { input: x.shape });
  if (x.size < 2 * channels) {
    throw new VggError(
      'VGG_SHAPE',
      `batchNormTraining: expected at least 2 values of each channel, received input ${written(x.shape)}; use a larger batch, or batchNorm with running statistics`,
    );
  }
  const attributes: Attributes = { epsilon, relu: activation === 'relu' };
  const own = hasKernel(BATCH_NORM_TRAINING);
  const [y, batchMean, variance] = differentiableMany({
    inputs: { x, scale, offset },
    forward: (save) => {
      const results = own ? kernelOfMany(BATCH_NORM_TRAINING, { x, scale, offset }, attributes) : forward({ x, scale, offset }, attributes);
      save([x, scale, offset, results[1], results[2]]);
      return results;
    },
    gradient: ([dy], [savedX, savedScale, savedOffset, savedMean, savedVariance]) => {
      const saved = { x: savedX, dy, mean: savedMean, variance: savedVariance, scale: savedScale, offset: savedOffset };
      // Two rows of channels, which all three gradients are made of.
      const [scaleGradient, offsetGradient] = own
        ? kernelOfMany(BATCH_NORM_PARAMETER_GRADIENTS, saved, attributes)
        : tidy(() => parameterGradients(saved, attributes));
      const all = { ...saved, scaleGradient, offsetGradient };
      return {
        x: () => (own ? kernel(BATCH_NORM_INPUT_GRADIENT, all, attributes) : inputGradient(all, attributes)),
        scale: () => scaleGradient,
        offset: () => offsetGradient,
      };
    },
  });
  return { y: y as T, mean: batchMean, variance };
}

/**
 * Running statistics after one more batch, as PyTorch has them: `(1 - momentum) . running + momentum . batch`, where the batch's
 * variance is made unbiased, `count / (count - 1)` times the one that {@link batchNormTraining} normalised by. New tensors.
 *
 * @param momentum the weight of the new batch: 0.1 in PyTorch; Keras writes the weight of the old ones, 0.99
 * @param count values of each channel in the batch: `N . H . W`
 * @throws VggError `VGG_OPTION` when the momentum is not between 0 and 1, or the count below 2
 */
export function updateRunning(running: BatchStatistics, batch: BatchStatistics, momentum: number, count: number): BatchStatistics {
  if (!(momentum >= 0 && momentum <= 1)) {
    throw new VggError('VGG_OPTION', `updateRunning: expected a momentum between 0 and 1, received ${momentum}`);
  }
  if (!Number.isInteger(count) || count < 2) {
    throw new VggError('VGG_OPTION', `updateRunning: expected a count of at least 2 values a channel, received ${count}`);
  }
  const blend = (old: Tensor, now: Tensor, factor: number) => tidy(() => add(mul(old, 1 - momentum), mul(now, momentum * factor)));
  return {
    mean: blend(running.mean, batch.mean, 1),
    variance: blend(running.variance, batch.variance, count / (count - 1)),
  };
}

interface Attributes {
  epsilon: number;
  relu: boolean;
}

type Parameters = Record<'x' | 'scale' | 'offset', Tensor>;
type Saved = Parameters & Record<'dy' | 'mean' | 'variance', Tensor>;

/** All axes but the last. */
function axesOf(x: Tensor): number[] {
  return x.shape.slice(0, -1).map((_, axis) => axis);
}

function normalised({ x, mean: centre, variance, scale, offset }: Omit<Saved, 'dy'>, epsilon: number): Tensor {
  return add(mul(sub(x, centre), mul(scale, rsqrt(add(variance, epsilon)))), offset);
}

function forward(inputs: Parameters, { epsilon, relu: clipped }: Attributes): Tensor[] {
  const { x } = inputs;
  const axes = axesOf(x);
  const centre = mean(x, axes);
  const variance = mean(square(sub(x, centre)), axes);
  const y = normalised({ ...inputs, mean: centre, variance }, epsilon);
  return [clipped ? relu(y) : y, centre, variance];
}

/** What reached the normalised values, before the ReLU. */
function upstream(saved: Saved, { epsilon, relu: clipped }: Attributes): Tensor {
  return clipped ? mul(saved.dy, step(normalised(saved, epsilon))) : saved.dy;
}

function parameterGradients(saved: Saved, attributes: Attributes): Tensor[] {
  const { x, mean: centre, variance } = saved;
  const dy = upstream(saved, attributes);
  const inverse = rsqrt(add(variance, attributes.epsilon));
  return [mul(sum(mul(dy, sub(x, centre)), axesOf(x)), inverse), sum(dy, axesOf(x))];
}

/** `scale / deviation . (dy - mean(dy) - x' . mean(dy . x'))` with the normalised `x'`. */
function inputGradient(saved: Saved & Record<'scaleGradient' | 'offsetGradient', Tensor>, attributes: Attributes): Tensor {
  const { x, mean: centre, variance, scale, scaleGradient, offsetGradient } = saved;
  const count = x.size / (x.shape[x.rank - 1] as number);
  const inverse = rsqrt(add(variance, attributes.epsilon));
  const along = mul(sub(x, centre), div(mul(inverse, scaleGradient), count));
  const rest = sub(sub(upstream(saved, attributes), div(offsetGradient, count)), along);
  return mul(rest, mul(scale, inverse));
}
