import {
  cast,
  concat,
  matMul,
  oneHot,
  pad,
  reshape,
  reverse,
  slice,
  slice_util,
  split,
  stack,
  sum,
  type Tensor,
  type Tensor4D,
  transpose,
  unstack,
  util,
} from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { reflectGradient } from '../ops/reflect-gradient.js';
import { type Rules, unbroadcast } from './rule.js';

/** What was cut out is put back into zeros. */
function unslice(dy: Tensor, x: Tensor, begin: number | number[], size: number | number[]): Tensor {
  const [start, length] = slice_util.parseSliceParams(x, begin, size);
  return pad(
    dy,
    x.shape.map((whole, i): [number, number] => [start[i], whole - start[i] - length[i]]),
  );
}

/** The copies are laid over one another, one axis at a time. */
function untile(dy: Tensor, x: Tensor, reps: number[]): Tensor {
  return x.shape.reduce((folded, size, axis) => {
    if (reps[axis] === 1) return folded;
    const { shape } = folded;
    return sum(reshape(folded, [...shape.slice(0, axis), reps[axis], size, ...shape.slice(axis + 1)]), axis);
  }, dy);
}

/** Each gathered slice is added to where it came from, as a product with the one-hot matrix of the indices. */
function ungather(dy: Tensor, x: Tensor, indices: Tensor, axis: number): Tensor {
  const at = util.parseAxisParam(axis, x.shape)[0];
  const outer = util.sizeFromShape(x.shape.slice(0, at));
  const inner = util.sizeFromShape(x.shape.slice(at + 1));
  const rows = reshape(transpose(reshape(dy, [outer, indices.size, inner]), [1, 0, 2]), [indices.size, outer * inner]);
  const places = cast(oneHot(reshape(cast(indices, 'int32'), [indices.size]), x.shape[at]), 'float32');
  const collected = reshape(matMul(transpose(places), rows), [x.shape[at], outer, inner]);
  return reshape(transpose(collected, [1, 0, 2]), x.shape);
}

function unmirror(dy: Tensor, x: Tensor, paddings: [number, number][], mode: string): Tensor {
  const [batch, rows, columns, channels] = paddings;
  const plain = [...(batch ?? [1]), ...(channels ?? [1])].every((size) => size === 0);
  if (mode === 'reflect' && x.rank === 4 && plain) return reflectGradient(dy as Tensor4D, x.shape, [rows, columns]);
  throw new VggError(
    'VGG_SHAPE',
    `mirrorPad: expected mode reflect along H and W of [N, H, W, C] for a gradient, received ${mode} of rank ${x.rank}`,
  );
}

/** d(op)/d(input) of tfjs's kernels that move cells and compute nothing. */
export const LAYOUT: Rules = {
  Reshape: { save: ['x'], gradient: (dy, [x]) => ({ x: () => reshape(dy, x.shape) }) },
  ExpandDims: { save: ['input'], gradient: (dy, [input]) => ({ input: () => reshape(dy, input.shape) }) },
  BroadcastTo: { save: ['x'], gradient: (dy, [x]) => ({ x: () => unbroadcast(dy, x.shape) }) },
  Transpose: {
    gradient: (dy, _, { perm }) => ({
      x: () => {
        const order = perm as number[];
        return transpose(
          dy,
          order.map((_, axis) => order.indexOf(axis)),
        );
      },
    }),
  },
  Reverse: { gradient: (dy, _, { dims }) => ({ x: () => reverse(dy, dims) }) },
  Slice: { save: ['x'], gradient: (dy, [x], { begin, size }) => ({ x: () => unslice(dy, x, begin, size) }) },
  PadV2: {
    save: ['x'],
    gradient: (dy, [x], { paddings }) => ({
      x: () =>
        slice(
          dy,
          (paddings as [number, number][]).map(([before]) => before),
          x.shape,
        ),
    }),
  },
  MirrorPad: { save: ['x'], gradient: (dy, [x], { paddings, mode }) => ({ x: () => unmirror(dy, x, paddings, mode) }) },
  Tile: { save: ['x'], gradient: (dy, [x], { reps }) => ({ x: () => untile(dy, x, reps) }) },
  GatherV2: {
    save: ['x', 'indices'],
    gradient: (dy, [x, indices], { axis }) => ({ x: () => ungather(dy, x, indices, axis), indices: () => cast(indices, 'float32') }),
  },
  Concat: {
    save: 'all',
    gradient: (dy, saved, { axis }) => {
      const at = util.parseAxisParam(axis, saved[0].shape)[0];
      const sizes = saved.map(({ shape }) => shape[at]);
      return Object.fromEntries(saved.map((_, i) => [i, () => split(dy, sizes, at)[i]]));
    },
  },
  SplitV: { gradient: (dy, _, { axis }) => ({ x: () => concat(dy as unknown as Tensor[], axis) }) },
  Pack: { save: 'all', gradient: (dy, saved, { axis }) => Object.fromEntries(saved.map((_, i) => [i, () => unstack(dy, axis)[i]])) },
  Unpack: { gradient: (dy, _, { axis }) => ({ value: () => stack(dy as unknown as Tensor[], axis) }) },
};
