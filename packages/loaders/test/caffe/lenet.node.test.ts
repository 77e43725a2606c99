import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { caffe } from '../../src/formats/caffe/index.js';
import { parsePrototxt } from '../../src/formats/caffe/prototxt.js';
import { bytesSource, filesSource, openWeights, type WeightFile } from '../../src/index.js';
import { refuses } from '../helpers.js';
import { DATA, HAS_DATA } from '../shared-data.js';

/** A real model of 2014, in the form of the Oxford VGG files. */
const MODEL = `${DATA}caffe/lenet_v1.caffemodel`;

const openLenet = (): Promise<WeightFile> => openWeights(bytesSource(readFileSync(MODEL), 'lenet_v1.caffemodel'), { formats: [caffe] });

/** The filters' or the matrix's rows, each with `x`, plus the bias; four sums at a time, since these are seven thousand million products. */
function rows(weight: Float64Array, bias: Float64Array, x: Float64Array, each: (row: number, sum: number) => void): void {
  const { length } = x;
  for (let o = 0, at = 0; o < bias.length; o++, at += length) {
    let [a, b, c, d] = [bias[o]!, 0, 0, 0];
    let i = 0;
    for (; i + 3 < length; i += 4) {
      a += weight[at + i]! * x[i]!;
      b += weight[at + i + 1]! * x[i + 1]!;
      c += weight[at + i + 2]! * x[i + 2]!;
      d += weight[at + i + 3]! * x[i + 3]!;
    }
    for (; i < length; i++) a += weight[at + i]! * x[i]!;
    each(o, a + b + c + d);
  }
}

/** Valid convolution of [channels, side, side] with [out, channels, 5, 5], and its bias. */
function convolve(x: Float64Array, channels: number, side: number, weight: Float64Array, bias: Float64Array): Float64Array {
  const after = side - 4;
  const out = new Float64Array(bias.length * after * after);
  const patch = new Float64Array(channels * 25);
  for (let y = 0; y < after; y++)
    for (let left = 0; left < after; left++) {
      for (let c = 0, k = 0; c < channels; c++)
        for (let dy = 0; dy < 5; dy++) for (let dx = 0; dx < 5; dx++) patch[k++] = x[(c * side + y + dy) * side + left + dx]!;
      rows(weight, bias, patch, (o, sum) => {
        out[(o * after + y) * after + left] = sum;
      });
    }
  return out;
}

/** Largest of two by two, of maps with an even side. */
function pool(x: Float64Array, side: number): Float64Array {
  const half = side / 2;
  return Float64Array.from({ length: x.length / 4 }, (_, i) => {
    const at = 2 * Math.floor(i / half) * side + 2 * (i % half);
    return Math.max(x[at]!, x[at + 1]!, x[at + side]!, x[at + side + 1]!);
  });
}

function dense(x: Float64Array, weight: Float64Array, bias: Float64Array): Float64Array {
  const out = new Float64Array(bias.length);
  rows(weight, bias, x, (o, sum) => {
    out[o] = sum;
  });
  return out;
}

describe.skipIf(!HAS_DATA)('shared/data/caffe/lenet_v1.caffemodel', () => {
  test('reads to the last byte: 431,080 parameters', async () => {
    const file = await openLenet();
    const shapes = Object.fromEntries([...file.tensors.values()].map(({ name, shape }) => [name, shape]));
    expect(shapes).toEqual({
      'conv1.weight': [20, 1, 5, 5],
      'conv1.bias': [20],
      'conv2.weight': [50, 20, 5, 5],
      'conv2.bias': [50],
      'ip1.weight': [500, 800],
      'ip1.bias': [500],
      'ip2.weight': [10, 500],
      'ip2.bias': [10],
    });
    let parameters = 0;
    for (const name of file.tensors.keys()) {
      const values = await file.read(name);
      expect(values.every((value) => Number.isFinite(value) && Math.abs(value) < 10)).toBe(true);
      parameters += values.length;
    }
    expect(parameters).toBe(431_080);
    const bytes = readFileSync(MODEL);
    await refuses(
      openWeights(bytesSource(bytes.subarray(0, bytes.length - 1), 'lenet_v1.caffemodel'), { formats: [caffe] }),
      'VGG_INTEGRITY',
      /1 bytes past the end .* the last whole layer is "\w+"/,
    );
  });

  test('its layers, and those of the prototxt beside it', async () => {
    const own = (await openLenet()).graph!;
    expect(own.layers.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'conv conv1',
      'pool pool1',
      'conv conv2',
      'pool pool2',
      'dense ip1',
      'relu relu1',
      'dense ip2',
      'softmax loss',
    ]);
    const files = ['lenet_v1.caffemodel', 'lenet_v1.prototxt'].map((name) => new File([readFileSync(`${DATA}caffe/${name}`)], name));
    const beside = await openWeights(filesSource(files), { formats: [caffe] });
    expect(beside.metadata.get('prototxt')).toBe('lenet_v1.prototxt');
    expect(beside.graph).toEqual({
      ...own,
      input: { channels: 1, height: 28, width: 28 },
      layers: [...own.layers.slice(0, -1), { kind: 'softmax', name: 'prob' }],
    });
  });

  test('98.57 % on the first 3000 test digits of MNIST', async () => {
    const file = await openLenet();
    const value = new Map<string, Float64Array>();
    for (const name of file.tensors.keys()) value.set(name, Float64Array.from(await file.read(name)));
    const of = (name: string) => value.get(name)!;
    const { data, info } = await sharp(`${DATA}mnist/mnist_batch_20.png`).greyscale().raw().toBuffer({ resolveWithObject: true });
    const labels: number[] = JSON.parse(readFileSync(`${DATA}mnist/labels-test-3000.json`, 'utf8'));
    expect([info.width, info.height, info.channels, labels.length]).toEqual([784, 3000, 1, 3000]);
    let right = 0;
    for (let n = 0; n < 3000; n++) {
      const digit = Float64Array.from(data.subarray(784 * n, 784 * (n + 1)), (pixel) => pixel / 256);
      const pool1 = pool(convolve(digit, 1, 28, of('conv1.weight'), of('conv1.bias')), 24);
      const pool2 = pool(convolve(pool1, 20, 12, of('conv2.weight'), of('conv2.bias')), 8);
      const ip1 = dense(pool2, of('ip1.weight'), of('ip1.bias')).map((x) => Math.max(0, x));
      const ip2 = dense(ip1, of('ip2.weight'), of('ip2.bias'));
      if (ip2.indexOf(Math.max(...ip2)) === labels[n]) right++;
    }
    expect(((100 * right) / 3000).toFixed(2)).toBe('98.57');
  }, 120_000);
});

describe.skipIf(!HAS_DATA)('the real prototxts of shared/data/caffe', () => {
  const parse = (name: string) => parsePrototxt(readFileSync(`${DATA}caffe/${name}`, 'utf8'), name);
  /** conv1_1 64, relu1_1 ... prob, as the network of these widths has them. */
  const vgg = (blocks: readonly (readonly [number, number])[]) => [
    ...blocks.flatMap(([convs, out], b) => [
      ...[...Array(convs).keys()].flatMap((c) => [`conv conv${b + 1}_${c + 1} ${out}`, `relu relu${b + 1}_${c + 1}`]),
      `pool pool${b + 1}`,
    ]),
    ...['dense fc6 4096', 'relu relu6', 'dropout drop6', 'dense fc7 4096', 'relu relu7', 'dropout drop7', 'dense fc8 1000', 'softmax prob'],
  ];
  const blocks = (deep: number) =>
    [
      [2, 64],
      [2, 128],
      [deep, 256],
      [deep, 512],
      [deep, 512],
    ] as const;

  test.each([
    ['VGG_ILSVRC_19_layers_deploy.v1.prototxt', 'VGG_ILSVRC_19_layers', 4],
    ['VGG_16_deploy.a.prototxt', 'VGG_ILSVRC_16_layers', 3],
  ])('%s', (file, name, deep) => {
    const graph = parse(file);
    expect(graph.name).toBe(name);
    expect(graph.input).toEqual({ channels: 3, height: 224, width: 224 });
    expect(graph.layers.map((layer) => [layer.kind, layer.name, ...('out' in layer ? [layer.out] : [])].join(' '))).toEqual(
      vgg(blocks(deep)),
    );
    for (const layer of graph.layers) {
      if (layer.kind === 'conv') expect(layer).toMatchObject({ kernel: [3, 3], stride: 1, pad: 1, dilation: 1, groups: 1, bias: true });
      if (layer.kind === 'pool') expect(layer).toMatchObject({ pool: 'max', size: 2, stride: 2, pad: 0, rounding: 'ceil' });
      if (layer.kind === 'dropout') expect(layer.rate).toBe(0.5);
    }
  });

  test('VGG_CNN_M_1024_train.prototxt, in phase TEST', () => {
    const graph = parse('VGG_CNN_M_1024_train.prototxt');
    expect(graph.name).toBe('VGG_CNN_M_1024');
    expect(graph.layers.filter(({ kind }) => kind === 'lrn')).toEqual([
      { kind: 'lrn', name: 'norm1', radius: 2, bias: 2, alpha: 0.0001, beta: 0.75 },
      { kind: 'lrn', name: 'norm2', radius: 2, bias: 2, alpha: 0.0001, beta: 0.75 },
    ]);
    expect(graph.layers.flatMap((layer) => (layer.kind === 'conv' ? [[layer.out, layer.kernel[0], layer.stride, layer.pad]] : []))).toEqual(
      [
        [96, 7, 2, 0],
        [256, 5, 2, 1],
        [512, 3, 1, 1],
        [512, 3, 1, 1],
        [512, 3, 1, 1],
      ],
    );
    expect(graph.layers.at(-1)).toEqual({ kind: 'dense', name: 'fc1000', out: 219, bias: true });
  });

  test('lenet_v1_train.prototxt', () => {
    const graph = parse('lenet_v1_train.prototxt');
    expect(graph.input).toBeUndefined();
    expect(graph.layers.at(-1)).toEqual({ kind: 'softmax', name: 'loss' });
  });
});
