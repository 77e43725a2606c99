import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeNpy, encodeNpy } from '../src/index.js';
import { DATA, fixture, HAS_DATA, ramp, refuses } from './helpers.js';

test.each([[[]], [[5]], [[2, 3]], [[1, 2, 3, 4]], [[0, 7]]])('shape [%s] written and read back', (shape) => {
  const values = Float32Array.from({ length: shape.reduce((a: number, b) => a * b, 1) }, (_, i) => i / 3);
  const bytes = encodeNpy(values, shape);
  expect((bytes.length - values.byteLength) % 64).toBe(0);
  expect(decodeNpy(bytes)).toEqual({ shape, dtype: 'float32', data: values });
});

test('the bytes are those that numpy.save writes', () => {
  expect(encodeNpy(Float32Array.from(ramp(6)), [2, 3])).toEqual(fixture('numpy-2x3.npy'));
});

test.each(['numpy-fortran-big-f8.npy', 'numpy-v2-i2.npy', 'numpy-v3-f2.npy'])('%s, written by numpy', (name) => {
  expect(decodeNpy(fixture(name))).toMatchObject({ shape: [2, 3, 4], data: Float32Array.from(ramp(24)) });
});

test('what is no numeric array is refused', async () => {
  await refuses(() => decodeNpy(new Uint8Array(20)), 'VGG_FORMAT', /\.npy/);
  await refuses(() => decodeNpy(encodeNpy(new Float32Array(4), [4]).subarray(0, 140)), 'VGG_INTEGRITY', /16 bytes of values, received 12/);
  await refuses(() => decodeNpy(fixture('numpy-objects.npy')), 'VGG_FORMAT', /numeric/);
  await refuses(() => encodeNpy(new Float32Array(4), [5]), 'VGG_SHAPE', /5 values/);
});

describe.skipIf(!HAS_DATA)('shared/data/caffe/ilsvrc_2012_mean.npy', () => {
  test('has the channel means that are known of it', () => {
    const { shape, dtype, data } = decodeNpy(readFileSync(`${DATA}caffe/ilsvrc_2012_mean.npy`));
    expect([shape, dtype]).toEqual([[3, 256, 256], 'float64']);
    const means = [0, 1, 2].map((c) => data.subarray(c * 65536, (c + 1) * 65536).reduce((sum, value) => sum + value, 0) / 65536);
    expect(means.map((mean) => mean.toFixed(3))).toEqual(['104.007', '116.669', '122.679']);
  });
});
