import { engine, getBackend, getKernel, type NamedTensorMap, type Tensor } from '@tensorflow/tfjs-core';

/** An operation with its own gradient. */
export interface Differentiable<Names extends string> {
  /** The tensors it depends on; the gradient answers by the same names. */
  inputs: Record<Names, Tensor>;
  /** Computes the result, on a stopped tape; `save` keeps tensors for the gradient. */
  forward(save: (tensors: Tensor[]) => void): Tensor;
  /** From the gradient of the result, how to compute that of each input; only those that are wanted are called. */
  gradient(dy: Tensor, saved: Tensor[]): Record<Names, () => Tensor>;
}

/** The same with several results; those that nothing was made of have a gradient of zeros. */
export interface DifferentiableMany<Names extends string> {
  inputs: Record<Names, Tensor>;
  forward(save: (tensors: Tensor[]) => void): Tensor[];
  gradient(dys: Tensor[], saved: Tensor[]): Record<Names, () => Tensor>;
}

interface Runner {
  runKernelFunc<T extends Tensor | Tensor[]>(invocation: {
    forwardFunc(backend: unknown, save: (tensors: Tensor[]) => void): T;
    backwardsFunc(dy: T, saved: Tensor[]): Record<string, () => Tensor>;
    inputs: NamedTensorMap;
  }): T;
}

/**
 * Runs an operation whose gradient is ours, as `tf.customGrad` does, and through the same entry of tfjs. `customGrad` itself computes
 * the gradients of all inputs, so that the gradient of a picture would pay for those of all frozen filters as well.
 */
export function differentiable<Names extends string>(operation: Differentiable<Names>): Tensor {
  return (engine() as unknown as Runner).runKernelFunc({
    forwardFunc: (_backend, save) => operation.forward(save),
    backwardsFunc: (dy, saved) => operation.gradient(dy, saved),
    inputs: operation.inputs,
  });
}

/** {@link differentiable} for an operation of several results. */
export function differentiableMany<Names extends string>(operation: DifferentiableMany<Names>): Tensor[] {
  return (engine() as unknown as Runner).runKernelFunc({
    forwardFunc: (_backend, save) => operation.forward(save),
    backwardsFunc: (dys, saved) => operation.gradient(dys, saved),
    inputs: operation.inputs,
  });
}

/** Whether the active backend has a kernel of ours by this name. */
export function hasKernel(name: string): boolean {
  return getKernel(name, getBackend()) !== undefined;
}

/** Runs a kernel of the active backend that gives several tensors. */
export function kernelOfMany(name: string, inputs: Record<string, Tensor>, attributes: object): Tensor[] {
  return engine().runKernel(name, inputs as NamedTensorMap, attributes as never) as Tensor[];
}

/** Runs a kernel of the active backend that gives one tensor. */
export function kernel(name: string, inputs: Record<string, Tensor>, attributes: object): Tensor {
  return engine().runKernel(name, inputs as NamedTensorMap, attributes as never) as Tensor;
}
