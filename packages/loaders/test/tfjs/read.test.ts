import { describe, expect, test } from 'vitest';
import { bytesSource, filesSource, openWeights, type WeightFile } from '../../src/index.js';
import { refuses } from '../helpers.js';

interface Weight {
  name: string;
  shape: number[];
  dtype?: string;
  quantization?: object;
}

/** A model in memory: groups of weights, and shards as bytes (undefined where one is to be missing). */
function model(groups: { weights: Weight[]; shards: Record<string, Uint8Array | undefined> }[], extra: object = {}): Promise<WeightFile> {
  const manifest = groups.map(({ weights, shards }) => ({
    paths: Object.keys(shards),
    weights: weights.map((weight) => ({ dtype: 'float32', ...weight })),
  }));
  const files = groups.flatMap(({ shards }) =>
    Object.entries(shards).flatMap(([name, bytes]) => (bytes ? [new File([bytes as Uint8Array<ArrayBuffer>], name)] : [])),
  );
  return openWeights(filesSource([new File([JSON.stringify({ ...extra, weightsManifest: manifest })], 'model.json'), ...files]));
}

function floats(...values: number[]): Uint8Array {
  return new Uint8Array(new Float32Array(values).buffer);
}

const AB: Weight[] = [
  { name: 'a/kernel', shape: [3] },
  { name: 'a/bias', shape: [2] },
  { name: 'b/kernel', shape: [3] },
];
const BYTES = floats(1, 2, 3, 4, 5, 6, 7, 8);

test('tensors whose bytes run over several shards', async () => {
  const file = await model([{ weights: AB, shards: { s1: BYTES.subarray(0, 10), s2: BYTES.subarray(10, 11), s3: BYTES.subarray(11) } }]);
  expect([...(await file.read('a/kernel'))]).toEqual([1, 2, 3]);
  expect([...(await file.read('b/kernel'))]).toEqual([6, 7, 8]);
});

test('float16 and affine quantisation to 8 and 16 bits', async () => {
  const file = await model([
    {
      weights: [
        { name: 'h/kernel', shape: [3], quantization: { dtype: 'float16', original_dtype: 'float32' } },
        { name: 'b/kernel', shape: [4], quantization: { dtype: 'uint8', scale: 0.1, min: -2.5 } },
        { name: 'w/kernel', shape: [2], quantization: { dtype: 'uint16', scale: 0.25, min: 1 } },
        { name: 'i/kernel', shape: [2], dtype: 'int32', quantization: { dtype: 'uint8', scale: 1.5, min: -3 } },
      ],
      shards: { s: new Uint8Array([0x00, 0x3c, 0x66, 0x2e, 0x00, 0xc0, 0, 1, 200, 255, 4, 0, 1, 1, 1, 3]) },
    },
  ]);
  expect([...(await file.read('h/kernel'))]).toEqual([1, 0.0999755859375, -2]);
  expect([...(await file.read('b/kernel'))]).toEqual([0 - 2.5, 1 * 0.1 - 2.5, 200 * 0.1 - 2.5, 255 * 0.1 - 2.5].map(Math.fround));
  expect([...(await file.read('w/kernel'))]).toEqual([2, 65.25]);
  expect([...(await file.read('i/kernel'))]).toEqual([-1, 2].map((value) => Math.round(value)));
});

test('a missing shard takes only the tensors that need it', async () => {
  const file = await model([{ weights: AB, shards: { s1: BYTES.subarray(0, 12), s2: undefined, s3: BYTES.subarray(24) } }]);
  const present = [...file.tensors.values()].map((info) => info.present);
  expect(present).toEqual([true, false, false]);
  expect(file.tensors.get('a/bias')!.absence).toBe('missing shard s2');
  expect([...(await file.read('a/kernel'))]).toEqual([1, 2, 3]);
  await refuses(file.read('b/kernel'), 'VGG_WEIGHTS_MISSING', /"b\/kernel".*missing shard s2/);
});

test('with no first shard the end is served, since its place follows from the total', async () => {
  const file = await model([{ weights: AB, shards: { s1: undefined, s2: BYTES.subarray(16) } }]);
  expect([...file.tensors.values()].map((info) => info.present)).toEqual([false, false, true]);
  expect([...(await file.read('b/kernel'))]).toEqual([6, 7, 8]);
});

test('over a network a group that was hardly fetched is not asked for shard by shard', async () => {
  const paths = Array.from({ length: 20 }, (_, i) => `s${i}`);
  const manifest = JSON.stringify({ weightsManifest: [{ paths, weights: [{ name: 'a/kernel', shape: [40], dtype: 'float32' }] }] });
  const asked: string[] = [];
  const sourceOf = (present: readonly string[]) => ({
    ...bytesSource(new TextEncoder().encode(manifest), 'model.json'),
    remote: true,
    sibling: async (name: string) => {
      asked.push(name);
      return present.includes(name) ? bytesSource(floats(1, 2), name) : undefined;
    },
  });
  expect((await openWeights(sourceOf(['s19']))).tensors.get('a/kernel')!.present).toBe(false);
  expect(asked.sort()).toEqual(['s0', 's19']);
  asked.length = 0;
  const whole = await openWeights(sourceOf(paths));
  expect((await whole.read('a/kernel')).length).toBe(40);
  expect(asked.length).toBe(20);
});

describe('bad input', () => {
  const one = (shards: Record<string, Uint8Array | undefined>) => model([{ weights: AB, shards }]);

  test('a shard of a wrong length is named', async () => {
    await refuses(one({ only: BYTES.subarray(0, 31) }), 'VGG_INTEGRITY', /"only" to be of 32 bytes, received 31/);
    await refuses(
      one({ s1: BYTES.subarray(0, 12), s2: BYTES.subarray(0, 11), s3: BYTES.subarray(24) }),
      'VGG_INTEGRITY',
      /"s2" to be of 12 bytes, received 11/,
    );
    await refuses(
      one({ s1: BYTES.subarray(0, 12), s2: undefined, s3: BYTES.subarray(25) }),
      'VGG_INTEGRITY',
      /"s3" to be of 8 bytes, received 7/,
    );
    await refuses(one({}), 'VGG_INTEGRITY', /lists none/);
  });

  test.each([
    '/etc/passwd',
    '../s1',
    'a/../../s1',
    'https://example.org/s1',
    '//example.org/s1',
    'C:\\s1',
    '',
    '..',
    '__proto__',
    'a\u0000b',
  ])('shard %j is refused', async (path) => {
    const json = `{"weightsManifest":[{"paths":[${JSON.stringify(path)}],"weights":[{"name":"a","shape":[1],"dtype":"float32"}]}]}`;
    await refuses(
      openWeights(filesSource([new File([json], 'model.json'), new File(['1234'], 's1')])),
      'VGG_INTEGRITY',
      /plain file names/,
    );
  });

  test.each([
    ['no manifest', '{"modelTopology":{}}', 'VGG_FORMAT', /weightsManifest/],
    ['a manifest that is no list', '{"weightsManifest":{}}', 'VGG_FORMAT', /weightsManifest/],
    [
      'text dtype',
      '{"weightsManifest":[{"paths":["s1"],"weights":[{"name":"a","shape":[1],"dtype":"string"}]}]}',
      'VGG_FORMAT',
      /numeric dtype/,
    ],
    [
      'half a shape',
      '{"weightsManifest":[{"paths":["s1"],"weights":[{"name":"a","shape":[0.5],"dtype":"float32"}]}]}',
      'VGG_INTEGRITY',
      /whole numbers/,
    ],
    [
      'a huge shape',
      '{"weightsManifest":[{"paths":["s1"],"weights":[{"name":"a","shape":[99999,99999],"dtype":"float32"}]}]}',
      'VGG_INTEGRITY',
      /at most/,
    ],
    [
      'a name twice',
      '{"weightsManifest":[{"paths":["s1"],"weights":[{"name":"a","shape":[],"dtype":"float32"},{"name":"a","shape":[],"dtype":"float32"}]}]}',
      'VGG_INTEGRITY',
      /twice/,
    ],
    [
      'a shard twice',
      '{"weightsManifest":[{"paths":["s1","s1"],"weights":[{"name":"a","shape":[2],"dtype":"float32"}]}]}',
      'VGG_INTEGRITY',
      /twice/,
    ],
    ['a key twice', '{"weightsManifest":[],"weightsManifest":[]}', 'VGG_INTEGRITY', /twice/],
    ['no JSON', '{"weightsManifest":[}', 'VGG_FORMAT', /expected JSON/],
    ['deep JSON', `{"weightsManifest":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'VGG_INTEGRITY', /deep/],
  ] as const)('%s', (_, json, code, text) =>
    refuses(openWeights(filesSource([new File([json], 'model.json'), new File(['1234'], 's1')])), code, text),
  );

  test('"__proto__" as a tensor is a name like any other', async () => {
    const json =
      '{"__proto__":{"polluted":1},"weightsManifest":[{"__proto__":{},"paths":["s1"],"weights":[{"name":"__proto__","shape":[1],"dtype":"float32"}]}]}';
    const file = await openWeights(filesSource([new File([json], 'model.json'), new File([floats(3) as Uint8Array<ArrayBuffer>], 's1')]));
    expect([...(await file.read('__proto__'))]).toEqual([3]);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

test('the metadata carries what the converter says', async () => {
  const file = await model([{ weights: AB, shards: { s: BYTES } }], {
    format: 'layers-model',
    convertedBy: 'a converter',
    modelTopology: { keras_version: '2.2.0', model_config: { class_name: 'Model' } },
    userDefinedMetadata: { preprocessing: 'caffe' },
  });
  expect(Object.fromEntries(file.metadata)).toEqual({
    format: 'layers-model',
    convertedBy: 'a converter',
    keras_version: '2.2.0',
    model_config: '{"class_name":"Model"}',
    preprocessing: 'caffe',
  });
});

test('100,000 tensors in 8000 shards, none of which is there', async () => {
  const weights = Array.from({ length: 100_000 }, (_, i) => ({ name: `w${i}`, shape: [1], dtype: 'float32' }));
  const paths = Array.from({ length: 8000 }, (_, i) => `s${i}`);
  const file = await openWeights(filesSource([new File([JSON.stringify({ weightsManifest: [{ paths, weights }] })], 'model.json')]));
  expect(file.tensors.get('w99999')).toMatchObject({ present: false, absence: 'missing shard s7999' });
});

test('shards that would pass the end of what they are of, the last one not there', async () => {
  const manifest = [{ paths: ['s0', 's1', 's2'], weights: [{ name: 'a', shape: [2], dtype: 'float32' }] }];
  const source = filesSource([
    new File([JSON.stringify({ weightsManifest: manifest })], 'model.json'),
    new File([new Uint8Array(8)], 's0'),
    new File([new Uint8Array(8)], 's1'),
  ]);
  await refuses(openWeights(source), 'VGG_INTEGRITY', /shards of 8 bytes in all, received 2 of 8/);
});
