import { describe, expect, it } from 'vitest';
import { weightSpecs } from '../weights/specs.js';
import { network } from './architecture.js';
import { aliasesFor, prefix, resolveLayer, tapNames } from './layers.js';
import type { PaperTap, TapName } from './tap-names.js';

const vgg16 = network('vgg16');

describe('tapNames', () => {
  it('the 37 of VGG-16', () => {
    const names = tapNames(vgg16);
    expect(names).toHaveLength(37);
    expect(names.slice(0, 5)).toEqual(['conv1_1', 'relu1_1', 'conv1_2', 'relu1_2', 'pool1']);
    expect(names.slice(-7)).toEqual(['pool5', 'fc6', 'relu6', 'fc7', 'relu7', 'fc8', 'prob']);
    for (const name of names) expect(resolveLayer(vgg16, name)).toBe(name);
  });

  it('batch norm, LRN and a top of convolutions have their own', () => {
    expect(tapNames(network('A-LRN+BN')).slice(0, 5)).toEqual(['conv1_1', 'bn1_1', 'relu1_1', 'norm1', 'pool1']);
    expect(tapNames(network('D', { convolutionalTop: true })).slice(-3)).toEqual(['fc8', 'mean', 'prob']);
    expect(tapNames(network('cifar_vgg16_bn')).slice(-3)).toEqual(['pool5', 'fc6', 'prob']);
  });
});

describe('resolveLayer', () => {
  it.each([
    // the paper, in any case
    ['vgg16', 'RELU5_3', 'relu5_3'],
    ['vgg16', ' pool5 ', 'pool5'],
    // shorthand
    ['vgg16', 'conv5', 'relu5_3'],
    ['vgg19', 'conv5', 'relu5_4'],
    ['vgg11_lrn', 'conv1', 'relu1_1'],
    // Keras
    ['vgg16', 'block5_conv3', 'relu5_3'],
    ['vgg16', 'block1_conv1', 'relu1_1'],
    ['vgg16', 'block5_pool', 'pool5'],
    ['vgg16', 'fc1', 'relu6'],
    ['vgg16', 'fc2', 'relu7'],
    ['vgg16', 'predictions', 'prob'],
    ['vgg16', 'flatten', 'flatten'],
    // torchvision
    ['vgg16', 'features.0', 'conv1_1'],
    ['vgg16', 'features.28', 'conv5_3'],
    ['vgg16', 'features.29', 'relu5_3'],
    ['vgg16', 'features[30]', 'pool5'],
    ['vgg19', 'features.36', 'pool5'],
    ['vgg16_bn', 'features.40', 'conv5_3'],
    ['vgg16_bn', 'features.41', 'bn5_3'],
    ['vgg16_bn', 'features.42', 'relu5_3'],
    ['vgg11', 'features.20', 'pool5'],
    ['vgg16', 'classifier.0', 'fc6'],
    ['vgg16', 'classifier.1', 'relu6'],
    ['vgg16', 'classifier.2', 'drop6'],
    ['vgg16', 'classifier.4', 'relu7'],
    ['vgg16', 'classifier.6', 'fc8'],
    // timm
    ['vgg16', 'pre_logits.fc1', 'fc6'],
    ['vgg16', 'pre_logits.act1', 'relu6'],
    ['vgg16', 'pre_logits.drop', 'drop6'],
    ['vgg16', 'pre_logits.fc2', 'fc7'],
    ['vgg16', 'pre_logits', 'relu7'],
    ['vgg16', 'head.fc', 'fc8'],
    // one dense layer only
    ['cifar_vgg16_bn', 'classifier.0', 'fc6'],
    ['cifar_vgg16_bn', 'logits', 'fc6'],
    ['vgg19_3pool', 'block5_pool', 'pool5'],
  ])('%s: %s is %s', (arch, alias, name) => {
    expect(resolveLayer(network(arch), alias)).toBe(name);
  });

  it.each([
    [vgg16, 'relu5-3', 'did you mean "relu5_3"?'],
    [vgg16, 'conv5_4', 'did you mean "conv5_'],
    [vgg16, 'block5_conv33', 'did you mean "block5_conv3"?'],
    [vgg16, 'features.31', 'expected a layer such as relu5_3, pool5, fc6, received "features.31"'],
    [vgg16, '__proto__', '`vgg info vgg16` lists them all'],
    [vgg16, '', 'received ""'],
    [network('vgg19_3pool'), 'pool3', 'did you mean "pool'],
    [network('vgg16', { top: false }), 'fc6', '(this network is without its dense layers)'],
    [network('vgg16', { top: false }), 'predictions', '(this network is without its dense layers)'],
  ])('unknown: %#', (net, name, message) => {
    expect(() => resolveLayer(net, name)).toThrow(
      expect.objectContaining({ code: 'VGG_LAYER', message: expect.stringContaining(message) }),
    );
  });

  it('a long name does not fill the message', () => {
    expect(() => resolveLayer(vgg16, 'x'.repeat(1e6))).toThrow(/received "x{64}"/);
  });

  it('lists the aliases of a layer', () => {
    expect(aliasesFor(vgg16, 'relu5_3')).toEqual(['relu5_3', 'features.29', 'block5_conv3', 'conv5']);
  });
});

describe('prefix', () => {
  it('stops at the deepest tap, whatever the order', () => {
    const layers = prefix(vgg16, ['relu4_3', 'block1_conv2', 'pool2']);
    expect(layers.at(-1)!.name).toBe('relu4_3');
    expect(layers).toHaveLength(23);
    expect(prefix(vgg16, ['prob'])).toEqual(vgg16.layers);
  });

  it('of no tap is an error', () => {
    expect(() => prefix(vgg16, [])).toThrow(expect.objectContaining({ code: 'VGG_LAYER' }));
  });
});

describe('weightSpecs', () => {
  it('conv4_3 needs 7.64 million parameters, 30.5 MB', () => {
    const specs = weightSpecs({ layers: prefix(vgg16, ['conv4_3']) });
    expect(specs.map((spec) => spec.name).at(-1)).toBe('conv4_3');
    const parameters = specs.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b) + shape.at(-1)!, 0);
    expect(parameters).toBe(7_635_264);
  });

  it('VGG-16: 13 filters and 3 dense layers, the first flattened from 7x7x512', () => {
    const specs = weightSpecs(vgg16);
    expect(specs).toHaveLength(16);
    expect(specs[0]).toEqual({ name: 'conv1_1', kind: 'conv', shape: [3, 3, 3, 64] });
    expect(specs.slice(-3)).toEqual([
      { name: 'fc6', kind: 'dense', shape: [25088, 4096], flattenedFrom: [7, 7, 512] },
      { name: 'fc7', kind: 'dense', shape: [4096, 4096] },
      { name: 'fc8', kind: 'dense', shape: [4096, 1000] },
    ]);
    expect(weightSpecs(network('vgg16', { convolutionalTop: true }))).toEqual(specs);
  });

  it('batch norm after each convolution, 1x1 filters in C, 4x4 maps in the net with three pools', () => {
    expect(weightSpecs(network('D+BN')).slice(0, 3)).toEqual([
      { name: 'conv1_1', kind: 'conv', shape: [3, 3, 3, 64] },
      { name: 'bn1_1', kind: 'batchnorm', shape: [64] },
      { name: 'conv1_2', kind: 'conv', shape: [3, 3, 64, 64] },
    ]);
    expect(weightSpecs(network('C')).find((spec) => spec.name === 'conv4_3')!.shape).toEqual([1, 1, 512, 512]);
    expect(weightSpecs(network('vgg19_3pool')).find((spec) => spec.name === 'fc6')).toMatchObject({
      shape: [8192, 4096],
      flattenedFrom: [4, 4, 512],
    });
    expect(weightSpecs(network('cifar_vgg16_bn')).at(-1)).toEqual({
      name: 'fc6',
      kind: 'dense',
      shape: [512, 3],
      flattenedFrom: [1, 1, 512],
    });
  });
});

describe('TapName', () => {
  it('completes the names of the paper, and takes any alias', () => {
    const tap: PaperTap = 'relu5_3';
    // @ts-expect-error there is no such layer in the family
    const wrong: PaperTap = 'relu5_5';
    const alias: TapName = 'features.29';
    expect([resolveLayer(vgg16, tap), resolveLayer(vgg16, alias)]).toEqual(['relu5_3', 'relu5_3']);
    expect(() => resolveLayer(vgg16, wrong)).toThrow('received "relu5_5"');
  });

  it('covers the taps of every column', () => {
    const steps = ['1_1', '1_2', '2_1', '2_2', '3_1', '3_2', '3_3', '3_4', '4_1', '4_2', '4_3', '4_4', '5_1', '5_2', '5_3', '5_4'];
    const union = new Set([
      ...steps.flatMap((step) => [`conv${step}`, `bn${step}`, `relu${step}`]),
      'norm1',
      'pool1',
      'pool2',
      'pool3',
      'pool4',
      'pool5',
    ]);
    for (const name of ['fc6', 'relu6', 'fc7', 'relu7', 'fc8', 'mean', 'prob']) union.add(name);
    for (const column of ['A-LRN', 'B', 'C', 'D', 'E']) {
      for (const name of tapNames(network(column, { batchNorm: true, convolutionalTop: true }))) expect(union).toContain(name);
    }
  });
});
