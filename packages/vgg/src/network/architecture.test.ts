import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editDistance, suggest } from '../text/suggest.js';
import { architectureNames, network } from './architecture.js';
import { PLAN_DEFAULTS, parsePlan } from './parse-plan.js';
import type { Plan } from './plan.js';
import { summarize } from './summary.js';

describe('names', () => {
  it.each([
    ['vgg11', 'vgg11'],
    ['A', 'vgg11'],
    ['a-lrn', 'vgg11_lrn'],
    ['A_LRN', 'vgg11_lrn'],
    ['vgg11-lrn', 'vgg11_lrn'],
    ['B', 'vgg13'],
    ['vgg_b', 'vgg13'],
    ['C', 'vgg16c'],
    ['VGG-16C', 'vgg16c'],
    ['vgg16', 'vgg16'],
    ['VGG 16', 'vgg16'],
    ['D', 'vgg16'],
    ['E', 'vgg19'],
    ['D+BN', 'vgg16_bn'],
    ['vgg16-bn', 'vgg16_bn'],
    ['VGG16BN', 'vgg16_bn'],
    ['b_bn', 'vgg13_bn'],
    ['A-LRN+BN', 'vgg11_lrn_bn'],
    ['CIFAR-VGG16-BN', 'cifar_vgg16_bn'],
    ['vgg19-3pool', 'vgg19_3pool'],
    ['vgg19_3pool_bn', 'vgg19_3pool_bn'],
  ])('%s is %s', (name, canonical) => {
    expect(network(name).name).toBe(canonical);
  });

  it('every listed name is its own', () => {
    const names = architectureNames();
    expect(names).toHaveLength(15);
    for (const name of names) expect(network(name).name).toBe(name);
  });

  it.each([
    ['vg16', 'did you mean "vgg16"?'],
    ['resnet50', 'expected one of vgg11, vgg11_lrn, vgg13, vgg16c, vgg16, vgg19'],
    ['constructor', 'unknown architecture "constructor"'],
    ['', 'unknown architecture ""'],
    ['bn', 'unknown architecture "bn"'],
  ])('unknown: %s', (name, message) => {
    expect(() => network(name)).toThrow(expect.objectContaining({ code: 'VGG_ARCHITECTURE', message: expect.stringContaining(message) }));
  });

  it('batch norm by option changes the name, both ways', () => {
    expect(network('vgg16', { batchNorm: true })).toEqual(network('vgg16_bn'));
    expect(network('vgg16_bn', { batchNorm: false })).toEqual(network('vgg16'));
  });
});

describe('layers', () => {
  it('A-LRN: one norm with the parameters of AlexNet, after the first ReLU', () => {
    const norms = network('A-LRN').layers.filter((layer) => layer.kind === 'lrn');
    expect(norms).toEqual([{ kind: 'lrn', name: 'norm1', radius: 2, bias: 2, alpha: 1e-4, beta: 0.75 }]);
    expect(network('A').layers.some((layer) => layer.kind === 'lrn')).toBe(false);
  });

  it('C: three 1x1 convolutions', () => {
    const ones = network('C').layers.filter((layer) => layer.kind === 'conv' && layer.kernel === 1);
    expect(ones.map((layer) => layer.name)).toEqual(['conv3_3', 'conv4_3', 'conv5_3']);
  });

  it('the top: dropout after the hidden dense layers, none after the scores, none at all with dropout 0', () => {
    const after = (options: object) =>
      network('D', options)
        .layers.slice(31)
        .map((layer) => layer.name)
        .join(' ');
    expect(after({})).toBe('flatten fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob');
    expect(after({ dropout: 0 })).toBe('flatten fc6 relu6 fc7 relu7 fc8 prob');
    expect(after({ dense: [256] })).toBe('flatten fc6 relu6 drop6 fc7 prob');
    expect(after({ dense: [] })).toBe('flatten fc6 prob');
    expect(after({ top: false })).toBe('');
    expect(after({ convolutionalTop: true, dropout: 0 })).toBe('fc6 relu6 fc7 relu7 fc8 mean prob');
    expect(after({ globalPool: true, dense: [] })).toBe('mean fc6 prob');
    expect(network('D', { globalPool: true, dense: [], classes: 3 }).layers.at(-2)).toMatchObject({ kind: 'dense', in: 512, out: 3 });
    expect(() => network('D', { globalPool: true, convolutionalTop: true })).toThrow('expected "globalPool" or "convolutionalTop"');
  });

  it('options reach the layers', () => {
    const { layers, classes, channels } = network('D', {
      classes: 7,
      channels: 1,
      pool: 'average',
      rounding: 'ceil',
      padding: 'reflect',
      poolSize: 3,
      size: 64,
    });
    expect([classes, channels]).toEqual([7, 1]);
    expect(layers[0]).toEqual({ kind: 'conv', name: 'conv1_1', kernel: 3, in: 1, out: 64, padding: 'reflect' });
    expect(layers[4]).toEqual({ kind: 'pool', name: 'pool1', pool: 'average', size: 3, stride: 2, rounding: 'ceil' });
    expect(layers.find((layer) => layer.name === 'fc8')).toMatchObject({ out: 7 });
    expect(network('D', { blocks: [[8], [16]], top: false }).layers.map((layer) => layer.name)).toEqual([
      'conv1_1',
      'relu1_1',
      'pool1',
      'conv2_1',
      'relu2_1',
      'pool2',
    ]);
  });
});

describe('plans', () => {
  it('blocks are all that a plan needs', () => {
    const plan = parsePlan('{ "blocks": [[16, "conv1-16"], ["conv3-32"]] }');
    expect(plan).toEqual({ ...PLAN_DEFAULTS, blocks: [[16, 'conv1-16'], [32]], pools: [1, 2] });
    expect(network(plan).name).toBe('custom');
    expect(network('{ "name": "tiny", "blocks": [[4]], "dense": [], "classes": 2, "size": 8 }').name).toBe('tiny');
  });

  it.each([
    ['[]', 'expected an object with "blocks"'],
    ['{', 'expected JSON with "blocks"'],
    ['{}', 'for "blocks", received none'],
    ['{"blocks": []}', 'for "blocks", received []'],
    ['{"blocks": [[]]}', 'for "blocks"'],
    ['{"blocks": [[64.5]]}', 'for "blocks", received [[64.5]]'],
    ['{"blocks": [["conv5-64"]]}', 'for "blocks"'],
    ['{"blocks": [[1e300]]}', 'for "blocks"'],
    ['{"blocks": [[64]], "pool": "min"}', 'expected "max" or "average" or "l2" for "pool", received "min"'],
    ['{"blocks": [[64]], "pools": [2]}', 'expected rising block numbers from 1 to 1 for "pools", received [2]'],
    ['{"blocks": [[64], [64]], "pools": [2, 1]}', 'rising block numbers'],
    ['{"blocks": [[64]], "dropout": 1}', 'for "dropout", received 1'],
    ['{"blocks": [[64]], "classes": "3"}', 'expected an integer from 1 to 1048576 for "classes", received "3"'],
    ['{"blocks": [[64]], "batchnorm": true}', 'unknown key "batchnorm" (did you mean "batchNorm"?)'],
    ['{"blocks": [[64]], "__proto__": {"pool": "max"}}', 'unknown key "__proto__"'],
    ['{"blocks": [[64]], "name": null}', 'for "name", received null'],
  ])('%s', (json, message) => {
    expect(() => parsePlan(json)).toThrow(expect.objectContaining({ code: 'VGG_ARCHITECTURE', message: expect.stringContaining(message) }));
  });

  it('sizes that do not get through, and maps that no convolution can stand for', () => {
    expect(() => network('D', { size: 16 })).toThrow(/plan: expected a "size" that gets through the blocks, received 16: .*pool5/);
    expect(() => network('D', { size: 64, convolutionalTop: true })).toThrow(
      'expected a last map of 7x7, 3x3 or 1x1 for "convolutionalTop", received 2x2',
    );
    expect(network('D', { size: 16, top: false }).top).toBe(false);
  });

  const width = fc.integer({ min: 1, max: 64 });
  const conv = fc.oneof(
    width,
    width.map((out) => `conv1-${out}` as const),
    width.map((out) => `conv3-${out}` as const),
  );
  const plans = fc.record(
    {
      blocks: fc.array(fc.array(conv, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 }),
      name: fc.string({ minLength: 1, maxLength: 100 }),
      pools: fc.constant([1]),
      pool: fc.constantFrom('max', 'average', 'l2'),
      poolSize: fc.integer({ min: 1, max: 3 }),
      poolStride: fc.integer({ min: 1, max: 2 }),
      rounding: fc.constantFrom('floor', 'ceil'),
      padding: fc.constantFrom('zero', 'reflect', 'valid'),
      batchNorm: fc.boolean(),
      epsilon: fc.double({ min: 1e-9, max: 0.5, noNaN: true }),
      lrn: fc.boolean(),
      top: fc.boolean(),
      dense: fc.array(width, { maxLength: 3 }),
      dropout: fc.double({ min: 0, max: 0.99, noNaN: true }),
      classes: width,
      channels: fc.integer({ min: 1, max: 4 }),
      size: fc.integer({ min: 160, max: 256 }),
    },
    { requiredKeys: ['blocks'] },
  );

  it('round trip through JSON, and counted by the layers they make', () => {
    fc.assert(
      fc.property(plans, (given) => {
        const plan = parsePlan(given);
        expect(parsePlan(JSON.stringify(plan))).toEqual(plan);
        const made = network(given as unknown as Plan);
        expect(made.plan).toEqual(plan);
        expect(network(JSON.stringify(made.plan)).layers).toEqual(made.layers);
        const { rows, parameters } = summarize(made);
        expect(rows).toHaveLength(made.layers.length);
        expect(parameters).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });

  it('no text at all makes the parser throw anything but its own error', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.jsonValue().map((value) => JSON.stringify({ blocks: value })),
        ),
        (text) => {
          try {
            parsePlan(text);
          } catch (error) {
            expect(error).toMatchObject({ name: 'VggError', code: 'VGG_ARCHITECTURE' });
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('suggest', () => {
  it('edit distances', () => {
    expect([editDistance('', 'abc'), editDistance('kitten', 'sitting'), editDistance('a', 'a'), editDistance('vgg61', 'vgg16')]).toEqual([
      3, 3, 0, 1,
    ]);
  });
  it('nothing where nothing is near', () => {
    expect(suggest('resnet50', ['vgg16', 'vgg19'])).toBeUndefined();
    expect(suggest('vgg9', ['vgg16', 'vgg19'])).toBe('vgg19');
  });
});
