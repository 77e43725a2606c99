import { type Tensor4D, tensor } from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { describeEachBackend } from '../../test/backends.js';
import { checkOp, noise } from '../../test/check-op.js';
import {
  referenceBatchNorm,
  referenceGlobalPool,
  referenceL2Normalize,
  referenceLrn,
  referenceRelu,
  referenceSoftmax,
} from '../kernels/reference.js';
import { batchNorm } from './batch-norm.js';
import { globalPool } from './global-pool.js';
import { l2Normalize } from './l2-normalize.js';
import { LRN_DEFAULTS, lrn } from './lrn.js';
import { relu } from './relu.js';
import { softmax } from './softmax.js';

describeEachBackend('normalisation', (backend) => {
  for (const epsilon of [1e-3, 1e-5]) {
    it(`batchNorm [2, 3, 5, 6], epsilon ${epsilon}`, async () => {
      const positive = noise([6], 3);
      const variance = { data: Float32Array.from(positive.data, (value) => Math.abs(value) + 0.3), shape: [6] };
      await checkOp(backend(), {
        inputs: [noise([2, 3, 5, 6], 1), noise([6], 2), variance, noise([6], 4), noise([6], 5)],
        op: (x, mean, variance, scale, offset) => batchNorm(x, { mean, variance, scale, offset, epsilon }),
        reference: (x, mean, variance, scale, offset) =>
          referenceBatchNorm(x, { mean: mean.data, variance: variance.data, scale: scale.data, offset: offset.data, epsilon }),
      });
    });
  }

  for (const channels of [1, 3, 8, 64]) {
    it(`lrn [1, 3, 2, ${channels}]`, async () => {
      await checkOp(backend(), {
        inputs: [noise([1, 3, 2, channels], 7, 40)],
        op: (x) => lrn(x as Tensor4D),
        reference: (x) => referenceLrn(x, LRN_DEFAULTS),
      });
    });
  }

  it('relu [2, 3, 4]', async () => {
    await checkOp(backend(), { inputs: [noise([2, 3, 4], 9)], op: relu, reference: referenceRelu });
  });

  it('softmax [3, 1000], with large logits', async () => {
    await checkOp(backend(), { inputs: [noise([3, 10], 3, 50)], op: softmax, reference: referenceSoftmax });
    await checkOp(backend(), { inputs: [noise([3, 1000], 3, 4)], op: softmax, reference: referenceSoftmax });
  });

  for (const kind of ['average', 'max'] as const) {
    for (const shape of [
      [2, 7, 7, 12],
      [1, 1, 1, 5],
      [1, 28, 31, 3],
      [3, 1, 4, 2],
    ]) {
      // biome-ignore format: shapes in a row
      it(`globalPool ${kind} [${shape}]`, async () => {
        await checkOp(backend(), {
          inputs: [noise(shape, 11)],
          op: (x) => globalPool(x as Tensor4D, kind),
          reference: (x) => referenceGlobalPool(x, kind),
        });
      });
    }
  }

  it('l2Normalize [3, 512]', async () => {
    await checkOp(backend(), { inputs: [noise([3, 512], 12)], op: (x) => l2Normalize(x), reference: (x) => referenceL2Normalize(x) });
  });

  it('l2Normalize of zeros is zeros', async () => {
    const x = tensor(new Float32Array(4), [1, 4]);
    const y = backend().run(() => l2Normalize(x));
    expect(Array.from(await backend().read(y))).toEqual([0, 0, 0, 0]);
    x.dispose();
    y.dispose();
  });
});
