import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { npy } from '../../src/formats/numpy/npy-file.js';
import { bytesSource, decodeNpy } from '../../src/index.js';
import { DATA, HAS_DATA } from '../shared-data.js';

describe.skipIf(!HAS_DATA)('shared/data/caffe/ilsvrc_2012_mean.npy', () => {
  test('has the channel means that are known of it', () => {
    const { shape, dtype, data } = decodeNpy(readFileSync(`${DATA}caffe/ilsvrc_2012_mean.npy`));
    expect([shape, dtype]).toEqual([[3, 256, 256], 'float64']);
    const means = [0, 1, 2].map((c) => data.subarray(c * 65536, (c + 1) * 65536).reduce((sum, value) => sum + value, 0) / 65536);
    expect(means.map((mean) => mean.toFixed(3))).toEqual(['104.007', '116.669', '122.679']);
  });

  test('opens as one tensor of the same values', async () => {
    const bytes = readFileSync(`${DATA}caffe/ilsvrc_2012_mean.npy`);
    const file = await npy.open(bytesSource(bytes, 'ilsvrc_2012_mean.npy'));
    expect([...file.tensors.values()]).toEqual([{ name: 'ilsvrc_2012_mean', shape: [3, 256, 256], dtype: 'float64', present: true }]);
    const values = await file.read('ilsvrc_2012_mean');
    const { data } = decodeNpy(bytes);
    expect(values.findIndex((value, i) => value !== data[i])).toBe(-1);
  });
});
