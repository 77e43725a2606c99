import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { describeEachBackend } from '../test/backends.js';
import { noise } from '../test/check-op.js';
import { STEP, TOLERANCE } from '../test/tolerance.js';
import { registerGradients } from './gradients.js';
import type { Volume } from './kernels/reference.js';

registerGradients();

type F = (...xs: tf.Tensor[]) => tf.Tensor;
const positive = (shape: number[], seed: number): Volume => {
  const { data } = noise(shape, seed);
  return { data: Float32Array.from(data, (value) => Math.abs(value) + 0.4), shape };
};
/** Away from zero, where these functions have a corner. */
const kinked = (shape: number[], seed: number): Volume => {
  const { data } = noise(shape, seed);
  return { data: Float32Array.from(data, (value) => value + Math.sign(value) * 0.2), shape };
};
const wide = (shape: number[], seed: number) => noise(shape, seed, 3);

/** Each kernel by a small function of it, tried at these inputs. */
const CASES: Record<string, { f: F; at: Volume[] }> = {
  'Add, broadcast': { f: (a, b) => tf.add(a, b), at: [noise([3, 1, 4], 1), noise([2, 1], 2)] },
  AddN: { f: (a, b) => tf.addN([a, b, a]), at: [noise([2, 3], 1), noise([2, 3], 2)] },
  'Sub, broadcast': { f: (a, b) => tf.sub(a, b), at: [noise([4], 1), noise([3, 4], 2)] },
  Multiply: { f: (a, b) => tf.mul(a, b), at: [noise([2, 3], 1), noise([1, 3], 2)] },
  RealDiv: { f: (a, b) => tf.div(a, b), at: [noise([2, 3], 1), positive([3], 2)] },
  SquaredDifference: { f: (a, b) => tf.squaredDifference(a, b), at: [noise([2, 3], 1), noise([3], 2)] },
  Maximum: { f: (a, b) => tf.maximum(a, b), at: [noise([2, 3], 1), noise([2, 3], 2)] },
  Minimum: { f: (a, b) => tf.minimum(a, b), at: [noise([2, 3], 1), noise([2, 1], 2)] },
  Pow: { f: (a, b) => tf.pow(a, b), at: [positive([2, 3], 1), positive([3], 2)] },
  Abs: { f: tf.abs as F, at: [kinked([7], 1)] },
  Cos: { f: tf.cos as F, at: [noise([7], 1)] },
  Log: { f: tf.log as F, at: [positive([7], 1)] },
  Log1p: { f: tf.log1p as F, at: [positive([7], 1)] },
  Relu6: { f: tf.relu6 as F, at: [noise([9], 1, 9)] },
  Sin: { f: tf.sin as F, at: [noise([7], 1)] },
  Softplus: { f: tf.softplus as F, at: [wide([7], 1)] },
  Square: { f: tf.square as F, at: [noise([7], 1)] },
  LeakyRelu: { f: (x) => tf.leakyRelu(x, 0.1), at: [kinked([7], 1)] },
  ClipByValue: { f: (x) => tf.clipByValue(x, -0.4, 0.5), at: [noise([9], 1)] },
  Elu: { f: tf.elu as F, at: [noise([7], 1)] },
  Exp: { f: tf.exp as F, at: [noise([7], 1)] },
  Expm1: { f: tf.expm1 as F, at: [noise([7], 1)] },
  Reciprocal: { f: tf.reciprocal as F, at: [positive([7], 1)] },
  Relu: { f: tf.relu as F, at: [kinked([7], 1)] },
  Rsqrt: { f: tf.rsqrt as F, at: [positive([7], 1)] },
  Sigmoid: { f: tf.sigmoid as F, at: [wide([7], 1)] },
  Sqrt: { f: tf.sqrt as F, at: [positive([7], 1)] },
  Tanh: { f: tf.tanh as F, at: [noise([7], 1)] },
  Neg: { f: tf.neg as F, at: [noise([7], 1)] },
  'Step, Sign, Floor, Ceil, Round': {
    f: (x) => tf.addN([tf.step(x), tf.sign(x), tf.floor(x), tf.ceil(x), tf.round(x), x]),
    at: [wide([7], 3)],
  },
  Select: { f: (a, b) => tf.where(tf.tensor([true, false, true, false], [4], 'bool'), a, b), at: [noise([4], 1), noise([4], 2)] },
  'Sum of some axes': { f: (x) => tf.sum(x, [0, 2]), at: [noise([2, 3, 4], 1)] },
  'Sum, kept': { f: (x) => tf.sum(x, -1, true), at: [noise([2, 3], 1)] },
  Mean: { f: (x) => tf.mean(x, [1, 2]), at: [noise([2, 3, 2, 2], 1)] },
  Max: { f: (x) => tf.max(x, 1), at: [noise([3, 5], 1)] },
  Min: { f: (x) => tf.min(x), at: [noise([3, 5], 1)] },
  Softmax: { f: (x) => tf.softmax(x), at: [wide([2, 5], 1)] },
  LogSoftmax: { f: (x) => tf.logSoftmax(x), at: [wide([2, 5], 1)] },
  Reshape: { f: (x) => tf.reshape(x, [3, 2]), at: [noise([2, 3], 1)] },
  ExpandDims: { f: (x) => tf.expandDims(x, 1), at: [noise([2, 3], 1)] },
  BroadcastTo: { f: (x) => tf.broadcastTo(x, [2, 4, 3]), at: [noise([4, 1], 1)] },
  Transpose: { f: (x) => tf.transpose(x, [2, 0, 1]), at: [noise([2, 3, 4], 1)] },
  Reverse: { f: (x) => tf.reverse(x, [1]), at: [noise([2, 3], 1)] },
  Slice: { f: (x) => tf.slice(x, [1, 0], [1, -1]), at: [noise([3, 4], 1)] },
  PadV2: { f: (x) => tf.pad(x, [[1, 0], [2, 1]]), at: [noise([2, 3], 1)] }, // biome-ignore format: one axis a pair
  MirrorPad: { f: (x) => tf.mirrorPad(x, [[0, 0], [1, 2], [2, 1], [0, 0]], 'reflect'), at: [noise([1, 3, 4, 2], 1)] }, // biome-ignore format: one axis a pair
  Tile: { f: (x) => tf.tile(x, [2, 1, 3]), at: [noise([2, 3, 2], 1)] },
  GatherV2: { f: (x) => tf.gather(x, tf.tensor1d([2, 0, 2], 'int32'), 1), at: [noise([2, 3, 2], 1)] },
  Concat: { f: (a, b) => tf.concat([a, b], 1), at: [noise([2, 1], 1), noise([2, 3], 2)] },
  SplitV: { f: (x) => tf.mul(...(tf.split(x, 2, 1) as [tf.Tensor, tf.Tensor])), at: [noise([2, 4], 1)] },
  Pack: { f: (a, b) => tf.stack([a, b], 1), at: [noise([2, 3], 1), noise([2, 3], 2)] },
  Unpack: { f: (x) => tf.mul(...(tf.unstack(x) as [tf.Tensor, tf.Tensor])), at: [noise([2, 3], 1)] },
  BatchMatMul: { f: (a, b) => tf.matMul(a, b), at: [noise([3, 4], 1), noise([4, 2], 2)] },
  'BatchMatMul, a transposed': { f: (a, b) => tf.matMul(a, b, true), at: [noise([4, 3], 1), noise([4, 2], 2)] },
  'BatchMatMul, b transposed': { f: (a, b) => tf.matMul(a, b, false, true), at: [noise([3, 4], 1), noise([2, 4], 2)] },
  'BatchMatMul, both': { f: (a, b) => tf.matMul(a, b, true, true), at: [noise([4, 3], 1), noise([2, 4], 2)] },
  'Gram matrix of a map': {
    f: (x) => {
      const flat = tf.reshape(x, [6, 4]);
      return tf.matMul(flat, flat, true, false);
    },
    at: [noise([1, 2, 3, 4], 1)],
  },
  'Conv2D, stride 2': {
    f: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, 'same'),
    at: [noise([1, 5, 6, 2], 1), noise([3, 3, 2, 3], 2)],
  },
  'Conv2D, valid': {
    f: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'valid'),
    at: [noise([1, 5, 6, 2], 1), noise([3, 2, 2, 3], 2)],
  },
  MaxPool: { f: (x) => tf.maxPool(x as tf.Tensor4D, 3, 2, 'same'), at: [noise([1, 6, 5, 2], 1)] },
  AvgPool: { f: (x) => tf.avgPool(x as tf.Tensor4D, 2, 2, 'valid'), at: [noise([1, 6, 4, 2], 1)] },
  LRN: { f: (x) => tf.localResponseNormalization(x as tf.Tensor4D, 2, 2, 0.1, 0.75), at: [noise([1, 2, 2, 6], 1, 4)] },
  'cross-entropy': {
    f: (x) => tf.neg(tf.sum(tf.mul(tf.oneHot(tf.tensor1d([1, 0], 'int32'), 3), tf.logSoftmax(x)))),
    at: [noise([2, 3], 1)],
  },
  'Identity and Cast': { f: (x) => tf.cast(tf.clone(x), 'float32'), at: [noise([3], 1)] },
};

/** float32 differences: the function itself is tfjs's, so the step is larger than for the float64 reference. */
const DIFFERENCE_STEP = 100 * STEP;
const DIFFERENCE_TOLERANCE = 50 * TOLERANCE;

describeEachBackend('gradients of tfjs', (backend) => {
  for (const [name, { f, at }] of Object.entries(CASES)) {
    it(name, async () => {
      const weights = new Map<string, tf.Tensor>();
      const objective: F = (...xs) => {
        const y = f(...xs);
        const key = y.shape.join();
        const weight = weights.get(key) ?? tf.keep(tf.tensor(noise([...y.shape], 77).data as Float32Array, y.shape));
        weights.set(key, weight);
        return tf.sum(tf.mul(y, weight));
      };
      const tensorsOf = (volumes: Volume[]) => volumes.map(({ data, shape }) => tf.tensor(Float32Array.from(data), [...shape]));
      const grads = backend().run(() => tf.tidy(() => tf.grads(objective)(tensorsOf(at))));
      for (const [which, gradient] of grads.entries()) {
        const values = await backend().read(gradient);
        const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
        for (let i = 0; i < values.length; i += Math.max(1, Math.floor(values.length / 4))) {
          const moved = async (delta: number) => {
            const data = Float32Array.from(at[which].data);
            data[i] += delta;
            const volumes = at.map((volume, k) => (k === which ? { data, shape: volume.shape } : volume));
            const y = backend().run(() => tf.tidy(() => objective(...tensorsOf(volumes))));
            const [value] = await backend().read(y);
            y.dispose();
            return value;
          };
          const central = ((await moved(DIFFERENCE_STEP)) - (await moved(-DIFFERENCE_STEP))) / (2 * DIFFERENCE_STEP);
          expect(Math.abs(values[i] - central) / scale, `input ${which} at ${i}`).toBeLessThan(DIFFERENCE_TOLERANCE);
        }
      }
      tf.dispose([grads, [...weights.values()]]);
    });
  }

  it('a tie of Max is shared evenly', async () => {
    const x = tf.tensor([1, 3, 3, 2]);
    const dx = backend().run(() => tf.tidy(() => tf.grad((t) => tf.max(t))(x)));
    expect(Array.from(await backend().read(dx))).toEqual([0, 0.5, 0.5, 0]);
    tf.dispose([x, dx]);
  });
});
