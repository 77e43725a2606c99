import { mul, type Tensor, tensor, tidy, valueAndGrad } from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { describeEachBackend } from '../../test/backends.js';
import { checkOp, noise } from '../../test/check-op.js';
import golden from '../../test/fixtures/training.json' with { type: 'json' };
import { maximumDifference, referenceSoftmax, type Volume } from '../kernels/reference.js';
import { referenceSigmoidCrossEntropy, referenceSoftmaxCrossEntropy } from '../kernels/reference-training.js';
import { sigmoidCrossEntropy, softmaxCrossEntropy } from './cross-entropy.js';

const probabilities = (shape: number[], seed: number): Volume => {
  const { data } = referenceSoftmax(noise(shape, seed, 2));
  return { data: Float32Array.from(data), shape };
};
const labelsOf = (count: number, classes: number) => Int32Array.from({ length: count }, (_, i) => (i * 7 + 2) % classes);

function oneHot(labels: Int32Array, classes: number, smoothing: number): Volume {
  const data = new Float64Array(labels.length * classes).fill(smoothing / classes);
  labels.forEach((label, row) => {
    data[row * classes + label] += 1 - smoothing;
  });
  return { data, shape: [labels.length, classes] };
}

describeEachBackend('cross-entropy', (backend) => {
  for (const [rows, classes] of [
    [1, 2],
    [5, 3],
    [4, 1000],
  ]) {
    for (const smoothing of [0, 0.1]) {
      it(`softmax [${rows}, ${classes}], smoothing ${smoothing}`, async () => {
        const labels = labelsOf(rows, classes);
        await checkOp(backend(), {
          inputs: [noise([rows, classes], 1, 4)],
          op: (logits) => tidy(() => softmaxCrossEntropy(logits, tensor(labels, [rows], 'int32'), { smoothing })),
          reference: (logits) => referenceSoftmaxCrossEntropy(logits, oneHot(labels, classes, smoothing)),
        });
      });
    }
  }

  it('softmax with probabilities, and sigmoid', async () => {
    const target = probabilities([6, 7], 3);
    const made = () => tensor(target.data as Float32Array, [6, 7]);
    await checkOp(backend(), {
      inputs: [noise([6, 7], 2, 3)],
      op: (logits) => tidy(() => softmaxCrossEntropy(logits, made())),
      reference: (logits) => referenceSoftmaxCrossEntropy(logits, target),
    });
    for (const smoothing of [0, 0.2]) {
      const smoothed = { ...target, data: Float64Array.from(target.data, (t) => t * (1 - smoothing) + smoothing / 2) };
      await checkOp(backend(), {
        inputs: [noise([6, 7], 4, 3)],
        op: (logits) => tidy(() => sigmoidCrossEntropy(logits, made(), { smoothing })),
        reference: (logits) => referenceSigmoidCrossEntropy(logits, smoothed),
      });
    }
  });

  async function at(logits: number[], loss: (x: Tensor) => Tensor): Promise<{ value: number; gradient: number[] }> {
    const { value, gradient } = backend().run(() =>
      tidy(() => {
        const { value, grad: gradient } = valueAndGrad((x: Tensor) => loss(x))(tensor(logits, [1, logits.length]));
        return { value, gradient };
      }),
    );
    const read = { value: (await backend().read(value))[0], gradient: Array.from(await backend().read(gradient)) };
    value.dispose();
    gradient.dispose();
    return read;
  }

  it('holds for logits of 10,000', async () => {
    const first = await at([1e4, -1e4, 0], (x) => softmaxCrossEntropy(x, tensor([0], [1], 'int32')));
    expect(first).toEqual({ value: 0, gradient: [0, 0, 0] });
    const second = await at([1e4, -1e4, 0], (x) => softmaxCrossEntropy(x, tensor([1], [1], 'int32')));
    expect(second).toEqual({ value: 2e4, gradient: [1, -1, 0] });
    const third = await at([1e4, -1e4], (x) => sigmoidCrossEntropy(x, tensor([1, 1], [1, 2])));
    expect(third).toEqual({ value: 5e3, gradient: [0, -0.5] });
  });

  it('as in PyTorch, with smoothing', async () => {
    for (const { logits, labels, smoothing, loss, gradient } of golden.crossEntropy) {
      const compute = (x: Tensor) => tidy(() => softmaxCrossEntropy(x, tensor(labels, [labels.length], 'int32'), { smoothing }));
      const result = backend().run(() => tidy(() => valueAndGrad(compute)(tensor(logits.data, logits.shape))));
      expect(Math.abs((await backend().read(result.value))[0] - loss)).toBeLessThan(1e-5 * loss);
      expect(maximumDifference(await backend().read(result.grad), gradient)).toBeLessThan(1e-5);
      result.value.dispose();
      result.grad.dispose();
    }
    const { logits, target, loss, gradient } = golden.binaryCrossEntropy;
    const goal = tensor(target, logits.shape);
    const result = backend().run(() =>
      tidy(() => valueAndGrad((x: Tensor) => sigmoidCrossEntropy(x, goal))(tensor(logits.data, logits.shape))),
    );
    expect(Math.abs((await backend().read(result.value))[0] - loss)).toBeLessThan(1e-5 * loss);
    expect(maximumDifference(await backend().read(result.grad), gradient)).toBeLessThan(1e-5);
    for (const used of [goal, result.value, result.grad]) used.dispose();
  });

  it('a gradient is scaled by what comes down', async () => {
    const { value, gradient } = await at([1, 2], (x) => mul(softmaxCrossEntropy(x, tensor([0], [1], 'int32')), 3));
    const p = 1 / (1 + Math.exp(-1));
    expect(Math.abs(value + 3 * Math.log(1 - p))).toBeLessThan(1e-5);
    expect(maximumDifference(gradient, [-3 * p, 3 * p])).toBeLessThan(1e-5);
  });

  it('refuses labels that are no classes, other shapes, and a smoothing that is none', () => {
    const run =
      (labels: number[], dtype: 'int32' | 'float32', smoothing = 0) =>
      () =>
        backend().run(() =>
          tidy(() => void softmaxCrossEntropy(tensor([1, 2, 3, 4], [2, 2]), tensor(labels, [labels.length], dtype), { smoothing })),
        );
    if (backend().name !== 'webgpu') {
      expect(run([0, 2], 'int32')).toThrow('softmaxCrossEntropy: expected labels from 0 to 1, received 2');
      expect(run([0, -1], 'int32')).toThrow('received -1');
    }
    expect(run([0], 'int32')).toThrow('softmaxCrossEntropy: expected int32 labels [2], received [1]');
    expect(run([0, 1], 'float32')).toThrow('softmaxCrossEntropy: expected labels [2, 2], received [2]');
    const single = () => backend().run(() => tidy(() => void softmaxCrossEntropy(tensor([1], [1, 1]), tensor([0], [1], 'int32'))));
    expect(single).toThrow('softmaxCrossEntropy: expected logits of at least 2 classes and one row, received [1, 1]');
    expect(run([0, 1], 'int32', 2)).toThrow('softmaxCrossEntropy: expected smoothing between 0 and 1, received 2');
  });
});
