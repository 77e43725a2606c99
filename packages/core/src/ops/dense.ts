import { addN, concat, matMul, relu as reluOf, reshape, slice, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { differentiable, kernel } from './differentiable.js';
import { biasGradient, reluGradient } from './masked-gradient.js';
import { checkBinding, checkShape } from './shapes.js';

export interface DenseOptions {
  activation?: 'linear' | 'relu';
}

/**
 * A fully connected layer: input `[N, I]`, weights `[I, K]`, bias `[K]` or null, result `[N, K]`. The weights may come as blocks of
 * rows, `[I1, K], [I2, K] ...`, which is how a matrix larger than a device's binding is held (see {@link splitRows}); the result is the
 * same to rounding. Differentiable in input, weights and bias.
 *
 * @throws VggError `VGG_SHAPE` when the shapes do not go together
 * @throws VggError `VGG_MEMORY` when the device cannot bind a block whole
 */
export function dense(x: Tensor2D, weights: Tensor | readonly Tensor[], bias: Tensor | null, options: DenseOptions = {}): Tensor2D {
  const relu = options.activation === 'relu';
  const blocks = (Array.isArray(weights) ? weights : [weights]) as Tensor2D[];
  const starts = checkBlocks(x, blocks, bias);

  const inputs: Record<string, Tensor> = bias ? { x, bias } : { x };
  blocks.forEach((block, i) => {
    inputs[`w${i}`] = block;
  });
  return differentiable({
    inputs,
    forward: (save) => {
      const y = forward(x, blocks, starts, bias, relu);
      save(relu ? [x, ...blocks, y] : [x, ...blocks]);
      return y;
    },
    gradient: (dy, saved) => {
      const [savedX, ...rest] = saved as Tensor2D[];
      const y = relu ? rest[blocks.length] : undefined;
      const upstream = () => (y ? reluGradient(dy, y) : dy) as Tensor2D;
      const gradients: Record<string, () => Tensor> = {
        x: () => {
          const parts = blocks.map((_, i) => matMul(upstream(), rest[i], false, true));
          return parts.length === 1 ? parts[0] : concat(parts, 1);
        },
        bias: () => biasGradient(dy, y),
      };
      blocks.forEach((block, i) => {
        gradients[`w${i}`] = () => matMul(part(savedX, starts[i], block.shape[0]), upstream(), true, false);
      });
      return gradients;
    },
  }) as Tensor2D;
}

function checkBlocks(x: Tensor2D, blocks: Tensor2D[], bias: Tensor | null): number[] {
  if (blocks.length === 0) throw new VggError('VGG_SHAPE', 'dense: expected weights [I, K] or blocks of its rows, received an empty list');
  checkShape('dense', 'weights', blocks[0], ['I', 'K']);
  const columns = blocks[0].shape[1];
  const starts: number[] = [];
  let rows = 0;
  for (const block of blocks) {
    checkShape('dense', blocks.length > 1 ? 'each block of weights' : 'weights', block, ['I', columns]);
    starts.push(rows);
    rows += block.shape[0];
  }
  checkShape('dense', 'input', x, ['N', rows]);
  if (bias) checkShape('dense', 'bias', bias, [columns]);
  checkBinding('dense', { input: x.shape, weights: largest(blocks), result: [x.shape[0], columns] });
  return starts;
}

function largest(blocks: Tensor2D[]): number[] {
  return blocks.reduce((most, block) => (block.size > most.size ? block : most)).shape;
}

function forward(x: Tensor2D, blocks: Tensor2D[], starts: number[], bias: Tensor | null, relu: boolean): Tensor {
  if (blocks.length === 1) return product(x, blocks[0], bias, relu);
  const parts = blocks.map((block, i) => product(part(x, starts[i], block.shape[0]), block, i === 0 ? bias : null, false));
  const total = addN(parts);
  return relu ? reluOf(total) : total;
}

function part(x: Tensor2D, start: number, rows: number): Tensor2D {
  return x.shape[1] === rows ? x : slice(x, [0, start], [x.shape[0], rows]);
}

/** Never with a transposition: tfjs's fused product is wrong on wasm with one and a bias. */
function product(a: Tensor2D, b: Tensor2D, bias: Tensor | null, relu: boolean): Tensor {
  const attributes = { transposeA: false, transposeB: false, activation: relu ? 'relu' : 'linear' };
  const three = { a: reshape(a, [1, ...a.shape]), b: reshape(b, [1, ...b.shape]) };
  return reshape(kernel('_FusedMatMul', bias ? { ...three, bias } : three, attributes), [a.shape[0], b.shape[1]]);
}
