import { describe, expect, test } from 'vitest';
import { graphOfKeras } from '../../src/formats/keras/config.js';
import type { Json } from '../../src/json.js';
import { open } from '../helpers.js';

const conv = { stride: 1, dilation: 1, groups: 1, bias: true };

function layer(type: string, config: { [key: string]: Json }, from?: string | Json[]): Json {
  const inbound = from === undefined ? [] : typeof from === 'string' ? [[[from, 0, 0, {}]]] : from;
  return { class_name: type, config, name: config.name as string, inbound_nodes: inbound };
}

function sequential(...layers: Json[]): Json {
  return { class_name: 'Sequential', config: { name: 'net', layers } };
}

describe('what a Keras configuration says', () => {
  test('Keras 1: the first VGGs, channels first, padding in layers of its own', () => {
    const config = {
      class_name: 'Sequential',
      config: [
        layer('ZeroPadding2D', { name: 'zeropadding2d_1', padding: [1, 1], dim_ordering: 'th', batch_input_shape: [null, 3, 224, 200] }),
        layer('Convolution2D', {
          ...{ name: 'convolution2d_1', nb_filter: 64, nb_row: 3, nb_col: 3, subsample: [1, 1] },
          ...{ border_mode: 'valid', activation: 'relu', bias: true, dim_ordering: 'th' },
        }),
        layer('MaxPooling2D', { name: 'maxpooling2d_1', pool_size: [2, 2], strides: [2, 2], border_mode: 'valid' }),
        layer('Flatten', { name: 'flatten_1' }),
        layer('Dense', { name: 'dense_1', output_dim: 4096, activation: 'relu', bias: false }),
        layer('Dropout', { name: 'dropout_1', p: 0.5 }),
        layer('Activation', { name: 'activation_1', activation: 'softmax' }),
      ],
    };
    expect(graphOfKeras(config)).toEqual({
      input: { channels: 3, height: 224, width: 200 },
      layers: [
        { kind: 'conv', name: 'convolution2d_1', out: 64, kernel: [3, 3], pad: 1, ...conv },
        { kind: 'relu', name: 'convolution2d_1_relu' },
        { kind: 'pool', name: 'maxpooling2d_1', pool: 'max', size: 2, stride: 2, pad: 0, rounding: 'floor' },
        { kind: 'flatten', name: 'flatten_1' },
        { kind: 'dense', name: 'dense_1', out: 4096, bias: false },
        { kind: 'relu', name: 'dense_1_relu' },
        { kind: 'dropout', name: 'dropout_1', rate: 0.5 },
        { kind: 'softmax', name: 'activation_1' },
      ],
    });
  });

  test('Keras 2: a functional model, its layers in any order, as text', () => {
    const config = {
      class_name: 'Model',
      config: {
        name: 'vgg',
        layers: [
          layer('BatchNormalization', { name: 'bn', axis: [3], epsilon: 0.001, center: true, scale: true }, 'c'),
          layer('InputLayer', { name: 'i', batch_input_shape: [null, null, null, 3] }),
          layer(
            'Conv2D',
            { name: 'c', filters: 8, kernel_size: [3, 1], strides: 2, padding: 'same', activation: 'linear', use_bias: false },
            'i',
          ),
          layer('AveragePooling2D', { name: 'p', pool_size: 2, strides: null, padding: 'same' }, 'r'),
          layer('ReLU', { name: 'r', max_value: null, negative_slope: 0, threshold: 0 }, 'bn'),
          layer('MaxPooling2D', { name: 'q', pool_size: [3, 3], strides: [2, 2], padding: 'same' }, 'p'),
          layer('GlobalAveragePooling2D', { name: 'g' }, 'q'),
          layer('Dense', { name: 'd', units: 5, activation: 'tanh' }, 'g'),
        ],
      },
    };
    const graph = {
      name: 'vgg',
      input: { channels: 3 },
      layers: [
        { kind: 'conv', name: 'c', out: 8, kernel: [3, 1], ...conv, stride: 2, pad: 'same', bias: false },
        { kind: 'batchnorm', name: 'bn', epsilon: 0.001 },
        { kind: 'relu', name: 'r' },
        { kind: 'pool', name: 'p', pool: 'average', size: 2, stride: 2, pad: 0, rounding: 'ceil' },
        { kind: 'pool', name: 'q', pool: 'max', size: 3, stride: 2, pad: 'same', rounding: 'floor' },
        { kind: 'mean', name: 'g' },
        { kind: 'dense', name: 'd', out: 5, bias: true },
        { kind: 'other', name: 'd_tanh', type: 'tanh' },
      ],
    };
    expect(graphOfKeras(JSON.stringify(config))).toEqual(graph);
    expect(graphOfKeras({ keras_version: '2.2.0', model_config: config })).toEqual(graph); // as in a tfjs model.json
  });

  test.each([
    ['keras/keras3-full.h5', []],
    ['keras/keras3-nested-full.h5', ['head']],
  ])('%s, by Keras 3', async (name, more) => {
    const { graph } = await open(name);
    expect(graph!.input).toEqual({ channels: 3, height: 16, width: 16 });
    expect(graph!.layers.slice(0, 3)).toEqual([
      { kind: 'conv', name: 'block1_conv1', out: 4, kernel: [3, 3], pad: 'same', ...conv },
      { kind: 'relu', name: 'block1_conv1_relu' },
      { kind: 'conv', name: 'block1_conv2', out: 4, kernel: [3, 3], pad: 'same', ...conv },
    ]);
    expect(graph!.layers.filter(({ kind }) => kind === 'dense').map((dense) => dense.name)).toEqual(['fc1', 'fc2', 'predictions', ...more]);
  });

  test('what it does not know is named', () => {
    const graph = graphOfKeras(
      sequential(
        layer('ZeroPadding2D', {
          name: 'pad',
          padding: [
            [1, 1],
            [2, 2],
          ],
        }),
        layer('Conv2D', { name: 'c', filters: 1, kernel_size: [3, 3] }),
        layer('SeparableConv2D', { name: 's', filters: 1 }),
        layer('ReLU', { name: 'r', max_value: 6 }),
        layer('MaxPooling2D', { name: 'p', pool_size: [2, 3] }),
        layer('BatchNormalization', { name: 'b', epsilon: 1e-3, scale: false }),
      ),
    )!;
    const others = graph.layers.map((other) => (other.kind === 'other' ? other.type : other.kind));
    expect(others).toEqual(['ZeroPadding2D', 'conv', 'SeparableConv2D', 'ReLU', 'MaxPooling2D', 'BatchNormalization']);
  });
});

describe('no graph', () => {
  const start = layer('InputLayer', { name: 'i', batch_input_shape: [null, 8, 8, 3] });
  const relu = (name: string, from: string | Json[]) => layer('ReLU', { name }, from);
  const functional = (...layers: Json[]): Json => ({ class_name: 'Functional', config: { name: 'net', layers } });
  let deep: Json = sequential();
  for (let i = 0; i < 20; i++) deep = sequential(deep);

  test.each<[string, Json | undefined]>([
    ['nothing', undefined],
    ['no JSON', 'Dear diary'],
    ['a list', []],
    ['no layers', { class_name: 'Sequential', config: {} }],
    ['a branch', functional(start, relu('a', 'i'), relu('b', 'i'))],
    [
      'a sum',
      functional(
        start,
        relu('a', 'i'),
        layer('Add', { name: 's' }, [
          [
            ['i', 0, 0, {}],
            ['a', 0, 0, {}],
          ],
        ]),
      ),
    ],
    ['a circle', functional(start, relu('a', 'b'), relu('b', 'a'))],
    ['two inputs', functional(start, layer('InputLayer', { name: 'j' }))],
    ['a layer used twice', functional(start, relu('a', [[['i', 0, 0, {}]], [['a', 0, 0, {}]]]))],
    ['models nested too deep', deep],
    ['text nested too deep', `${'['.repeat(1000)}${']'.repeat(1000)}`],
  ])('%s', (_, config) => expect(graphOfKeras(config)).toBeUndefined());

  test('a model without layers has none', () => expect(graphOfKeras(sequential())).toEqual({ name: 'net', layers: [] }));
});
