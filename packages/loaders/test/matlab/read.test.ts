import { describe, expect, test } from 'vitest';
import { matlab5, matlab73 } from '../../src/formats/matlab/index.js';
import { bytesSource, canonicalise, openWeights, readCanonical, type WeightFile } from '../../src/index.js';
import { counted, fixture, ramp, refuses } from '../helpers.js';
import { table } from '../vgg.js';

const FORMATS = [matlab5, matlab73];

async function open(name: string): Promise<WeightFile> {
  return openWeights(bytesSource(await fixture(`matlab/${name}`), name), { formats: FORMATS });
}

/** What make_mat.py writes, in C order: value i in MATLAB's order, the first axis fastest, is that of the ramp. */
function columns(shape: readonly number[], unsigned = false): number[] {
  const values = ramp(
    shape.reduce((product, size) => product * size, 1),
    unsigned,
  );
  return values.map((_, place) => {
    let rest = place;
    const index = shape.map(() => 0);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = rest % shape[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    let at = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) at = at * shape[axis]! + index[axis]!;
    return values[at]!;
  });
}

async function expectRamp(file: WeightFile, name: string): Promise<void> {
  const info = file.tensors.get(name)!;
  expect([...(await file.read(name))], name).toEqual(columns(info.shape, /^u\d$/.test(name)));
  const pieces: number[] = [];
  for await (const piece of file.stream(name)) pieces.push(...piece);
  expect(pieces, name).toEqual(ramp(pieces.length, /^u\d$/.test(name)));
}

const WEIGHTS = {
  'conv1_1.weight': [3, 3, 3, 4],
  'conv1_1.bias': [4],
  'conv1_2.weight': [3, 3, 4, 1],
  'conv1_2.bias': [1],
  'fc6.weight': [2, 2, 1, 6],
  'fc6.bias': [6],
  'fc7.weight': [1, 1, 6, 3],
  'fc7.bias': [3],
};

describe.each([
  ['matconvnet.mat', 'matlab'],
  ['matconvnet-old.mat', 'matlab'],
  ['matconvnet-net.mat', 'matlab'],
  ['matconvnet-73.mat', 'matlab-7.3'],
])('%s', (name, format) => {
  const isSmall = format === 'matlab-7.3';

  test('weights under the names of the layers, height first', async () => {
    const file = await open(name);
    expect(file.format).toBe(format);
    const expected = Object.entries(WEIGHTS).filter(([key]) => !isSmall || /conv1_1|fc6/.test(key));
    expect([...file.tensors.values()].map((info) => [info.name, info.shape])).toEqual(expected);
    for (const key of file.tensors.keys()) await expectRamp(file, key);
    expect(file.tensors.get('conv1_1.weight')!.axes).toEqual([3, 2, 1, 0]);
    expect(file.tensors.get('conv1_1.bias')!.axes).toBeUndefined();
    await file.close();
  });

  test('the layers, the classes and the mean', async () => {
    const { graph, metadata } = await open(name);
    expect(graph!.input).toEqual({ height: 4, width: 4, channels: 3 });
    const conv = { kind: 'conv', stride: 1, dilation: 1, groups: 1, bias: true };
    const layers = [
      { ...conv, name: 'conv1_1', in: 3, out: 4, kernel: [3, 3], pad: 1 },
      { kind: 'relu', name: 'relu1_1' },
      { ...conv, name: 'conv1_2', in: 4, out: 1, kernel: [3, 3], pad: 1 },
      { kind: 'relu', name: 'relu1_2' },
      { kind: 'pool', name: 'pool1', pool: 'max', size: 2, stride: 2, pad: 0, rounding: 'ceil' },
      { ...conv, name: 'fc6', in: 1, out: 6, kernel: [2, 2], pad: 0 },
      { kind: 'relu', name: 'relu6' },
      { ...conv, name: 'fc7', in: 6, out: 3, kernel: [1, 1], pad: 0 },
      { kind: 'softmax', name: 'prob' },
    ];
    expect(graph!.layers).toEqual(isSmall ? [layers[0], layers[1], layers[4], layers[5]] : layers);
    expect(JSON.parse(metadata.get('classes')!)).toEqual(['tench, Tinca tinca', 'goldfish', 'große weiße Haie']);
    expect(JSON.parse(metadata.get('wnids')!)).toEqual(['n01440764', 'n01443537', 'n01484850']);
    expect(metadata.get('averageImage')).toBe('[123.68,116.779,103.939]');
    expect(metadata.get('header')).toMatch(/^MATLAB/);
  });
});

test('the weights of a network are the canonical ones, in C order', async () => {
  const file = await open('matconvnet.mat');
  const mapping = canonicalise(file, table([[4, 1]], { side: 2, dense: [6, 3] }));
  expect(mapping.missing).toEqual([]);
  expect(mapping.unknown).toEqual([]);
  for (const [name, shape] of Object.entries(WEIGHTS)) {
    if (name.endsWith('.weight')) expect([...(await readCanonical(file, mapping, name))], name).toEqual(columns(shape));
  }
});

test.each(['matconvnet-dag.mat', 'dag-73.mat'])('%s: a DagNN network, whose weights are parameters by name', async (name) => {
  const file = await open(name);
  expect(file.tensors.get('conv1_1.weight')!.shape).toEqual([3, 3, 3, 2]);
  await expectRamp(file, 'conv1_1.weight');
  await expectRamp(file, 'conv1_1.bias');
  expect(file.graph!.layers).toEqual([
    { kind: 'conv', name: 'conv1_1', in: 3, out: 2, kernel: [3, 3], stride: 1, pad: 1, dilation: 1, groups: 1, bias: true },
    { kind: 'relu', name: 'relu1_1' },
    { kind: 'pool', name: 'pool1', pool: 'max', size: 2, stride: 2, pad: 0, rounding: 'floor' },
  ]);
});

describe.each(['arrays.mat', 'arrays-compressed.mat'])('%s, of no network', (name) => {
  test('every class of numbers, by variable', async () => {
    const file = await open(name);
    for (const type of ['f4', 'f8', 'i1', 'u1', 'i2', 'u2', 'i4', 'u4', 'i8', 'u8']) {
      expect(file.tensors.get(type)!.shape).toEqual([5, 3]);
      await expectRamp(file, type);
    }
    expect(file.tensors.get('f8')!.dtype).toBe('float64');
    await expectRamp(file, 'four');
    expect([...(await file.read('scalar'))]).toEqual([2.5]);
    expect([...(await file.read('truth'))]).toEqual([1, 0]);
  });

  test('what is in structs and cells, by its path; texts, empty and complex arrays are left out', async () => {
    const file = await open(name);
    await expectRamp(file, 'nested.a.b');
    await expectRamp(file, 'nested.c{1}');
    const others = [...file.tensors.keys()].filter((key) => !/^[fiu]\d$/.test(key));
    expect(others).toEqual(['four', 'vector', 'scalar', 'truth', 'nested.a.b', 'nested.c{1}']);
  });
});

test('a big-endian file, with elements in the small form', async () => {
  const file = await open('big-endian.mat');
  await expectRamp(file, 'kernel');
  await expectRamp(file, 'small');
  await expectRamp(file, 'f8');
});

test('a compressed variable is unpacked once for tensors in order, and again for one that lies before', async () => {
  const source = counted(bytesSource(await fixture('matlab/matconvnet.mat'), 'net.mat'));
  const file = await matlab5.open(source);
  const index = source.bytes;
  for (const name of Object.keys(WEIGHTS)) await file.read(name);
  const once = source.bytes - index;
  expect(once).toBeLessThan(1000); // the one variable, packed
  await file.read('fc7.bias');
  expect(source.bytes - index - once).toBe(once);
  // Two at once do not get into each other's way, and one that is left half-way does not either.
  await Promise.all(['conv1_1.weight', 'fc6.weight', 'conv1_1.weight'].map((name) => expectRamp(file, name)));
  for await (const _ of file.stream('conv1_1.weight')) break;
  await expectRamp(file, 'conv1_1.weight');
  await file.close();
});

test('the index of an uncompressed file is read without its weights', async () => {
  const file = await matlab5.open(bytesSource(await fixture('matlab/arrays.mat'), 'arrays.mat'));
  expect(file.tensors.size).toBe(16);
  const stop = new AbortController();
  stop.abort();
  await refuses(file.read('four', { signal: stop.signal }), 'VGG_ABORTED', /stopped/);
});

test('chunked and packed references of 7.3', async () => {
  const file = await open('dag-73.mat');
  const { value, items } = await chunkedCell();
  expect(value).toBe('cell');
  expect(items).toEqual([5, 6, 'text', '']);
  expect(file.tensors.size).toBe(2);
});

/** In a network, arrays as small as those are settings; so they are looked at as they are read. */
async function chunkedCell(): Promise<{ value: string; items: unknown[] }> {
  const { openHdf5 } = await import('../../src/formats/hdf5/file.js');
  const { readHeader } = await import('../../src/formats/hdf5/header.js');
  const { readLinks } = await import('../../src/formats/hdf5/links.js');
  const { walker } = await import('../../src/formats/matlab/matlab73.js');
  const hdf5 = await openHdf5(bytesSource(await fixture('matlab/dag-73.mat'), 'dag-73.mat'));
  const links = await readLinks(hdf5, await readHeader(hdf5, hdf5.root));
  const value = await walker(hdf5, {})(links.get('chunked')!, 'chunked', []);
  if (value.kind !== 'cell') return { value: value.kind, items: [] };
  return {
    value: value.kind,
    items: value.items.map((item) => (item.kind === 'numbers' ? item.shape[1] : item.kind === 'text' ? item.text : item.kind)),
  };
}
