import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { matlab5 } from '../../src/formats/matlab/index.js';
import { bytesSource, decodeNpy, openWeights } from '../../src/index.js';
import { DATA, HAS_DATA } from '../shared-data.js';

test.skipIf(!HAS_DATA)('the mean image of ImageNet, as MATLAB and as NumPy have it', async () => {
  const npy = decodeNpy(new Uint8Array(await readFile(`${DATA}caffe/ilsvrc_2012_mean.npy`)), 'ilsvrc_2012_mean.npy');
  const bytes = new Uint8Array(await readFile(`${DATA}caffe/ilsvrc_2012_mean.mat`));
  const file = await openWeights(bytesSource(bytes, 'ilsvrc_2012_mean.mat'), { formats: [matlab5] });
  const [info] = [...file.tensors.values()];
  expect(info!.shape).toEqual([...npy.shape].reverse());
  const values = await file.read(info!.name);
  const [channels, height, width] = npy.shape as [number, number, number];
  const transposed = new Float32Array(values.length);
  for (let c = 0, at = 0; c < channels; c++)
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) transposed[(x * height + y) * channels + c] = npy.data[at++]!;
  expect(values).toEqual(transposed);
});
