import { describe, expect, test } from 'vitest';
import { text as textOf } from '../../src/formats/caffe/message.js';
import { parsePrototxt } from '../../src/formats/caffe/prototxt.js';
import { parseTextFormat } from '../../src/formats/caffe/text-format.js';
import { fixture, refuses } from '../helpers.js';

const WHO = 'net.prototxt';
const layersOf = (text: string) => parsePrototxt(text, WHO).layers;
/** One layer of this type and these parameters, of the newer form. */
const layer = (type: string, params = '') => `layer { name: "x" type: "${type}" bottom: "a" top: "b" ${params} }`;
const only = (type: string, params = '') => layersOf(layer(type, params))[0]!;
/** The value of a field as text. */
const value = (text: string) => textOf(parseTextFormat(`field: ${text}`, WHO), 'field', WHO);

describe('the text format', () => {
  test('in all the spellings of Google’s own printer', async () => {
    const { texts, names, name } = JSON.parse(new TextDecoder().decode(await fixture('caffe/caffe.json')));
    const graph = parsePrototxt(new TextDecoder().decode(await fixture('caffe/caffe-v2.prototxt')), WHO);
    expect(Object.keys(texts).length).toBe(4);
    for (const text of Object.values(texts) as string[]) expect(parsePrototxt(text, WHO)).toEqual(graph);
    for (const text of Object.values(names) as string[]) expect(textOf(parseTextFormat(text, WHO), 'name', WHO)).toBe(name);
  });

  test('comments, separators, brackets, a colon before a message, lists', () => {
    const graph = parsePrototxt(
      `\ufeff# a network
      name : 'a' "b" # joined
        'c'; input: "data", input_shape: { dim: [1, 3, # of the picture
        0x10, 020] }
      layer: [{ name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param < kernel_size: 2, stride: 2; > },
              < name: "norm" type: 'LRN' bottom: "pool" top: "norm" lrn_param: { local_size: 3 alpha: 3e-1f beta: .5 k: 1. } >]
      layer []`,
      WHO,
    );
    expect(graph).toEqual({
      name: 'abc',
      input: { channels: 3, height: 16, width: 16 },
      layers: [
        { kind: 'pool', name: 'pool', pool: 'max', size: 2, stride: 2, pad: 0, rounding: 'ceil' },
        { kind: 'lrn', name: 'norm', radius: 1, bias: 1, alpha: 0.3 / 3, beta: 0.5 },
      ],
    });
  });

  test.each([
    [String.raw`"\n\t\r\\\"\'\a"`, '\n\t\r\\"\'\x07'],
    [String.raw`'\303\251\xe6\xbc\xa2\u00e9\U0001F600'`, 'é漢é😀'],
    [`"it's" 'a "name"'`, 'it\'sa "name"'],
    ['"#no comment"', '#no comment'],
    ['-1.5e-3', '-1.5e-3'],
    ['CONVOLUTION', 'CONVOLUTION'],
  ])('the value %s', (written, expected) => {
    expect(value(written)).toBe(expected);
  });

  test.each<[string, string, RegExp]>([
    [
      'a bracket that is not closed',
      'layer {\n name: "a"\n',
      /net.prototxt, line 3: expected the "}" of the message of line 1, .*it is cut/,
    ],
    ['a list that is not closed', 'a: [1, 2', /line 1: expected the "]" of a list/],
    ['a string that is not closed', 'name: "VGG', /expected the " of a string, .*it is cut/],
    ['a name without a value', 'name:', /expected a value, .*it is cut/],
  ])('%s is a cut text', (_, text, sentence) => refuses(() => parseTextFormat(text, WHO), 'VGG_INTEGRITY', sentence));

  test.each<[string, string, RegExp]>([
    ['the wrong bracket', 'layer {\n>\n}', /line 2: expected the name of a field, received ">/],
    ['a bracket too many', 'a: 1\n}\n', /line 2: expected the name of a field/],
    ['no colon before a value', 'a 1', /line 1: expected ":" or "{" behind a name, received "1"/],
    ['a string over two lines', 'a: "x\ny"', /line 1: expected the " of a string on its line/],
    ['a name that is a number', '\n\n1: 2', /line 3: expected the name of a field, received "1: 2"/],
    ['a list without commas', 'a: [1 2]', /expected "," or "]" in a list/],
    ['an extension', '[a.b]: 1', /expected the name of a field/],
    ['no value', 'a: ;', /expected a value, received ";"/],
  ])('%s is told with its line', (_, text, sentence) => refuses(() => parseTextFormat(text, WHO), 'VGG_FORMAT', sentence));

  test.each<[string, () => string, RegExp]>([
    ['a million opening brackets', () => '{'.repeat(1e6), /expected the name of a field/],
    ['a million nested messages', () => 'a{'.repeat(1e6), /at most 32 deep/],
    ['a million nested lists', () => `a: ${'['.repeat(1e6)}`, /expected a value, received "\[\[/],
    ['four million characters of comments', () => '#\n'.repeat(2 ** 21 - 1), /layers of a network/],
    ['a million values', () => 'a:1 '.repeat(1e6), /at most 262144 values/],
    ['a million values in lists', () => `a: [${'1,'.repeat(1e6)}1]`, /at most 262144 values/],
    ['a name of four million characters', () => 'a'.repeat(4e6), /expected a value, received the end of the text/],
    ['a number of four million digits', () => `a: ${'1'.repeat(4e6)}`, /layers of a network/],
    ['a string of ten million characters', () => `name: "${'x'.repeat(1e7)}"`, /at most 4194304 characters of text, received 10000008/],
    ['two million backslashes', () => `name: "${'\\'.repeat(4e6)}"`, /layers of a network/],
  ])('%s', async (_, make, sentence) => {
    const text = make();
    const failed = await Promise.resolve()
      .then(() => parsePrototxt(text, WHO))
      .then(
        () => undefined,
        (error: Error) => error,
      );
    expect(failed?.message).toMatch(sentence);
    expect(failed?.name).toBe('VggError');
  });

  test('names of JavaScript’s own are names', () => {
    const graph = parsePrototxt(`__proto__ { polluted: 1 } constructor: 2 ${layer('__proto__', '__proto__ { x: 1 }')}`, WHO);
    expect(graph.layers).toEqual([{ kind: 'other', name: 'x', type: '__proto__' }]);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

describe('layers', () => {
  test('windows, strides and padding of one or two numbers or by name', () => {
    const conv = { kind: 'conv', name: 'x', out: 4, kernel: [3, 3], stride: 1, pad: 0, dilation: 1, groups: 1, bias: true };
    const of = (params: string) => only('Convolution', `convolution_param { num_output: 4 ${params} }`);
    expect(of('kernel_size: 3')).toEqual(conv);
    expect(of('kernel_size: 3 kernel_size: 3 pad: 1 pad: 1 stride: 2 bias_term: false')).toEqual({
      ...conv,
      pad: 1,
      stride: 2,
      bias: false,
    });
    expect(of('kernel_h: 3 kernel_w: 1 pad_h: 1 pad_w: 1 stride_h: 2 stride_w: 2 group: 2 dilation: 6')).toEqual({
      ...conv,
      kernel: [3, 1],
      pad: 1,
      stride: 2,
      groups: 2,
      dilation: 6,
    });
    const other = { kind: 'other', name: 'x', type: 'Convolution' };
    for (const params of [
      'kernel_size: [3, 3, 3]',
      'kernel_size: 3 stride: [1, 2]',
      'kernel_size: 3 pad_h: 1',
      'kernel_size: 3 axis: 2',
      'kernel_size: 3 dilation: [1, 2]',
    ])
      expect(of(params)).toEqual(other);
  });

  test('pools', () => {
    const pool = { kind: 'pool', name: 'x', pool: 'max', size: 3, stride: 1, pad: 0, rounding: 'ceil' };
    const of = (params: string) => only('Pooling', `pooling_param { ${params} }`);
    expect(of('kernel_size: 3')).toEqual(pool);
    expect(of('pool: AVE kernel_h: 3 kernel_w: 3 stride: 2 pad: 1 round_mode: FLOOR')).toEqual({
      ...pool,
      pool: 'average',
      stride: 2,
      pad: 1,
      rounding: 'floor',
    });
    expect(of('pool: 1 kernel_size: 3 round_mode: 1')).toEqual({ ...pool, pool: 'average', rounding: 'floor' });
    expect(of('pool: AVE global_pooling: true')).toEqual({ kind: 'mean', name: 'x' });
    for (const params of ['pool: MAX global_pooling: true', 'pool: STOCHASTIC kernel_size: 2', 'kernel_h: 2 kernel_w: 3'])
      expect(of(params)).toEqual({ kind: 'other', name: 'x', type: 'Pooling' });
  });

  test('normalisations', () => {
    expect(only('LRN')).toEqual({ kind: 'lrn', name: 'x', radius: 2, bias: 1, alpha: 0.2, beta: 0.75 });
    expect(only('LRN', 'lrn_param { norm_region: WITHIN_CHANNEL }').kind).toBe('other');
    expect(only('LRN', 'lrn_param { local_size: 4 }').kind).toBe('other');
    expect(only('BatchNorm')).toEqual({ kind: 'batchnorm', name: 'x', epsilon: 1e-5 });
    expect(only('Scale')).toEqual({ kind: 'other', name: 'x', type: 'Scale' });
    const between = `${layer('BatchNorm')} layer { name: "r" type: "ReLU" bottom: "b" top: "b" } layer { name: "s" type: "Scale" bottom: "b" top: "c" }`;
    expect(layersOf(between).map(({ kind }) => kind)).toEqual(['batchnorm', 'relu', 'other']);
  });

  test('the rest', () => {
    expect(only('ReLU')).toEqual({ kind: 'relu', name: 'x' });
    expect(only('Dropout')).toEqual({ kind: 'dropout', name: 'x', rate: 0.5 });
    expect(only('Flatten')).toEqual({ kind: 'flatten', name: 'x' });
    expect(only('InnerProduct', 'inner_product_param { num_output: 7 bias_term: false }')).toEqual({
      kind: 'dense',
      name: 'x',
      out: 7,
      bias: false,
    });
    expect(only('SoftmaxWithLoss')).toEqual({ kind: 'softmax', name: 'x' });
    expect(only('Eltwise')).toEqual({ kind: 'other', name: 'x', type: 'Eltwise' });
    const old = (type: string) => layersOf(`layers { name: "x" type: ${type} bottom: "a" top: "b" }`)[0];
    expect(old('SOFTMAX_LOSS')).toEqual({ kind: 'softmax', name: 'x' });
    expect(old('20')).toEqual({ kind: 'softmax', name: 'x' });
    expect(old('SIGMOID_CROSS_ENTROPY_LOSS')).toEqual({ kind: 'other', name: 'x', type: 'SigmoidCrossEntropyLoss' });
    expect(old('NEW_KIND')).toEqual({ kind: 'other', name: 'x', type: 'NEW_KIND' });
  });

  test.each([
    ['', true],
    ['include { phase: TEST }', true],
    ['include { phase: TRAIN }', false],
    ['include { phase: 1 }', true],
    ['include { phase: TRAIN } include { phase: TEST }', true],
    ['include: { phase: TEST stage: "deploy" }', false],
    ['include { not_stage: "deploy" }', true],
    ['include { min_level: 1 }', false],
    ['include { max_level: -1 }', false],
    ['exclude { phase: TRAIN }', true],
    ['exclude { phase: TEST }', false],
    ['exclude { phase: TEST stage: "x" }', true],
  ])('in phase TEST, by the rule "%s"', (rule, used) => {
    expect(layersOf(`${layer('Softmax')} ${layer('ReLU', rule)}`).length).toBe(used ? 2 : 1);
  });

  test.each<[string, object | undefined]>([
    ['input: "data" input_dim: 10 input_dim: 3 input_dim: 224 input_dim: 192', { channels: 3, height: 224, width: 192 }],
    [
      'input: "data" input: "info" input_shape { dim: [1, 3, 600, 800] } input_shape { dim: [1, 3] }',
      { channels: 3, height: 600, width: 800 },
    ],
    [
      'layer { name: "data" type: "Input" top: "data" input_param { shape: { dim: 1 dim: 1 dim: 28 dim: 28 } } }',
      { channels: 1, height: 28, width: 28 },
    ],
    [
      'layer { type: "MemoryData" top: "d" memory_data_param { batch_size: 1 channels: 3 height: 5 width: 6 } }',
      { channels: 3, height: 5, width: 6 },
    ],
    ['layer { type: "Data" top: "d" transform_param { crop_size: 227 } }', { height: 227, width: 227 }],
    ['layers { type: DATA top: "d" data_param { crop_size: 224 } }', { height: 224, width: 224 }],
    ['layer { type: "ImageData" top: "d" image_data_param { new_height: 256 new_width: 200 } }', { height: 256, width: 200 }],
    ['layer { type: "DummyData" top: "d" dummy_data_param { shape { dim: [1, 3, 4, 4] } } }', { channels: 3, height: 4, width: 4 }],
    ['input: "data" input_dim: 1 input_dim: 3 input_dim: 0 input_dim: 0', { channels: 3 }],
    ['layer { type: "Data" top: "d" }', undefined],
    ['', undefined],
  ])('the input of %s', (head, size) => {
    expect(parsePrototxt(`${head} ${layer('Softmax')}`, WHO).input).toEqual(size);
  });

  test.each<[string, string, RegExp]>([
    ['no layers', 'name: "VGG"', /expected the layers of a network/],
    ['a text of other words', 'a: 1 b { c: 2 }', /expected the layers of a network/],
    ['a layer that is a value', 'layer: 5', /line 1: expected "layer { ... }", received "5"/],
    ['a type that is a message', 'layer { name: "x" type { a: 1 } }', /expected a value for "type"/],
    ['no number of outputs', `\n${layer('InnerProduct')}`, /layer "x" of line 2: expected "num_output" of at least 1, received none/],
    ['0 outputs', layer('InnerProduct', 'inner_product_param { num_output: 0 }'), /"num_output" of at least 1, received 0/],
    [
      'a number below 0',
      layer('Convolution', 'convolution_param { kernel_size: -3 }'),
      /line 1: expected a whole number from 0 to 2147483647 for "kernel_size", received "-3"/,
    ],
    ['a number beyond 31 bits', layer('InnerProduct', 'inner_product_param { num_output: 4294967296 }'), /whole number from 0/],
    ['a word for a number', layer('Dropout', 'dropout_param { dropout_ratio: half }'), /a number for "dropout_ratio", received "half"/],
    ['no window', layer('Pooling'), /a window and a stride of at least 1, received 0/],
    ['a stride of 0', layer('Convolution', 'convolution_param { num_output: 1 kernel_size: 3 stride: 0 }'), /a window and a stride/],
    [
      'a pool of another kind',
      layer('Pooling', 'pooling_param { pool: MEDIAN }'),
      /expected MAX or AVE or STOCHASTIC for "pool", received "MEDIAN"/,
    ],
    [
      'neither true nor false',
      layer('Convolution', 'convolution_param { kernel_size: 1 num_output: 1 bias_term: maybe }'),
      /true or false for "bias_term"/,
    ],
  ])('%s is refused', (_, text, sentence) => refuses(() => parsePrototxt(text, WHO), 'VGG_FORMAT', sentence));
});
