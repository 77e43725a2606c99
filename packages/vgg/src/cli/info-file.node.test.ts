import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { vgg } from '../../test/command-line.js';
import { smallFile } from '../../test/small-weights.js';
import { elements } from '../../test/well-formed.js';
import { load } from '../load.js';

const FIXTURES = 'packages/loaders/test/fixtures/';
/** Pools that round up, which no shape shows. */
const PLAN = { blocks: [[4], [6]], rounding: 'ceil', dense: [5], dropout: 0, classes: 3, size: 7 } as const;
const PROTOTXT = `
name: "small"
input: "data" input_dim: 1 input_dim: 3 input_dim: 7 input_dim: 7
layer { name: "conv1_1" type: "Convolution" bottom: "data" top: "conv1_1" convolution_param { num_output: 4 pad: 1 kernel_size: 3 } }
layer { name: "relu1_1" type: "ReLU" bottom: "conv1_1" top: "conv1_1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1_1" top: "pool1" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "conv2_1" type: "Convolution" bottom: "pool1" top: "conv2_1" convolution_param { num_output: 6 pad: 1 kernel_size: 3 } }
layer { name: "relu2_1" type: "ReLU" bottom: "conv2_1" top: "conv2_1" }
layer { name: "pool2" type: "Pooling" bottom: "conv2_1" top: "pool2" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "fc6" type: "InnerProduct" bottom: "pool2" top: "fc6" inner_product_param { num_output: 5 } }
layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }
layer { name: "fc7" type: "InnerProduct" bottom: "fc6" top: "fc7" inner_product_param { num_output: 3 } }
layer { name: "prob" type: "Softmax" bottom: "fc7" top: "prob" }
`;

describe('a network told by a prototxt', () => {
  let folder: string;
  let small: string;
  let other: string;
  let weights: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vgg-info-'));
    [small, other, weights] = ['small.prototxt', 'other.prototxt', 'small.safetensors'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(small, PROTOTXT);
    await writeFile(other, PROTOTXT.replaceAll('kernel_size: 3', 'kernel_size: 5'));
    // No plan of its own: an empty text is none.
    await writeFile(weights, await smallFile(PLAN, { 'vgg.plan': '' }));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('vgg info: its layers with their costs, and every tensor missing', async () => {
    const { code, json } = await vgg(['info', small, '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ architecture: 'small', format: 'prototxt', classes: 3, tensors: [], preprocessing: { name: 'caffe' } });
    expect(json.layers.find(({ name }: { name: string }) => name === 'pool2').output).toEqual([2, 2, 6]);
    expect(json.missing).toHaveLength(8);
    expect((await vgg(['info', small])).out).toMatch(/^conv2_1 +conv +4x4x6/m);
  });

  test('what a file takes of the memory; for documents its table and its drawing', async () => {
    const { json } = await vgg(['info', weights, '--arch', small, '--json']);
    expect(json.memory).toMatchObject({ fast: { weights: 4 * (4 * 28 + 6 * 37 + 5 * 25 + 3 * 6) }, small: {} });
    const of = async (...more: string[]) => (await vgg(['info', weights, '--arch', small, ...more])).out;
    expect(await of()).toMatch(/^memory +of the wasm backend: fast 1 MB, balanced 1 MB, small 1 MB$/m);
    expect(await of('--style', 'markdown')).toMatch(/^small, input 7x7x3\n\n\| layer \| kind[\s\S]*\| fc7 \| dense \| 3 \|/);
    expect(elements(await of('--style', 'svg')).filter(({ attributes }) => attributes.class === 'conv')).toHaveLength(2);
  });

  test('--arch and load: the weights of a file by it', async () => {
    const { code, json } = await vgg(['info', weights, '--arch', small, '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ architecture: 'small', missing: [], unknown: [], reaches: 'prob' });
    using model = await load(small, { weights, backend: 'cpu', layers: ['prob'] });
    expect(model.network.plan).toMatchObject(PLAN);
  });

  test('another family is refused as an architecture, and shown as a file', async () => {
    expect(await vgg(['info', weights, '--arch', other, '--json'])).toMatchObject({
      code: 1,
      json: { error: { code: 'VGG_ARCHITECTURE', message: expect.stringContaining('expected a network of the family') } },
    });
    const { code, json, err } = await vgg(['info', other, '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ architecture: null, format: 'prototxt', preprocessing: null });
    expect(json.layers[0]).toMatchObject({ kind: 'conv', name: 'conv1_1', kernel: [5, 5] });
    expect(err).toContain('expected a network of the family');
  });
});

test('a file of another network: its layers and its tensors', async () => {
  const { code, out, err, json } = await vgg(['info', `${FIXTURES}caffe/caffe-v2.caffemodel`, '--json']);
  expect(code).toBe(0);
  expect(json).toMatchObject({ architecture: null, format: 'caffe', missing: [] });
  expect(json.layers.map(({ kind }: { kind: string }) => kind)).toContain('other');
  expect(json.tensors.length).toBeGreaterThan(10);
  expect([err !== '', out !== '']).toEqual([true, true]);
  const text = (await vgg(['info', `${FIXTURES}caffe/caffe-v2.caffemodel`])).out;
  expect(text).toMatch(/^conv1 +conv +4 of 3x3, stride 1, pad 2/m);
  expect(text).toMatch(/^conv1\.weight +\[4, 3, 3, 3\] +float32/m);
});
