import { describe, expect, test } from 'vitest';
import { tfjsLayers } from '../../src/formats/tfjs/read.js';
import { bytesSource, describeShapes, filesSource, openWeights, type WeightFile } from '../../src/index.js';
import { fixture, ramp, refuses } from '../helpers.js';

const FORMATS = { formats: [tfjsLayers] };

async function open(name: string): Promise<WeightFile> {
  const [json, bin] = await Promise.all([fixture(`tfjs/graph-model/${name}.json`), fixture(`tfjs/graph-model/${name}.bin`)]);
  return openWeights(filesSource([new File([json], 'model.json'), new File([bin], `${name}.bin`)]), FORMATS);
}

/** The names of the weights that are no settings of an operation, as the file has them and as they are named. */
function named(file: WeightFile): [string, string][] {
  return [...file.tensors.values()].filter(({ dtype }) => dtype === 'float32').map(({ name, storedAs }) => [name, storedAs ?? name]);
}

const KERAS3 = 'StatefulPartitionedCall/vgg16_1';
const KERAS2 = 'StatefulPartitionedCall/vgg16';

describe('names by the operations', () => {
  test('a Keras 3 model, optimised: its normalisation is in the convolution and what became its bias', async () => {
    const file = await open('optimised');
    expect(file.format).toBe('tfjs-graph');
    expect(named(file)).toEqual([
      ['block1_conv1/kernel', `${KERAS3}/block1_conv1_1/convolution/ReadVariableOp`],
      ['block1_conv1/bias', `${KERAS3}/block1_conv1_1/Squeeze`],
      ['block1_conv2/kernel', `${KERAS3}/block1_conv2_1/convolution/merged_input`],
      ['block1_conv2/bias', `${KERAS3}/block1_bn2_1/batchnorm/sub`],
      ['fc1/kernel', `${KERAS3}/fc1_1/Cast/ReadVariableOp`],
      ['fc1/bias', `${KERAS3}/fc1_1/BiasAdd/ReadVariableOp`],
      ['predictions/kernel', `${KERAS3}/predictions_1/Cast/ReadVariableOp`],
      ['predictions/bias', `${KERAS3}/predictions_1/BiasAdd/ReadVariableOp`],
    ]);
    expect(describeShapes(file).convs.map(({ name }) => name)).toEqual(['block1_conv1', 'block1_conv2']);
    expect([...(await file.read('block1_conv1/kernel'))]).toEqual(ramp(54).map((value) => value / 64));
    expect(file.metadata.get('format')).toBe('graph-model');
    expect(file.metadata.has('model_config')).toBe(false);
  });

  test('the same as it was frozen: constants without names, behind identities', async () => {
    const names = named(await open('frozen'));
    expect(names.filter(([name]) => !/unknown_[2-5]$|batchnorm/.test(name))).toEqual([
      ['block1_conv1/kernel', 'unknown'],
      ['block1_conv1/bias', 'unknown_0'],
      ['block1_conv2/kernel', 'unknown_1'],
      ['fc1/kernel', 'unknown_6'],
      ['fc1/bias', 'unknown_7'],
      ['predictions/kernel', 'unknown_8'],
      ['predictions/bias', 'unknown_9'],
    ]);
  });

  test('names of Keras 2, of folded normalisations, and of tf-slim, whose variables keep theirs', async () => {
    expect(named(await open('keras2'))).toEqual([
      ['block1_conv1/kernel', `${KERAS2}/block1_conv1/Conv2D/ReadVariableOp`],
      ['block1_conv1/bias', `${KERAS2}/block1_conv1/BiasAdd/ReadVariableOp`],
      ['fc1/kernel', `${KERAS2}/fc1/MatMul/ReadVariableOp`],
      ['fc1/bias', `${KERAS2}/fc1/BiasAdd/ReadVariableOp`],
    ]);
    expect(named(await open('folded')).slice(0, 2)).toEqual([
      ['block1_conv1/kernel', `${KERAS2}/block1_conv1/Conv2D_weights`],
      ['block1_conv1/bias', `${KERAS2}/block1_conv1/Conv2D_bn_offset`],
    ]);
    const slim = ['vgg_16/conv1/conv1_1/weights', 'vgg_16/conv1/conv1_1/biases', 'vgg_16/fc1/weights', 'vgg_16/fc1/biases'];
    expect(named(await open('slim'))).toEqual(slim.map((name) => [name, name]));
  });
});

test.each([
  ['uint8', (50 + 50) / 64 / 255 / 2],
  ['uint16', (50 + 50) / 64 / 65535 / 2],
  ['float16', 0],
])('%s: no further from the weights than half a step', async (kind, half) => {
  const [file, whole] = await Promise.all([open(kind), open('optimised')]);
  expect(named(file)).toEqual(named(whole));
  for (const name of ['block1_conv1/kernel', 'block1_conv1/bias', 'fc1/kernel']) {
    const [values, expected] = [await file.read(name), await whole.read(name)];
    // float32 rounds what was computed: a millionth of the greatest.
    for (let i = 0; i < values.length; i++) expect(Math.abs(values[i]! - expected[i]!)).toBeLessThanOrEqual(half + 1e-6);
  }
});

interface Node {
  name: string;
  op: string;
  input?: string[];
}

/** A graph of these nodes and of weights of two values each. */
function graph(node: unknown, weights: string[]): Promise<WeightFile> {
  const manifest = [{ paths: ['s'], weights: weights.map((name) => ({ name, shape: [2], dtype: 'float32' })) }];
  const json = JSON.stringify({ format: 'graph-model', modelTopology: { node }, weightsManifest: manifest });
  return openWeights(filesSource([new File([json], 'model.json'), new File([new Uint8Array(8 * weights.length)], 's')]), FORMATS);
}

describe('other graphs', () => {
  test('fused operations, and a normalisation of its own', async () => {
    const nodes: Node[] = [
      { name: 'm/c1/Relu', op: '_FusedConv2D', input: ['x', 'm/c1/Conv2D/ReadVariableOp', 'm/c1/BiasAdd/ReadVariableOp', '^n'] },
      {
        name: 'm/bn/FusedBatchNormV3',
        op: 'FusedBatchNormV3',
        input: ['m/c1/Relu', 'm/bn/ReadVariableOp', 'm/bn/ReadVariableOp_1', 'm/bn/F/ReadVariableOp', 'm/bn/F/ReadVariableOp_1'],
      },
      { name: 'm/fc/Softmax', op: '_FusedMatMul', input: ['m/c1/Relu:0', 'm/fc/MatMul/ReadVariableOp:0', 'm/fc/BiasAdd/ReadVariableOp'] },
    ];
    const weights = nodes.flatMap(({ input }) => input!.slice(1)).map((name) => name.replace(/:0$/, ''));
    const file = await graph(
      nodes,
      weights.filter((name) => name !== '^n'),
    );
    expect(named(file).map(([name]) => name)).toEqual([
      ...['c1/kernel', 'c1/bias', 'bn/gamma', 'bn/beta', 'bn/moving_mean', 'bn/moving_variance', 'fc/kernel', 'fc/bias'],
    ]);
  });

  test('two layers that would have one name keep their own, and so does a weight whose name another has', async () => {
    const conv = (path: string): Node => ({ name: `${path}/Conv2D`, op: 'Conv2D', input: ['x', `${path}/Conv2D/ReadVariableOp`] });
    const paths = ['a/conv', 'b/conv', 'c/other'];
    const weights = [...paths.map((path) => `${path}/Conv2D/ReadVariableOp`), 'other/kernel'];
    const file = await graph(paths.map(conv), weights);
    expect([...file.tensors.keys()]).toEqual(weights);
  });

  test('an ending that only some layers have is part of their names', async () => {
    const conv = (path: string): Node => ({ name: `${path}/Conv2D`, op: 'Conv2D', input: ['x', `${path}/Conv2D/ReadVariableOp`] });
    const file = await graph(['m_1/conv1_1', 'm_1/conv1_2'].map(conv), [
      'm_1/conv1_1/Conv2D/ReadVariableOp',
      'm_1/conv1_2/Conv2D/ReadVariableOp',
    ]);
    expect([...file.tensors.keys()]).toEqual(['conv1_1/kernel', 'conv1_2/kernel']);
  });
});

describe('bad graphs', () => {
  test('nodes that are none, that run in a circle, or that name nothing', async () => {
    const weights = ['a/Conv2D/ReadVariableOp', '__proto__'];
    for (const node of [
      null,
      {},
      [null, 3, 'x', [], { name: 1, op: [] }],
      [{ name: 'a/Conv2D', op: 'Conv2D' }],
      [{ name: 'a/Conv2D', op: 'Conv2D', input: { 1: 'a' } }],
      [{ name: 'a/Conv2D', op: 'Conv2D', input: ['a/Conv2D', 'a/Conv2D'] }],
      [
        { name: 'i', op: 'Identity', input: ['j'] },
        { name: 'j', op: 'Identity', input: ['i'] },
        { name: 'a/Conv2D', op: 'Conv2D', input: ['i', 'j'] },
        { name: 'b', op: 'BiasAdd', input: ['i', 'j'] },
      ],
      [{ name: '__proto__', op: 'constructor', input: ['__proto__', 'toString'] }],
    ]) {
      const file = await graph(node, weights);
      expect([...file.tensors.keys()]).toEqual(weights);
    }
  });

  test('more nodes than any network has', async () => {
    const nodes = Array.from({ length: 65537 }, (_, i) => ({ name: `n${i}`, op: 'Identity' }));
    await refuses(graph(nodes, ['a']), 'VGG_INTEGRITY', /at most 65536 nodes/);
  });

  test('a long chain of identities is not followed to its end', async () => {
    const chain = Array.from({ length: 5000 }, (_, i) => ({ name: `i${i}`, op: 'Identity', input: [i === 0 ? 'w/x' : `i${i - 1}`] }));
    const convs = Array.from({ length: 5000 }, (_, i) => ({ name: `c${i}/Conv2D`, op: 'Conv2D', input: ['x', 'i4999'] }));
    const file = await graph([...chain, ...convs], ['w/x']);
    expect([...file.tensors.keys()]).toEqual(['w/x']);
  });
});

test('a model.json without a topology in its head is known by its format', async () => {
  const json = `{"format": "graph-model", "signature": {"inputs": "${'x'.repeat(5000)}"}, "weightsManifest": [{"paths": [], "weights": []}]}`;
  const file = await openWeights(bytesSource(new TextEncoder().encode(json), 'model.json'), FORMATS);
  expect(file.format).toBe('tfjs-graph');
});
