import type { TensorInfo } from '@tensorflow/tfjs-core';
import { sigmoidLoss, softmaxLoss } from '../cross-entropy.js';
import type { LayerRunner } from './layer-runner.js';
import type { KernelArguments } from './override.js';

type Compute = (logits: Float32Array, target: Float32Array, gradient: Float32Array, classes: number) => number;

/** A loss and the gradient of its logits, in JavaScript: logits are few, and float64 costs nothing there. */
function loss({ workspace }: LayerRunner, { inputs }: KernelArguments, compute: Compute): TensorInfo[] {
  const { logits, target } = inputs as Record<'logits' | 'target', TensorInfo>;
  const [value, gradient] = workspace.makeOutputs('crossEntropy', [[], logits.shape]);
  const [rows, classes] = logits.shape;
  // Views are taken after the last allocation: the heap may have grown.
  const view = (tensor: TensorInfo) => workspace.floats(workspace.pointer(tensor), rows * classes);
  workspace.floats(workspace.pointer(value), 1)[0] = compute(view(logits), view(target), view(gradient), classes);
  return [value, gradient];
}

export const softmaxCrossEntropy = (runner: LayerRunner, args: KernelArguments): TensorInfo[] => loss(runner, args, softmaxLoss);

export const sigmoidCrossEntropy = (runner: LayerRunner, args: KernelArguments): TensorInfo[] => loss(runner, args, sigmoidLoss);
