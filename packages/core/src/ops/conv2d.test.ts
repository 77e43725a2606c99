import { type Tensor, type Tensor4D, tensor, tensor4d, zeros } from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { describeEachBackend } from '../../test/backends.js';
import { checkOp, noise } from '../../test/check-op.js';
import { referenceConv2d, referencePool } from '../kernels/reference.js';
import { type Conv2dOptions, conv2d, conv2dPool } from './conv2d.js';

const CASES: { input: number[]; filter: number[]; options: Conv2dOptions; bias?: false }[] = [
  { input: [1, 8, 8, 4], filter: [3, 3, 4, 8], options: { activation: 'relu' } },
  { input: [2, 7, 5, 3], filter: [3, 3, 3, 5], options: {} },
  { input: [1, 1, 1, 3], filter: [3, 3, 3, 2], options: {} },
  { input: [1, 5, 9, 6], filter: [1, 1, 6, 4], options: { activation: 'relu' } },
  { input: [1, 7, 7, 4], filter: [7, 7, 4, 6], options: { padding: 'valid' } },
  { input: [1, 9, 11, 2], filter: [7, 7, 2, 3], options: {} },
  { input: [2, 9, 6, 3], filter: [3, 3, 3, 4], options: { padding: 'valid', activation: 'relu' } },
  { input: [1, 6, 7, 3], filter: [3, 3, 3, 4], options: { padding: 'reflect', activation: 'relu' } },
  { input: [1, 2, 5, 2], filter: [3, 3, 2, 2], options: { padding: 'reflect' } },
  { input: [1, 6, 5, 2], filter: [5, 3, 2, 3], options: { padding: 'reflect' } },
  { input: [1, 6, 5, 3], filter: [2, 4, 3, 2], options: {} },
  { input: [1, 14, 14, 8], filter: [3, 3, 8, 16], options: {}, bias: false },
  { input: [1, 28, 27, 16], filter: [3, 3, 16, 32], options: { activation: 'relu' } },
];

describeEachBackend('conv2d', (backend) => {
  for (const { input, filter, options, bias } of CASES) {
    it(`[${input}] with [${filter}] ${JSON.stringify(options)}${bias === false ? ' without bias' : ''}`, async () => {
      const inputs = [noise(input, 1), noise(filter, 2, 0.5)];
      if (bias !== false) inputs.push(noise([filter[3]], 3));
      await checkOp(backend(), {
        inputs,
        op: (x, w, b?: Tensor) => conv2d(x as Tensor4D, w as Tensor4D, b ?? null, options),
        reference: (x, w, b) => referenceConv2d(x, w, b?.data ?? null, options),
      });
    });
  }

  for (const [size, rounding, padding] of [
    [8, 'floor', 'zero'],
    [9, 'floor', 'valid'],
    [9, 'ceil', 'zero'],
    [8, 'floor', 'reflect'],
  ] as const) {
    it(`with a max pool behind it: ${size} x ${size}, ${rounding}, ${padding}`, async () => {
      const pooling = { pool: 'max', size: 2, stride: 2, rounding } as const;
      const options = { activation: 'relu', padding } as const;
      await checkOp(backend(), {
        inputs: [noise([2, size, size, 6], 4), noise([3, 3, 6, 9], 5), noise([9], 6)],
        op: (x, w, b) => conv2dPool(x as Tensor4D, w as Tensor4D, b!, options, pooling),
        reference: (x, w, b) => referencePool(referenceConv2d(x, w, b!.data, options), pooling),
      });
    });
  }

  it('says which shape was expected', () => {
    const run = (x: number[], filter: number[], options?: Conv2dOptions) => () =>
      backend().run(() => {
        const made = [zeros(x), zeros(filter)];
        try {
          conv2d(made[0] as Tensor4D, made[1] as Tensor4D, null, options);
        } finally {
          for (const used of made) used.dispose();
        }
      });
    expect(run([1, 8, 8, 3], [3, 3, 64, 8])).toThrow('conv2d: expected input [N, H, W, 64], received [1, 8, 8, 3]');
    expect(run([1, 6, 6, 4], [7, 7, 4, 8], { padding: 'valid' })).toThrow(
      'conv2d: expected an input of at least 7 x 7 for padding valid, received [1, 6, 6, 4]',
    );
    expect(run([1, 1, 6, 4], [3, 3, 4, 8], { padding: 'reflect' })).toThrow(
      'conv2d: expected an input of at least 2 x 2 for padding reflect, received [1, 1, 6, 4]',
    );
  });

  it('refuses integers', () => {
    const x = tensor([1, 2, 3, 4], [1, 2, 2, 1], 'int32');
    const w = tensor4d([1], [1, 1, 1, 1]);
    expect(() => backend().run(() => conv2d(x as Tensor4D, w, null))).toThrow('conv2d: expected input of float32, received int32');
    x.dispose();
    w.dispose();
  });
});
