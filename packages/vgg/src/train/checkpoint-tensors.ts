import * as tf from '@tensorflow/tfjs-core';
import type { Backend } from '@vgg/core';
import type { NamedValues } from '@vgg/loaders';

/** Tensors of a backend as a checkpoint writes them: each is read when its turn comes, so none may change until it is written. */
export function namedValues(tensors: ReadonlyMap<string, tf.Tensor>, backend: Backend): NamedValues[] {
  return [...tensors].map(([name, tensor]) => ({ name, shape: tensor.shape, values: () => backend.read(tensor) }));
}

/**
 * Tensors of a checkpoint on a backend, as the caller's own.
 *
 * @param shapes `checkpoint.weights` or `checkpoint.optimizer`
 * @param read `checkpoint.readWeight` or `checkpoint.readOptimizer`
 * @throws VggError `VGG_INTEGRITY`, `VGG_MEMORY`, `VGG_ABORTED`; what was made is disposed of
 */
export async function readTensors(
  shapes: ReadonlyMap<string, readonly number[]>,
  read: (name: string) => Promise<Float32Array>,
  backend: Backend,
): Promise<Map<string, tf.Tensor>> {
  const tensors = new Map<string, tf.Tensor>();
  try {
    for (const [name, shape] of shapes) {
      const values = await read(name);
      tensors.set(
        name,
        backend.run(() => tf.tensor(values, [...shape], 'float32')),
      );
    }
    backend.check();
    return tensors;
  } catch (error) {
    for (const tensor of tensors.values()) tensor.dispose();
    throw error;
  }
}
