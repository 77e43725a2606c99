import { grad, mul, sum, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { describeEachBackend } from '../../test/backends.js';
import { noise } from '../../test/check-op.js';
import { dropoutMask, maskKeys } from '../kernels/dropout-mask.js';
import { dropout } from './dropout.js';

/** The first places of a mask of 0.5, written down: no backend, and no later version, may draw others. */
const FIRST = '110010101011010111111011000111011001111110011101';

describeEachBackend('dropout', (backend) => {
  async function maskOf(length: number, keep: number, key: number[]): Promise<Float32Array> {
    const y = backend().run(() => tidy(() => dropout(tensor(new Float32Array(length).fill(1)), { keep, key })));
    const values = await backend().read(y);
    y.dispose();
    return values as Float32Array;
  }

  it('draws the mask of its key, the same on every backend', async () => {
    for (const length of [1, 3, 64, 1001]) {
      for (const keep of [0.5, 0.8, 1]) {
        expect(Array.from(await maskOf(length, keep, [7, 3]))).toEqual(Array.from(dropoutMask(length, keep, maskKeys([7, 3]))));
      }
    }
    const mask = await maskOf(48, 0.5, [1, 2, 3]);
    expect(Array.from(mask, (value) => (value > 0 ? 1 : 0)).join('')).toBe(FIRST);
  });

  it('keeps as many as it should, independent of place, neighbour and key', async () => {
    const length = 40_000;
    const keep = 0.3;
    const masks = await Promise.all([maskOf(length, keep, [5, 0]), maskOf(length, keep, [5, 1]), maskOf(length, keep, [6, 0])]);
    // Four standard deviations of a share of 40,000.
    const near = (share: number, expected: number) =>
      expect(Math.abs(share - expected)).toBeLessThan(4 * Math.sqrt((expected * (1 - expected)) / length));
    const shareOf = (kept: (i: number) => boolean) => Array.from({ length }, (_, i) => kept(i)).filter(Boolean).length / length;
    for (const mask of masks) {
      near(shareOf((i) => mask[i] > 0), keep); // biome-ignore format: one line each
      near(shareOf((i) => mask[i] > 0 && mask[(i + 1) % length] > 0), keep * keep); // biome-ignore format: one line each
      near(shareOf((i) => mask[i] > 0 && mask[(i + 64) % length] > 0), keep * keep); // biome-ignore format: one line each
    }
    near(
      shareOf((i) => masks[0][i] > 0 && masks[1][i] > 0),
      keep * keep,
    );
    near(
      shareOf((i) => masks[0][i] > 0 && masks[2][i] > 0),
      keep * keep,
    );
  });

  it('its gradient passes the same mask', async () => {
    const shape = [3, 5, 7];
    const [x, dy] = [1, 2].map((seed) => noise(shape, seed));
    const options = { keep: 0.6, key: [9] };
    const [y, dx] = backend().run(() =>
      tidy(() => {
        const made = tensor(x.data as Float32Array, shape);
        const factor = tensor(dy.data as Float32Array, shape);
        return [dropout(made, options), grad((t: Tensor) => sum(mul(dropout(t, options), factor)))(made)];
      }),
    );
    const mask = dropoutMask(105, 0.6, maskKeys([9]));
    // Adding 0 makes one zero of both.
    const times = (values: ArrayLike<number>) => Array.from(mask, (m, i) => Math.fround(m * values[i]) + 0);
    expect(Array.from(await backend().read(y), (v) => v + 0)).toEqual(times(x.data));
    expect(Array.from(await backend().read(dx), (v) => v + 0)).toEqual(times(dy.data));
    y.dispose();
    dx.dispose();
  });

  it('refuses what is no probability, and keys that are no words', () => {
    const run = (keep: number, key: number[]) => () => backend().run(() => tidy(() => dropout(tensor([1]), { keep, key })));
    expect(run(0, [1])).toThrow('dropout: expected keep above 0 and at most 1, received 0');
    expect(run(1.1, [1])).toThrow('received 1.1');
    expect(run(0.5, [0.5])).toThrow('dropout: expected a key of 32-bit integers, received 0.5');
  });
});
