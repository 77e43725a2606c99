import { expect, test } from 'vitest';
import { canonicalise, describeShapes, readCanonical } from '../../src/index.js';
import expectedValues from '../fixtures/safetensors/torch.json';
import { open } from '../helpers.js';
import { table } from '../vgg.js';

type Expected = Record<string, [shape: number[], values: number[]]>;
const EXPECTED = expectedValues as unknown as { plain: Expected; bn: Expected };
const BLOCKS = [[2, 3], [4], [4, 5]];

test.each([
  ['safetensors/torch-plain.safetensors', 'plain', 0],
  ['safetensors/torch-bn.safetensors', 'bn', 0],
  ['safetensors/torch-half.safetensors', 'plain', 2 ** -11], // half of a step of 10 fraction bits
  ['safetensors/torch-bfloat16.safetensors', 'plain', 2 ** -8],
] as const)('%s, written by PyTorch, is transposed as numpy does', async (name, kind, tolerance) => {
  const file = await open(name);
  const mapping = canonicalise(file, table(BLOCKS, { batchNorm: kind === 'bn', side: 2, dense: [6, 6, 7] }));
  expect(mapping).toMatchObject({ naming: 'torch', missing: [], unknown: [] });
  expect(mapping.ignored.length).toBe(kind === 'bn' ? 5 : 0);
  expect([...mapping.tensors.keys()].sort()).toEqual(Object.keys(EXPECTED[kind]).sort());
  for (const [tensor, [shape, expected]] of Object.entries(EXPECTED[kind])) {
    const values = await readCanonical(file, mapping, tensor);
    expect(mapping.tensors.get(tensor)!.shape, tensor).toEqual(shape);
    for (const [i, at] of [0, 1, values.length >> 1, values.length - 1].entries()) {
      expect(Math.abs(values[at]! - expected[i]!), `${tensor}[${at}]`).toBeLessThanOrEqual(tolerance * Math.abs(expected[i]!));
    }
  }
  const shapes = describeShapes(file);
  expect(shapes.convs.map((conv) => [conv.in, conv.out])).toEqual([
    [3, 2],
    [2, 3],
    [3, 4],
    [4, 4],
    [4, 5],
  ]);
  expect(shapes.batchNorms.map(({ channels }) => channels)).toEqual(kind === 'bn' ? [2, 3, 4, 4, 5] : []);
  expect(shapes.dense.map((layer) => [layer.in, layer.out])).toEqual([
    [20, 6],
    [6, 6],
    [6, 7],
  ]);
});
