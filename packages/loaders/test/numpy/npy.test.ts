import { expect, test } from 'vitest';
import { decodeNpy, encodeNpy } from '../../src/index.js';
import { fixture, ramp, refuses } from '../helpers.js';

test.each([[[]], [[5]], [[2, 3]], [[1, 2, 3, 4]], [[0, 7]]])('shape [%s] written and read back', (shape) => {
  const values = Float32Array.from({ length: shape.reduce((a: number, b) => a * b, 1) }, (_, i) => i / 3);
  const bytes = encodeNpy(values, shape);
  expect((bytes.length - values.byteLength) % 64).toBe(0);
  expect(decodeNpy(bytes)).toEqual({ shape, dtype: 'float32', data: values });
});

test('the bytes are those that numpy.save writes', async () => {
  expect(encodeNpy(Float32Array.from(ramp(6)), [2, 3])).toEqual(await fixture('numpy/numpy-2x3.npy'));
});

test.each(['numpy-fortran-big-f8.npy', 'numpy-v2-i2.npy', 'numpy-v3-f2.npy'])('%s, written by numpy', async (name) => {
  expect(decodeNpy(await fixture(`numpy/${name}`))).toMatchObject({ shape: [2, 3, 4], data: Float32Array.from(ramp(24)) });
});

test('what is no numeric array is refused', async () => {
  await refuses(() => decodeNpy(new Uint8Array(20)), 'VGG_FORMAT', /\.npy/);
  await refuses(() => decodeNpy(encodeNpy(new Float32Array(4), [4]).subarray(0, 140)), 'VGG_INTEGRITY', /16 bytes of values, received 12/);
  await refuses(async () => decodeNpy(await fixture('numpy/numpy-objects.npy')), 'VGG_FORMAT', /numeric/);
  await refuses(() => encodeNpy(new Float32Array(4), [5]), 'VGG_SHAPE', /5 values/);
});
