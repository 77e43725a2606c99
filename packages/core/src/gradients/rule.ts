import { broadcast_util, reshape, sum, type Tensor } from '@tensorflow/tfjs-core';

/** The gradient of one tfjs kernel. `saved` holds the named inputs (or all) and then, if wished, the output. */
export interface Rule {
  save?: string[] | 'all';
  saveOutput?: boolean;
  /** tfjs gives a list for `dy` where the kernel gives several tensors. Attributes are those of the kernel. */
  gradient(dy: Tensor, saved: Tensor[], attributes: Record<string, never>): Record<string, () => Tensor>;
}

export type Rules = Record<string, Rule>;

/** Sums a gradient over the axes along which its input was repeated. */
export function unbroadcast(gradient: Tensor, shape: number[]): Tensor {
  const axes = broadcast_util.getReductionAxes(shape, gradient.shape);
  return reshape(axes.length > 0 ? sum(gradient, axes) : gradient, shape);
}
