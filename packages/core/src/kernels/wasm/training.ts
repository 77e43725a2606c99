import type { TensorInfo } from '@tensorflow/tfjs-core';
import {
  BATCH_NORM_INPUT_GRADIENT,
  BATCH_NORM_PARAMETER_GRADIENTS,
  BATCH_NORM_TRAINING,
  DROPOUT,
  RELU_GRADIENT,
  SIGMOID_CROSS_ENTROPY,
  SOFTMAX_CROSS_ENTROPY,
} from '../names.js';
import { batchNormInputGradient, batchNormParameterGradients, batchNormTraining } from './batch-norm-training.js';
import { dropout, reluGradient } from './elementwise.js';
import type { LayerRunner } from './layer-runner.js';
import { sigmoidCrossEntropy, softmaxCrossEntropy } from './losses.js';
import { localResponse } from './normalisations.js';
import type { KernelArguments, Override, OwnKernel } from './override.js';
import { poolGradient } from './pool-gradients.js';

/** Gradients that tfjs has under names of its own. */
export function gradientOverrides(runner: LayerRunner): Override[] {
  return [
    { name: 'MaxPoolGrad', serve: (args) => poolGradient(runner, 'maximum', args) },
    { name: 'AvgPoolGrad', serve: (args) => poolGradient(runner, 'mean', args) },
    { name: 'LRNGrad', serve: (args) => localResponse(runner, 'LRNGrad', args) },
  ];
}

type Serve = (runner: LayerRunner, args: KernelArguments) => TensorInfo | TensorInfo[] | undefined;

/** They take whatever the operations in ops/ hand them, which have checked it. */
const OWN: Readonly<Record<string, Serve>> = {
  [BATCH_NORM_TRAINING]: batchNormTraining,
  [BATCH_NORM_PARAMETER_GRADIENTS]: batchNormParameterGradients,
  [BATCH_NORM_INPUT_GRADIENT]: batchNormInputGradient,
  [RELU_GRADIENT]: reluGradient,
  [DROPOUT]: dropout,
  [SOFTMAX_CROSS_ENTROPY]: softmaxCrossEntropy,
  [SIGMOID_CROSS_ENTROPY]: sigmoidCrossEntropy,
};

/** The kernels of training that tfjs has no name for. */
export function trainingKernels(runner: LayerRunner): OwnKernel[] {
  return Object.entries(OWN).map(([name, serve]) => ({ name, serve: (args) => serve(runner, args) }));
}
