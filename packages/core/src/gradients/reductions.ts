import { cast, div, equal, exp, mul, ones, reshape, sub, sum, type Tensor, util } from '@tensorflow/tfjs-core';
import type { Rule, Rules } from './rule.js';

/** The shape with length 1 along the axes, and how many cells fell together. */
function kept(shape: number[], axis: number | number[]): { shape: number[]; count: number } {
  const axes = util.parseAxisParam(axis, shape);
  return {
    shape: shape.map((size, i) => (axes.includes(i) ? 1 : size)),
    count: axes.reduce((product, i) => product * shape[i], 1),
  };
}

/** Of the largest or smallest value: shared evenly by the cells that hold it, as in TensorFlow. */
const extreme: Rule = {
  save: ['x'],
  saveOutput: true,
  gradient: (dy, [x, y], { reductionIndices }) => ({
    x: () => {
      const { shape } = kept(x.shape, reductionIndices);
      const holds = cast(equal(x, reshape(y, shape)), 'float32');
      const holders = reshape(sum(holds, reductionIndices), shape);
      return mul(holds, div(reshape(dy, shape), holders));
    },
  }),
};

function spread(dy: Tensor, x: Tensor, axis: number | number[], divide: boolean): Tensor {
  const { shape, count } = kept(x.shape, axis);
  const back = reshape(divide ? div(dy, count) : dy, shape);
  return mul(back, ones(x.shape));
}

/** d(op)/d(input) of tfjs's kernels that bring many cells together. */
export const REDUCTIONS: Rules = {
  Sum: { save: ['x'], gradient: (dy, [x], { axis }) => ({ x: () => spread(dy, x, axis, false) }) },
  Mean: { save: ['x'], gradient: (dy, [x], { axis }) => ({ x: () => spread(dy, x, axis, true) }) },
  Max: extreme,
  Min: extreme,
  Softmax: {
    saveOutput: true,
    gradient: (dy, [y], { dim }) => ({
      logits: () => {
        const weighted = mul(dy, y);
        return sub(weighted, mul(sum(weighted, dim, true), y));
      },
    }),
  },
  LogSoftmax: {
    saveOutput: true,
    gradient: (dy, [y], { axis }) => ({ logits: () => sub(dy, mul(sum(dy, axis, true), exp(y))) }),
  },
};
