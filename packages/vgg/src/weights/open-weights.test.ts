import { describe, expect, it } from 'vitest';
import { smallFile } from '../../test/small-weights.js';
import { inspect } from '../load.js';
import { network } from '../network/architecture.js';
import { openNetworkWeights } from './open-weights.js';
import { preprocessingOf } from './source-preprocessing.js';
import { weightSpecs } from './specs.js';

type Shapes = Record<string, readonly number[]>;

/** A safetensors file of these tensors, all zeros, of which nothing is kept but the header: real sizes at no cost. */
function zeros(shapes: Shapes, metadata: Record<string, string> = {}, name = 'zeros.safetensors') {
  let end = 0;
  const tensors = Object.entries(shapes).map(([key, shape]) => {
    const start = end;
    end += 4 * shape.reduce((product, size) => product * size, 1);
    return [key, { dtype: 'F32', shape, data_offsets: [start, end] }] as const;
  });
  const json = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(tensors) }));
  const head = new Uint8Array(8 + json.length);
  new DataView(head.buffer).setUint32(0, json.length, true);
  head.set(json, 8);
  return {
    name,
    size: head.length + end,
    async read(offset: number, length: number) {
      const bytes = new Uint8Array(length);
      bytes.set(head.subarray(offset, offset + length));
      return bytes;
    },
  };
}

/** PyTorch's shapes of a network's convolutions, at these indices. */
function sequence(arch: string, indices: readonly number[], options = {}): Shapes {
  const convs = weightSpecs(network(arch, { top: false, ...options }));
  return Object.fromEntries(
    convs.flatMap(({ shape }, i) => {
      const [kh, kw, inputs, out] = shape as [number, number, number, number];
      return [
        [`${indices[i]}.weight`, [out, inputs, kh, kw]],
        [`${indices[i]}.bias`, [out]],
      ];
    }),
  );
}

describe('files that others published', () => {
  it("AdaIN's vgg_normalised: VGG-19 with a colour convolution, mirrored borders, RGB / 255", async () => {
    const indices = [0, 2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42, 45, 48, 51];
    const held = await inspect(zeros(sequence('vgg19', indices, { colour: true })));
    expect(held.network).toMatchObject({ name: 'vgg19', top: false, plan: { colour: true, padding: 'reflect' } });
    expect(held).toMatchObject({ missing: [], unknown: [], reaches: 'pool5', preprocessing: { name: 'adain', scale: 1 / 255 } });
    expect(held.network!.layers.slice(0, 3).map(({ name }) => name)).toEqual(['conv0', 'conv1_1', 'relu1_1']);
  });

  it("SSD's vgg16_reducedfc: VGG-16's features, and two convolutions that are unknown", async () => {
    const indices = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28];
    const extra = { '31.weight': [1024, 512, 3, 3], '31.bias': [1024], '33.weight': [1024, 1024, 1, 1], '33.bias': [1024] };
    for (const arch of [undefined, 'vgg16']) {
      const held = await inspect(zeros({ ...sequence('vgg16', indices), ...extra }), { arch });
      expect(held).toMatchObject({
        network: { name: 'vgg16', top: false },
        missing: [],
        reaches: 'pool5',
        preprocessing: { name: 'caffe' },
      });
      expect(held.unknown).toEqual(Object.keys(extra));
    }
  });

  it("Frossard's and TF-Slim's names, with the preprocessing of each", async () => {
    const shapes = (name: (layer: string, part: 'weight' | 'bias') => string): Shapes =>
      Object.fromEntries(
        weightSpecs(network('vgg16')).flatMap(({ name: layer, shape }) => [
          [name(layer, 'weight'), shape],
          [name(layer, 'bias'), shape.slice(-1)],
        ]),
      );
    const frossard = await inspect(zeros(shapes((layer, part) => `${layer}_${part === 'weight' ? 'W' : 'b'}`)));
    expect(frossard).toMatchObject({ network: { name: 'vgg16', classes: 1000 }, missing: [], preprocessing: { name: 'frossard' } });
    const slim = (layer: string, part: string) =>
      `vgg_16/${layer.replace(/^(conv\d)_/, '$1/$1_')}/${part === 'weight' ? 'weights' : 'biases'}`;
    expect(await inspect(zeros(shapes(slim)))).toMatchObject({
      network: { name: 'vgg16' },
      missing: [],
      unknown: [],
      preprocessing: { name: 'tf-slim', channelOrder: 'rgb', mean: [123.68, 116.779, 103.939] },
    });
  });

  it('a head of another depth and number of classes', async () => {
    const convs = Object.fromEntries(
      Object.entries(sequence('vgg11', [0, 3, 6, 8, 11, 13, 16, 18])).map(([name, shape]) => [`features.${name}`, shape]),
    );
    const head = {
      'classifier.1.weight': [256, 25088],
      'classifier.1.bias': [256],
      'classifier.4.weight': [2, 256],
      'classifier.4.bias': [2],
    };
    expect(await inspect(zeros({ ...convs, ...head }))).toMatchObject({
      network: { name: 'vgg11', classes: 2, plan: { dense: [256], size: 224 } },
      missing: [],
      unknown: [],
      preprocessing: { name: 'torchvision' },
    });
  });
});

describe("a plan of one's own", () => {
  // The shapes of a network that others made for 32 x 32 pictures, in PyTorch with names of their own.
  const shapes: Shapes = {
    ...{ 'conv1.weight': [32, 3, 3, 3], 'conv1.bias': [32], 'conv2.weight': [64, 32, 3, 3], 'conv2.bias': [64] },
    ...{ 'fc1.weight': [512, 64 * 8 * 8], 'fc1.bias': [512], 'fc2.weight': [10, 512], 'fc2.bias': [10] },
  };

  it('has its dense layers, classes and size from the shapes where it leaves them open', async () => {
    const held = await inspect(zeros(shapes), { arch: { blocks: [[32], [64]] } });
    expect(held).toMatchObject({ network: { size: 32, classes: 10, plan: { dense: [512] } }, missing: [], unknown: [] });
    expect(await inspect(zeros(shapes), { arch: '{"blocks": [[32], [64]]}' })).toMatchObject({ network: { size: 32 } });
    await expect(inspect(zeros(shapes), { arch: { blocks: [[32], [64]], dense: [256] } })).rejects.toMatchObject({ code: 'VGG_SHAPE' });
    await expect(inspect(zeros(shapes), { arch: { blocks: [[32], [64]], size: 64 } })).rejects.toMatchObject({ code: 'VGG_SHAPE' });
  });

  it('has pictures squashed to its size where nothing tells how they are prepared', async () => {
    const { preprocessing } = await inspect(zeros(shapes), { arch: { blocks: [[32], [64]] } });
    expect(preprocessing).toMatchObject({ name: 'keras', resize: { mode: 'squash', size: 32 } });
    expect(preprocessing!.crop).toBeUndefined();
    const given = await inspect(zeros(shapes), { arch: { blocks: [[32], [64]] }, preprocessing: 'caffe' });
    expect(given.preprocessing).toMatchObject({ name: 'caffe', resize: { mode: 'shorter', size: 256 }, crop: 224 });
  });
});

describe('files of other networks', () => {
  it('are looked into all the same, with what is in them and why they are none', async () => {
    const held = await inspect(zeros({ 'l1.weight': [128, 784], 'l2.weight': [10, 128] }));
    expect(held).toMatchObject({ network: undefined, preprocessing: undefined, format: 'safetensors', missing: [], reaches: undefined });
    expect(held.tensors.map(({ name }) => name)).toEqual(['l1.weight', 'l2.weight']);
    expect(held.unknown).toEqual(['l1.weight', 'l2.weight']);
    expect(held.problem).toMatchObject({
      code: 'VGG_ARCHITECTURE',
      message: expect.stringContaining('expected the convolutions of a VGG network'),
    });
    expect(await inspect(zeros({ l1: [2] }))).toMatchObject({ network: undefined, problem: { code: 'VGG_FORMAT' } });
  });

  it('are refused where the caller says what they are, and where they are to be used', async () => {
    const file = () => zeros({ 'l1.weight': [128, 784] });
    await expect(inspect(file(), { arch: 'vgg16' })).rejects.toMatchObject({ code: 'VGG_ARCHITECTURE' });
    await expect(openNetworkWeights(undefined, { weights: file() }, true)).rejects.toMatchObject({ code: 'VGG_ARCHITECTURE' });
  });
});

describe('preprocessing', () => {
  const of = (format: string, naming: string, more: { metadata?: [string, string][]; given?: 'tf'; set?: object; colour?: boolean } = {}) =>
    preprocessingOf({
      file: { format, metadata: new Map(more.metadata), tensors: new Map() } as never,
      network: network('vgg16', { colour: more.colour ?? false }),
      naming: naming as never,
      set: more.set as never,
      given: more.given,
    });

  it.each([
    ['keras-h5', 'keras', 'keras', 'bgr'],
    ['tfjs-layers', 'keras', 'keras', 'bgr'],
    ['caffe', 'canonical', 'caffe', 'bgr'],
    ['npy', 'canonical', 'caffe', 'bgr'],
    ['npz', 'frossard', 'frossard', 'rgb'],
    ['matlab', 'canonical', 'matconvnet', 'rgb'],
    ['tf-checkpoint', 'slim', 'tf-slim', 'rgb'],
    ['torch', 'torch', 'torchvision', 'rgb'],
    ['safetensors', 'torch', 'torchvision', 'rgb'],
    ['torch', 'order', 'torchvision', 'rgb'],
    ['torch', 'canonical', 'caffe', 'bgr'],
    ['onnx', 'order', 'torchvision', 'rgb'],
    ['onnx', 'canonical', 'torchvision', 'rgb'],
    ['safetensors', 'canonical', 'keras', 'bgr'],
  ])('of %s with names of %s: %s', (format, naming, name, channelOrder) => {
    expect(of(format, naming)).toMatchObject({ name, channelOrder });
  });

  it("the caller's before the file's own, that before the published set's, that before the program's", () => {
    const metadata: [string, string][] = [['vgg.preprocessing', 'none']];
    const set = { preprocessing: 'timm' };
    expect(of('caffe', 'canonical', { given: 'tf', metadata, set }).name).toBe('tf');
    expect(of('caffe', 'canonical', { metadata, set }).name).toBe('none');
    expect(of('caffe', 'canonical', { set }).name).toBe('timm');
    expect(of('torch', 'torch', { colour: true }).name).toBe('adain');
  });

  it("MatConvNet's own mean", () => {
    expect(of('matlab', 'canonical', { metadata: [['averageImage', '[1, 2, 3]']] }).mean).toEqual([1, 2, 3]);
    expect(of('matlab', 'canonical', { metadata: [['averageImage', '[1, 2']] }).mean).toEqual([123.68, 116.779, 103.939]);
  });
});

it("a file's plan is told by its metadata, and the network's options change it", async () => {
  const opened = await openNetworkWeights(undefined, { weights: await smallFile(), network: { pool: 'average' } }, true);
  expect(opened.network.plan).toMatchObject({ name: 'small', pool: 'average' });
});
