import { describe, expect, it } from 'vitest';
import { onnx } from '../../src/formats/onnx/index.js';
import { bytesSource, canonicalise, filesSource, readCanonical, type Source, type WeightFile } from '../../src/index.js';
import { counted, fixture } from '../helpers.js';
import { table } from '../vgg.js';

const SPECS = table([[4], [6]], { side: 2, dense: [7, 5] });
const WITH_BN = table([[4], [6]], { side: 2, dense: [7, 5], batchNorm: true });
/** As make_onnx.py has them, in PyTorch's layout. */
const SHAPES = [[4, 3, 3, 3], [4], [6, 4, 3, 3], [6], [7, 24], [7], [5, 7], [5]];
const NAMES = ['conv1_1.weight', 'conv1_1.bias', 'conv2_1.weight', 'conv2_1.bias', 'fc6.weight', 'fc6.bias', 'fc7.weight', 'fc7.bias'];

/** The values of the k-th tensor in PyTorch's order. */
function stored(k: number, shape = SHAPES[k]!): number[] {
  const count = shape.reduce((product, size) => product * size, 1);
  return Array.from({ length: count }, (_, i) => (((37 * (i + 11 * k)) % 101) - 50) / 64);
}

/** From PyTorch's order to the canonical one. */
function canonical(k: number, values: ArrayLike<number>): number[] {
  const shape = SHAPES[k]!;
  if (shape.length === 1) return Array.from(values);
  const [out, channels, height, width] = k === 4 ? [7, 6, 2, 2] : ([...shape, 1, 1] as [number, number, number, number]);
  const result: number[] = [];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++) for (let o = 0; o < out; o++) result.push(values[((o * channels + c) * height + y) * width + x]!);
  return result;
}

async function open(name: string, companion?: string): Promise<WeightFile> {
  const files = [new File([await fixture(`onnx/${name}`)], name)];
  if (companion) files.push(new File([await fixture(`onnx/${companion}`)], companion));
  return onnx.open(filesSource(files));
}

async function expectValues(file: WeightFile, from = 0): Promise<void> {
  const mapping = canonicalise(file, SPECS);
  expect(mapping.missing).toEqual([]);
  expect(mapping.unknown).toEqual([]);
  for (let k = from; k < NAMES.length; k++) {
    expect(Array.from(await readCanonical(file, mapping, NAMES[k]!)), NAMES[k]).toEqual(canonical(k, stored(k)));
  }
}

const CONV = { kernel: [3, 3], stride: 1, pad: 1, dilation: 1, groups: 1, bias: true };
const POOL = { kind: 'pool', pool: 'max', size: 2, stride: 2, pad: 0 };
/** The layers of make_onnx.py, whatever they are called. */
const LAYERS = [
  { kind: 'conv', in: 3, out: 4, ...CONV },
  { kind: 'relu' },
  { ...POOL, rounding: 'floor' },
  { kind: 'conv', in: 4, out: 6, ...CONV },
  { kind: 'relu' },
  { ...POOL, rounding: 'ceil' },
  { kind: 'flatten' },
  { kind: 'dense', in: 24, out: 7, bias: true },
  { kind: 'relu' },
  { kind: 'dense', in: 7, out: 5, bias: true },
];
const layersOf = (file: WeightFile) => file.graph!.layers.map(({ name: _, ...layer }) => layer);

describe('ONNX of PyTorch', () => {
  it('keeps the names of the modules, and has the layers', async () => {
    const file = await open('onnx-torch.onnx');
    expect([...file.tensors.keys()]).toEqual([
      'features.0.weight',
      'features.0.bias',
      'features.3.weight',
      'features.3.bias',
      'classifier.0.weight',
      'classifier.0.bias',
      'classifier.3.weight',
      'classifier.3.bias',
    ]);
    expect(file.metadata.get('producer')).toMatch(/^pytorch 2\./);
    expect(file.graph?.input).toEqual({ channels: 3, height: 8, width: 8 });
    expect(file.graph?.layers.map(({ name }) => name)).toContain('features.0');
    expect(layersOf(file)).toEqual(LAYERS);
    await expectValues(file);
  });

  it('reads the newer exporter, with the values in a file beside it', async () => {
    const file = await open('onnx-dynamo.onnx', 'onnx-dynamo.onnx.data');
    expect(layersOf(file)).toEqual(LAYERS);
    await expectValues(file);
  });

  it('reads batch normalisations', async () => {
    const file = await open('onnx-torch-bn.onnx');
    expect(layersOf(file).filter(({ kind }) => kind !== 'batchnorm')).toEqual(LAYERS);
    const mapping = canonicalise(file, WITH_BN);
    expect(mapping).toMatchObject({ missing: [], unknown: [], naming: 'torch' });
    expect(Array.from(await readCanonical(file, mapping, 'bn2_1.scale'))).toEqual(stored(24, [6]));
    expect(Array.from(await readCanonical(file, mapping, 'bn2_1.mean'))).toEqual(stored(26, [6]));
    expect(Array.from(await readCanonical(file, mapping, 'bn2_1.variance'))).toEqual(stored(27, [6]).map((v) => Math.abs(v) + 0.25));
    expect(file.graph?.layers[1]).toEqual({ kind: 'batchnorm', name: 'features.1', channels: 4, epsilon: 1e-5 });
  });

  it('finds convolutions by their order where folding has left numbers for names', async () => {
    const file = await open('onnx-torch-folded.onnx');
    expect(file.tensors.get('conv0.weight')?.storedAs).toMatch(/^onnx::Conv_\d+$/);
    expect(layersOf(file)).toEqual(LAYERS);
    await expectValues(file, 4);
    // Folded: w scale / sqrt(variance + epsilon).
    const [weight, scale, variance] = [stored(0), stored(20, [4]), stored(23, [4]).map((v) => Math.abs(v) + 0.25)];
    const folded = weight.map((w, i) => (w * scale[Math.floor(i / 27)]!) / Math.sqrt(variance[Math.floor(i / 27)]! + 1e-5));
    const read = await readCanonical(file, canonicalise(file, SPECS), 'conv1_1.weight');
    for (const [i, value] of canonical(0, folded).entries()) expect(read[i]).toBeCloseTo(value, 5);
  });
});

describe('ONNX of other programs', () => {
  it("finds the model zoo's weights by their order; values in lists of floats", async () => {
    const file = await open('onnx-zoo.onnx');
    expect([...file.tensors.values()].map(({ name, storedAs }) => `${name} ${storedAs}`)).toEqual([
      'conv0.weight vgg0_conv0_weight',
      'conv0.bias vgg0_conv0_bias',
      'conv1.weight vgg0_conv1_weight',
      'conv1.bias vgg0_conv1_bias',
      'dense0.weight vgg0_dense0_weight',
      'dense0.bias vgg0_dense0_bias',
      'dense1.weight vgg0_dense1_weight',
      'dense1.bias vgg0_dense1_bias',
    ]);
    expect(layersOf(file)).toEqual([...LAYERS.slice(0, 9), { kind: 'dropout', rate: 0.25 }, LAYERS[9]]);
    await expectValues(file);
  });

  it("reads TensorFlow's: pictures with their channels last, biases of their own, matrices [in, out], rows in the order H, W, C", async () => {
    const file = await open('onnx-tensorflow.onnx');
    expect(file.graph?.input).toEqual({ channels: 3, height: 8, width: 8 });
    const layers = LAYERS.map((layer) => ({
      ...layer,
      ...(layer.kind === 'conv' && { pad: 'same' }),
      ...('rounding' in layer && { rounding: 'floor' }),
    }));
    expect(layersOf(file)).toEqual([...layers, { kind: 'softmax' }]);
    expect(file.tensors.get('conv0.weight')).toMatchObject({ shape: [4, 3, 3, 3], axes: [2, 3, 1, 0] });
    expect(file.tensors.get('dense1.weight')).toMatchObject({ shape: [5, 7], axes: [1, 0] });
    expect(Array.from(await file.read('dense1.weight'))).toEqual(stored(6));
    await expectValues(file);
  });

  it('reads float16, float64 and quantised values, in bytes and in lists', async () => {
    const file = await open('onnx-types.onnx');
    expect([...file.tensors.values()].map(({ dtype }) => dtype)).toEqual([
      ...Array<string>(4).fill('float16'),
      'float64',
      'float64',
      'int8',
      'float32',
    ]);
    await expectValues(file);
  });

  it('reads values in a file beside it, and names it where it is missing', async () => {
    await expectValues(await open('onnx-external.onnx', 'onnx-external.bin'));
    const alone = await open('onnx-external.onnx');
    const weight = alone.tensors.get('conv0.weight')!;
    expect(weight).toMatchObject({ present: false, absence: expect.stringContaining('"onnx-external.bin"') });
    expect(alone.tensors.get('conv0.bias')?.present).toBe(true); // small ones stay in the model
    expect(canonicalise(alone, SPECS).missing).toEqual(['conv1_1.weight', 'conv2_1.weight', 'fc6.weight', 'fc7.weight']);
  });
});

describe('ONNX quantised by onnxruntime', () => {
  const PARTS = ['features.0', 'features.3', 'classifier.0', 'classifier.3'];
  const expected = async (name: string) =>
    new Map(Object.entries(JSON.parse(new TextDecoder().decode(await fixture('onnx/onnx.json')))[name] as Record<string, number[]>));

  for (const [name, biasesOf] of [
    ['onnx-qlinear.onnx', 'onnx-qdq.onnx'],
    ['onnx-qdq.onnx', 'onnx-qdq.onnx'],
    ['onnx-dynamic.onnx', undefined],
  ] as const) {
    it(`${name}: every value as numpy dequantises it, and the Relu that only a zero point stands for`, async () => {
      const file = await open(name);
      expect(layersOf(file)).toEqual(LAYERS);
      const [weights, biases] = [await expected(name), biasesOf && (await expected(biasesOf))];
      const mapping = canonicalise(file, SPECS);
      expect(mapping).toMatchObject({ missing: [], unknown: [] });
      for (const [i, part] of PARTS.entries()) {
        const read = async (k: number) => Array.from(await readCanonical(file, mapping, NAMES[k]!));
        const inFile = weights.get(`${part}.weight`)!.map(Math.fround);
        // Matrices of the dynamic one are stored [in, out].
        const transposed = (values: number[], [out, inputs]: number[]) =>
          values.map((_, at) => values[(at % inputs!) * out! + Math.floor(at / inputs!)]!);
        const ordered = name === 'onnx-dynamic.onnx' && i > 1 ? transposed(inFile, SHAPES[2 * i]!) : inFile;
        expect(await read(2 * i)).toEqual(canonical(2 * i, ordered));
        expect(await read(2 * i + 1)).toEqual(biases ? biases.get(`${part}.bias`)!.map(Math.fround) : stored(2 * i + 1));
      }
    });
  }
});

describe('the ONNX reader', () => {
  it('knows its files by their head, whatever they are called', async () => {
    for (const name of ['onnx-torch.onnx', 'onnx-zoo.onnx', 'onnx-qdq.onnx']) {
      const head = (await fixture(`onnx/${name}`)).subarray(0, 4096);
      expect(onnx.match(head, bytesSource(head, name))).toBe(true);
      expect(onnx.match(head, bytesSource(head, 'weights'))).toBe(true);
    }
    const refused = (bytes: number[], name = 'a') => onnx.match(Uint8Array.from(bytes), bytesSource(new Uint8Array(0), name));
    expect(refused([])).toBe(false);
    expect(refused([0x0a, 0x05, 0x4c, 0x65])).toBe(false); // Caffe's name
    expect(refused([0x08, 0x01, 0x12, 0x8a, 0x90, 0x01])).toBe(false); // a SavedModel
    expect(refused([0x50, 0x4b, 3, 4], 'a.onnx')).toBe(false);
  });

  it('reads no values to open a file, and those of one tensor in one go', async () => {
    const source: Source & { bytes: number; reads: number } = counted(bytesSource(await bigModel(), 'big.onnx'));
    const file = await onnx.open(source);
    expect(source.bytes).toBeLessThan(140_000);
    expect(source.reads).toBeLessThan(10);
    const before = source.reads;
    expect((await file.read('fc6.weight')).length).toBe(2 ** 21);
    expect(source.reads - before).toBe(1);
    await file.close();
  });

  it('streams what it reads', async () => {
    for (const name of ['onnx-torch.onnx', 'onnx-types.onnx', 'onnx-qlinear.onnx']) {
      const file = await open(name);
      for (const { name: tensor, axes } of file.tensors.values()) {
        if (axes) continue;
        const pieces: number[] = [];
        for await (const piece of file.stream(tensor)) pieces.push(...piece);
        expect(pieces).toEqual(Array.from(await file.read(tensor)));
      }
    }
  });
});

/** Two dense layers of 8 MB, by our own writer. */
async function bigModel(): Promise<Uint8Array<ArrayBuffer>> {
  const { onnxWriter } = await import('../../src/formats/onnx/write.js');
  const { toWrite, written } = await import('../writing.js');
  const shapes: [string, number[]][] = [
    ['fc6.weight', [1024, 2048]],
    ['fc6.bias', [2048]],
    ['fc7.weight', [2048, 1024]],
    ['fc7.bias', [1024]],
  ];
  const tensors = shapes.map(([name, shape]) => toWrite(name, shape, new Float32Array(shape.reduce((a, b) => a * b))));
  const layers = [
    { kind: 'dense', name: 'fc6', out: 2048, bias: true },
    { kind: 'dense', name: 'fc7', out: 1024, bias: true },
  ] as const;
  return (await written(onnxWriter.write({ name: 'big.onnx', graph: { layers }, tensors }))).get('big.onnx')!;
}
