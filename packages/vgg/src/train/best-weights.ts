import type * as tf from '@tensorflow/tfjs-core';

/**
 * The weights of the best epoch, in memory. Keeping them costs nothing at once: they share their memory with the parameters, which take
 * other memory at their next step. All methods run on the active backend.
 */
export class BestWeights {
  #kept: ReadonlyMap<string, tf.Tensor> = new Map();

  /** @param variables what an epoch changes: parameters, and the statistics of batch normalisation */
  constructor(private readonly variables: ReadonlyMap<string, tf.Variable>) {}

  /** What is kept, by name; none at first. */
  get tensors(): ReadonlyMap<string, tf.Tensor> {
    return this.#kept;
  }

  /** Keeps the values as they are now, in the place of those that were kept before. */
  keep(): void {
    const kept = new Map([...this.variables].map(([name, variable]) => [name, variable.clone()]));
    this.dispose();
    this.#kept = kept;
  }

  /** Gives the variables the values that were kept; does nothing where none were. */
  restore(): void {
    for (const [name, tensor] of this.#kept) this.variables.get(name)!.assign(tensor);
  }

  dispose(): void {
    for (const tensor of this.#kept.values()) tensor.dispose();
    this.#kept = new Map();
  }
}
