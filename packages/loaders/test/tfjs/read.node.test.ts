import { openAsBlob, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { canonicalise, filesSource, openWeights, readCanonical } from '../../src/index.js';
import { refuses } from '../helpers.js';
import { DATA, HAS_DATA } from '../shared-data.js';
import { table, VGG16 } from '../vgg.js';

describe.skipIf(!HAS_DATA)('shared/data/vgg16-tfjs: the real VGG-16, an interrupted download', () => {
  const folder = `${DATA}vgg16-tfjs/`;
  const openReal = async () => {
    const names = readdirSync(folder);
    const files = await Promise.all(names.map(async (name) => new File([await openAsBlob(folder + name)], name)));
    return openWeights(filesSource(files));
  };
  const at = (shape: readonly number[], index: readonly number[]) => index.reduce((sum, i, axis) => sum * shape[axis]! + i, 0);

  test('published values are read back exactly', async () => {
    const file = await openReal();
    const specs = table(VGG16, { dense: [4096, 4096, 1000] });
    const mapping = canonicalise(file, specs);
    const cache = new Map<string, Float32Array>();
    const value = async (name: string, index: number[]) => {
      const values = cache.get(name) ?? (await readCanonical(file, mapping, name));
      cache.set(name, values);
      return values[at(mapping.tensors.get(name)!.shape, index)]!;
    };
    // WEIGHTS.md of the data, each printed by a program of somebody else's.
    for (const [index, expected] of [
      [[0, 0, 0, 0], 0.42947057],
      [[0, 0, 0, 1], 0.117273867],
      [[0, 0, 0, 2], 0.0340129584],
      [[0, 0, 0, 61], -0.132241577],
      [[0, 0, 0, 62], -0.0533475243],
      [[0, 0, 0, 63], 0.00757738389],
      [[0, 0, 1, 0], 0.550379455],
      [[0, 0, 1, 1], 0.0208774377],
      [[0, 0, 1, 2], 0.0988311544],
      [[0, 0, 2, 0], 0.480015397],
      [[0, 0, 2, 1], -0.17269668],
      [[0, 0, 2, 2], 0.0375577137],
      [[0, 1, 0, 0], 0.373467],
      [[0, 2, 0, 0], -0.061360113],
      [[1, 0, 0, 0], 0.27476987],
      [[1, 1, 0, 0], 0.038680777],
      [[1, 2, 0, 0], -0.36722335],
      [[2, 0, 0, 0], -0.05746817],
      [[2, 1, 0, 0], -0.26224968],
      [[2, 2, 0, 0], -0.35009676],
    ] as const) {
      expect(await value('conv1_1.weight', [...index])).toBe(Math.fround(expected));
    }
    const bias = [0.73429835, 0.093403675, 0.06775674, 0.8862966, 0.25994542, 0.66426694, -0.015828926, 0.3249065, 0.68600726, 0.062479325];
    for (const [i, expected] of bias.entries()) expect(await value('conv1_1.bias', [i])).toBe(Math.fround(expected));
    expect(await value('conv1_1.bias', [25])).toBe(Math.fround(0.7446502));
    expect(await value('conv1_2.weight', [2, 2, 63, 63])).toBe(Math.fround(0.016082443));
    expect(await value('conv2_1.bias', [1])).toBe(Math.fround(0.06440781));
    expect(await value('conv5_2.bias', [510])).toBe(Math.fround(0.23517226)); // behind the hole
    await file.close();
  });

  test('everything before the hole is there, and what is missing is named', async () => {
    const file = await openReal();
    const mapping = canonicalise(file, table(VGG16, { dense: [4096, 4096, 1000] }));
    expect(mapping.missing).toEqual([
      ...['conv4_1', 'conv4_2', 'conv4_3', 'conv5_1', 'conv5_2', 'conv5_3', 'fc6', 'fc7', 'fc8'].map((name) => `${name}.weight`),
    ]);
    expect(file.tensors.get('block4_conv2/kernel')!.absence).toBe('missing shards group9-shard1of3, group9-shard2of3');
    await refuses(readCanonical(file, mapping, 'conv4_1.weight'), 'VGG_WEIGHTS_MISSING', /conv4_1.weight.*group8-shard1of2/);
    expect((await readCanonical(file, mapping, 'conv3_3.weight')).length).toBe(3 * 3 * 256 * 256);
    await file.close();
  });
});
