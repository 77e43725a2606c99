import * as tf from '@tensorflow/tfjs-core';
import type { Backend } from '@vgg/core';

/**
 * The weights of the best epoch, in ordinary memory: a copy on a backend's heap would leave less for maps, and a tensor that shares its
 * memory with a parameter would send that to another place at its next step.
 */
export class BestWeights {
  readonly #kept = new Map<string, Float32Array>();

  /** @param variables what an epoch changes: parameters, and the statistics of batch normalisation */
  constructor(
    private readonly variables: ReadonlyMap<string, tf.Variable>,
    private readonly backend: Backend,
  ) {}

  /** How many are kept; none at first. */
  get size(): number {
    return this.#kept.size;
  }

  /** Keeps the values as they are now, in the place of those that were kept before. */
  async keep(): Promise<void> {
    for (const [name, variable] of this.variables) {
      const values = await this.backend.read(variable);
      const kept = this.#kept.get(name);
      if (kept) kept.set(values);
      else this.#kept.set(name, values.slice());
    }
  }

  /** Gives the variables the values that were kept; does nothing where none were. */
  restore(): void {
    for (const [name, values] of this.#kept) setValues(this.variables.get(name)!, values, this.backend);
  }
}

/** Gives a variable other values. */
export function setValues(variable: tf.Variable, values: Float32Array, backend: Backend): void {
  backend.run(() => tf.tidy(() => variable.assign(tf.tensor(values, variable.shape, 'float32'))));
}
