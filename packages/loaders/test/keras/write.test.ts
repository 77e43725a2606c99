import { describe, expect, test } from 'vitest';
import { layOutHdf5 } from '../../src/formats/hdf5/write/file.js';
import { kerasH5Writer } from '../../src/formats/keras/write.js';
import { bytesSource, type GraphLayer, openWeights, type WriteRequest } from '../../src/index.js';
import { refuses } from '../helpers.js';
import { kerasName, type SmallVgg, smallVgg } from '../vgg-request.js';
import { toWrite, written } from '../writing.js';

async function roundTrip(request: WriteRequest) {
  const files = await written(kerasH5Writer.write({ ...request, name: 'small.h5' }));
  expect([...files.keys()]).toEqual(['small.h5']);
  return openWeights(bytesSource(files.get('small.h5')!, 'small.h5'));
}

describe.each<[string, SmallVgg]>([
  ['dense layers', {}],
  ['batch normalisation', { batchNorm: true }],
  ['no top', { top: 'none' }],
  ['convolutions as the top', { top: 'conv' }],
  ['pools that round up', { rounding: 'ceil', size: 13 }],
])('an .h5 with %s', (_, options) => {
  test('has the same values, bit for bit, under names of Keras', async () => {
    const { request, values } = smallVgg(options);
    const file = await roundTrip(request);
    expect([...file.tensors.keys()]).toEqual([...values.keys()].map(kerasName));
    for (const [name, expected] of values) {
      const read = await file.read(kerasName(name));
      expect(new Uint32Array(read.buffer, read.byteOffset, read.length), name).toEqual(new Uint32Array(expected.buffer));
    }
  });

  test('tells of its layers and of itself', async () => {
    const { request } = smallVgg(options);
    const { graph, metadata } = await roundTrip(request);
    const shown = ({ kind, name: _, ...rest }: GraphLayer) => ({ kind, ...('pad' in rest && { ...rest, pad: undefined, in: undefined }) });
    expect(graph!.layers.map(shown)).toEqual(request.graph.layers.map(shown));
    expect(graph!.input).toEqual(options.top === 'none' || options.top === 'conv' ? { channels: 3 } : request.graph.input);
    for (const [key, text] of request.metadata!) expect(metadata.get(key)).toBe(text);
    expect(metadata.get('keras_version')).toBe('2.15.0');
  });
});

test('float16 is the nearest', async () => {
  const { request, values } = smallVgg();
  const file = await roundTrip({ ...request, dtype: 'float16' });
  expect(file.tensors.get('fc1/kernel')!.dtype).toBe('float16');
  const read = await file.read('fc1/kernel');
  const expected = values.get('fc6.weight')!;
  expect(read.every((value, i) => Math.abs(value - expected[i]!) <= 2 ** -12)).toBe(true);
  expect(read.some((value, i) => value !== expected[i])).toBe(true);
});

test('padding that is not that of the size is a layer of its own, and comes back as padding', async () => {
  const { request } = smallVgg({ top: 'none' });
  const layers = request.graph.layers.map((layer) => (layer.name === 'conv1_1' ? { ...layer, pad: 2 } : layer)) as GraphLayer[];
  const file = await roundTrip({ ...request, graph: { ...request.graph, layers } });
  expect(file.metadata.get('model_config')).toContain('ZeroPadding2D');
  expect(file.graph!.layers[0]).toMatchObject({ kind: 'conv', pad: 2 });
});

test('names of any kind: plain ones stay, what Keras cannot have is changed, none twice', async () => {
  const weights = (name: string) => [
    toWrite(`${name}.weight`, [1, 1, 3, 3], new Float32Array(9)),
    toWrite(`${name}.bias`, [3], new Float32Array(3)),
  ];
  const conv = (name: string): GraphLayer => {
    return { kind: 'conv', name, in: 3, out: 3, kernel: [1, 1], stride: 1, pad: 0, dilation: 1, groups: 1, bias: true };
  };
  const file = await roundTrip({
    name: '',
    graph: { layers: [conv('colour'), conv('a/b')] },
    tensors: [...weights('a/b'), ...weights('colour')],
  });
  expect([...file.tensors.keys()]).toEqual(['colour/kernel', 'colour/bias', 'a_b/kernel', 'a_b/bias']);
  const twice = await roundTrip({
    name: '',
    graph: { layers: [conv('a/b'), conv('a_b')] },
    tensors: [...weights('a/b'), ...weights('a_b')],
  });
  expect([...twice.tensors.keys()]).toEqual(['a_b_1/kernel', 'a_b_1/bias', 'a_b_2/kernel', 'a_b_2/bias']);
});

test('lists of names past 64 KB are split', async () => {
  const count = 1200;
  const name = (i: number) => `${'a-long-name-'.repeat(5)}${i}`;
  const layers = Array.from({ length: count }, (_, i): GraphLayer => {
    return { kind: 'dense', name: name(i), in: 1, out: 1, bias: false };
  });
  const tensors = layers.map((layer, i) => toWrite(`${layer.name}.weight`, [1, 1], Float32Array.of(i)));
  const file = await roundTrip({ name: '', graph: { input: { channels: 1, height: 1, width: 1 }, layers }, tensors });
  expect([...file.tensors.keys()]).toEqual(layers.map((layer) => `${layer.name}/kernel`));
  expect(await file.read(`${name(1199)}/kernel`)).toEqual(Float32Array.of(1199));
});

test('a group of more datasets than a symbol table holds by default', async () => {
  const children = new Map(Array.from({ length: 1000 }, (_, i) => [`weight ${i}`, { shape: [2], dtype: 'float32' as const }]));
  const { head, datasets, size } = layOutHdf5({ attributes: new Map(), children });
  const bytes = new Uint8Array(size);
  bytes.set(head);
  for (const [i, { address }] of datasets.entries()) new DataView(bytes.buffer).setFloat32(address, i, true);
  const file = await openWeights(bytesSource(bytes, 'wide.h5'));
  expect(file.tensors.size).toBe(1000);
  expect([...(await file.read('weight 873'))]).toEqual([873, 0]);
});

describe('what Keras cannot hold is refused before anything is written', () => {
  const changed = (change: (layer: GraphLayer) => GraphLayer): WriteRequest => {
    const { request } = smallVgg();
    return { ...request, graph: { ...request.graph, layers: request.graph.layers.map(change) } };
  };
  const like = (kind: GraphLayer['kind'], more: object) =>
    changed((layer) => (layer.kind === kind ? ({ ...layer, ...more } as GraphLayer) : layer));
  const { request } = smallVgg();
  test.each<[string, WriteRequest, Parameters<typeof refuses>[1], RegExp]>([
    ['int8', { ...request, dtype: 'int8' }, 'VGG_OPTION', /int8; write safetensors/],
    ['no network', { name: '', tensors: request.tensors }, 'VGG_OPTION', /network/],
    ['reflected padding', like('conv', { padding: 'reflect' }), 'VGG_OPTION', /reflected in "conv1_1"/],
    ['l2 pools', like('pool', { pool: 'l2' }), 'VGG_OPTION', /an l2 pool, "pool1"/],
    ['rounding up of other windows', like('pool', { size: 3, rounding: 'ceil' }), 'VGG_OPTION', /3x3 in steps of 2 with rounding up/],
    ['pools with padding', like('pool', { pad: 1 }), 'VGG_OPTION', /pad 1/],
    ['local response normalisation', like('relu', { kind: 'lrn', radius: 2, bias: 1, alpha: 1, beta: 1 }), 'VGG_OPTION', /local response/],
    ['a layer of another kind', like('dropout', { kind: 'other', type: 'Concat' }), 'VGG_OPTION', /Concat layer "drop6"/],
    [
      'another input',
      { ...request, graph: { ...request.graph, input: { channels: 3, height: 32, width: 12 } } },
      'VGG_SHAPE',
      /54 values into "fc6".* 8x3x6/,
    ],
    [
      'an input that does not get through',
      { ...request, graph: { ...request.graph, input: { channels: 3, height: 1, width: 1 } } },
      'VGG_SHAPE',
      /gets through/,
    ],
    ['no input size', { ...request, graph: { layers: request.graph.layers } }, 'VGG_OPTION', /input size/],
    ['another shape', like('dense', { out: 10 }), 'VGG_SHAPE', /"fc6.weight" \[54,10\], received \[54,9\]/],
    ['a missing tensor', { ...request, tensors: request.tensors.slice(1) }, 'VGG_WEIGHTS_MISSING', /conv1_1.weight/],
    [
      'one tensor too many',
      { ...request, tensors: [...request.tensors, toWrite('x', [1], new Float32Array(1))] },
      'VGG_OPTION',
      /others too \(x\)/,
    ],
  ])('%s', (_, wrong, code, text) => refuses(() => kerasH5Writer.write(wrong), code, text));
});

test('a stream that is shorter or longer than its shape, and an aborted one', async () => {
  const { request } = smallVgg();
  for (const length of [107, 109]) {
    const tensors = [{ ...toWrite('conv1_1.weight', [3, 3, 3, 4], new Float32Array(length)) }, ...request.tensors.slice(1)];
    await refuses(written(kerasH5Writer.write({ ...request, tensors })), 'VGG_SHAPE', /108 values for "conv1_1.weight"/);
  }
  await refuses(written(kerasH5Writer.write({ ...request, signal: AbortSignal.abort() })), 'VGG_ABORTED', /AbortSignal/);
});
