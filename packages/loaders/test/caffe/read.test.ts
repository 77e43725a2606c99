import { describe, expect, test } from 'vitest';
import { concat } from '../../src/bytes.js';
import { caffe } from '../../src/formats/caffe/index.js';
import { meanFile } from '../../src/formats/caffe/mean.js';
import { prototxt } from '../../src/formats/caffe/prototxt.js';
import { bytesField, numberField } from '../../src/formats/protobuf/encode.js';
import { bytesSource, canonicalise, filesSource, openWeights, readCanonical, type Source, type WeightFile } from '../../src/index.js';
import { counted, fixture, refuses } from '../helpers.js';
import { table } from '../vgg.js';

const FORMATS = { formats: [caffe, meanFile, prototxt] };

interface Expected {
  tensors: Record<string, { shape: number[]; values: number[] }>;
}

const expected = async (): Promise<Expected['tensors']> => JSON.parse(new TextDecoder().decode(await fixture('caffe/caffe.json'))).tensors;
const openAlone = async (name: string): Promise<WeightFile> => openWeights(bytesSource(await fixture(`caffe/${name}`), name), FORMATS);

/** A file with others beside it. */
async function openBeside(name: string, others: Record<string, string | Uint8Array>): Promise<WeightFile> {
  const files = Object.entries({ [name]: await fixture(`caffe/${name}`), ...others });
  return openWeights(filesSource(files.map(([each, content]) => new File([content as BlobPart], each))), FORMATS);
}

async function expectTensors(file: WeightFile, prefix: string): Promise<void> {
  const wanted = Object.entries(await expected()).filter(([name]) => name.startsWith(prefix));
  expect([...file.tensors.keys()].sort()).toEqual(wanted.map(([name]) => name.slice(prefix.length)).sort());
  for (const [name, { shape, values }] of wanted) {
    const key = name.slice(prefix.length);
    expect([key, file.tensors.get(key)!.shape]).toEqual([key, shape]);
    expect([key, [...(await file.read(key))]]).toEqual([key, [...Float32Array.from(values)]]);
    const pieces: number[] = [];
    for await (const piece of file.stream(key)) pieces.push(...piece);
    if (!file.tensors.get(key)!.axes) expect(pieces).toEqual([...Float32Array.from(values)]);
    else expect(pieces.sort()).toEqual([...Float32Array.from(values)].sort());
  }
}

describe('the older form (V1)', () => {
  test('its tensors, four-axis blobs as what they are', async () => {
    const file = await openAlone('caffe-v1.caffemodel');
    expect(file.format).toBe('caffe');
    expect(file.tensors.get('fc6.weight')).toEqual({ name: 'fc6.weight', shape: [8, 24], dtype: 'float32', present: true });
    await expectTensors(file, 'v1/');
  });

  test('its layers, the input out of the layer of data', async () => {
    const file = await openAlone('caffe-v1.caffemodel');
    expect(Object.fromEntries(file.metadata)).toEqual({ caffe: 'V1', name: 'V1net' });
    expect(file.graph).toEqual({
      name: 'V1net',
      input: { height: 8, width: 8 },
      layers: [
        { kind: 'conv', name: 'conv1_1', in: 3, out: 4, kernel: [3, 3], stride: 1, pad: 1, dilation: 1, groups: 1, bias: true },
        { kind: 'relu', name: 'relu1_1' },
        { kind: 'pool', name: 'pool1', pool: 'max', size: 2, stride: 2, pad: 0, rounding: 'ceil' },
        { kind: 'conv', name: 'conv2_1', in: 4, out: 6, kernel: [3, 3], stride: 1, pad: 1, dilation: 1, groups: 1, bias: true },
        { kind: 'relu', name: 'relu2_1' },
        { kind: 'pool', name: 'pool2', pool: 'max', size: 2, stride: 2, pad: 0, rounding: 'ceil' },
        { kind: 'dense', name: 'fc6', in: 24, out: 8, bias: true },
        { kind: 'dense', name: 'fc7', in: 8, out: 5, bias: true },
        { kind: 'dropout', name: 'drop6', rate: 0.25 },
        { kind: 'softmax', name: 'loss' },
      ],
    });
  });

  test('under the names of an architecture: HWIO, and fc6 with its rows in H, W, C order', async () => {
    const file = await openAlone('caffe-v1.caffemodel');
    const mapping = canonicalise(file, table([[4], [6]], { side: 2, dense: [8, 5] }));
    expect([mapping.missing, mapping.unknown]).toEqual([[], []]);
    const stored = await file.read('conv2_1.weight');
    const filters = await readCanonical(file, mapping, 'conv2_1.weight');
    const matrix = await file.read('fc6.weight');
    const rows = await readCanonical(file, mapping, 'fc6.weight');
    for (let o = 0; o < 6; o++)
      for (let i = 0; i < 4; i++) for (let k = 0; k < 9; k++) expect(filters[(k * 4 + i) * 6 + o]).toBe(stored[(o * 4 + i) * 9 + k]);
    for (let o = 0; o < 8; o++)
      for (let c = 0; c < 6; c++) for (let k = 0; k < 4; k++) expect(rows[(k * 6 + c) * 8 + o]).toBe(matrix[o * 24 + c * 4 + k]);
  });
});

describe('the newer form (V2)', () => {
  test('its tensors: doubles, a transposed matrix, and batch normalisation as Caffe computes it', async () => {
    const file = await openAlone('caffe-v2.caffemodel');
    expect(file.tensors.get('conv2.weight')!.dtype).toBe('float64');
    expect(file.tensors.get('fc.weight')).toEqual({ name: 'fc.weight', shape: [3, 8], axes: [1, 0], dtype: 'float32', present: true });
    await expectTensors(file, 'v2/');
  });

  const LAYERS = [
    { kind: 'conv', name: 'conv1', in: 3, out: 4, kernel: [3, 3], stride: 1, pad: 2, dilation: 2, groups: 1, bias: false },
    { kind: 'batchnorm', name: 'bn1', channels: 4, epsilon: 0.0001 },
    { kind: 'relu', name: 'relu1' },
    { kind: 'lrn', name: 'norm1', radius: 2, bias: 2, alpha: 0.0001, beta: 0.75 },
    { kind: 'pool', name: 'pool1', pool: 'average', size: 3, stride: 2, pad: 1, rounding: 'floor' },
    { kind: 'conv', name: 'conv2', in: 4, out: 4, kernel: [3, 1], stride: 1, pad: 0, dilation: 1, groups: 2, bias: true },
    { kind: 'batchnorm', name: 'bn2', channels: 4, epsilon: 0.0001 },
    { kind: 'batchnorm', name: 'bn3', channels: 4, epsilon: 0.0001 },
    { kind: 'other', name: 'relu2', type: 'ReLU' },
    { kind: 'other', name: 'split', type: 'Split' },
    { kind: 'other', name: 'join', type: 'Concat' },
    { kind: 'mean', name: 'gap' },
    { kind: 'dense', name: 'fc', in: 8, out: 3, bias: true },
    { kind: 'softmax', name: 'prob' },
  ];

  test('its layers as in phase TEST', async () => {
    const file = await openAlone('caffe-v2.caffemodel');
    expect(file.graph).toEqual({ name: 'V2net', input: { height: 16, width: 16 }, layers: LAYERS });
    expect(Object.fromEntries(file.metadata)).toEqual({ caffe: 'V2', name: 'V2net' });
  });

  test('the prototxt by itself: the same layers, without what only the weights tell', async () => {
    const file = await openAlone('caffe-v2.prototxt');
    expect([file.format, file.tensors.size]).toEqual(['prototxt', 0]);
    const plain = LAYERS.map((layer) => Object.fromEntries(Object.entries(layer).filter(([key]) => key !== 'in' && key !== 'channels')));
    expect(file.graph).toEqual({ name: 'V2net', input: { height: 16, width: 16 }, layers: plain });
  });
});

describe('a prototxt beside the model', () => {
  const DEPLOY = `name: "deployed" input: "data" input_dim: 1 input_dim: 3 input_dim: 9 input_dim: 7
    layers { name: "conv1_1" type: CONVOLUTION bottom: "data" top: "c" convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
    layers { name: "pool1" type: POOLING bottom: "c" top: "p" pooling_param { kernel_size: 3 stride: 2 } }`;

  test.each(['caffe-v1.prototxt', 'caffe-v1_deploy.prototxt', 'deploy.prototxt'])('%s tells the layers', async (name) => {
    const file = await openBeside('caffe-v1.caffemodel', { [name]: DEPLOY });
    expect(file.metadata.get('prototxt')).toBe(name);
    expect(file.graph).toEqual({
      name: 'deployed',
      input: { channels: 3, height: 9, width: 7 },
      layers: [
        { kind: 'conv', name: 'conv1_1', in: 3, out: 4, kernel: [3, 3], stride: 1, pad: 1, dilation: 1, groups: 1, bias: true },
        { kind: 'pool', name: 'pool1', pool: 'max', size: 3, stride: 2, pad: 0, rounding: 'ceil' },
      ],
    });
    await expectTensors(file, 'v1/');
  });

  test('the likeliest of several, and the input of the model where it has none', async () => {
    const file = await openBeside('caffe-v1.caffemodel', {
      'caffe-v1_deploy.prototxt': DEPLOY.replace(/input[\s\S]*(?=layers.*conv1_1)/, ''),
      'deploy.prototxt': DEPLOY,
    });
    expect(file.metadata.get('prototxt')).toBe('caffe-v1_deploy.prototxt');
    expect(file.graph!.input).toEqual({ height: 8, width: 8 });
  });

  test.each<[string, string, RegExp]>([
    ['other channels', DEPLOY.replace('num_output: 4', 'num_output: 5'), /conv1_1 is of another shape than the model's \[4,3,3,3\]/],
    ['another window', DEPLOY.replace('kernel_size: 3', 'kernel_size: 5'), /conv1_1 is of another shape/],
    ['no bias', DEPLOY.replace('pad: 1', 'bias_term: false'), /its conv1_1 has no bias/],
    ['another layer', DEPLOY.replace('conv1_1', 'conv9'), /no weights for conv9/],
    [
      'a layer without weights',
      DEPLOY.replace('CONVOLUTION', 'INNER_PRODUCT').replace('convolution', 'inner_product'),
      /conv1_1 is of another shape/,
    ],
    ['no text of layers', 'Dear diary', /line 1: expected ":"/],
    ['a cut text', DEPLOY.slice(0, -2), /is cut/],
  ])('of %s is not used, and the file says so', async (_, text, why) => {
    const file = await openBeside('caffe-v1.caffemodel', { 'deploy.prototxt': text });
    expect(file.metadata.get('prototxt')).toMatch(why);
    expect(file.metadata.get('prototxt')).toMatch(/^deploy.prototxt is not used: /);
    expect(file.graph!.name).toBe('V1net');
  });
});

describe('a picture of means', () => {
  test('is one tensor', async () => {
    const file = await openAlone('caffe-mean.binaryproto');
    expect(file.format).toBe('caffe-mean');
    const { shape, values } = (await expected()).mean!;
    expect(file.tensors.get('mean')!.shape).toEqual(shape);
    expect([...(await file.read('mean'))]).toEqual(values);
  });

  test('that is cut is refused', async () => {
    const bytes = await fixture('caffe/caffe-mean.binaryproto');
    await refuses(openWeights(bytesSource(bytes.slice(0, -1), 'mean.binaryproto'), FORMATS), 'VGG_INTEGRITY', /1 bytes past the end/);
  });
});

test('the index alone is read: a few small reads, no values', async () => {
  const size = 2 ** 20;
  const blob = (values: number) =>
    bytesField(7, concat([bytesField(5, new Uint8Array(4 * values)), bytesField(7, numberField(1, values))]));
  const layer = (name: string, values: number) =>
    bytesField(
      100,
      concat([
        bytesField(1, name),
        bytesField(2, 'InnerProduct'),
        bytesField(3, 'x'),
        bytesField(4, 'y'),
        blob(values),
        bytesField(117, numberField(1, 1)),
      ]),
    );
  const bytes = concat([bytesField(1, 'net'), layer('a', size), layer('b', 8), layer('c', size)]);
  const source = counted(bytesSource(bytes, 'large.caffemodel'));
  const file = await openWeights(source, FORMATS);
  expect([...file.tensors.keys()]).toEqual(['a.weight', 'b.weight', 'c.weight']);
  expect(source.bytes).toBeLessThan(32 * 1024);
  expect(source.reads).toBeLessThan(8);
  const before = source.reads;
  expect((await file.read('a.weight')).length).toBe(size);
  expect(source.reads).toBe(before + 1);
});

test.each([
  ['caffe-v1.caffemodel', 'caffe'],
  ['caffe-v2.caffemodel', 'caffe'],
  ['caffe-v2.prototxt', 'prototxt'],
  ['caffe-mean.binaryproto', 'caffe-mean'],
])('%s among all formats, whatever its name', async (name, format) => {
  const file = await openWeights(bytesSource(await fixture(`caffe/${name}`), 'download'));
  expect(file.format).toBe(format);
});

test('only files of Caffe are taken for such', async () => {
  const caffe2 = concat([
    bytesField(1, 'net'),
    bytesField(2, concat([bytesField(1, 'data'), bytesField(2, 'y'), bytesField(3, 'c'), bytesField(4, 'Conv'), bytesField(5, 'x')])),
  ]);
  const node = concat([bytesField(1, 'conv1'), bytesField(2, 'Conv2D')]);
  const files: [string, Uint8Array][] = [
    ['onnx', concat([numberField(1, 7), bytesField(2, 'pytorch'), bytesField(7, bytesField(1, node))])],
    ['a TensorFlow graph', concat([bytesField(1, node), bytesField(4, numberField(1, 21))])],
    ['a Caffe2 net', caffe2],
    ['text', new TextEncoder().encode('name: "VGG"\nlayer { name: "a" type: "ReLU" }')],
    ['JSON', new TextEncoder().encode('{"layers": {}}')],
    ['nothing', new Uint8Array(0)],
    ['a blob', concat([numberField(1, 1), numberField(2, 1)])],
  ];
  const source = { name: 'x' } as Source;
  for (const [name, bytes] of files) expect([name, caffe.match(bytes, source)]).toEqual([name, false]);
  for (const [name, bytes] of files) expect([name, prototxt.match(bytes, source)]).toEqual([name, name === 'text']);
  for (const [name, bytes] of files) expect([name, meanFile.match(bytes, source)]).toEqual([name, false]);
});
