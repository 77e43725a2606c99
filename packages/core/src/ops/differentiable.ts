import { engine, getBackend, getKernel, type NamedTensorMap, type Tensor, valueAndGrads } from '@tensorflow/tfjs-core';

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

/** Told by an operation of ours on the way back of what it was given and has kept for it; see {@link chainGradients}. */
let passed: ((tensors: Tensor[]) => void) | undefined;

/**
 * The value of a chain of operations and its gradients, as `tf.valueAndGrads(chain)(wanted, slope)` gives them. tfjs keeps what the
 * operations have saved, and the gradient of each result, until the last is done. Here the operations of this package let both go when the
 * way back has passed them: it takes about half the memory. So the chain may have no branches: nothing but the next operation
 * takes what one gives. On an error nothing is left behind.
 *
 * @param wanted tensors that the chain depends on, and whose gradients are computed
 * @param slope the gradient of the chain's result, which it has at the end no more; without it the result is a scalar
 * @example
 * const { value, grads } = chainGradients(() => mean(relu(conv2d(x, filter, bias))), [filter, bias]);
 */
export function chainGradients(chain: () => Tensor, wanted: Tensor[], slope?: Tensor): { value: Tensor; grads: Tensor[] } {
  const before = passed;
  let spent: Tensor[] = [];
  passed = (tensors) => {
    // An operation may hand on what it was given.
    for (const tensor of spent) if (!tensors.includes(tensor)) tensor.dispose();
    spent = tensors;
  };
  try {
    return valueAndGrads(chain)(wanted, slope);
  } catch (error) {
    // The tape is dropped as it is.
    for (const { saved } of engine().state.activeTape ?? []) for (const tensor of saved ?? []) tensor.dispose();
    throw error;
  } finally {
    passed = before;
  }
}

/**
 * Runs an operation whose gradient is ours, as `tf.customGrad` does, and through the same entry of tfjs. `customGrad` itself computes
 * the gradients of all inputs, so that the gradient of a picture would pay for those of all frozen filters as well.
 */
export function differentiable<Names extends string>(operation: Differentiable<Names>): Tensor {
  return (engine() as unknown as Runner).runKernelFunc({
    forwardFunc: (_backend, save) => operation.forward(save),
    backwardsFunc: (dy, saved) => {
      passed?.([dy, ...saved]);
      return operation.gradient(dy, saved);
    },
    inputs: operation.inputs,
  });
}

/** {@link differentiable} for an operation of several results. */
export function differentiableMany<Names extends string>(operation: DifferentiableMany<Names>): Tensor[] {
  return (engine() as unknown as Runner).runKernelFunc({
    forwardFunc: (_backend, save) => operation.forward(save),
    backwardsFunc: (dys, saved) => {
      passed?.([...dys, ...saved]);
      return operation.gradient(dys, saved);
    },
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
