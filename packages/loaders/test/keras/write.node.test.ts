import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import h5wasm from 'h5wasm/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kerasH5Writer } from '../../src/formats/keras/write.js';
import { bytesSource, openWeights } from '../../src/index.js';
import { DATA, HAS_DATA } from '../shared-data.js';
import { kerasName, type SmallVgg, smallVgg } from '../vgg-request.js';
import { toWrite, written } from '../writing.js';

let folder = '';
beforeAll(async () => {
  await h5wasm.ready;
  folder = mkdtempSync(join(tmpdir(), 'vgg-h5-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A file opened by the reference library, compiled to WebAssembly, which reads from the disk. */
function h5(bytes: Uint8Array) {
  const path = join(folder, 'written.h5');
  writeFileSync(path, bytes);
  return new h5wasm.File(path, 'r');
}

test.each<[string, SmallVgg & { dtype?: 'float16' }]>([
  ['float32', { batchNorm: true }],
  ['float16', { dtype: 'float16' }],
])('the HDF5 library reads our .h5 of %s', async (_, { dtype, ...options }) => {
  const { request, values } = smallVgg(options);
  const files = await written(kerasH5Writer.write({ ...request, name: 'small.h5', ...(dtype && { dtype }) }));
  const file = h5(files.get('small.h5')!);
  for (const [name, expected] of values) {
    const [layer, part] = kerasName(name).split('/');
    const dataset = file.get(`model_weights/${layer}/${layer}/${part}:0`) as InstanceType<typeof h5wasm.Dataset>;
    expect(dataset.shape, name).toEqual(request.tensors.find((tensor) => tensor.name === name)!.shape);
    expect(dataset.metadata.size).toBe(dtype ? 2 : 4);
    if (dtype) continue; // h5wasm has no numbers of half precision
    expect(dataset.value, name).toEqual(expected);
  }
  expect(JSON.parse(file.attrs.model_config!.value as string)).toMatchObject({ class_name: 'Sequential' });
  expect(file.attrs['vgg.licence']!.value).toBe('CC BY 4.0, Universität');
  const group = file.get('model_weights') as InstanceType<typeof h5wasm.Group>;
  expect((group.attrs.layer_names!.value as string[]).slice(0, 3)).toEqual([
    'input_1',
    'block1_conv1',
    ...(dtype ? ['block1_conv2'] : ['block1_bn1']),
  ]);
  expect((file.get('model_weights/fc1') as InstanceType<typeof h5wasm.Group>).attrs.weight_names!.value).toEqual([
    'fc1/kernel:0',
    'fc1/bias:0',
  ]);
  expect((file.get('model_weights/block1_pool') as InstanceType<typeof h5wasm.Group>).attrs.weight_names!.value).toEqual([]);
  file.close();
});

describe.skipIf(!HAS_DATA)('a real model', () => {
  test('mnist_cnn.h5 is read, written and read again without a change', async () => {
    const name = 'mnist_cnn.h5';
    const real = await openWeights(bytesSource(readFileSync(`${DATA}keras/${name}`), name));
    const parts = new Map([
      ['kernel', 'weight'],
      ['bias', 'bias'],
    ]);
    const tensors = await Promise.all(
      [...real.tensors.values()].map(async (info) => {
        const [layer, part] = info.name.split('/') as [string, string];
        return toWrite(`${layer}.${parts.get(part)}`, info.shape, await real.read(info.name));
      }),
    );
    const files = await written(kerasH5Writer.write({ name, graph: real.graph!, tensors }));
    const again = await openWeights(bytesSource(files.get(name)!, name));
    expect(again.graph).toEqual(real.graph);
    expect([...again.tensors.keys()]).toEqual([...real.tensors.keys()]);
    for (const key of real.tensors.keys()) expect(await again.read(key)).toEqual(await real.read(key));
  });
});
