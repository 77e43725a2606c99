import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { describeEachBackend } from '../../test/backends.js';
import { noise } from '../../test/check-op.js';
import { registerGradients } from '../gradients.js';
import { batchNormTraining } from './batch-norm-training.js';
import { conv2d } from './conv2d.js';
import { softmaxCrossEntropy } from './cross-entropy.js';
import { dense } from './dense.js';
import { chainGradients } from './differentiable.js';
import { dropout } from './dropout.js';
import { pool } from './pool.js';
import { relu } from './relu.js';

registerGradients();

const SIDE = 16;
const made = (shape: number[], seed: number) => {
  const { data } = noise(shape, seed);
  return tf.tensor(Float32Array.from(data), shape);
};

describeEachBackend('chainGradients', (backend) => {
  /** What a small network is made of. */
  const start = () =>
    backend().run(() => ({
      x: made([2, SIDE, SIDE, 3], 1) as tf.Tensor4D,
      first: made([3, 3, 3, 8], 2) as tf.Tensor4D,
      scale: made([8], 3) as tf.Tensor1D,
      offset: made([8], 4) as tf.Tensor1D,
      second: made([3, 3, 8, 8], 5) as tf.Tensor4D,
      last: made([(SIDE / 2) ** 2 * 8, 3], 6) as tf.Tensor2D,
      labels: tf.tensor1d([2, 0], 'int32'),
    }));
  type Parts = ReturnType<typeof start>;
  const front = ({ x, first, scale, offset }: Parts) =>
    batchNormTraining(conv2d(x, first, null, {}), { scale, offset, epsilon: 1e-5, activation: 'relu' }).y;
  const back = (map: tf.Tensor4D, { second, last, labels }: Parts, classes = labels) => {
    const pooled = pool(relu(conv2d(map, second, null, {})), { pool: 'max', size: 2, stride: 2 });
    const flat = dropout(tf.reshape(pooled, [2, -1]), { keep: 0.5, key: [3] });
    return softmaxCrossEntropy(dense(flat as tf.Tensor2D, last, null, {}), classes);
  };
  const network = (parts: Parts) => back(front(parts), parts);
  const wantedOf = ({ first, scale, offset, second, last }: Parts) => [first, scale, offset, second, last];
  /** The values of tensors, which are then gone. */
  const taken = async (tensors: tf.Tensor[]) => {
    const values: number[][] = [];
    for (const tensor of tensors) {
      values.push(Array.from(await backend().read(tensor)));
      tensor.dispose();
    }
    return values;
  };

  it('gives the bits of tf.valueAndGrads and leaves nothing behind, in two chains too', async () => {
    const parts = start();
    const before = backend().memory().tensors;
    const wanted = wantedOf(parts);
    const all = ({ value, grads }: { value: tf.Tensor; grads: tf.Tensor[] }) => taken([value, ...grads]);
    const expected = await all(backend().run(() => tf.valueAndGrads(() => network(parts))(wanted)));
    expect(await all(backend().run(() => chainGradients(() => network(parts), wanted)))).toEqual(expected);

    const map = backend().run(() => tf.tidy(() => front(parts)));
    const end = backend().run(() => chainGradients(() => back(map, parts), [map, ...wanted.slice(3)]));
    const begin = backend().run(() => chainGradients(() => front(parts), wanted.slice(0, 3), end.grads[0]));
    // The slope has been passed.
    expect(end.grads[0]!.isDisposed).toBe(true);
    begin.value.dispose();
    map.dispose();
    expect(await taken([end.value, ...begin.grads, ...end.grads.slice(1)])).toEqual(expected);
    expect(backend().memory().tensors).toBe(before);
    for (const tensor of Object.values(parts)) tensor.dispose();
  });

  it('holds less at the end than tf.valueAndGrads, by the maps and gradients that are passed', async () => {
    const parts = start();
    /** When the last gradient is computed. */
    const atTheEnd = async (gradients: () => { value: tf.Tensor; grads: tf.Tensor[] }) => {
      const before = tf.memory().numBytes;
      const { kernels, result } = await tf.profile(() => tf.tidy(() => backend().run(gradients).value));
      (result as tf.Tensor).dispose();
      return kernels.at(-1)!.totalBytesSnapshot - before;
    };
    const map = 2 * SIDE ** 2 * 8 * 4;
    const wanted = wantedOf(parts);
    const stock = await atTheEnd(() => tf.valueAndGrads(() => network(parts))(wanted));
    expect(await atTheEnd(() => chainGradients(() => network(parts), wanted))).toBeLessThan(stock - 4 * map);
    for (const tensor of Object.values(parts)) tensor.dispose();
  });

  it('leaves nothing behind on an error, on either way', () => {
    const parts = start();
    const before = backend().memory().tensors;
    const wrong = backend().run(() => tf.tensor1d([0, 1, 2], 'int32'));
    const failing = (chain: () => tf.Tensor) => backend().run(() => tf.tidy(() => chainGradients(chain, wantedOf(parts))));
    expect(() => failing(() => back(front(parts), parts, wrong))).toThrow('expected int32 labels [2]');
    const broken = tf.customGrad((x, save) => {
      (save as (tensors: tf.Tensor[]) => void)([x as tf.Tensor]);
      return {
        value: tf.mul(x as tf.Tensor, 1),
        gradFunc: () => {
          throw new Error('no way back');
        },
      };
    });
    expect(() => failing(() => back(broken(front(parts)) as tf.Tensor4D, parts))).toThrow('no way back');
    wrong.dispose();
    expect(backend().memory().tensors).toBe(before);
    for (const tensor of Object.values(parts)) tensor.dispose();
  });
});
