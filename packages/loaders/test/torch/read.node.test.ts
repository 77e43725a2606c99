import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { torchLegacy } from '../../src/formats/torch/legacy.js';
import { openTorchZip } from '../../src/formats/torch/zip.js';
import { openZip } from '../../src/formats/zip/index.js';
import { bytesSource, describeShapes } from '../../src/index.js';
import { refuses } from '../helpers.js';
import { DATA, HAS_DATA } from '../shared-data.js';

describe.skipIf(!HAS_DATA)('shared/data/torch', () => {
  const source = (name: string) => bytesSource(readFileSync(`${DATA}torch/${name}`), name);

  test('cifar_net.pth, a zip', async () => {
    const zip = source('cifar_net.pth');
    const file = await openTorchZip(await openZip(zip), zip);
    expect([...file.tensors].map(([name, { shape }]) => `${name} ${shape}`)).toEqual([
      'conv1.weight 32,3,3,3',
      'conv1.bias 32',
      'conv2.weight 64,32,3,3',
      'conv2.bias 64',
      'conv3.weight 64,64,3,3',
      'conv3.bias 64',
      'fc1.weight 512,1024',
      'fc1.bias 512',
      'fc2.weight 128,512',
      'fc2.bias 128',
      'fc3.weight 10,128',
      'fc3.bias 10',
    ]);
    for (const name of file.tensors.keys()) {
      const values = await file.read(name);
      expect(values.every((value) => Math.abs(value) < 3) && values.some((value) => value !== 0), name).toBe(true);
    }
  });

  test('lpips-vgg-v0.1.pth, of Python 2, to the last byte', async () => {
    const file = await torchLegacy.open(source('lpips-vgg-v0.1.pth'));
    expect([...file.tensors].map(([name, { shape, present }]) => `${name} ${shape} ${present}`)).toEqual(
      [64, 128, 256, 512, 512].map((channels, i) => `lin${i}.model.1.weight 1,${channels},1,1 true`),
    );
    // The heads of LPIPS are trained to be at least zero.
    for (const name of file.tensors.keys()) expect(Math.min(...(await file.read(name)))).toBeGreaterThanOrEqual(0);
  });

  test('vgg16_reducedfc.truncated.pth, of which nothing is whole but the header', async () => {
    const file = await torchLegacy.open(source('vgg16_reducedfc.truncated.pth'));
    expect(file.tensors.size).toBe(30);
    expect([...file.tensors.values()].every(({ present }) => !present)).toBe(true);
    expect(file.tensors.get('31.weight')).toMatchObject({ shape: [1024, 512, 3, 3], dtype: 'float32' });
    await refuses(file.read('0.weight'), 'VGG_WEIGHTS_MISSING', /"0\.weight", but the file ends before it: it has 196608 of \d+ bytes/);
    expect(describeShapes(file).convs.length).toBe(15);
  });
});
