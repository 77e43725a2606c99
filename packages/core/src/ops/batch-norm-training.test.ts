import { grads, mul, relu, sum, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { describeEachBackend } from '../../test/backends.js';
import { checkOp, noise } from '../../test/check-op.js';
import golden from '../../test/fixtures/training.json' with { type: 'json' };
import { TOLERANCE } from '../../test/tolerance.js';
import { maximumDifference } from '../kernels/reference.js';
import { referenceBatchNormTraining } from '../kernels/reference-training.js';
import { type BatchStatistics, batchNormTraining, updateRunning } from './batch-norm-training.js';

const made = ({ data, shape }: { data: number[]; shape: number[] }) => tensor(data, shape);

describeEachBackend('batchNormTraining', (backend) => {
  for (const shape of [
    [2, 3, 5, 6],
    [3, 8, 7, 67],
    [4, 4, 4, 1],
    [12, 5],
    [2, 1, 1, 3],
  ]) {
    for (const activation of ['linear', 'relu'] as const) {
      it(`[${shape}] ${activation}`, async () => {
        const channels = shape[shape.length - 1];
        await checkOp(backend(), {
          // With two values a channel, the gradient of the input is all but 0 beside what it is made of.
          inputs: [noise(shape, 1, 3), noise([channels], 2), noise([channels], 3)],
          op: (x, scale, offset) => batchNormTraining(x, { scale, offset, epsilon: 1e-3, activation }).y,
          reference: (x, scale, offset) =>
            referenceBatchNormTraining(x, { scale: scale.data, offset: offset.data, epsilon: 1e-3, relu: activation === 'relu' }),
          // Nor do differences tell anything where a ReLU has its corner, as it has for one of so many values.
          differences: shape.join() !== '2,1,1,3' && !(activation === 'relu' && shape[3] === 67),
        });
      });
    }
  }

  it('keeps the statistics of values far from 0', async () => {
    const { data, shape } = noise([4, 9, 9, 3], 5);
    const far = { data: Float32Array.from(data, (value) => 1000 + value), shape };
    const expected = referenceBatchNormTraining(far, { scale: [1, 1, 1], offset: [0, 0, 0], epsilon: 1e-5 });
    const [y, mean, variance] = backend().run(() =>
      tidy(() => {
        const ones = tensor([1, 1, 1]);
        const result = batchNormTraining(tensor(far.data, [...shape]), { scale: ones, offset: tensor([0, 0, 0]), epsilon: 1e-5 });
        return [result.y, result.mean, result.variance];
      }),
    );
    // The mean itself is rounded to float32, 3e-5 here.
    expect(maximumDifference(await backend().read(y), expected.data)).toBeLessThan(5 * TOLERANCE);
    expect(maximumDifference(await backend().read(mean), expected.mean)).toBeLessThan(1e-6);
    expect(maximumDifference(await backend().read(variance), expected.variance)).toBeLessThan(5 * TOLERANCE);
    for (const used of [y, mean, variance]) used.dispose();
  });

  it('a ReLU with it is the ReLU after it, forward and backward', async () => {
    const inputs = [noise([3, 8, 7, 67], 1), noise([67], 2), noise([67], 3)];
    const weights = noise([3, 8, 7, 67], 4);
    const gradients = (fused: boolean) =>
      backend().run(() =>
        tidy(() => {
          const objective = (x: Tensor, scale: Tensor, offset: Tensor) => {
            const { y } = batchNormTraining(x, { scale, offset, epsilon: 1e-5, activation: fused ? 'relu' : 'linear' });
            return sum(mul(fused ? y : relu(y), tensor(weights.data as Float32Array, [...weights.shape])));
          };
          return grads(objective)(inputs.map(({ data, shape }) => tensor(Float32Array.from(data), [...shape])));
        }),
      );
    const [together, apart] = [gradients(true), gradients(false)];
    for (const [i, gradient] of together.entries()) {
      expect(maximumDifference(await backend().read(gradient), await backend().read(apart[i]))).toBeLessThan(1e-5);
    }
    for (const used of [...together, ...apart]) used.dispose();
  });

  it('three steps as in PyTorch: results, running statistics, gradients', async () => {
    const { scale, offset, epsilon, momentum, steps, running } = golden.batchNorm;
    let statistics: BatchStatistics = { mean: tensor(running.mean), variance: tensor(running.variance) };
    for (const step of steps) {
      const inputs = [made(step.x), tensor(scale), tensor(offset)];
      const weights = made(step.weights);
      const { y, next, gradients } = backend().run(() => {
        const result = batchNormTraining(inputs[0], { scale: inputs[1], offset: inputs[2], epsilon });
        const next = updateRunning(statistics, result, momentum, result.y.size / scale.length);
        const objective = (x: Tensor, s: Tensor, o: Tensor) => sum(mul(batchNormTraining(x, { scale: s, offset: o, epsilon }).y, weights));
        const gradients = tidy(() => grads(objective)(inputs));
        for (const used of [result.mean, result.variance, statistics.mean, statistics.variance]) used.dispose();
        return { y: result.y, next, gradients };
      });
      statistics = next;
      expect(maximumDifference(await backend().read(y), step.y)).toBeLessThan(1e-5);
      expect(maximumDifference(await backend().read(next.mean), step.mean)).toBeLessThan(1e-5);
      expect(maximumDifference(await backend().read(next.variance), step.variance)).toBeLessThan(1e-5);
      const expected = [step.gradients.x, step.gradients.scale, step.gradients.offset];
      for (const [i, gradient] of gradients.entries()) {
        expect(maximumDifference(await backend().read(gradient), expected[i])).toBeLessThan(TOLERANCE);
      }
      for (const used of [...inputs, weights, y, ...gradients]) used.dispose();
    }
    statistics.mean.dispose();
    statistics.variance.dispose();
  });

  it('refuses one value a channel, other shapes, and a momentum that is none', () => {
    const run = (shape: number[], channels: number) => () =>
      backend().run(() =>
        tidy(() => {
          const row = tensor(new Float32Array(channels));
          batchNormTraining(tensor(new Float32Array(shape.reduce((a, b) => a * b)), shape), { scale: row, offset: row, epsilon: 1e-5 });
        }),
      );
    expect(run([1, 1, 1, 3], 3)).toThrow('expected at least 2 values of each channel, received input [1, 1, 1, 3]');
    expect(run([2, 3], 4)).toThrow('batchNormTraining: expected scale [3], received [4]');
    expect(run([2, 3, 3], 3)).toThrow('batchNormTraining: expected input [N, H, W, C], received [2, 3, 3]');
    backend().run(() =>
      tidy(() => {
        const statistics = { mean: tensor([1]), variance: tensor([1]) };
        expect(() => updateRunning(statistics, statistics, 1.5, 4)).toThrow('updateRunning: expected a momentum between 0 and 1');
        expect(() => updateRunning(statistics, statistics, 0.1, 1)).toThrow('updateRunning: expected a count of at least 2');
      }),
    );
  });
});
