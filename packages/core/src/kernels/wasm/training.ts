import { getKernel, type KernelFunc, registerKernel, type TensorInfo, unregisterKernel } from '@tensorflow/tfjs-core';
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
import type { KernelArguments, Override } from './override.js';
import { poolGradient } from './pool-gradients.js';
import { localResponseGradient } from './response-gradient.js';
import { served } from './served.js';

/** Gradients that tfjs has under names of its own. */
export function gradientOverrides(runner: LayerRunner): Override[] {
  return [
    { name: 'MaxPoolGrad', serve: (args) => poolGradient(runner, 'maximum', args) },
    { name: 'AvgPoolGrad', serve: (args) => poolGradient(runner, 'mean', args) },
    { name: 'LRNGrad', serve: (args) => localResponseGradient(runner, args) },
  ];
}

type Serve = (runner: LayerRunner, args: KernelArguments) => TensorInfo | TensorInfo[];

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

/** Registers the kernels of training that tfjs has no name for. The answer takes them out again. */
export function registerTraining(runner: LayerRunner): () => void {
  const configs = Object.entries(OWN).map(([kernelName, serve]) => {
    const kernelFunc: KernelFunc = (args) => {
      served(kernelName);
      return serve(runner, args);
    };
    return { kernelName, backendName: 'wasm', kernelFunc };
  });
  for (const config of configs) {
    if (getKernel(config.kernelName, 'wasm')) unregisterKernel(config.kernelName, 'wasm');
    registerKernel(config);
  }
  return () => {
    for (const { kernelName, kernelFunc } of configs) {
      if (getKernel(kernelName, 'wasm')?.kernelFunc === kernelFunc) unregisterKernel(kernelName, 'wasm');
    }
  };
}
