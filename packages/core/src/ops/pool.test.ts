import { grad, type Tensor4D, tensor } from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { describeEachBackend } from '../../test/backends.js';
import { checkOp, noise } from '../../test/check-op.js';
import { referencePool } from '../kernels/reference.js';
import { type PoolOptions, pool } from './pool.js';

const SHAPES: { input: number[]; size: number; stride: number }[] = [
  { input: [2, 8, 6, 3], size: 2, stride: 2 },
  { input: [1, 7, 9, 4], size: 2, stride: 2 },
  { input: [1, 9, 8, 5], size: 3, stride: 2 },
  { input: [1, 7, 5, 2], size: 3, stride: 1 },
  { input: [1, 5, 6, 3], size: 1, stride: 2 },
  { input: [1, 5, 5, 2], size: 2, stride: 3 },
];

describeEachBackend('pool', (backend) => {
  for (const kind of ['max', 'average', 'l2'] as const) {
    for (const rounding of ['floor', 'ceil'] as const) {
      for (const { input, size, stride } of SHAPES) {
        if (size === 1 && kind === 'l2') continue; // |x|, tried below
        const options = { pool: kind, size, stride, rounding } as const;
        it(`[${input}] ${kind} ${size}/${stride} ${rounding}`, async () => {
          await checkOp(backend(), {
            inputs: [noise(input, 5)],
            op: (x) => pool(x as Tensor4D, options),
            reference: (x) => referencePool(x, options),
          });
        });
      }
    }
  }

  for (const [height, width] of [
    [8, 8],
    [7, 9],
    [6, 5],
  ]) {
    // biome-ignore format: sizes in a row
    for (const stride of [1, 2]) {
      it(`[1, ${height}, ${width}, 3] of DISTS, stride ${stride}`, async () => {
        const options = { pool: 'l2', size: 3, stride, rounding: 'floor', window: 'hanning' } as const;
        await checkOp(backend(), {
          inputs: [noise([1, height, width, 3], 6)],
          op: (x) => pool(x as Tensor4D, options),
          reference: (x) => referencePool(x, options),
        });
      });
    }
  }

  it('l2 of one cell is the absolute value', async () => {
    const options: PoolOptions = { pool: 'l2', size: 1, stride: 1 };
    await checkOp(backend(), {
      inputs: [noise([1, 3, 3, 2], 8)],
      op: (x) => pool(x as Tensor4D, options),
      reference: (x) => referencePool(x, { ...options, rounding: 'floor' }),
    });
  });

  it('225 at 2/2: 113 rounded up, 112 rounded down', () => {
    const shapes = backend().run(() => {
      const x = tensor(new Float32Array(225 * 225), [1, 225, 225, 1]) as Tensor4D;
      const pooled = (['ceil', 'floor'] as const).map((rounding) => pool(x, { pool: 'max', size: 2, stride: 2, rounding }));
      for (const used of [x, ...pooled]) used.dispose();
      return pooled.map(({ shape }) => shape);
    });
    expect(shapes).toEqual([[1, 113, 113, 1], [1, 112, 112, 1]]); // biome-ignore format: one shape each
  });

  it('the gradient of a maximum goes to its first cell, of negative and equal values too', async () => {
    const x = tensor([-3, -1, 2, 2, -2, -1, 2, 2], [1, 2, 4, 1]) as Tensor4D;
    const dx = backend().run(() => grad((t) => pool(t as Tensor4D, { pool: 'max', size: 2, stride: 2 }))(x));
    expect(Array.from(await backend().read(dx))).toEqual([0, 1, 1, 0, 0, 0, 0, 0]);
    x.dispose();
    dx.dispose();
  });

  it('the gradient of an l2 pool of zeros is zero', async () => {
    const x = tensor(new Float32Array(16), [1, 4, 4, 1]) as Tensor4D;
    const dx = backend().run(() => grad((t) => pool(t as Tensor4D, { pool: 'l2', size: 2, stride: 2 }))(x));
    expect(Array.from(await backend().read(dx))).toEqual(new Array(16).fill(0));
    x.dispose();
    dx.dispose();
  });

  it('refuses a map smaller than its window, and fractions', () => {
    const x = tensor([1, 2, 3], [1, 1, 3, 1]) as Tensor4D;
    const run = (options: PoolOptions) => () => backend().run(() => pool(x, options));
    expect(run({ pool: 'max', size: 2, stride: 2 })).toThrow('pool: expected an input of at least 2 x 2, received [1, 1, 3, 1]');
    expect(run({ pool: 'max', size: 2, stride: 0.5 })).toThrow('pool: expected a positive integer for stride, received 0.5');
    expect(run({ pool: 'max', size: 3, stride: 2, window: 'hanning' })).toThrow('pool: expected window hanning with an l2 pool of size 3');
    x.dispose();
  });
});
