import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { bytesSource, openWeights } from '../../src/index.js';
import { DATA, HAS_DATA } from '../shared-data.js';

describe.skipIf(!HAS_DATA)('shared/data/safetensors/mnist-mlp.safetensors', () => {
  test('is read', async () => {
    const file = await openWeights(bytesSource(readFileSync(`${DATA}safetensors/mnist-mlp.safetensors`)));
    expect([...file.tensors.values()].map(({ name, shape, dtype }) => [name, shape, dtype]).sort()).toEqual([
      ['l1.weight', [128, 784], 'float32'],
      ['l2.weight', [10, 128], 'float32'],
    ]);
    const values = await file.read('l2.weight');
    expect(values.length).toBe(1280);
    expect(values.every(Number.isFinite)).toBe(true);
  });
});
