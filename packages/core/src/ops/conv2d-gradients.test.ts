import { grads, mul, sum, type Tensor, type Tensor4D, tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { describeEachBackend } from '../../test/backends.js';
import { noise } from '../../test/check-op.js';
import { TOLERANCE } from '../../test/tolerance.js';
import { maximumDifference, referenceConv2d, referenceConv2dGradients, type Volume } from '../kernels/reference.js';
import { conv2d } from './conv2d.js';

const tensorOf = ({ data, shape }: Volume) => tensor(Float32Array.from(data), [...shape]);

describeEachBackend('gradients of conv2d', (backend) => {
  const cases = fc.record({
    batch: fc.integer({ min: 1, max: 3 }),
    height: fc.integer({ min: 1, max: 16 }),
    width: fc.integer({ min: 1, max: 16 }),
    ins: fc.integer({ min: 1, max: 40 }),
    outs: fc.integer({ min: 1, max: 40 }),
    window: fc.constantFrom(1, 3, 3, 3),
    relu: fc.boolean(),
    valid: fc.boolean(),
  });

  it('any shape: those of its definition', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ batch, height, width, ins, outs, window, relu, valid }) => {
        fc.pre(!valid || Math.min(height, width) >= window);
        const padding = valid ? 'valid' : 'zero';
        const x = noise([batch, height, width, ins], 1);
        const filter = noise([window, window, ins, outs], 2);
        const bias = noise([outs], 3);
        const y = referenceConv2d(x, filter, bias.data, { padding });
        const dy = noise(y.shape, 4);
        // At a corner of the ReLU rounding decides, so there the gradient is none.
        const most = y.data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
        const outer: Volume = {
          shape: y.shape,
          data: y.data.map((value, i) => (relu && Math.abs(value) < 1e-4 * most ? 0 : dy.data[i])),
        };
        const behind = { shape: y.shape, data: y.data.map((value, i) => (relu && value <= 0 ? 0 : outer.data[i])) };
        const expected = referenceConv2dGradients(x, filter, behind, padding);
        const made = backend().run(() => {
          const inputs = [x, filter, bias].map(tensorOf);
          const factor = tensorOf(outer);
          const objective = (a: Tensor, w: Tensor, b: Tensor) =>
            sum(mul(conv2d(a as Tensor4D, w as Tensor4D, b, { padding, activation: relu ? 'relu' : 'linear' }), factor));
          const gradients = grads(objective as (...xs: Tensor[]) => Tensor)(inputs);
          for (const used of [...inputs, factor]) used.dispose();
          return gradients;
        });
        const actual = await Promise.all(made.map((gradient) => backend().read(gradient)));
        for (const gradient of made) gradient.dispose();
        [expected.x.data, expected.w.data, expected.b.data].forEach((truth, i) => {
          expect(maximumDifference(actual[i], truth), ['x', 'filter', 'bias'][i]).toBeLessThan(TOLERANCE);
        });
      }),
      { numRuns: 25, seed: 3 },
    );
  });
});
