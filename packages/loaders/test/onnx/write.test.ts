import { describe, expect, it } from 'vitest';
import { toFloat16, toFloat32 } from '../../src/dtype.js';
import { onnx } from '../../src/formats/onnx/index.js';
import { onnxWriter } from '../../src/formats/onnx/write.js';
import type { FileGraph, GraphLayer } from '../../src/graph.js';
import { bytesSource, canonicalise, readCanonical, type WeightFile, type WeightSpec } from '../../src/index.js';
import { dequantizeInt8, quantizeInt8 } from '../../src/quantize.js';
import type { WriteRequest } from '../../src/writer.js';
import { refuses } from '../helpers.js';
import { toWrite, written } from '../writing.js';
import { DEEP, toWriteAll, WIDE, weightsOf } from './network.js';

async function bytesOf(request: Omit<WriteRequest, 'name'>): Promise<Uint8Array<ArrayBuffer>> {
  return (await written(onnxWriter.write({ name: 'net.onnx', ...request }))).get('net.onnx')!;
}

async function open(bytes: Uint8Array<ArrayBuffer>): Promise<WeightFile> {
  return onnx.open(bytesSource(bytes, 'net.onnx'));
}

/** What the architecture would ask for. */
function specsOf(graph: FileGraph): WeightSpec[] {
  const weights = weightsOf(graph);
  return graph.layers.flatMap((layer): WeightSpec[] => {
    if (layer.kind === 'batchnorm') return [{ name: layer.name, kind: 'batchnorm', shape: [layer.channels!] }];
    if (layer.kind !== 'conv' && layer.kind !== 'dense') return [];
    const { shape } = weights.get(`${layer.name}.weight`)!;
    return [{ name: layer.name, kind: layer.kind, shape, bias: layer.bias, ...(layer.name === 'fc6' && { flattenedFrom: [2, 2, 10] }) }];
  });
}

/** Reads every canonical tensor of a written network. */
async function readAll(graph: FileGraph, file: WeightFile): Promise<Map<string, Float32Array>> {
  const mapping = canonicalise(file, specsOf(graph));
  expect(mapping).toMatchObject({ missing: [], unknown: [] });
  const all = new Map<string, Float32Array>();
  for (const name of mapping.tensors.keys()) all.set(name, await readCanonical(file, mapping, name));
  return all;
}

describe('the ONNX writer', () => {
  for (const graph of [DEEP, WIDE]) {
    it(`${graph.name}: what is written is read again, bit for bit, layers and all`, async () => {
      const weights = weightsOf(graph);
      const file = await open(await bytesOf({ graph, tensors: toWriteAll(weights) }));
      expect(file.graph).toEqual(graph);
      const read = await readAll(graph, file);
      expect([...read.keys()].toSorted()).toEqual([...weights.keys()].toSorted());
      for (const [name, { values }] of weights) expect(read.get(name), name).toEqual(values);
      expect(file.tensors.get('conv1_1.weight')?.storedAs).toBeUndefined();
    });
  }

  it('float16: weights rounded to the nearest, vectors as they are', async () => {
    const weights = weightsOf(DEEP);
    const file = await open(await bytesOf({ graph: DEEP, tensors: toWriteAll(weights), dtype: 'float16' }));
    expect(file.tensors.get('fc6.weight')?.dtype).toBe('float16');
    expect(file.tensors.get('bn1_1.variance')?.dtype).toBe('float32');
    for (const [name, values] of await readAll(DEEP, file)) {
      const original = weights.get(name)!;
      const half = toFloat32(new Uint8Array(toFloat16(original.values).buffer), 'float16');
      expect(values, name).toEqual(original.shape.length > 1 ? half : original.values);
    }
  });

  it('int8: weights quantised for each output channel, vectors as they are', async () => {
    const weights = weightsOf(DEEP);
    const file = await open(await bytesOf({ graph: DEEP, tensors: toWriteAll(weights), dtype: 'int8' }));
    expect(file.tensors.get('conv1_1.weight')).toMatchObject({ dtype: 'int8', shape: [8, 3, 3, 3] });
    for (const [name, values] of await readAll(DEEP, file)) {
      const { shape, values: original } = weights.get(name)!;
      const { values: stored, scales } = quantizeInt8(original, shape.at(-1)!);
      expect(values, name).toEqual(shape.length > 1 ? dequantizeInt8(stored, scales) : original);
    }
  });

  it('keeps what the weights say of themselves, at the head of the file', async () => {
    const metadata = new Map([
      ['vgg.preprocessing', '{"order":"BGR"}'],
      ['licence', 'CC BY 4.0 – Oxford'],
      ['__proto__', 'x'],
      ['empty', ''],
    ]);
    const bytes = await bytesOf({ graph: DEEP, tensors: toWriteAll(weightsOf(DEEP)), metadata });
    expect((await open(bytes)).metadata).toEqual(metadata);
    expect(new TextDecoder().decode(bytes.subarray(0, 200))).toContain('CC BY 4.0 – Oxford');
  });

  it('a dense layer may follow a map at once, and a convolution may be held as a matrix', async () => {
    const layers = DEEP.layers.filter(({ kind }) => kind !== 'flatten');
    const weights = weightsOf(DEEP);
    const tensors = toWriteAll(weights).map((tensor) => (tensor.name === 'conv1_1.weight' ? { ...tensor, shape: [27, 8] } : tensor));
    const file = await open(await bytesOf({ graph: { ...DEEP, layers }, tensors }));
    const withOwnFlatten = DEEP.layers.map((layer) => (layer.kind === 'flatten' ? { ...layer, name: 'fc6_flatten' } : layer));
    expect(file.graph?.layers).toEqual(withOwnFlatten);
    expect((await readAll(DEEP, file)).get('fc6.weight')).toEqual(weights.get('fc6.weight')!.values);
  });

  it('asks for one tensor at a time, when its turn comes', async () => {
    const log: string[] = [];
    const tensors = toWriteAll(weightsOf(WIDE)).map((tensor) => ({
      ...tensor,
      values: () => {
        log.push(tensor.name);
        return tensor.values();
      },
    }));
    const [file] = onnxWriter.write({ name: 'a.onnx', graph: WIDE, tensors });
    expect(log).toEqual([]);
    const chunks = file!.chunks()[Symbol.asyncIterator]();
    await chunks.next(); // the head
    expect(log).toEqual([]);
    while (!(await chunks.next()).done);
    expect(log).toEqual(['conv1_1.weight', 'conv2_1.weight', 'conv3_1.weight']);
  });
});

describe('the ONNX writer refuses', () => {
  const tensors = toWriteAll(weightsOf(WIDE));
  const write =
    (layers: readonly GraphLayer[], more: Partial<WriteRequest> = {}) =>
    () =>
      onnxWriter.write({ name: 'a.onnx', graph: { ...WIDE, layers }, tensors, ...more });

  it('a network that it is not told, or that ONNX has no like of', async () => {
    await refuses(() => onnxWriter.write({ name: 'a.onnx', tensors }), 'VGG_OPTION', 'expected the layers');
    await refuses(write([{ kind: 'dropout', name: 'a', rate: 0.5 }]), 'VGG_OPTION', 'expected the layers');
    await refuses(write([...WIDE.layers, { kind: 'other', name: 'x', type: 'Concat' }]), 'VGG_OPTION', 'Concat');
    await refuses(write([...WIDE.layers, WIDE.layers[2]!]), 'VGG_OPTION', 'pool behind a flatten');
    await refuses(write([...WIDE.layers, { kind: 'relu', name: 'relu1_1' }]), 'VGG_OPTION', '"relu1_1" again');
    await refuses(write([...WIDE.layers, { kind: 'relu', name: 'input' }]), 'VGG_OPTION', '"input" again');
    const reflected = { ...WIDE.layers[0]!, stride: 2, padding: 'reflect' } as GraphLayer;
    await refuses(write([reflected, ...WIDE.layers.slice(1)]), 'VGG_OPTION', 'reflected borders');
  });

  it('tensors that are missing, too many, or of another shape', async () => {
    await refuses(write(WIDE.layers, { tensors: tensors.slice(1) }), 'VGG_WEIGHTS_MISSING', 'conv1_1.weight');
    await refuses(write(WIDE.layers.filter(({ name }) => name !== 'conv3_1')), 'VGG_OPTION', '"conv3_1.weight"');
    const turned = tensors.map((tensor) => (tensor.name === 'conv2_1.weight' ? { ...tensor, shape: [8, 6, 3, 3] } : tensor));
    await refuses(write(WIDE.layers, { tensors: turned }), 'VGG_SHAPE', 'conv2_1.weight');
    const short = tensors.map((tensor) => (tensor.name === 'conv2_1.bias' ? toWrite(tensor.name, [4], new Float32Array(4)) : tensor));
    await refuses(write(WIDE.layers, { tensors: short }), 'VGG_SHAPE', 'conv2_1.bias');
  });

  it('values that are not as many as the shape says', async () => {
    for (const name of ['conv2_1.weight', 'conv2_1.bias']) {
      const lying = tensors.map((tensor) => (tensor.name === name ? { ...toWrite(name, tensor.shape, new Float32Array(7)) } : tensor));
      await refuses(written(onnxWriter.write({ name: 'a.onnx', graph: WIDE, tensors: lying })), 'VGG_SHAPE', `values for "${name}"`);
    }
  });

  it('what cannot be quantised', async () => {
    const bad = tensors.map((tensor) =>
      tensor.name === 'conv2_1.weight' ? toWrite(tensor.name, tensor.shape, new Float32Array(3 * 3 * 6 * 8).fill(Number.NaN)) : tensor,
    );
    await refuses(written(onnxWriter.write({ name: 'a.onnx', graph: WIDE, tensors: bad, dtype: 'int8' })), 'VGG_OPTION', 'finite');
  });

  it('files past 2 GiB, before a value is asked for', async () => {
    const side = 2 ** 14;
    const none = { values: () => Promise.reject(new Error('asked')), async *stream() {} };
    const layers = ['fc6', 'fc7', 'fc8'].map((name): GraphLayer => ({ kind: 'dense', name, out: side, bias: false }));
    const large = layers.map(({ name }) => ({ name: `${name}.weight`, shape: [side, side], ...none }));
    await refuses(() => onnxWriter.write({ name: 'a.onnx', graph: { layers }, tensors: large }), 'VGG_OPTION', '2147483647 bytes');
    expect(onnxWriter.write({ name: 'a.onnx', graph: { layers }, tensors: large, dtype: 'float16' })).toHaveLength(1);
  });

  it('to go on when it is stopped', async () => {
    const controller = new AbortController();
    const [file] = onnxWriter.write({ name: 'a.onnx', graph: WIDE, tensors, signal: controller.signal });
    const read = async () => {
      for await (const _ of file!.chunks()) controller.abort();
    };
    await refuses(read(), 'VGG_ABORTED', 'stopped');
  });
});
