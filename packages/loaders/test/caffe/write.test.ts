import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { parseComments } from '../../src/formats/caffe/comments.js';
import { caffe } from '../../src/formats/caffe/index.js';
import { caffeWriter } from '../../src/formats/caffe/write.js';
import {
  bytesSource,
  canonicalise,
  type FileGraph,
  filesSource,
  type GraphLayer,
  openWeights,
  readCanonical,
  type TensorToWrite,
  type WriteRequest,
} from '../../src/index.js';
import { fixture, refuses } from '../helpers.js';
import { random } from '../random.js';
import { table } from '../vgg.js';

const conv = (name: string, out: number, more: Partial<GraphLayer & { kind: 'conv' }> = {}): GraphLayer => ({
  kind: 'conv',
  name,
  out,
  kernel: [3, 3],
  stride: 1,
  pad: 1,
  dilation: 1,
  groups: 1,
  bias: true,
  ...more,
});
const pool = (name: string, more: Partial<GraphLayer & { kind: 'pool' }> = {}): GraphLayer => ({
  kind: 'pool',
  name,
  pool: 'max',
  size: 2,
  stride: 2,
  pad: 0,
  rounding: 'floor',
  ...more,
});

/** A small VGG with batch normalisation in its second block. */
const GRAPH: FileGraph = {
  name: 'small "VGG"',
  input: { channels: 3, height: 9, width: 11 },
  layers: [
    conv('conv1_1', 4, { pad: 'same' }),
    { kind: 'relu', name: 'relu1_1' },
    { kind: 'lrn', name: 'norm1', radius: 2, bias: 2, alpha: 0.0001, beta: 0.75 },
    pool('pool1'),
    conv('conv2_1', 6, { bias: false, kernel: [3, 1], pad: 'same' }),
    { kind: 'batchnorm', name: 'bn2_1', epsilon: 0.00001 },
    { kind: 'relu', name: 'relu2_1' },
    pool('pool2', { rounding: 'ceil', pool: 'average' }),
    { kind: 'flatten', name: 'flatten' },
    { kind: 'dense', name: 'fc6', out: 8, bias: true },
    { kind: 'relu', name: 'relu6' },
    { kind: 'dropout', name: 'drop6', rate: 0.5 },
    { kind: 'dense', name: 'fc7', in: 8, out: 5, bias: false },
    { kind: 'softmax', name: 'prob' },
  ],
};
const SHAPES: Record<string, number[]> = {
  'conv1_1.weight': [3, 3, 3, 4],
  'conv1_1.bias': [4],
  'conv2_1.weight': [3, 1, 4, 6],
  'bn2_1.scale': [6],
  'bn2_1.offset': [6],
  'bn2_1.mean': [6],
  'bn2_1.variance': [6],
  'fc6.weight': [2 * 3 * 6, 8],
  'fc6.bias': [8],
  'fc7.weight': [8, 5],
};

function tensorsOf(shapes: Record<string, number[]>, seed = 1): TensorToWrite[] {
  const next = random(seed);
  return Object.entries(shapes).map(([name, shape]) => {
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => next() * 2 - 1);
    return {
      name,
      shape,
      values: async () => data.slice(),
      async *stream() {
        for (let at = 0; at < data.length; at += 3) yield data.slice(at, at + 3);
      },
    };
  });
}

async function write(request: WriteRequest): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const file of caffeWriter.write(request)) {
    const chunks: BlobPart[] = [];
    for await (const chunk of file.chunks()) chunks.push((chunk as Uint8Array).slice() as BlobPart);
    files.set(file.name, new Uint8Array(await new Blob(chunks).arrayBuffer()));
  }
  return files;
}

const small = (): WriteRequest => ({ name: 'small.caffemodel', graph: GRAPH, tensors: tensorsOf(SHAPES) });
const asText = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

test('two files, the text first, and the text as Caffe’s people write it', async () => {
  const files = await write({ ...small(), metadata: new Map([['licence', 'CC BY 4.0\nlayer { }']]) });
  expect([...files.keys()]).toEqual(['small.prototxt', 'small.caffemodel']);
  expect(asText(files.get('small.prototxt'))).toBe(`# licence: CC BY 4.0 layer { }
# round_mode: FLOOR needs a Caffe of 2018 or later; older ones only round up (CEIL), which differs where a side is odd, and OpenCV takes no such text.
name: "small \\"VGG\\""
layer {
  name: "data"
  type: "Input"
  top: "data"
  input_param {
    shape {
      dim: 1
      dim: 3
      dim: 9
      dim: 11
    }
  }
}
layer {
  name: "conv1_1"
  type: "Convolution"
  bottom: "data"
  top: "conv1_1"
  convolution_param {
    num_output: 4
    pad: 1
    kernel_size: 3
  }
}
layer {
  name: "relu1_1"
  type: "ReLU"
  bottom: "conv1_1"
  top: "conv1_1"
}
layer {
  name: "norm1"
  type: "LRN"
  bottom: "conv1_1"
  top: "norm1"
  lrn_param {
    local_size: 5
    alpha: 0.0005
    beta: 0.75
    k: 2
  }
}
layer {
  name: "pool1"
  type: "Pooling"
  bottom: "norm1"
  top: "pool1"
  pooling_param {
    pool: MAX
    kernel_size: 2
    stride: 2
    round_mode: FLOOR
  }
}
layer {
  name: "conv2_1"
  type: "Convolution"
  bottom: "pool1"
  top: "conv2_1"
  convolution_param {
    num_output: 6
    bias_term: false
    pad_h: 1
    pad_w: 0
    kernel_h: 3
    kernel_w: 1
  }
}
layer {
  name: "bn2_1"
  type: "BatchNorm"
  bottom: "conv2_1"
  top: "bn2_1"
  batch_norm_param {
    eps: 0.00001
  }
}
layer {
  name: "scale2_1"
  type: "Scale"
  bottom: "bn2_1"
  top: "bn2_1"
  scale_param {
    bias_term: true
  }
}
layer {
  name: "relu2_1"
  type: "ReLU"
  bottom: "bn2_1"
  top: "bn2_1"
}
layer {
  name: "pool2"
  type: "Pooling"
  bottom: "bn2_1"
  top: "pool2"
  pooling_param {
    pool: AVE
    kernel_size: 2
    stride: 2
  }
}
layer {
  name: "fc6"
  type: "InnerProduct"
  bottom: "pool2"
  top: "fc6"
  inner_product_param {
    num_output: 8
  }
}
layer {
  name: "relu6"
  type: "ReLU"
  bottom: "fc6"
  top: "fc6"
}
layer {
  name: "drop6"
  type: "Dropout"
  bottom: "fc6"
  top: "fc6"
  dropout_param {
    dropout_ratio: 0.5
  }
}
layer {
  name: "fc7"
  type: "InnerProduct"
  bottom: "fc6"
  top: "fc7"
  inner_product_param {
    num_output: 5
    bias_term: false
  }
}
layer {
  name: "prob"
  type: "Softmax"
  bottom: "fc7"
  top: "prob"
}
`);
});

const BLOCKS = [[4], [6]] as const;
const WITH_BIASES: FileGraph = {
  input: { channels: 3, height: 8, width: 8 },
  layers: [
    conv('conv1_1', 4),
    { kind: 'batchnorm', name: 'bn1_1', epsilon: 0.001 },
    pool('pool1'),
    conv('conv2_1', 6),
    { kind: 'batchnorm', name: 'bn2_1', epsilon: 0.001 },
    pool('pool2'),
    { kind: 'dense', name: 'fc6', out: 8, bias: true },
    { kind: 'dense', name: 'fc7', out: 5, bias: true },
  ],
};
const SPECS = table(BLOCKS, { batchNorm: true, side: 2, dense: [8, 5] });
const MORE_SHAPES = Object.fromEntries(
  SPECS.flatMap((spec) =>
    spec.kind === 'batchnorm'
      ? ['scale', 'offset', 'mean', 'variance'].map((part) => [`${spec.name}.${part}`, [...spec.shape]])
      : [
          [`${spec.name}.weight`, [...spec.shape]],
          [`${spec.name}.bias`, [spec.shape.at(-1)!]],
        ],
  ),
);

test('read back, every value is what was written, bit for bit', async () => {
  const tensors = tensorsOf(MORE_SHAPES, 2);
  const files = await write({ name: 'b', graph: WITH_BIASES, tensors });
  const beside = filesSource([...files].map(([name, bytes]) => new File([bytes], name)).reverse());
  for (const source of [bytesSource(files.get('b.caffemodel')!, 'b.caffemodel'), beside]) {
    const file = await openWeights(source, { formats: [caffe] });
    const mapping = canonicalise(file, SPECS);
    expect([mapping.missing, mapping.unknown]).toEqual([[], []]);
    for (const { name, values } of tensors) expect(await readCanonical(file, mapping, name)).toEqual(await values());
    const known = file.graph!.layers.map((layer) =>
      Object.fromEntries(Object.entries(layer).filter(([key]) => key !== 'in' && key !== 'channels')),
    );
    expect(known).toEqual(WITH_BIASES.layers);
    expect(file.graph!.input).toEqual(WITH_BIASES.input);
  }
});

test('the text and the model tell the same layers', async () => {
  const files = await write(small());
  const model = await openWeights(bytesSource(files.get('small.caffemodel')!, 'small.caffemodel'), { formats: [caffe] });
  const beside = await openWeights(filesSource([...files].map(([name, bytes]) => new File([bytes], name)).reverse()), { formats: [caffe] });
  expect(beside.metadata.get('prototxt')).toBe('small.prototxt');
  expect(beside.graph).toEqual(model.graph);
  expect(model.graph!.layers.find(({ name }) => name === 'norm1')).toEqual(GRAPH.layers[2]);
});

test('where windows fill the map, the text goes without round_mode, and the model tells it', async () => {
  const graph: FileGraph = { ...GRAPH, input: { channels: 3, height: 8, width: 12 } };
  const files = await write({ ...small(), graph });
  expect(asText(files.get('small.prototxt'))).not.toContain('round_mode');
  const beside = await openWeights(filesSource([...files].map(([name, bytes]) => new File([bytes], name)).reverse()), { formats: [caffe] });
  expect(beside.metadata.get('prototxt')).toBe('small.prototxt');
  expect(beside.graph!.layers.flatMap((layer) => (layer.kind === 'pool' ? [layer.rounding] : []))).toEqual(['floor', 'ceil']);
});

test('what the weights say of themselves stands above the text and is read again', async () => {
  const said = new Map([
    ['vgg.preprocessing', '{"name":"own","mean":[1,2,3]}'],
    ['vgg.classes', JSON.stringify(Array.from({ length: 1000 }, (_, i) => `class ${i}`))],
    ['vgg.source', 'x'.repeat(70_000)],
    ['note', 'of no use'],
  ]);
  const files = await write({ ...small(), metadata: said });
  const beside = await openWeights(filesSource([...files].map(([name, bytes]) => new File([bytes], name)).reverse()), { formats: [caffe] });
  expect(Object.fromEntries(beside.metadata)).toEqual({
    'vgg.preprocessing': said.get('vgg.preprocessing'),
    'vgg.classes': said.get('vgg.classes'),
    caffe: 'V2',
    name: 'small "VGG"',
    prototxt: 'small.prototxt',
  });
});

test.each([
  ['behind the first field', 'name: "x"\n# vgg.source: y\n', []],
  ['without a space', '# vgg.source:y\n', []],
  ['with the line ends of Windows', '# vgg.source: y \r\n#vgg.licence: z', ['vgg.source: y', 'vgg.licence: z']],
  ['that are too many', `${'#\n'.repeat(64)}# vgg.source: y\n`, []],
  ['that are too long', `# vgg.source: ${'y'.repeat(2 ** 16)}\n# vgg.licence: z`, ['vgg.licence: z']],
])('comments %s', (_, text, expected) => {
  expect([...parseComments(text)].map((pair) => pair.join(': '))).toEqual(expected);
});

test('as protobufjs reads it', async () => {
  const tensors = tensorsOf(SHAPES);
  const files = await write({ ...small(), tensors });
  const net = protobuf.parse(asText(await fixture('caffe/caffe.proto'))).root.lookupType('caffe.NetParameter');
  const decoded = net.toObject(net.decode(files.get('small.caffemodel')!), { longs: Number, enums: String, defaults: false });
  expect(decoded.name).toBe('small "VGG"');
  interface Layer {
    name: string;
    type: string;
    bottom?: string[];
    top: string[];
    blobs?: { data: number[]; shape: { dim: number[] } }[];
    [param: string]: unknown;
  }
  const layers = new Map((decoded.layer as Layer[]).map((layer) => [layer.name, layer]));
  expect([...layers].map(([name, { type, bottom = [], top }]) => [name, type, ...bottom, ...top])).toEqual([
    ['data', 'Input', 'data'],
    ['conv1_1', 'Convolution', 'data', 'conv1_1'],
    ['relu1_1', 'ReLU', 'conv1_1', 'conv1_1'],
    ['norm1', 'LRN', 'conv1_1', 'norm1'],
    ['pool1', 'Pooling', 'norm1', 'pool1'],
    ['conv2_1', 'Convolution', 'pool1', 'conv2_1'],
    ['bn2_1', 'BatchNorm', 'conv2_1', 'bn2_1'],
    ['scale2_1', 'Scale', 'bn2_1', 'bn2_1'],
    ['relu2_1', 'ReLU', 'bn2_1', 'bn2_1'],
    ['pool2', 'Pooling', 'bn2_1', 'pool2'],
    ['fc6', 'InnerProduct', 'pool2', 'fc6'],
    ['relu6', 'ReLU', 'fc6', 'fc6'],
    ['drop6', 'Dropout', 'fc6', 'fc6'],
    ['fc7', 'InnerProduct', 'fc6', 'fc7'],
    ['prob', 'Softmax', 'fc7', 'prob'],
  ]);
  expect(layers.get('pool1')!.poolingParam).toEqual({ pool: 'MAX', kernelSize: 2, stride: 2, roundMode: 'FLOOR' });
  expect(layers.get('conv2_1')!.convolutionParam).toEqual({ numOutput: 6, biasTerm: false, padH: 1, padW: 0, kernelH: 3, kernelW: 1 });
  expect(layers.get('norm1')!.lrnParam).toEqual({ localSize: 5, alpha: Math.fround(0.0005), beta: 0.75, k: 2 });
  const blobs = (name: string) => layers.get(name)!.blobs!;
  expect([...layers.values()].flatMap(({ blobs = [] }) => blobs.map(({ shape }) => shape.dim))).toEqual([
    [4, 3, 3, 3],
    [4],
    [6, 4, 3, 1],
    [6],
    [6],
    [1],
    [6],
    [6],
    [8, 36],
    [8],
    [5, 8],
  ]);
  const value = new Map(await Promise.all(tensors.map(async ({ name, values }) => [name, await values()] as const)));
  const filters = value.get('conv1_1.weight')!;
  const matrix = value.get('fc6.weight')!;
  for (let o = 0; o < 4; o++)
    for (let i = 0; i < 3; i++)
      for (let k = 0; k < 9; k++) expect(blobs('conv1_1')[0]!.data[(o * 3 + i) * 9 + k]).toBe(filters[(k * 3 + i) * 4 + o]);
  // The map before fc6 is 2 high, 3 wide and 6 deep.
  for (let o = 0; o < 8; o++)
    for (let c = 0; c < 6; c++)
      for (let k = 0; k < 6; k++) expect(blobs('fc6')[0]!.data[o * 36 + c * 6 + k]).toBe(matrix[(k * 6 + c) * 8 + o]);
  expect(blobs('bn2_1').map(({ data }) => data)).toEqual([[...value.get('bn2_1.mean')!], [...value.get('bn2_1.variance')!], [1]]);
  expect(blobs('scale2_1').map(({ data }) => data)).toEqual([[...value.get('bn2_1.scale')!], [...value.get('bn2_1.offset')!]]);
});

describe('padding that keeps the size, as Caffe can express it', () => {
  const one = (layer: GraphLayer, shapes: Record<string, number[]> = {}) =>
    write({ name: 'x', graph: { input: { channels: 1, height: 7, width: 7 }, layers: [layer] }, tensors: tensorsOf(shapes) }).then(
      (files) => asText(files.get('x.prototxt')),
    );

  test('a dilated window', async () => {
    const shapes = { 'c.weight': [3, 3, 1, 2], 'c.bias': [2] };
    expect(await one(conv('c', 2, { pad: 'same', dilation: 6 }), shapes)).toMatch(/pad: 6\n.*kernel_size: 3\n.*dilation: 6/);
  });

  test('pools: twice two cells rounded up, and odd windows of max at stride 1', async () => {
    expect(await one(pool('p', { pad: 'same' }))).not.toMatch(/pad|FLOOR/);
    expect(await one(pool('p', { pad: 'same', size: 3, stride: 1 }))).toMatch(/kernel_size: 3\n.*stride: 1\n.*pad: 1/);
  });

  test('the mean over height and width', async () => {
    expect(await one({ kind: 'mean', name: 'gap' })).toMatch(/pool: AVE\n.*global_pooling: true/);
  });

  test.each<[string, GraphLayer, RegExp]>([
    ['reflected', conv('c', 2, { padding: 'reflect' }), /zero padding.*reflect padding in c/],
    ['at stride 2', conv('c', 2, { pad: 'same', stride: 2 }), /"same" padding, window 3 at stride 2/],
    ['of an even window', conv('c', 2, { pad: 'same', kernel: [2, 2] }), /"same" padding, window 2 at stride 1/],
    ['of a pool at stride 2', pool('p', { pad: 'same', size: 3 }), /p with "same" padding, 3x3 at stride 2/],
    ['of an average', pool('p', { pad: 'same', size: 3, stride: 1, pool: 'average' }), /p with "same" padding/],
    ['or an l2 pool', pool('p', { pool: 'l2' }), /the l2 pool p, which Caffe has not/],
    ['or another layer', { kind: 'other', name: 'e', type: 'Eltwise' }, /e, a Eltwise/],
  ])('not %s', (_, layer, sentence) => refuses(one(layer), 'VGG_OPTION', sentence));
});

describe('refused before anything is written', () => {
  const without = (name: string) => tensorsOf(Object.fromEntries(Object.entries(SHAPES).filter(([key]) => key !== name)));
  test.each<[string, Partial<WriteRequest>, 'VGG_OPTION' | 'VGG_SHAPE' | 'VGG_WEIGHTS_MISSING', RegExp]>([
    ['half floats', { dtype: 'float16' }, 'VGG_OPTION', /float32.*received float16/],
    ['weights without layers', { graph: undefined }, 'VGG_OPTION', /the layers of the network, received none/],
    ['layers without weights', { tensors: without('bn2_1.mean') }, 'VGG_WEIGHTS_MISSING', /tensor "bn2_1.mean"/],
    ['weights of no layer', { tensors: tensorsOf({ ...SHAPES, 'fc8.bias': [5] }) }, 'VGG_OPTION', /"fc8.bias", which no layer has/],
    ['weights twice', { tensors: [...tensorsOf(SHAPES), ...tensorsOf({ 'fc6.bias': [8] })] }, 'VGG_OPTION', /each tensor once/],
    [
      'a filter of another shape',
      { tensors: tensorsOf({ ...SHAPES, 'conv1_1.weight': [4, 3, 3, 3] }) },
      'VGG_SHAPE',
      /\[3,3,3,4\], received \[4,3,3,3\]/,
    ],
    [
      'an input that does not fit',
      { graph: { ...GRAPH, input: { height: 30, width: 30 } } },
      'VGG_SHAPE',
      /expected "fc6.weight" of shape \[384,8\]/,
    ],
    ['an input that is too small', { graph: { ...GRAPH, input: { height: 1, width: 1 } } }, 'VGG_SHAPE', /an input large enough for pool1/],
    ['a layer twice', { graph: { ...GRAPH, layers: [...GRAPH.layers, { kind: 'relu', name: 'prob' }] } }, 'VGG_OPTION', /"prob" twice/],
  ])('%s', (_, change, code, sentence) => refuses(() => caffeWriter.write({ ...small(), ...(change as object) }), code, sentence));

  test('too few and too many values are told when their turn comes, and an abort', async () => {
    const tensors = small().tensors.map((tensor) =>
      tensor.name === 'fc6.weight' ? { ...tensor, values: async () => new Float32Array(7) } : tensor,
    );
    await refuses(write({ ...small(), tensors }), 'VGG_SHAPE', /expected 288 values for "fc6.weight" \[36,8\], received 7/);
    const streams = small().tensors.map((tensor) => ({ ...tensor, stream: () => tensorsOf({ x: [9] })[0]!.stream() }));
    await refuses(write({ ...small(), tensors: streams }), 'VGG_SHAPE', /expected 4 values for "conv1_1.bias" \[4\], received 9/);
    await refuses(write({ ...small(), signal: AbortSignal.abort() }), 'VGG_ABORTED', /caffemodel/);
  });
});
