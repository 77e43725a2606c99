import type { TensorInfo } from '@tensorflow/tfjs-core';
import { itemSize, type LayerRunner } from './layer-runner.js';
import type { KernelArguments } from './override.js';

/** The description of a loss, the first line of the memory it works in. */
const JOB_BYTES = 64;
/** Of a logit, about: its exponential. */
const MULTIPLICATIONS = 30;

type Inputs = Record<'logits' | 'target', TensorInfo>;

/** The mean over rows of `-sum of target . log softmax(logits)`, and the gradient of the logits. */
export function softmaxCrossEntropy(runner: LayerRunner, { inputs }: KernelArguments): TensorInfo[] {
  const { logits, target } = inputs as Inputs;
  const { workspace } = runner;
  const [rows, classes] = logits.shape;
  const threads = runner.threadsFor({ bytes: 12 * rows * classes, multiplications: MULTIPLICATIONS * rows * classes });
  const rowsPerItem = itemSize(rows, threads);
  const job = workspace.scratch(JOB_BYTES + 8 * rows);
  const [loss, gradient] = workspace.makeOutputs('softmaxCrossEntropy', [[], logits.shape]);
  const tensors = [logits, target, gradient].map((tensor) => workspace.pointer(tensor));
  workspace.write(job, [...tensors, job + JOB_BYTES, rows, classes, rowsPerItem]);
  runner.run('crossEntropyItem', { job, work: 0, stride: 0, items: Math.ceil(rows / rowsPerItem), threads });
  const losses = new Float64Array(workspace.runtime.memory.buffer, job + JOB_BYTES, rows);
  workspace.floats(workspace.pointer(loss), 1)[0] = losses.reduce((sum, value) => sum + value, 0) / rows;
  return [loss, gradient];
}

/**
 * The mean over all values of `-target . log(p) - (1 - target) . log(1 - p)` with `p = sigmoid(logits)`, and the gradient of the
 * logits. In JavaScript: such logits are few, and float64 costs nothing there.
 */
export function sigmoidCrossEntropy({ workspace }: LayerRunner, { inputs }: KernelArguments): TensorInfo[] {
  const { logits, target } = inputs as Inputs;
  const count = logits.shape[0] * logits.shape[1];
  const [loss, gradient] = workspace.makeOutputs('sigmoidCrossEntropy', [[], logits.shape]);
  // Views are taken after the last allocation: the heap may have grown.
  const [x, goals, slopes] = [logits, target, gradient].map((tensor) => workspace.floats(workspace.pointer(tensor), count));
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const power = Math.exp(-Math.abs(x[i]));
    sum += Math.max(x[i], 0) - x[i] * goals[i] + Math.log1p(power);
    slopes[i] = ((x[i] >= 0 ? 1 : power) / (1 + power) - goals[i]) / count;
  }
  workspace.floats(workspace.pointer(loss), 1)[0] = sum / count;
  return [loss, gradient];
}
