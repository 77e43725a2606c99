import {
  abs,
  add,
  cast,
  div,
  exp,
  getBackend,
  log,
  log1p,
  max,
  mean,
  mul,
  neg,
  oneHot,
  relu,
  type Scalar,
  sigmoid,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
} from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { SIGMOID_CROSS_ENTROPY, SOFTMAX_CROSS_ENTROPY } from '../kernels/names.js';
import { differentiable, hasKernel, kernel, kernelOfMany } from './differentiable.js';
import { checkShape, written } from './shapes.js';

export interface CrossEntropyOptions {
  /** The part `s` of each target that is spread evenly over the outcomes, from 0 (the default) to 1. */
  smoothing?: number;
}

/**
 * The mean over the batch of `-sum of target . log softmax(logits)`, a scalar. Logits `[N, C]`; labels are the numbers of the classes,
 * int32 `[N]`, or probabilities `[N, C]` whose rows sum to 1. With smoothing the target is `(1 - s) . target + s / C`, as in PyTorch.
 * Loss and gradient, `(softmax - target) / N`, are computed together and hold for logits of any size. Differentiable in the logits.
 *
 * @throws VggError `VGG_SHAPE` when the shapes do not go together, or a label is no class (on wasm and cpu; a GPU is not asked);
 *   `VGG_OPTION` when the smoothing is not between 0 and 1
 * @example
 * softmaxCrossEntropy(tensor([[0, 0]]), tensor([1], [1], 'int32')); // 0.6931, the logarithm of 2
 */
export function softmaxCrossEntropy(logits: Tensor, labels: Tensor, { smoothing = 0 }: CrossEntropyOptions = {}): Scalar {
  checkSmoothing('softmaxCrossEntropy', smoothing);
  const [rows, classes] = checkLogits('softmaxCrossEntropy', logits, 2);
  checkLabels(labels, rows, classes);
  // On wasm tfjs's one-hot writes whole numbers whatever it is asked for.
  const given = () => (labels.dtype === 'int32' ? cast(oneHot(labels as Tensor1D, classes), 'float32') : labels);
  return crossEntropy(logits, () => smoothed(given(), smoothing, smoothing / classes), {
    name: SOFTMAX_CROSS_ENTROPY,
    loss: (goal) => {
      const shifted = sub(logits, max(logits, -1, true));
      return div(sum(mul(goal, sub(log(sum(exp(shifted), -1, true)), shifted))), rows);
    },
    gradient: (saved, goal) => div(sub(kernel('Softmax', { logits: saved }, { dim: 1 }), goal), rows),
  });
}

/**
 * For labels that do not exclude each other: the mean over all values of `-target . log(p) - (1 - target) . log(1 - p)` with
 * `p = sigmoid(logits)`, a scalar. Logits and target `[N, C]`, the target between 0 and 1. With smoothing the target is
 * `(1 - s) . target + s / 2`, as in Keras. Differentiable in the logits, by `(p - target) / (N . C)`.
 *
 * @throws VggError `VGG_SHAPE` when the shapes do not go together, `VGG_OPTION` when the smoothing is not between 0 and 1
 * @example
 * sigmoidCrossEntropy(tensor([[0, 0]]), tensor([[1, 0]])); // 0.6931
 */
export function sigmoidCrossEntropy(logits: Tensor, target: Tensor, { smoothing = 0 }: CrossEntropyOptions = {}): Scalar {
  checkSmoothing('sigmoidCrossEntropy', smoothing);
  checkLogits('sigmoidCrossEntropy', logits, 1);
  checkShape('sigmoidCrossEntropy', 'target', target, logits.shape);
  return crossEntropy(logits, () => smoothed(target, smoothing, smoothing / 2), {
    name: SIGMOID_CROSS_ENTROPY,
    loss: (goal) => mean(add(sub(relu(logits), mul(logits, goal)), log1p(exp(neg(abs(logits)))))),
    gradient: (saved, goal) => div(sub(sigmoid(saved), goal), saved.size),
  });
}

/** The kernel of a loss, where there is one, and how else to compute it and its gradient. */
interface Loss {
  name: string;
  loss(target: Tensor): Tensor;
  gradient(logits: Tensor, target: Tensor): Tensor;
}

function crossEntropy(logits: Tensor, makeTarget: () => Tensor, { name, loss, gradient }: Loss): Scalar {
  const own = hasKernel(name);
  return differentiable({
    inputs: { logits },
    forward: (save) => {
      const target = makeTarget();
      if (!own) {
        save([logits, target]);
        return loss(target);
      }
      const [value, slope] = kernelOfMany(name, { logits, target }, {});
      save([slope]);
      return value;
    },
    gradient: (dy, [saved, target]) => ({ logits: () => mul(dy, own ? saved : gradient(saved, target)) }),
  }) as Scalar;
}

function smoothed(target: Tensor, smoothing: number, part: number): Tensor {
  return smoothing === 0 ? target : add(mul(target, 1 - smoothing), part);
}

function checkSmoothing(who: string, smoothing: number): void {
  if (smoothing >= 0 && smoothing <= 1) return;
  throw new VggError('VGG_OPTION', `${who}: expected smoothing between 0 and 1, received ${smoothing}`);
}

function checkLogits(who: string, logits: Tensor, least: number): [rows: number, classes: number] {
  checkShape(who, 'logits', logits, ['N', 'C']);
  const [rows, classes] = logits.shape as [number, number];
  if (rows >= 1 && classes >= least) return [rows, classes];
  throw new VggError('VGG_SHAPE', `${who}: expected logits of at least ${least} classes and one row, received ${written(logits.shape)}`);
}

function checkLabels(labels: Tensor, rows: number, classes: number): void {
  if (labels.dtype !== 'int32') {
    checkShape('softmaxCrossEntropy', 'labels', labels, [rows, classes]);
    return;
  }
  if (labels.rank !== 1 || labels.shape[0] !== rows) {
    throw new VggError('VGG_SHAPE', `softmaxCrossEntropy: expected int32 labels [${rows}], received ${written(labels.shape)}`);
  }
  if (getBackend() === 'webgpu') return;
  const wrong = labels.dataSync().find((label) => label < 0 || label >= classes);
  if (wrong === undefined) return;
  throw new VggError('VGG_SHAPE', `softmaxCrossEntropy: expected labels from 0 to ${classes - 1}, received ${wrong}`);
}
