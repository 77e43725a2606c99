import { isVggError } from '@vgg/errors';
import { describe, expect, it } from 'vitest';
import { concat } from '../../src/bytes.js';
import { entryBytes, nodeBytes, tensorHead, valueBytes } from '../../src/formats/onnx/encode.js';
import { onnx } from '../../src/formats/onnx/index.js';
import { ATTRIBUTE, GRAPH, MODEL, NODE, TENSOR } from '../../src/formats/onnx/schema.js';
import { bytesField, bytesHead, floatField, numberField, varint } from '../../src/formats/protobuf/encode.js';
import { bytesSource, type Source, type WeightFile } from '../../src/index.js';
import { counted, fixture, refuses } from '../helpers.js';
import { random } from '../random.js';

const model = (...parts: Uint8Array[]) => concat([numberField(MODEL.irVersion, 8), bytesField(MODEL.graph, concat(parts))]);
const node = (op: string, inputs: string[], output: string, attributes = {}) =>
  bytesField(GRAPH.node, nodeBytes(op, output, inputs, output, attributes));
const tensor = (name: string, shape: number[], ...data: Uint8Array[]) =>
  bytesField(GRAPH.initializer, concat([tensorHead(name, shape, 1), ...data]));
const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
const raw = (...values: number[]) => bytesField(TENSOR.rawData, floats(...values));
const OUTPUT = bytesField(GRAPH.output, valueBytes('y', [1, 2]));

function open(bytes: Uint8Array, siblings: ReadonlyMap<string, Uint8Array> = new Map()): Promise<WeightFile> {
  return onnx.open({ ...bytesSource(bytes, 'a.onnx'), sibling: async (name) => siblingOf(siblings, name) });
}

function siblingOf(siblings: ReadonlyMap<string, Uint8Array>, name: string): Source | undefined {
  const bytes = siblings.get(name);
  return bytes && bytesSource(bytes, name);
}

const corrupt = (bytes: Uint8Array, text: string | RegExp) => refuses(open(bytes), 'VGG_INTEGRITY', text);

/** A tensor of two floats whose values are elsewhere. */
function external(location: string, more: Record<string, string> = {}): Uint8Array {
  const entries = Object.entries({ location, ...more }).map(([key, value]) => bytesField(TENSOR.externalData, entryBytes(key, value)));
  return tensor('w', [2], ...entries, numberField(TENSOR.dataLocation, 1));
}

describe('ONNX values outside the file', () => {
  it('are read from a plain name beside it, and from nowhere else', async () => {
    const beside = new Map([['w.bin', floats(9, 1, 2)]]);
    const file = await open(model(external('w.bin', { offset: '4', length: '8' })), beside);
    expect([...(await file.read('w'))]).toEqual([1, 2]);
    const asked: string[] = [];
    const spy = (bytes: Uint8Array): Source => ({
      ...bytesSource(bytes, 'a.onnx'),
      async sibling(name) {
        asked.push(name);
        return undefined;
      },
    });
    for (const location of [
      '/etc/passwd',
      '../x',
      '..',
      '.',
      'a/../../x',
      'sub/x',
      'http://example.com/x',
      '//example.com/x',
      'C:\\x',
      '..\\x',
      'file:x',
      '',
      '__proto__',
      'a\0b',
    ]) {
      await refuses(onnx.open(spy(model(external(location)))), 'VGG_INTEGRITY', 'plain name');
    }
    expect(asked).toEqual([]);
  });

  it('lie inside their file', async () => {
    const beside = new Map([['w.bin', new Uint8Array(12)]]);
    const at = (more: Record<string, string>) => open(model(external('w.bin', more)), beside);
    await refuses(at({ offset: '5' }), 'VGG_INTEGRITY', 'w.bin to have 13 bytes');
    await refuses(at({ offset: '9007199254740991' }), 'VGG_INTEGRITY', 'w.bin to have');
    await refuses(at({ offset: '99999999999999999999' }), 'VGG_INTEGRITY', 'whole number as the offset');
    await refuses(at({ offset: '-4' }), 'VGG_INTEGRITY', 'whole number as the offset');
    await refuses(at({ offset: '0x4' }), 'VGG_INTEGRITY', 'whole number as the offset');
    await refuses(at({ length: '12' }), 'VGG_INTEGRITY', 'a length of 12');
    await refuses(at({ length: '1e1' }), 'VGG_INTEGRITY', 'whole number as the length');
  });

  it('are in a few files at most', async () => {
    const entries = (i: number) => bytesField(TENSOR.externalData, entryBytes('location', `${i}.bin`));
    const many = Array.from({ length: 300 }, (_, i) => tensor(`w${i}`, [1], entries(i), numberField(TENSOR.dataLocation, 1)));
    await corrupt(model(...many), 'at most 256 files');
  });

  it('give back the files that were opened, also where one cannot be', async () => {
    let closed = 0;
    const beside = (bytes: Uint8Array): Source => ({
      ...bytesSource(bytes, 'a.onnx'),
      sibling: async (name) => ({ ...bytesSource(new Uint8Array(8), name), close: async () => void closed++ }),
    });
    await (await onnx.open(beside(model(external('w.bin'))))).close();
    expect(closed).toBe(1);
    await refuses(onnx.open(beside(model(external('w.bin'), tensor('v', [3], raw(1))))), 'VGG_INTEGRITY', '12 bytes');
    expect(closed).toBe(2);
  });
});

describe('ONNX tensors', () => {
  it('have shapes that can be', async () => {
    await corrupt(model(tensor('w', [-2], raw(1))), 'whole numbers');
    await corrupt(model(tensor('w', [2 ** 30, 2 ** 30], raw(1))), 'at most 268435456 values');
    await corrupt(model(tensor('w', [2 ** 62, 4], raw())), /whole numbers|at most/);
    await corrupt(model(tensor('w', Array<number>(9).fill(1), raw(1))), '8 axes');
    await corrupt(model(tensor('w', Array<number>(100_000).fill(1), raw(1))), '8 axes');
  });

  it('have as many values as their shape says', async () => {
    await corrupt(model(tensor('w', [3], raw(1, 2))), 'expected 12 bytes for the values of "w", received 8');
    await corrupt(model(tensor('w', [3])), 'received 0');
    const list = (...values: number[]) => bytesField(TENSOR.floatData, floats(...values));
    await corrupt(model(tensor('w', [3], list(1, 2))), 'expected 3 values for the values of "w", received 2');
    await corrupt(model(tensor('w', [2], list(1, 2, 3))), 'received 3');
    await corrupt(model(tensor('w', [2], bytesField(TENSOR.floatData, new Uint8Array(7)))), 'received 1.75');
    const halves = (...values: number[]) =>
      bytesField(GRAPH.initializer, concat([tensorHead('w', [4], 10), bytesField(TENSOR.int32Data, concat(values.map(varint)))]));
    expect([...(await (await open(model(halves(0x3c00, 0xc000, 0, 0x3800)))).read('w'))]).toEqual([1, -2, 0, 0.5]);
    await corrupt(model(halves(1, 2, 3)), 'received 1 to 3');
    // As many bytes as four numbers may have, but three numbers.
    await refuses((await open(model(halves(1, 2, 0x3c00)))).read('w'), 'VGG_INTEGRITY', 'expected 4 values');
  });

  it('may hold their numbers apart or in several lists, in the order they come', async () => {
    const apart = [1, 2].map((value) => floatField(TENSOR.floatData, value));
    const lists = [bytesField(TENSOR.floatData, floats(3, 4)), bytesField(TENSOR.floatData, floats(5))];
    const file = await open(model(tensor('a', [2], ...apart), tensor('b', [3], ...lists), tensor('c', [5], ...apart, ...lists)));
    expect([...(await file.read('a'))]).toEqual([1, 2]);
    expect([...(await file.read('b'))]).toEqual([3, 4, 5]);
    expect([...(await file.read('c'))]).toEqual([1, 2, 3, 4, 5]);
    const split = [3, 5].map((size) => bytesField(TENSOR.floatData, new Uint8Array(size)));
    await refuses((await open(model(tensor('w', [2], ...split)))).read('w'), 'VGG_INTEGRITY', 'half a number');
    const many = concat(Array.from({ length: 2 ** 18 + 1 }, () => floatField(TENSOR.floatData, 0)));
    await corrupt(model(tensor('w', [2 ** 18 + 1], many)), 'numbers apart');
  });

  it('have one name each', async () => {
    await corrupt(model(tensor('w', [1], raw(1)), tensor('w', [1], raw(2))), '"w" again');
    await corrupt(model(tensor('', [1], raw(1))), '"" again');
    const constant = concat([
      bytesField(NODE.output, 'w'),
      bytesField(NODE.opType, 'Constant'),
      bytesField(
        NODE.attribute,
        concat([bytesField(ATTRIBUTE.name, 'value'), bytesField(ATTRIBUTE.tensor, concat([tensorHead('', [1], 1), raw(1)]))]),
      ),
    ]);
    await corrupt(model(tensor('w', [1], raw(1)), bytesField(GRAPH.node, constant)), '"w" again');
  });

  it('of names that objects have are like any other', async () => {
    const file = await open(model(tensor('__proto__', [2], raw(1, 2)), tensor('constructor', [2], raw(3, 4))));
    expect([...(await file.read('__proto__'))]).toEqual([1, 2]);
    expect([...file.tensors.keys()]).toEqual(['__proto__', 'constructor']);
  });

  it('of text or complex numbers are no weights', async () => {
    const text = bytesField(GRAPH.initializer, concat([tensorHead('labels', [2], 8), bytesField(TENSOR.stringData, 'a')]));
    expect([...(await open(model(text, tensor('w', [2], raw(1, 2))))).tensors.keys()]).toEqual(['w']);
    const complex = bytesField(GRAPH.initializer, tensorHead('w', [1, 1, 1, 1], 14));
    await refuses(open(model(complex, node('Conv', ['x', 'w'], 'y'), OUTPUT)), 'VGG_FORMAT', 'type 14');
  });

  it('are quantised by as many scales as there are channels', async () => {
    const dequantise = (scales: number[], axis: number) => [
      bytesField(GRAPH.initializer, concat([tensorHead('q', [2, 3], 3), bytesField(TENSOR.rawData, new Uint8Array(6).fill(2))])),
      tensor('s', [scales.length], raw(...scales)),
      node('DequantizeLinear', ['q', 's'], 'w', { axis: { int: axis } }),
      node('Gemm', ['x', 'w'], 'y', { transB: { int: 1 } }),
      OUTPUT,
    ];
    const file = await open(model(...dequantise([1, 2, 3], -1)));
    expect([...(await file.read('dense0.weight'))]).toEqual([2, 4, 6, 2, 4, 6]);
    await corrupt(model(...dequantise([1, 2], 1)), 'one scale and zero point');
    await corrupt(model(...dequantise([1, 2], 7)), 'one scale and zero point');
  });
});

describe('ONNX graphs', () => {
  it('that go in a circle are refused', async () => {
    await corrupt(model(node('Relu', ['b'], 'a'), node('Relu', ['a'], 'b'), node('Relu', ['b'], 'y'), OUTPUT), 'circle');
    await corrupt(model(node('Relu', ['y'], 'y'), OUTPUT), 'circle');
  });

  it('may have their nodes in any order', async () => {
    const file = await open(model(node('Softmax', ['b'], 'y'), node('Flatten', ['a'], 'b'), node('Relu', ['x'], 'a'), OUTPUT));
    expect(file.graph?.layers.map(({ kind }) => kind)).toEqual(['relu', 'flatten', 'softmax']);
  });

  it('that give a value twice are refused', async () => {
    await corrupt(model(node('Relu', ['x'], 'y'), node('Relu', ['x'], 'y'), OUTPUT), '"y" twice');
  });

  it('of too many nodes are refused soon', async () => {
    const one = node('Relu', ['x'], '');
    const many = new Uint8Array(one.length * 1_000_000);
    for (let at = 0; at < many.length; at += one.length) many.set(one, at);
    const source = counted(bytesSource(model(many), 'a.onnx'));
    await refuses(onnx.open(source), 'VGG_INTEGRITY', '16384 nodes');
    expect(source.bytes).toBeLessThan(2_000_000);
  });

  it('of too many fields are refused soon, even where these hold nothing', async () => {
    const empty = new Uint8Array(16_000_000);
    for (let at = 0; at < empty.length; at += 2) empty[at] = NODE.input * 8 + 2;
    const source = counted(bytesSource(model(...Array.from({ length: 4 }, () => bytesField(GRAPH.node, empty))), 'a.onnx'));
    await refuses(onnx.open(source), 'VGG_INTEGRITY', 'at most');
    expect(source.bytes).toBeLessThan(10_000_000);
  });

  it('hold texts of a reasonable length', async () => {
    const long = new Uint8Array(100_000_000).fill(0x61);
    const head = (field: number) => bytesHead(field, long.length);
    for (const bytes of [
      concat([numberField(MODEL.irVersion, 8), head(MODEL.producerName), long]),
      model(concat([head(GRAPH.name), long])),
      model(bytesField(GRAPH.initializer, concat([head(TENSOR.name), long]))),
      model(bytesField(GRAPH.node, concat([head(NODE.opType), long]))),
    ]) {
      const source = counted(bytesSource(bytes, 'a.onnx'));
      await refuses(onnx.open(source), 'VGG_INTEGRITY', '4096 bytes of text');
      expect(source.bytes).toBeLessThan(100_000);
    }
    // Notes for people are passed over.
    const file = await open(model(concat([bytesHead(10, long.length), long]), tensor('w', [2], raw(1, 2))));
    expect(file.tensors.size).toBe(1);
  });

  it('in graphs, as of Loop and If, are not looked into', async () => {
    let body: Uint8Array = new Uint8Array(0);
    for (let depth = 0; depth < 2000; depth++) {
      const attribute = concat([bytesField(ATTRIBUTE.name, 'body'), bytesField(6, body)]);
      body = bytesField(
        GRAPH.node,
        concat([bytesField(NODE.opType, 'Loop'), bytesField(NODE.output, 'y'), bytesField(NODE.attribute, attribute)]),
      );
    }
    const file = await open(model(body, OUTPUT));
    expect(file.graph?.layers).toEqual([{ kind: 'other', name: 'y', type: 'Loop' }]);
  });

  it('of forms of forms of a weight do not take long', async () => {
    // Each scale would be the one before twice, if scales were looked up like weights.
    const doubling = Array.from({ length: 60 }, (_, i) => node('DequantizeLinear', [`w${i}`, `w${i}`], `w${i + 1}`));
    const chain = Array.from({ length: 7_000 }, (_, i) => node('Identity', [`i${i}`], `i${i + 1}`));
    const users = Array.from({ length: 7_000 }, (_, i) => node('Gemm', [i ? `g${i}` : 'x', 'i7000'], i === 6_999 ? 'y' : `g${i + 1}`));
    const weights = [tensor('w0', [2, 2], raw(1, 2, 3, 4)), tensor('i0', [2, 2], raw(1, 2, 3, 4))];
    const file = await open(model(...weights, ...doubling, ...chain, ...users, OUTPUT));
    expect(file.graph?.layers.every(({ kind }) => kind === 'other')).toBe(true);
  });

  it('that are not there are said to be missing', async () => {
    await refuses(open(numberField(MODEL.irVersion, 8)), 'VGG_FORMAT', 'with a graph');
    await corrupt(concat([model(), bytesField(MODEL.graph, new Uint8Array(0))]), 'two graphs');
    expect((await open(model(tensor('w', [2], raw(1, 2))))).graph).toBeUndefined();
  });
});

describe('ONNX files that were cut or changed', () => {
  const FIXTURES = ['onnx-torch-bn.onnx', 'onnx-types.onnx', 'onnx-qlinear.onnx', 'onnx-tensorflow.onnx', 'onnx-external.onnx'];

  it('are refused wherever the graph ends early', async () => {
    for (const name of FIXTURES) {
      const bytes = await fixture(`onnx/${name}`);
      // Only what stands behind the graph can be missing without a trace.
      const end = bytes.lastIndexOf(MODEL.opsetImport * 8 + 2);
      for (let length = 40; length < end; length += 97) {
        await refuses(open(bytes.subarray(0, length)), 'VGG_INTEGRITY', 'a.onnx');
      }
    }
  });

  it('give clean errors or whole tensors', async () => {
    const next = random(7);
    const outcome = { opened: 0, refused: 0 };
    for (const name of FIXTURES) {
      const sound = await fixture(`onnx/${name}`);
      const beside = new Map([['onnx-external.bin', await fixture('onnx/onnx-external.bin')]]);
      for (let i = 0; i < 120; i++) {
        const bytes = sound.slice();
        for (let k = 0; k <= i % 4; k++) bytes[Math.floor(next() * bytes.length)] = next() < 0.5 ? Math.floor(next() * 256) : 0xff;
        try {
          const file = await open(bytes, beside);
          for (const { name: tensorName, shape, present } of file.tensors.values()) {
            if (present) expect((await file.read(tensorName)).length).toBe(shape.reduce((a, b) => a * b, 1));
          }
          outcome.opened++;
        } catch (error) {
          expect(isVggError(error), String(error)).toBe(true);
          outcome.refused++;
        }
      }
    }
    expect(outcome.opened).toBeGreaterThan(50);
    expect(outcome.refused).toBeGreaterThan(50);
  });
});
