import { describe, expect, test } from 'vitest';
import { tfjsWriter } from '../../src/formats/tfjs/write.js';
import { filesSource, type GraphLayer, openWeights, type WriteRequest } from '../../src/index.js';
import { refuses } from '../helpers.js';
import { kerasName, type SmallVgg, smallVgg } from '../vgg-request.js';
import { toWrite, written } from '../writing.js';

async function open(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>) {
  return openWeights(filesSource([...files].map(([name, bytes]) => new File([bytes], name)).reverse()));
}

function write(request: WriteRequest) {
  return tfjsWriter.write({ ...request, name: 'model.json' });
}

describe.each<[string, SmallVgg]>([
  ['dense layers', {}],
  ['batch normalisation and no top', { batchNorm: true, top: 'none' }],
  ['convolutions as the top', { top: 'conv' }],
])('a tfjs model with %s', (_, options) => {
  test('has the same values, bit for bit, and what was said of them', async () => {
    const { request, values } = smallVgg(options);
    const files = await written(write(request));
    expect([...files.keys()]).toEqual(['group1-shard1of1.bin', 'model.json']);
    const file = await open(files);
    expect([...file.tensors.keys()]).toEqual([...values.keys()].map(kerasName));
    for (const [name, expected] of values) {
      const read = await file.read(kerasName(name));
      expect(new Uint32Array(read.buffer, read.byteOffset, read.length), name).toEqual(new Uint32Array(expected.buffer));
    }
    for (const [key, text] of request.metadata!) expect(file.metadata.get(key)).toBe(text);
  });
});

test('float16', async () => {
  const { request, values } = smallVgg();
  const files = await written(write({ ...request, dtype: 'float16' }));
  const count = [...values.values()].reduce((sum, { length }) => sum + length, 0);
  expect(files.get('group1-shard1of1.bin')!.length).toBe(2 * count);
  const read = await (await open(files)).read('fc1/kernel');
  const expected = values.get('fc6.weight')!;
  expect(read.every((value, i) => Math.abs(value - expected[i]!) <= 2 ** -12)).toBe(true);
});

/** A dense layer of 1500 x 2000: 12 MB, three shards, the last of them not full. */
function large() {
  const values = Float32Array.from({ length: 3_000_000 }, (_, i) => i);
  const layers: GraphLayer[] = [
    { kind: 'dense', name: 'first', in: 1, out: 1500, bias: false },
    { kind: 'dense', name: 'second', in: 1500, out: 2000, bias: true },
  ];
  let streams = 0;
  const second = {
    ...toWrite('second.weight', [1500, 2000], values),
    async *stream() {
      streams++;
      for (let at = 0; at < values.length; at += 700_001) yield values.slice(at, at + 700_001);
    },
  };
  const tensors = [
    toWrite('first.weight', [1, 1500], new Float32Array(1500)),
    second,
    toWrite('second.bias', [2000], new Float32Array(2000).fill(7)),
  ];
  const request = { name: '', graph: { input: { channels: 1, height: 1, width: 1 }, layers }, tensors };
  return { request, values, streams: () => streams };
}

test('shards of 4 MiB, each tensor read once', async () => {
  const { request, values, streams } = large();
  const files = await written(write(request));
  expect([...files].map(([name, { length }]) => [name, length]).slice(0, 3)).toEqual([
    ['group1-shard1of3.bin', 2 ** 22],
    ['group1-shard2of3.bin', 2 ** 22],
    ['group1-shard3of3.bin', 4 * (1500 + 3_000_000 + 2000) - 2 ** 23],
  ]);
  expect(streams()).toBe(1);
  const file = await open(files);
  const read = await file.read('second/kernel');
  expect(read.length).toBe(values.length);
  expect(read.findIndex((value, i) => value !== values[i])).toBe(-1);
  expect((await file.read('second/bias')).every((value) => value === 7)).toBe(true);
});

/** A comparison of megabytes that takes no seconds. */
function differs(a: Uint8Array, b: Uint8Array): boolean {
  return a.length !== b.length || a.some((byte, i) => byte !== b[i]);
}

test('a shard asked for by itself, again, or left half read has the same bytes', async () => {
  const { request } = large();
  const files = write(request);
  const all = await written(files);
  const third = await written([files[2]!]);
  expect(differs(third.get('group1-shard3of3.bin')!, all.get('group1-shard3of3.bin')!)).toBe(false);
  for await (const _ of files[0]!.chunks()) break;
  const second = await written([files[1]!, files[0]!]);
  expect(differs(second.get('group1-shard2of3.bin')!, all.get('group1-shard2of3.bin')!)).toBe(false);
  expect(differs(second.get('group1-shard1of3.bin')!, all.get('group1-shard1of3.bin')!)).toBe(false);
});

test('what the format cannot hold, and streams of another length', async () => {
  const { request } = smallVgg();
  await refuses(() => write({ ...request, dtype: 'int8' }), 'VGG_OPTION', /tfjs: .*int8/);
  const layers = request.graph.layers.map((layer) => (layer.name === 'conv1_2' ? { ...layer, groups: 2 } : layer)) as GraphLayer[];
  await refuses(() => write({ ...request, graph: { ...request.graph, layers } }), 'VGG_OPTION', /groups, received "conv1_2"/);
  for (const [name, shape, length] of [
    ['conv1_1.weight', [3, 3, 3, 4], 109],
    ['fc8.bias', [5], 6],
    ['fc8.bias', [5], 4],
  ] as const) {
    const tensors = request.tensors.map((tensor) => (tensor.name === name ? toWrite(name, shape, new Float32Array(length)) : tensor));
    await refuses(written(write({ ...request, tensors })), 'VGG_SHAPE', new RegExp(`values for "${name}"`));
  }
});
