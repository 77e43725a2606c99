import type { SourceInput } from '../io/io.js';
import type { PlanInput } from '../network/plan.js';
import type { OpenWeightsOptions } from '../weights/open-weights.js';
import type { Cause } from './cause.js';
import type { ActivationOptions, TapError } from './compare-activations.js';

/** Where two weight sets part. */
export interface Difference {
  readonly layer: string;
  /** The tensor whose values differ; left out where the values are the same and what is done with them is not. */
  readonly tensor?: string;
  /** As the end of a sentence about the tensor, or the layer. */
  readonly reason: string;
  /** Where the values tell why. */
  readonly cause?: Cause;
  /** Largest absolute difference of the tensor's values, where both have them. */
  readonly maxDifference?: number;
}

export interface Comparison {
  /** Whether both hold the same values and do the same with them. */
  readonly ok: boolean;
  readonly firstDifference: Difference | null;
  /** Tensors whose values are not the same in both, or that only one of them has, in the order of the network. */
  readonly differing: readonly string[];
  /** How many tensors either has. */
  readonly tensors: number;
  /** The first layer whose maps of the standard picture are further apart than {@link DIVERGES}; null where none is. */
  readonly diverges: string | null;
  /** Side of the standard picture, in pixels. */
  readonly side: number;
  /** Every ReLU, pool and soft-max that both reach. */
  readonly taps: readonly TapError[];
}

export interface CompareOptions extends Omit<OpenWeightsOptions, 'weights'>, Omit<ActivationOptions, 'upTo'> {
  /** The architecture of both, where the files do not show it. */
  arch?: string | PlanInput;
}

/**
 * Compares two weight sets of any formats: value by value in canonical names and layouts, and by their maps of a standard picture, each
 * with its own preprocessing. Says the first layer that differs and, where the values tell, why: BGR for RGB, a scale, rows of fc6 in
 * another order, filters of Theano, outputs in another order, or rounding.
 *
 * @throws VggError what opening and reading the weights throws, `VGG_BACKEND`, `VGG_ABORTED`
 * @example
 * const { firstDifference } = await compareWeights('vgg16.h5', 'vgg16.safetensors');
 * firstDifference; // { layer: 'conv1_1', tensor: 'conv1_1.weight', cause: 'bgr-rgb', reason: 'holds the same filters with ...', ... }
 */
export async function compareWeights(a: SourceInput, b: SourceInput, options: CompareOptions = {}): Promise<Comparison> {
  const { compareSets } = await import('./compare-sets.js');
  return compareSets(a, b, options);
}
