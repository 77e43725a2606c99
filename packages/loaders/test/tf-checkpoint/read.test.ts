import { describe, expect, test } from 'vitest';
import { tfCheckpoint } from '../../src/formats/tf-checkpoint/index.js';
import { bytesSource, filesSource, openWeights, type Source, type WeightFile } from '../../src/index.js';
import { counted, fixture, ramp, refuses } from '../helpers.js';

const FORMATS = { formats: [tfCheckpoint] };
/** Any hash asks for the values to be checked; checkpoints have sums of their own. */
const CHECKED = { sha256: () => ({ update() {}, digest: () => '' }) };

/** A fixture with the others of its folder beside it, but for those that are missing. */
async function source(name: string, missing?: RegExp): Promise<Source> {
  const bytes = await fixture(`tf-checkpoint/${name}`);
  return {
    ...bytesSource(bytes, name),
    sibling: async (other) => (missing?.test(other) ? undefined : source(other).catch(() => undefined)),
  };
}

const open = async (name: string): Promise<WeightFile> => openWeights(await source(name), FORMATS);

async function expectRamps(file: WeightFile, names: Iterable<string> = file.tensors.keys()): Promise<void> {
  for (const name of names) {
    const values = await file.read(name);
    const expected = ramp(values.length);
    expect([...values], name).toEqual(file.tensors.get(name)!.dtype === 'bool' ? expected.map((value) => (value === 0 ? 0 : 1)) : expected);
    const pieces: number[] = [];
    for await (const piece of file.stream(name)) pieces.push(...piece);
    expect(pieces, name).toEqual([...values]);
  }
}

const SLIM = {
  double: ['float64', [3, 2]],
  global_step: ['int64', []],
  half: ['float16', [3, 2]],
  int32: ['int32', [3, 2]],
  truth: ['bool', [4]],
  'vgg_16/conv1/conv1_1/biases': ['float32', [4]],
  'vgg_16/conv1/conv1_1/weights': ['float32', [3, 3, 3, 4]],
  'vgg_16/fc6/biases': ['float32', [5]],
  'vgg_16/fc6/weights': ['float32', [2, 2, 4, 5]],
};

test.each([
  ['saver.index', '2'],
  ['saver-v1.ckpt', '1'],
])('%s: a Saver of tf.compat.v1, version %s', async (name, version) => {
  const file = await open(name);
  expect(file.metadata.get('checkpoint_version')).toBe(version);
  expect(Object.fromEntries([...file.tensors.values()].map((info) => [info.name, [info.dtype, info.shape]]))).toEqual(SLIM);
  await expectRamps(file);
  await expectRamps(await tfCheckpoint.open(await source(name), CHECKED));
});

test('opens from the files of its folder, as a page has them', async () => {
  const names = ['checkpoint', 'saver.data-00000-of-00001', 'saver.index', 'saver.meta'];
  const files = names.map(async (name) => new File([/saver\.[di]/.test(name) ? await fixture(`tf-checkpoint/${name}`) : ''], name));
  const file = await openWeights(filesSource(await Promise.all(files)));
  expect(file.format).toBe('tf-checkpoint');
  await expectRamps(file);
});

test('150 variables in several blocks, in the order of their numbers', async () => {
  const file = await open('many.index');
  expect([...file.tensors.keys()]).toEqual(
    Array.from({ length: 150 }, (_, i) => `a/path/that/all/of/them/have/in/common/layer_${i}/weights`),
  );
  await expectRamps(file);
});

test('a checkpoint in two files, and one of them missing', async () => {
  await expectRamps(await open('sharded.index'));
  const file = await openWeights(await source('sharded.index', /00001-of-00002$/), FORMATS);
  const absent = [...file.tensors.values()].filter(({ present }) => !present);
  expect(absent.map(({ name }) => name)).toEqual(['conv1_2/b', 'conv1_2/w']);
  expect(absent[0]!.absence).toBe('missing file sharded.data-00001-of-00002');
  await refuses(file.read('conv1_2/w'), 'VGG_WEIGHTS_MISSING', /missing file sharded\.data-00001-of-00002/);
  await expectRamps(file, ['conv1_1/b', 'conv1_1/w']);
});

test.each(['parts.index', 'parts-v1.ckpt'])('%s: a variable in parts is named, and not served', async (name) => {
  const file = await open(name);
  expect(file.tensors.get('parts')).toMatchObject({ present: false, shape: [4, 3] });
  await refuses(file.read('parts'), 'VGG_WEIGHTS_MISSING', /2 parts/);
  await expectRamps(file, ['whole']);
});

test('a Keras checkpoint: variables by their own names, in the order of the layers', async () => {
  const file = await open('keras.index');
  const layers = [...Array.from({ length: 11 }, (_, i) => `block${Math.floor(i / 3) + 1}_conv${(i % 3) + 1}`), 'predictions'];
  const expected = layers.flatMap((layer) => [`sequential/${layer}/kernel`, `sequential/${layer}/bias`]);
  const names = [...file.tensors.keys()].filter((name) => name.startsWith('sequential/'));
  expect(names).toEqual(expected);
  await expectRamps(file, names);
  expect(file.tensors.get('sequential/block1_conv1/kernel')!.storedAs).toBe('optimizer/_trainable_variables/0/.ATTRIBUTES/VARIABLE_VALUE');
  expect([...(await file.read('sgd/sequential_block1_conv1_bias_momentum'))]).toEqual([0, 0]); // the optimiser's are listed too
});

test('variables that nobody named, by their paths', async () => {
  const file = await open('module.index');
  expect([...file.tensors.keys()]).toEqual(Array.from({ length: 12 }, (_, i) => `module/layers/${i}`));
  await expectRamps(file);
});

test('only the index is read when a checkpoint is opened', async () => {
  const index = counted(await source('saver.index'));
  const data = counted(await source('saver.data-00000-of-00001'));
  const file = await tfCheckpoint.open({ ...index, sibling: async () => data });
  expect(index.bytes).toBeLessThan(4096);
  expect(data.bytes).toBe(0);
  await file.read('vgg_16/fc6/weights');
  expect(data.bytes).toBe(80 * 4);
});

describe('files that are not what to open', () => {
  const bytes = new TextEncoder().encode('\n?');
  test.each([
    ['model.ckpt-49999.data-00000-of-00001', new Uint8Array(100)],
    ['model.ckpt-49999.meta', bytes],
    ['checkpoint', new TextEncoder().encode('model_checkpoint_path: "/some/folder/model.ckpt-49999"\nall_model_checkpoint_paths: "a"\n')],
  ])('%s: the index is named', async (name, content) => {
    await refuses(openWeights(bytesSource(content, name), FORMATS), 'VGG_FORMAT', /open "model\.ckpt-49999\.index"/);
  });
});
