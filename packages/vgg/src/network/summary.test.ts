import { describe, expect, it } from 'vitest';
import { network } from './architecture.js';
import { formatSummary } from './format-summary.js';
import { compareStack, summarize } from './summary.js';

const features = { top: false } as const;

describe('parameters and MACs of the paper', () => {
  it.each([
    // column, convolutions, features, all, all with batch norm, GMACs of the features, GMACs
    ['A', 8, 9_220_480, 132_863_336, 132_868_840, 7.49, 7.61],
    ['A-LRN', 8, 9_220_480, 132_863_336, 132_868_840, 7.49, 7.61],
    ['B', 10, 9_404_992, 133_047_848, 133_053_736, 11.18, 11.31],
    ['C', 13, 9_996_096, 133_638_952, 133_647_400, 11.65, 11.77],
    ['D', 13, 14_714_688, 138_357_544, 138_365_992, 15.35, 15.47],
    ['E', 16, 20_024_384, 143_667_240, 143_678_248, 19.51, 19.63],
  ])('%s', (column, convolutions, conv, total, totalBn, convGmacs, gmacs) => {
    const plain = summarize(network(column));
    expect(plain.rows.filter((row) => row.kind === 'conv')).toHaveLength(convolutions);
    expect(plain.features.parameters).toBe(conv);
    expect(plain.parameters).toBe(total);
    expect(plain.features.macs / 1e9).toBeCloseTo(convGmacs, 2);
    expect(plain.macs / 1e9).toBeCloseTo(gmacs, 2);
    expect(summarize(network(`${column}+BN`)).parameters).toBe(totalBn);
    expect(summarize(network(column, { batchNorm: true })).parameters).toBe(totalBn);
    expect(summarize(network(column, features)).parameters).toBe(conv);
    expect(summarize(network(column, { convolutionalTop: true })).parameters).toBe(total);
    expect(summarize(network(column, { convolutionalTop: true })).macs).toBe(plain.macs);
  });

  it('presets of the two small nets', () => {
    expect(summarize(network('cifar_vgg16_bn')).parameters).toBe(14_724_675);
    expect(summarize(network('vgg19_3pool')).parameters).toBe(70_405_194);
    expect(summarize(network('vgg19', { size: 32, classes: 10 })).parameters).toBe(38_947_914);
  });

  it('D: weights without biases, and the share of fc6', () => {
    const { parameters, biases, rows, parameterBytes } = summarize(network('D'));
    expect(parameters - biases).toBe(138_344_128);
    expect(biases).toBe(13_416);
    expect(rows.find((row) => row.name === 'fc6')!.parameters).toBe(102_764_544);
    expect(102_764_544 / parameters).toBeCloseTo(0.743, 3);
    expect(parameterBytes / 2 ** 20).toBeCloseTo(527.8, 1);
    expect(summarize(network('D_bn')).statistics).toBe(2 * 4224);
  });

  it("the weights of each layer that article 0 lists, for what is VGG-16's and not VGG-19's", () => {
    const rows = summarize(network('vgg16')).rows.filter((row) => row.parameters > 0);
    expect(rows.map((row) => row.parameters - row.biases)).toEqual([
      1728, 36_864, 73_728, 147_456, 294_912, 589_824, 589_824, 1_179_648, 2_359_296, 2_359_296, 2_359_296, 2_359_296, 2_359_296,
      102_760_448, 16_777_216, 4_096_000,
    ]);
  });

  it('three 3x3 convolutions against one 7x7', () => {
    expect(compareStack(3, 1)).toEqual({ receptiveField: 7, stacked: 27, single: 49, ratio: 27 / 49 });
    expect(compareStack(2, 64)).toMatchObject({ receptiveField: 5, stacked: 18 * 64 ** 2, single: 25 * 64 ** 2 });
    expect(compareStack(3, 512).ratio).toBeCloseTo(0.551, 3);
  });
});

describe('receptive fields and strides', () => {
  it.each([
    [
      'D',
      'conv1_1 3/1, conv1_2 5/1, pool1 6/2, conv2_2 14/2, pool2 16/4, conv3_3 40/4, pool3 44/8, conv4_3 92/8, pool4 100/16, conv5_3 196/16, pool5 212/32',
    ],
    ['E', 'conv3_4 48/4, conv4_4 116/8, conv5_4 252/16, pool5 268/32'],
  ])('%s', (column, expected) => {
    const rows = new Map(summarize(network(column)).rows.map((row) => [row.name, `${row.name} ${row.receptiveField}/${row.stride}`]));
    expect(
      expected
        .split(', ')
        .map((each) => rows.get(each.split(' ')[0]!))
        .join(', '),
    ).toBe(expected);
  });

  it('the dense layers see all that pool5 sees, whether dense or convolutions', () => {
    for (const convolutionalTop of [false, true]) {
      const fc6 = summarize(network('D', { convolutionalTop })).rows.find((row) => row.name === 'fc6')!;
      expect([fc6.receptiveField, fc6.stride]).toEqual([212 + 6 * 32, 32]);
    }
  });
});

describe('shapes', () => {
  const last = (options: object, height: number, width = height) =>
    summarize(network('D', { ...features, ...options }), { height, width }).rows.at(-1)!.output;

  it.each([
    [32, 32, {}, [1, 1, 512]],
    [225, 225, {}, [7, 7, 512]],
    [225, 225, { rounding: 'ceil' }, [8, 8, 512]],
    [384, 513, {}, [12, 16, 512]],
    [384, 513, { rounding: 'ceil' }, [12, 17, 512]],
    [224, 224, { padding: 'reflect' }, [7, 7, 512]],
    [224, 224, { pools: [1, 2, 3, 4] }, [14, 14, 512]],
    [224, 224, { poolStride: 1 }, [219, 219, 512]],
    // 224 -4 /2 = 110, -4 /2 = 53, -6 /2 = 23, -6 /2 = 8, -6 /2 = 1
    [224, 224, { padding: 'valid' }, [1, 1, 512]],
  ] as const)('D, %dx%d, %o', (height, width, options, expected) => {
    expect(last(options, height, width)).toEqual(expected);
  });

  it('D: activation bytes and outputs of the blocks', () => {
    const { rows } = summarize(network('D'));
    const pools = rows.filter((row) => row.kind === 'pool');
    expect(pools.map((row) => row.output.join('x'))).toEqual(['112x112x64', '56x56x128', '28x28x256', '14x14x512', '7x7x512']);
    expect(rows[0]!.activationBytes).toBe(224 * 224 * 64 * 4);
    expect(rows.find((row) => row.name === 'flatten')!.output).toEqual([1, 1, 25088]);
  });

  it('a top of convolutions keeps a map of scores: 2x2 at 256 pixels, one row of scores after the mean', () => {
    const { rows } = summarize(network('D', { convolutionalTop: true }), { height: 256, width: 256 });
    expect(rows.slice(-3).map((row) => [row.name, row.output])).toEqual([
      ['fc8', [2, 2, 1000]],
      ['mean', [1, 1, 1000]],
      ['prob', [1, 1, 1000]],
    ]);
  });

  it.each([
    [() => last({}, 31), 'vgg16: the picture is too small for pool5, which expected at least 2x2 cells and received 1x1'],
    [() => last({ padding: 'valid' }, 60), 'expected at least 3x3 cells'],
    [() => last({ padding: 'reflect' }, 16), 'conv5_1, which expected at least 2x2 cells and received 1x1'],
    [() => summarize(network('D'), { height: 256, width: 256 }), 'vgg16: fc6 expected 25088 values, received 32768'],
    [
      () => summarize(network('D', { convolutionalTop: true }), { height: 200, width: 224 }),
      'fc6, which expected at least 7x7 cells and received 6x7',
    ],
  ])('too small or the wrong size: %#', (call, message) => {
    expect(call).toThrow(expect.objectContaining({ code: 'VGG_SHAPE', message: expect.stringContaining(message) }));
  });
});

describe('formatSummary', () => {
  it('text: aligned, with thousands separators and totals', () => {
    const text = formatSummary(summarize(network('vgg16')));
    const lines = text.split('\n');
    expect(lines[0]).toBe('vgg16, input 224x224x3');
    expect(lines.find((line) => line.startsWith('fc6'))).toMatch(/^fc6 +dense +4096 +102,764,544 +102\.8 +404 +32 +16,384$/);
    expect(lines.find((line) => line.startsWith('total'))).toMatch(/^total +138,357,544 +15,470\.3 +/);
    expect(new Set(lines.slice(2, -2).map((line) => line.length)).size).toBe(1);
    expect(lines.at(-1)).toBe('138,357,544 parameters (89.4 % in the dense layers), 527.8 MiB as float32, 15.47 GMACs a picture');
  });

  it('Markdown: one cell a column', () => {
    const lines = formatSummary(summarize(network('A_bn', features)), { style: 'markdown' }).split('\n');
    expect(lines[2]).toBe('| layer | kind | output | parameters | MMACs | sees | stride | bytes |');
    expect(lines[4]).toBe('| conv1_1 | conv | 224x224x64 | 1,792 | 86.7 | 3 | 1 | 12,845,056 |');
    expect(lines.at(-1)).toContain('5,504 means and variances');
  });
});
