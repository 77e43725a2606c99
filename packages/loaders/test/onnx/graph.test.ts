import { describe, expect, it } from 'vitest';
import { concat } from '../../src/bytes.js';
import { type AttributeValue, nodeBytes, tensorHead, valueBytes } from '../../src/formats/onnx/encode.js';
import { onnx } from '../../src/formats/onnx/index.js';
import { ATTRIBUTE, ELEMENT, GRAPH, MODEL, TENSOR } from '../../src/formats/onnx/schema.js';
import { bytesField, numberField } from '../../src/formats/protobuf/encode.js';
import { bytesSource, type WeightFile } from '../../src/index.js';

/** Forms of layers that programs other than those of the fixtures write, node by node. */

type Attributes = Readonly<Record<string, AttributeValue>>;

const node = (op: string, inputs: string[], output: string, attributes: Attributes = {}) =>
  bytesField(GRAPH.node, nodeBytes(op, '', inputs, output, attributes));
const stored = (name: string, shape: number[], type: number, values: Float32Array | Int8Array | Uint8Array | BigInt64Array | Int32Array) =>
  bytesField(GRAPH.initializer, concat([tensorHead(name, shape, type), bytesField(TENSOR.rawData, new Uint8Array(values.buffer))]));
const count = (shape: number[]) => shape.reduce((product, size) => product * size, 1);
const floats = (name: string, shape: number[], value?: number) =>
  stored(
    name,
    shape,
    ELEMENT.float32,
    Float32Array.from({ length: count(shape) }, (_, i) => value ?? i),
  );
const whole = (name: string, ...values: number[]) => stored(name, [values.length], ELEMENT.int64, BigInt64Array.from(values, BigInt));
const bytes = (name: string, shape: number[], value: number) => stored(name, shape, ELEMENT.int8, new Int8Array(count(shape)).fill(value));

async function read(...parts: Uint8Array[]): Promise<WeightFile> {
  const graph = concat([...parts, bytesField(GRAPH.output, valueBytes('y', [1, 2]))]);
  const model = concat([numberField(MODEL.irVersion, 8), bytesField(MODEL.graph, graph)]);
  return onnx.open(bytesSource(model, 'a.onnx'));
}

/** The layers without their names. */
async function layers(...parts: Uint8Array[]): Promise<object[]> {
  return (await read(...parts)).graph!.layers.map(({ name: _, ...layer }) => layer);
}

const FILTERS = floats('w', [2, 3, 3, 3]);
const CONV = { kind: 'conv', in: 3, out: 2, kernel: [3, 3], stride: 1, pad: 0, dilation: 1, groups: 1, bias: false };
const ints = (...values: number[]) => ({ ints: values });
const conv = (attributes: Attributes = {}) => node('Conv', ['x', 'w'], 'y', attributes);

describe("ONNX's convolutions", () => {
  it('have pads on every side, or such that the size stays', async () => {
    for (const [attributes, pad] of [
      [{}, 0],
      [{ pads: ints(2, 2, 2, 2) }, 2],
      [{ auto_pad: 'VALID' }, 0],
      [{ auto_pad: 'SAME_UPPER' }, 'same'],
      [{ auto_pad: 'SAME_LOWER' }, 'same'],
    ] as const) {
      expect(await layers(FILTERS, conv(attributes))).toEqual([{ ...CONV, pad }]);
    }
    const wide = floats('w', [2, 3, 1, 4]);
    expect(await layers(wide, conv({ pads: ints(0, 1, 0, 2) }))).toEqual([{ ...CONV, kernel: [1, 4], pad: 'same' }]);
    const others: Attributes[] = [
      { pads: ints(0, 2, 0, 1) },
      { pads: ints(0, 1, 0, 2), strides: ints(2, 2) },
      { auto_pad: 'SAME_LOWER' },
      { strides: ints(1, 2) },
      { dilations: ints(1, 2) },
      { strides: ints(-1, -1) },
    ];
    for (const attributes of others) expect(await layers(wide, conv(attributes))).toEqual([{ kind: 'other', type: 'Conv' }]);
  });

  it('may follow a Pad: reflected, or of zeros', async () => {
    const pads = whole('p', 0, 0, 1, 1, 0, 0, 1, 1);
    const behind = node('Conv', ['a', 'w'], 'y');
    expect(await layers(FILTERS, pads, node('Pad', ['x', 'p'], 'a', { mode: 'reflect' }), behind)).toEqual([
      { ...CONV, pad: 1, padding: 'reflect' },
    ]);
    expect(await layers(FILTERS, pads, node('Pad', ['x', 'p'], 'a'), behind)).toEqual([{ ...CONV, pad: 1 }]);
    expect(await layers(FILTERS, node('Pad', ['x'], 'a', { pads: ints(0, 0, 2, 2, 0, 0, 2, 2) }), behind)).toEqual([{ ...CONV, pad: 2 }]);
    const others = [
      [pads, node('Pad', ['x', 'p'], 'a', { mode: 'edge' })],
      [whole('p', 0, 0, 1, 0, 0, 0, 1, 0), node('Pad', ['x', 'p'], 'a')],
      [pads, floats('v', [], 1), node('Pad', ['x', 'p', 'v'], 'a')],
    ];
    for (const parts of others) expect((await layers(FILTERS, ...parts, behind))[0]).toEqual({ kind: 'other', type: 'Pad' });
  });

  it('may have a Relu of their own, and a bias added behind', async () => {
    expect(await layers(FILTERS, node('FusedConv', ['x', 'w'], 'y', { activation: 'Relu' }))).toEqual([CONV, { kind: 'relu' }]);
    expect(await layers(FILTERS, node('FusedConv', ['x', 'w'], 'y', { activation: 'Tanh' }))).toEqual([
      { kind: 'other', type: 'FusedConv' },
    ]);
    const file = await read(FILTERS, floats('b', [2, 1, 1], 7), node('Conv', ['x', 'w'], 'a'), node('Add', ['a', 'b'], 'y'));
    expect(file.graph?.layers).toHaveLength(1);
    expect([...(await file.read('conv0.bias'))]).toEqual([7, 7]);
    // One number for all channels is no bias of a layer.
    expect(await layers(FILTERS, floats('b', [1]), node('Conv', ['x', 'w'], 'a'), node('Add', ['a', 'b'], 'y'))).toEqual([
      CONV,
      { kind: 'other', type: 'Add' },
    ]);
  });

  it('whose filters are computed as the network runs are none', async () => {
    expect(await layers(node('Relu', ['x'], 'a'), node('Conv', ['x', 'a'], 'y'))).toEqual([{ kind: 'other', type: 'Conv' }]);
  });
});

describe("ONNX's other layers", () => {
  it('pools: rounding, cells outside the map, the mean of squares', async () => {
    const pool = { kind: 'pool', pool: 'max', size: 3, stride: 2, pad: 0, rounding: 'floor' };
    const window = { kernel_shape: ints(3, 3), strides: ints(2, 2) };
    for (const [op, attributes, expected] of [
      ['MaxPool', {}, pool],
      ['MaxPool', { ceil_mode: { int: 1 } }, { ...pool, rounding: 'ceil' }],
      ['MaxPool', { pads: ints(0, 0, 1, 1) }, { ...pool, rounding: 'ceil' }],
      ['MaxPool', { pads: ints(1, 1, 1, 1) }, { ...pool, pad: 1 }],
      ['MaxPool', { auto_pad: 'SAME_UPPER' }, { ...pool, pad: 'same' }],
      ['AveragePool', {}, { ...pool, pool: 'average' }],
      ['AveragePool', { count_include_pad: { int: 1 } }, { ...pool, pool: 'average' }],
      ['AveragePool', { count_include_pad: { int: 1 }, pads: ints(1, 1, 1, 1) }, { kind: 'other', type: 'AveragePool' }],
      ['MaxPool', { strides: ints(2, 1) }, { kind: 'other', type: 'MaxPool' }],
      ['MaxPool', { dilations: ints(2, 2) }, { kind: 'other', type: 'MaxPool' }],
    ] as const) {
      expect(await layers(node(op, ['x'], 'y', { ...window, ...attributes }))).toEqual([expected]);
    }
    const squared = (input: string) => [node('Mul', ['x', input], 'a'), node('AveragePool', ['a'], 'b', window), node('Sqrt', ['b'], 'y')];
    expect(await layers(...squared('x'))).toEqual([{ ...pool, pool: 'l2' }]);
    expect((await layers(...squared('z')))[0]).toEqual({ kind: 'other', type: 'Mul' });
  });

  it('LRN with its sum, not its mean; dropout; means', async () => {
    const alpha = { size: { int: 5 }, alpha: { float: 1e-4 }, beta: { float: 0.5 }, bias: { float: 2 } };
    expect(await layers(node('LRN', ['x'], 'y', alpha))).toEqual([{ kind: 'lrn', radius: 2, alpha: 2e-5, beta: 0.5, bias: 2 }]);
    expect(await layers(node('LRN', ['x'], 'y', { size: { int: 4 } }))).toEqual([{ kind: 'other', type: 'LRN' }]);
    expect(await layers(floats('r', [], 0.3), node('Dropout', ['x', 'r'], 'y'))).toEqual([{ kind: 'dropout', rate: 0.3 }]);
    expect(await layers(node('Dropout', ['x'], 'y'))).toEqual([{ kind: 'dropout', rate: 0.5 }]);
    expect(await layers(node('ReduceMean', ['x'], 'y', { axes: ints(-1, -2) }))).toEqual([{ kind: 'mean' }]);
    expect(await layers(whole('a', 2, 3), node('ReduceMean', ['x', 'a'], 'y'))).toEqual([{ kind: 'mean' }]);
    expect(await layers(node('ReduceMean', ['x'], 'y', { axes: ints(1) }))).toEqual([{ kind: 'other', type: 'ReduceMean' }]);
  });

  it('flattens, also by sizes that PyTorch computes as it runs, and not twice', async () => {
    const gemm = node('Gemm', ['f', 'm'], 'y');
    const computed = [
      node('Shape', ['x'], 's'),
      node('Gather', ['s', 'zero'], 'n'),
      node('Concat', ['n', 'rest'], 'to'),
      node('Reshape', ['x', 'to'], 'f'),
    ];
    const dense = { kind: 'dense', in: 4, out: 3, bias: false };
    expect(await layers(floats('m', [4, 3]), whole('zero', 0), whole('rest', -1), ...computed, gemm)).toEqual([{ kind: 'flatten' }, dense]);
    expect(await layers(whole('to', 0, -1), node('Reshape', ['x', 'to'], 'f'), node('Flatten', ['f'], 'y'))).toEqual([{ kind: 'flatten' }]);
    expect(await layers(whole('to', 0, 2, -1), node('Reshape', ['x', 'to'], 'y'))).toEqual([{ kind: 'other', type: 'Reshape' }]);
    expect(await layers(node('Flatten', ['x'], 'y', { axis: { int: 2 } }))).toEqual([{ kind: 'other', type: 'Flatten' }]);
    expect(await layers(node('GlobalAveragePool', ['x'], 'f'), node('Flatten', ['f'], 'y'))).toEqual([{ kind: 'mean' }]);
  });

  it('dense layers that are scaled, or whose matrix comes first, are none', async () => {
    const m = floats('m', [4, 3]);
    for (const one of [
      node('Gemm', ['x', 'm'], 'y', { alpha: { float: 0.5 } }),
      node('Gemm', ['x', 'm'], 'y', { transA: { int: 1 } }),
      node('Gemm', ['m', 'x'], 'y'),
      node('MatMul', ['m', 'x'], 'y'),
    ]) {
      expect((await layers(m, one))[0]).toMatchObject({ kind: 'other' });
    }
  });
});

describe("ONNX's weights", () => {
  it('are the floats where a network was trained to be quantised', async () => {
    const file = await read(
      floats('m', [2, 2]),
      floats('s', [], 0.5),
      node('QuantizeLinear', ['m', 's'], 'q'),
      node('DequantizeLinear', ['q', 's'], 'd'),
      node('MatMul', ['x', 'd'], 'y'),
    );
    expect([...(await file.read('dense0.weight'))]).toEqual([0, 2, 1, 3]);
  });

  it('of matrix products on whole numbers have their bias in a QLinearAdd', async () => {
    const unsigned = (name: string, value: number) => stored(name, [], 2, Uint8Array.of(value));
    const zeros = (at: number) => [
      unsigned('xz', 3),
      unsigned('yz', at),
      stored('wz', [], 3, Int8Array.of(1)),
      stored('bz', [], 3, Int8Array.of(0)),
    ];
    const scales = ['xs', 'ws', 'ys', 'bs'].map((name, i) => floats(name, [], [0.5, 0.25, 1, 2][i]));
    const product = [
      bytes('w', [3, 2], 5),
      bytes('b', [2], 7),
      node('QLinearMatMul', ['x', 'xs', 'xz', 'w', 'ws', 'wz', 'ys', 'yz'], 'a'),
      node('QLinearAdd', ['a', 'ys', 'yz', 'b', 'bs', 'bz', 'ys', 'yz'], 'y'),
    ];
    const file = await read(...scales, ...zeros(9), ...product);
    expect(file.graph?.layers).toEqual([{ kind: 'dense', name: 'dense0', in: 3, out: 2, bias: true }]);
    expect([...(await file.read('dense0.weight'))]).toEqual(Array(6).fill(1));
    expect([...(await file.read('dense0.bias'))]).toEqual([14, 14]);
    expect(await layers(...scales, ...zeros(0), ...product)).toMatchObject([{ kind: 'dense' }, { kind: 'relu' }]);
  });

  it('keep the names that tell their layers, and are counted in the order they run where one does not', async () => {
    const net = (first: string, second: string) =>
      read(
        node('Gemm', ['a', second], 'y'),
        floats(second, [2, 2]),
        floats(first, [2, 2]),
        node('Gemm', ['x', first], 'a'),
        floats('mean_image', [3, 2]),
      );
    const names = async (first: string, second: string) => [...(await net(first, second)).tensors.keys()];
    expect(await names('stem.weight', 'head.weight')).toEqual(['stem.weight', 'head.weight', 'mean_image']);
    expect(await names('stem.weight', '37')).toEqual(['dense0.weight', 'dense1.weight', 'mean_image']);
    expect(await names('0', 'dense0.weight')).toEqual(['dense0.weight', 'dense1.weight', 'mean_image']);
    const shared = await read(floats('w.weight', [2, 2]), node('Gemm', ['x', 'w.weight'], 'a'), node('Gemm', ['a', 'w.weight'], 'y'));
    expect([...shared.tensors.keys()]).toEqual(['dense0.weight', 'dense1.weight']);
    const taken = await read(floats('7', [2, 2]), floats('dense0.weight', [2, 2], 5), node('Gemm', ['x', '7'], 'y'));
    const [, other] = [...taken.tensors.values()];
    expect(other).toMatchObject({ storedAs: 'dense0.weight' });
    expect([...(await taken.read(other!.name))]).toEqual([5, 5, 5, 5]);
  });

  it('may be in Constant nodes, as lists too', async () => {
    const list = concat([
      bytesField(ATTRIBUTE.name, 'value_floats'),
      bytesField(ATTRIBUTE.floats, new Uint8Array(Float32Array.of(1, 2).buffer)),
    ]);
    const constant = bytesField(GRAPH.node, concat([bytesField(2, 'b'), bytesField(4, 'Constant'), bytesField(5, list)]));
    const file = await read(floats('m', [2, 2]), constant, node('Gemm', ['x', 'm', 'b'], 'y'));
    expect([...(await file.read('dense0.bias'))]).toEqual([1, 2]);
  });
});

describe("ONNX's graphs", () => {
  it('with side ways are the longest way; joins are other layers', async () => {
    const taps = [
      node('Relu', ['x'], 'a'),
      node('Softmax', ['a'], 'side'),
      node('Relu', ['a'], 'b'),
      node('Relu', ['b'], 'y'),
      bytesField(GRAPH.output, valueBytes('side', [1])),
    ];
    expect(await layers(...taps)).toEqual([{ kind: 'relu' }, { kind: 'relu' }, { kind: 'relu' }]);
    expect(await layers(node('Relu', ['x'], 'a'), node('Relu', ['x'], 'b'), node('Add', ['a', 'b'], 'y'))).toEqual([
      { kind: 'relu' },
      { kind: 'other', type: 'Add' },
    ]);
  });

  it('name each layer once', async () => {
    const same = (input: string, output: string) => bytesField(GRAPH.node, nodeBytes('Relu', 'relu', [input], output, {}));
    const { graph } = await read(same('x', 'a'), same('a', 'b'), same('b', 'y'));
    expect(new Set(graph!.layers.map(({ name }) => name)).size).toBe(3);
    expect(graph!.layers[0]!.name).toBe('relu');
  });
});
