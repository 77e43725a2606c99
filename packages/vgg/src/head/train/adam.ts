import type { Floats } from './matrix.js';
import type { Net, Workspace } from './net.js';
import { CHUNK, type Pace } from './pace.js';

export interface AdamOptions {
  learningRate: number;
  /** Decoupled (AdamW); biases are not decayed. */
  weightDecay: number;
  beta1: number;
  beta2: number;
  epsilon: number;
}

/** The running moments of one parameter array. */
interface Moments {
  parameters: Floats;
  gradient: Floats;
  first: Float32Array | Float64Array;
  second: Float32Array | Float64Array;
  decay: boolean;
}

/**
 * Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019):
 *
 * m = b1 m + (1 - b1) g;   v = b2 v + (1 - b2) g^2;   w -= rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon) + decay w)
 *
 * The returned function takes one step along the workspace's gradient sums divided by `examples`, and clears them.
 */
export function adam<T extends Floats>(net: Net<T>, work: Workspace<T>, options: AdamOptions, pace: Pace) {
  const { learningRate, weightDecay, beta1, beta2, epsilon } = options;
  const moments: Moments[] = net.flatMap((layer, l) => {
    const { weights, bias } = work.gradients[l]!;
    const of = (parameters: Floats, gradient: Floats, decay: boolean) => ({
      parameters,
      gradient,
      first: new Float64Array(parameters.length),
      second: new Float64Array(parameters.length),
      decay,
    });
    return [of(layer.weights, weights, true), of(layer.bias, bias, false)];
  });
  let t = 0;
  return async (examples: number) => {
    t++;
    const rate = learningRate / (1 - beta1 ** t);
    const unbias = 1 / (1 - beta2 ** t);
    for (const { parameters, gradient, first, second, decay } of moments) {
      const shrink = decay ? learningRate * weightDecay : 0;
      for (let from = 0; from < parameters.length; from += CHUNK) {
        const to = Math.min(parameters.length, from + CHUNK);
        for (let k = from; k < to; k++) {
          const g = gradient[k]! / examples;
          first[k] = beta1 * first[k]! + (1 - beta1) * g;
          second[k] = beta2 * second[k]! + (1 - beta2) * g * g;
          parameters[k]! -= (rate * first[k]!) / (Math.sqrt(second[k]! * unbias) + epsilon) + shrink * parameters[k]!;
        }
        gradient.fill(0, from, to);
        if (to < parameters.length) await pace();
      }
    }
  };
}
