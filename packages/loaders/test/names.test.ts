import { describe, expect, test } from 'vitest';
import {
  canonicalise,
  canonicalTensors,
  describeShapes,
  type FileGraph,
  type Mapping,
  readCanonical,
  type StoredTensor,
  type WeightFile,
  type WeightSpec,
  weightFile,
} from '../src/index.js';
import { refuses } from './helpers.js';
import { table } from './vgg.js';

const SPECS = table([[4, 5], [6]], { side: 2, dense: [6, 6, 3] });
const NORMED = table([[4, 5], [6]], { side: 2, dense: [6, 6, 3], batchNorm: true });

/** How a program stores a weight. */
type Layout = 'HWIO' | 'OIHW' | 'MATLAB';

interface Given {
  readonly specs?: readonly WeightSpec[];
  readonly layout?: Layout;
  /** Of the dense layers, where it is another. */
  readonly denseLayout?: Layout;
  /** The stored name of a canonical one; undefined leaves it out. */
  readonly rename?: (name: string) => string | undefined;
  readonly format?: string;
  readonly graph?: FileGraph;
  /** Further tensors of these shapes. */
  readonly more?: Readonly<Record<string, readonly number[]>>;
  /** Dense layers as convolutions over their map. */
  readonly convolutional?: boolean;
  readonly sort?: (a: string, b: string) => number;
}

/** A file of these layers as another program would have written it: each value is its place in the canonical order. */
function foreign({
  specs = SPECS,
  layout: given = 'HWIO',
  denseLayout = given,
  rename = (name) => name,
  format = 'test',
  graph,
  more = {},
  convolutional,
  sort,
}: Given): WeightFile {
  const tensors: StoredTensor[] = [];
  const add = (name: string, shape: readonly number[], values: Float32Array, axes?: readonly number[]) =>
    tensors.push({
      info: { name, shape, dtype: 'float32', present: true, ...(axes && { axes }) },
      async *stream() {
        // In two pieces, as files come.
        yield values.slice(0, values.length >> 1);
        yield values.slice(values.length >> 1);
      },
    });
  for (const spec of specs) {
    for (const { name, part, shape } of canonicalTensors(spec)) {
      const stored = rename(name);
      if (stored === undefined) continue;
      if (part !== 'weight' || spec.kind === 'batchnorm') add(stored, shape, ramp(shape));
      else addWeight(stored, spec);
    }
  }
  function addWeight(name: string, spec: WeightSpec) {
    const out = spec.shape.at(-1)!;
    const layout = spec.kind === 'conv' ? given : denseLayout;
    const [h, w, c] = spec.kind === 'conv' ? spec.shape : (spec.flattenedFrom ?? [1, 1, spec.shape[0]!]);
    const four = [h!, w!, c!, out];
    const isFlat = spec.kind === 'dense' && !convolutional && layout !== 'MATLAB';
    const strides = [w! * c! * out, c! * out, out, 1];
    const order = layout === 'HWIO' ? [0, 1, 2, 3] : layout === 'OIHW' ? [3, 2, 0, 1] : [3, 2, 1, 0];
    const values = walk(
      order.map((axis) => four[axis]!),
      order.map((axis) => strides[axis]!),
    );
    const sizes = order.map((axis) => four[axis]!);
    if (layout === 'MATLAB') add(name, four, values, [3, 2, 1, 0]);
    else if (isFlat) add(name, layout === 'HWIO' ? [h! * w! * c!, out] : [out, h! * w! * c!], values);
    else add(name, sizes, values);
  }
  for (const [name, shape] of Object.entries(more)) add(name, shape, ramp(shape));
  if (sort) tensors.sort((a, b) => sort(a.info.name, b.info.name));
  return weightFile({ who: 'test', format, tensors, ...(graph && { graph }) });
}

const count = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
const ramp = (shape: readonly number[]) => Float32Array.from({ length: count(shape) }, (_, i) => i);

/** The places of the values when the axes are run through in this order, the last the fastest. */
function walk(sizes: readonly number[], strides: readonly number[]): Float32Array {
  let places = [0];
  for (const [axis, size] of sizes.entries())
    places = places.flatMap((place) => Array.from({ length: size }, (_, i) => place + i * strides[axis]!));
  return Float32Array.from(places);
}

/** Every canonical tensor there is, in order. */
async function expectWhole(file: WeightFile, specs: readonly WeightSpec[] = SPECS): Promise<Mapping> {
  const mapping = canonicalise(file, specs);
  expect(mapping.missing).toEqual([]);
  for (const { name, shape } of specs.flatMap(canonicalTensors)) {
    expect(await readCanonical(file, mapping, name), name).toEqual(ramp(shape));
  }
  return mapping;
}

describe("the paper's names", () => {
  test.each([
    ['Caffe', { layout: 'OIHW', format: 'caffe' }],
    ['Caffe, fc6 as a convolution', { layout: 'OIHW', convolutional: true }],
    ['MatConvNet', { layout: 'MATLAB', format: 'matlab' }],
    ['vgg16.npy of the tensorflow-vgg line', { layout: 'HWIO', format: 'npy' }],
    ['our own', {}],
    ['behind what a wrapper puts in front', { layout: 'OIHW', rename: (name: string) => `module.${name}` }],
  ] as [string, Given][])('%s', async (_, given) => {
    const file = foreign(given);
    expect(await expectWhole(file)).toMatchObject({ naming: 'canonical', unknown: [], ignored: [] });
    expect(describeShapes(file)).toMatchObject({
      convs: [
        { name: expect.stringMatching(/conv1_1$/), kernel: [3, 3], in: 3, out: 4, bias: true },
        { in: 4, out: 5 },
        { in: 5, out: 6 },
      ],
      dense: [
        { in: 24, out: 6 },
        { in: 6, out: 6 },
        { in: 6, out: 3 },
      ],
    });
  });

  test("Frossard's npz", async () => {
    const file = foreign({ rename: (name) => name.replace('.weight', '_W').replace('.bias', '_b') });
    expect(await expectWhole(file)).toMatchObject({ naming: 'frossard', unknown: [] });
  });

  test("TF-Slim's checkpoint: scopes, the mean and what training leaves", async () => {
    const rename = (name: string) => {
      const [layer, part] = name.split('.') as [string, string];
      const scope = /^(conv\d+)_/.exec(layer)?.[1];
      const words: Record<string, string> = { weight: 'weights', bias: 'biases', scale: 'gamma', offset: 'beta' };
      if (layer.startsWith('bn')) {
        const word = words[part] ?? `moving_${part}`;
        return `vgg_16/conv${layer[2]}/${layer.replace('bn', 'conv')}/BatchNorm/${word}`;
      }
      return `vgg_16/${scope ? `${scope}/` : ''}${layer}/${words[part]}`;
    };
    const state = {
      'vgg_16/mean_rgb': [3],
      global_step: [],
      'vgg_16/conv1/conv1_1/weights/Momentum': [3, 3, 3, 4],
      'vgg_16/conv1/conv1_1/weights/Adam_1': [3, 3, 3, 4],
      beta1_power: [],
    };
    const file = foreign({ rename, specs: NORMED, convolutional: true, more: state, sort: (a, b) => (a < b ? -1 : 1) });
    const mapping = await expectWhole(file, NORMED);
    expect(mapping).toMatchObject({ naming: 'slim', unknown: [] });
    expect(new Set(mapping.ignored)).toEqual(new Set(Object.keys(state)));
    expect(describeShapes(file).batchNorms.map(({ channels }) => channels)).toEqual([4, 5, 6]);
  });

  test.each([
    ['conv1_1/weights', 'weights', 'biases'],
    ['conv1_1/w', 'w', 'b'],
    ['conv1_1/kernel', 'kernel', 'bias'],
    ['conv1_1/W:0', 'W:0', 'b:0'],
    ['net/conv1_1/conv1_1_filters', '+_filters', '+_biases'],
  ])('variables of TensorFlow 1: %s', async (example, weight, bias) => {
    const scope = example.startsWith('net') ? 'net/' : '';
    const rename = (name: string) => {
      const [layer, part] = name.split('.') as [string, string];
      return `${scope}${layer}/${(part === 'weight' ? weight : bias).replace('+', layer)}`;
    };
    expect(await expectWhole(foreign({ rename, more: { global_step: [] } }))).toMatchObject({
      naming: 'tensorflow',
      unknown: [],
      ignored: ['global_step'],
    });
  });
});

describe('orders of layers', () => {
  const layers = SPECS.map(({ name }) => name);

  test.each([
    ['layer_with_weights-N', (i: number) => `layer_with_weights-${i}`],
    ['model/_operations/N', (i: number) => `model/_functional/_operations/${3 * i + 1}`],
  ])('tf.train.Checkpoint of a Keras model: %s', async (_, layerName) => {
    const specs = table([[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]], { side: 1, dense: [4] });
    const rename = (name: string) => {
      const [layer, part] = name.split('.') as [string, string];
      const own = layerName(specs.findIndex((spec) => spec.name === layer));
      return `${own}/${part === 'weight' ? 'kernel' : 'bias'}/.ATTRIBUTES/VARIABLE_VALUE`;
    };
    // As the index has them: by the letters, so that 10 comes before 2.
    const more = {
      'save_counter/.ATTRIBUTES/VARIABLE_VALUE': [],
      'optimizer/iter/.ATTRIBUTES/VARIABLE_VALUE': [],
      'layer_with_weights-0/kernel/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE': [3, 3, 3, 2],
    };
    const file = foreign({ specs, rename, more, sort: (a, b) => (a < b ? -1 : 1) });
    const mapping = await expectWhole(file, specs);
    expect(mapping).toMatchObject({ naming: 'keras', unknown: [] });
    expect(mapping.ignored).toHaveLength(3);
  });

  test('a network of its own in PyTorch, whatever it calls its layers', async () => {
    const names: Record<string, string> = { conv1_1: 'conv1', conv1_2: 'conv2', conv2_1: 'conv3', fc6: 'fc1', fc7: 'fc2', fc8: 'fc3' };
    const rename = (name: string) => name.replace(/^\w+/, (layer) => names[layer]!);
    for (const sort of [undefined, (a: string, b: string) => (a < b ? -1 : 1)]) {
      const file = foreign({ layout: 'OIHW', rename, ...(sort && { sort }) });
      expect(await expectWhole(file)).toMatchObject({ naming: 'order', unknown: [] });
    }
  });

  test('counted from nought, as an ONNX file without names of its own is read, in the order of its graph', async () => {
    const own = (layer: string) => `node_${'cadbfe'[layers.indexOf(layer)]}`;
    const graph: FileGraph = {
      layers: layers.map((layer) =>
        layer.startsWith('fc')
          ? { kind: 'dense', name: own(layer), out: 1, bias: true }
          : { kind: 'conv', name: own(layer), out: 1, kernel: [3, 3], stride: 1, pad: 1, dilation: 1, groups: 1, bias: true },
      ),
    };
    const rename = (name: string) => name.replace(/^\w+/, own);
    const file = foreign({ layout: 'OIHW', rename, graph, format: 'onnx', sort: (a, b) => (a < b ? -1 : 1) });
    expect(await expectWhole(file)).toMatchObject({ naming: 'order', unknown: [] });
    const counted = foreign({
      layout: 'OIHW',
      rename: (name) =>
        name.replace(/^\w+/, (layer) => (layer.startsWith('fc') ? `dense${Number(layer[2]) - 6}` : `conv${layers.indexOf(layer)}`)),
    });
    expect(await expectWhole(counted)).toMatchObject({ naming: 'order', unknown: [] });
  });

  test('shapes of another network are refused, and further layers reported', async () => {
    const rename = (name: string) => name.replace(/^conv(\d)_(\d)/, 'c$1$2');
    const file = foreign({ layout: 'OIHW', rename });
    await refuses(async () => canonicalise(file, table([[4, 5], [7]])), 'VGG_SHAPE', /conv2_1.weight: expected shape/);
    expect(canonicalise(file, table([[4, 5]])).unknown.slice(0, 2)).toEqual(['c21.weight', 'c21.bias']);
    expect(
      canonicalise(
        file,
        table([
          [4, 5],
          [6, 6],
        ]),
      ).missing,
    ).toEqual(['conv2_2.weight', 'conv2_2.bias']);
  });

  test('square filters and square matrices: the other layers tell how all are laid out', async () => {
    const specs = table([[3, 3, 4]], { side: 1, dense: [5, 5] });
    for (const layout of ['OIHW', 'HWIO'] as const) {
      const file = foreign({ specs, layout, rename: (name) => name.replace(/^conv1_/, 'c') });
      await expectWhole(file, specs);
    }
  });
});

test('filters of one order and matrices of the other, as ONNX out of TensorFlow has them', async () => {
  const rename = (name: string) => name.replace(/^(conv|fc)/, 'x$1');
  expect(await expectWhole(foreign({ layout: 'OIHW', denseLayout: 'HWIO', rename }))).toMatchObject({ naming: 'order', unknown: [] });
});

test('dense layers alone, without biases, by what each takes', () => {
  const named = (shapes: Record<string, readonly number[]>) => describeShapes(foreign({ specs: [], more: shapes })).dense;
  const expected = [
    { in: 784, out: 128 },
    { in: 128, out: 10 },
  ];
  expect(named({ 'l1.weight': [128, 784], 'l2.weight': [10, 128] })).toMatchObject(expected);
  expect(named({ 'l1.weight': [784, 128], 'l2.weight': [128, 10] })).toMatchObject(expected);
});

describe("PyTorch's sequences", () => {
  const backbone = table([[4, 4], [5], [6]]);
  const torch = (index: Record<string, number>) => (name: string) => name.replace(/^\w+/, (layer) => `${index[layer]}`);

  test("SSD's reduced-fc VGG: its further convolutions are unknown", async () => {
    const rename = torch({ conv1_1: 0, conv1_2: 2, conv2_1: 5, conv3_1: 8 });
    const more = { '13.weight': [8, 6, 3, 3], '13.bias': [8], '15.weight': [8, 8, 1, 1], '15.bias': [8] };
    const mapping = await expectWhole(foreign({ specs: backbone, layout: 'OIHW', rename, more }), backbone);
    expect(mapping).toMatchObject({ naming: 'torch', unknown: Object.keys(more) });
  });

  test("AdaIN's normalised VGG: a colour convolution in front, and modules for the borders in between", async () => {
    const specs: WeightSpec[] = [{ name: 'conv0', kind: 'conv', shape: [1, 1, 3, 3] }, ...backbone];
    const rename = torch({ conv0: 0, conv1_1: 2, conv1_2: 5, conv2_1: 9, conv3_1: 13 });
    const file = foreign({ specs, layout: 'OIHW', rename });
    expect(await expectWhole(file, specs)).toMatchObject({ naming: 'torch', unknown: [] });
    // Without it in the table the indices fit nothing, and the shapes do not either.
    await refuses(async () => canonicalise(file, backbone), 'VGG_SHAPE', /conv1_1.weight/);
    const own = foreign({ specs });
    expect(await expectWhole(own, specs)).toMatchObject({ naming: 'canonical', unknown: [] });
  });

  test('a head of one layer without a number, and the state of training', async () => {
    const specs = table([[4], [5]], { side: 1, dense: [3], batchNorm: true });
    const index: Record<string, string> = { conv1_1: 'features.0', bn1_1: 'features.1', conv2_1: 'features.4', bn2_1: 'features.5' };
    const parts: Record<string, string> = { scale: 'weight', offset: 'bias', mean: 'running_mean', variance: 'running_var' };
    const rename = (name: string) => {
      const [layer, part] = name.split('.') as [string, string];
      return `state_dict.${index[layer] ?? 'classifier'}.${parts[part] ?? part}`;
    };
    const more = { 'state_dict.features.1.num_batches_tracked': [], 'optimizer.state.0.exp_avg': [4, 3, 3, 3], epoch: [] };
    const file = foreign({ specs, layout: 'OIHW', rename, more });
    expect(await expectWhole(file, specs)).toMatchObject({ naming: 'torch', unknown: [], ignored: Object.keys(more) });
  });
});

describe('what batch normalisation makes idle', () => {
  const without =
    (...parts: string[]) =>
    (name: string) =>
      parts.some((part) => name.endsWith(part)) ? undefined : name;

  test('a bias, a scale and an offset that no layer has are nought, one and nought', async () => {
    const specs = NORMED.filter(({ kind }) => kind !== 'dense');
    const file = foreign({ specs, rename: without('.bias', '.scale', '.offset') });
    const mapping = canonicalise(file, specs);
    expect(mapping.missing).toEqual([]);
    expect([...(await readCanonical(file, mapping, 'conv1_1.bias'))]).toEqual([0, 0, 0, 0]);
    expect([...(await readCanonical(file, mapping, 'bn1_1.scale'))]).toEqual([1, 1, 1, 1]);
    expect([...(await readCanonical(file, mapping, 'bn1_1.offset'))]).toEqual([0, 0, 0, 0]);
    expect([...(await readCanonical(file, mapping, 'bn1_1.mean'))]).toEqual([0, 1, 2, 3]);
  });

  test('one that some layers have is missing where it is not', () => {
    const specs = NORMED.filter(({ kind }) => kind !== 'dense');
    expect(canonicalise(foreign({ specs, rename: without('conv1_1.bias', 'bn1_2.scale') }), specs).missing).toEqual([
      'conv1_1.bias',
      'bn1_2.scale',
    ]);
    const plain = table([[4], [5]]);
    expect(canonicalise(foreign({ specs: plain, rename: without('.bias') }), plain).missing).toEqual(['conv1_1.bias', 'conv2_1.bias']);
  });
});

test('a file of layers without weights names none and lacks all', () => {
  const file = weightFile({ who: 'a.prototxt', format: 'prototxt', tensors: [], graph: { layers: [] } });
  expect(canonicalise(file, table([[4]])).missing).toEqual(['conv1_1.weight', 'conv1_1.bias']);
  expect(describeShapes(file)).toMatchObject({ convs: [], dense: [], batchNorms: [] });
});
