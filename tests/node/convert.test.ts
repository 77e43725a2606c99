// Every readable format to every writable one and back, bit for bit.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Progress } from '@vgg/errors';
import { canonicalTensors, dequantizeInt4, openWeights, quantizeInt4, readCanonical, WRITERS, type Writer } from '@vgg/loaders';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareWeights } from '../../packages/vgg/src/compare/compare.js';
import { convert } from '../../packages/vgg/src/convert/convert.js';
import { network } from '../../packages/vgg/src/network/architecture.js';
import { PREPROCESSINGS } from '../../packages/vgg/src/pictures/preprocessing.js';
import { openNetworkWeights } from '../../packages/vgg/src/weights/open-weights.js';
import { weightSpecs } from '../../packages/vgg/src/weights/specs.js';
import { SMALL_PLAN, smallFile } from '../../packages/vgg/test/small-weights.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-convert-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const PLANS = {
  plain: SMALL_PLAN,
  'batch normalisation': { ...SMALL_PLAN, batchNorm: true, epsilon: 1e-3 },
  LRN: { ...SMALL_PLAN, lrn: true },
  '1x1 convolutions': { ...SMALL_PLAN, blocks: [[8], [12, 'conv1-12'], [16, 'conv1-10']] as const },
  'pools that round up': { ...SMALL_PLAN, rounding: 'ceil' as const, size: 36 },
  'ten classes, one dense layer': { ...SMALL_PLAN, dense: [], classes: 10 },
  'the mean of a map': { ...SMALL_PLAN, globalPool: true },
  'no dense layers': { ...SMALL_PLAN, top: false },
};

/** The canonical values of a file, by name. */
async function valuesOf(weights: string, arch?: object): Promise<Map<string, Float32Array>> {
  const opened = await openNetworkWeights(arch as never, { weights }, true);
  try {
    const all = new Map<string, Float32Array>();
    for (const { name } of weightSpecs(opened.network).flatMap(canonicalTensors)) {
      all.set(name, await readCanonical(opened.file, opened.mapping, name));
    }
    return all;
  } finally {
    await opened.file.close();
  }
}

function int4(values: Float32Array, channels: number): Float32Array {
  const { indices, palettes } = quantizeInt4(values, channels);
  return dequantizeInt4(indices, palettes, new Float32Array(values.length));
}

/** The main file in a folder of its own, since some formats put others beside it. */
const nameFor = ({ id, endings }: Writer) => (id === 'tfjs' ? 'model.json' : `weights.${endings[0]}`);
const NO_KERAS_LAYER = new Set(['LRN']);
const canHold = ({ id }: Writer, title: string) => !(NO_KERAS_LAYER.has(title) && (id === 'h5' || id === 'tfjs'));

describe.each(Object.entries(PLANS))('%s', (title, plan) => {
  const arch = network(plan).plan;
  const at = (...parts: string[]) => join(folder, title.replace(/\W/g, '-'), ...parts);
  const original = () => at('original', 'weights.safetensors');
  let expected: Map<string, Float32Array>;
  const written = (writer: Writer) => at(writer.id, nameFor(writer));

  beforeAll(async () => {
    for (const name of ['original', ...WRITERS.map(({ id }) => id)]) await mkdir(at(name), { recursive: true });
    await writeFile(original(), await smallFile(plan));
    expected = await valuesOf(original());
    for (const writer of WRITERS.filter((each) => canHold(each, title))) await convert(original(), written(writer), { arch });
  });

  const holders = WRITERS.filter((each) => canHold(each, title));
  test.each(holders.flatMap((from) => holders.map((to): [string, string, Writer, Writer] => [from.id, to.id, from, to])))(
    '%s to %s, bit for bit',
    async (_, __, from, to) => {
      const target = at(`${from.id}-to-${to.id}`);
      await mkdir(target);
      const path = join(target, nameFor(to));
      const converted = await convert(written(from), path, { arch });
      expect(converted).toMatchObject({ output: path, format: to.id, tensors: expected.size });
      const sizes = await Promise.all((await readdir(target)).map(async (name) => (await readFile(join(target, name))).length));
      expect(converted.bytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
      expect(await valuesOf(path, arch)).toEqual(expected);
    },
  );

  test.each(WRITERS.filter((each) => !canHold(each, title)).map((each): [string, Writer] => [each.id, each]))(
    '%s has no such layer and says so',
    async (_, writer) => {
      await expect(convert(original(), written(writer), { arch })).rejects.toMatchObject({ code: 'VGG_OPTION' });
      expect(await readdir(at(writer.id))).toEqual([]);
    },
  );
});

describe('convert', () => {
  const at = (...parts: string[]) => join(folder, ...parts);
  const weights = () => at('small.safetensors');
  beforeAll(async () => writeFile(weights(), await smallFile()));

  test('into a folder, which is made', async () => {
    const converted = await convert(weights(), `${at('new/web')}/`);
    expect(converted).toMatchObject({ output: at('new/web/model.json'), format: 'tfjs' });
    expect((await readdir(at('new/web'))).sort()).toEqual(converted.files.map(({ name }) => name).sort());
  });

  test('progress in bytes, forwards and to the end, whatever the format asks for more than once', async () => {
    for (const writer of WRITERS) {
      for (const dtype of writer.dtypes) {
        const progress: Progress[] = [];
        await mkdir(at(`progress-${writer.id}-${dtype}`));
        await convert(weights(), at(`progress-${writer.id}-${dtype}`, nameFor(writer)), {
          dtype,
          onProgress: (each) => void progress.push(each),
        });
        const told = progress.filter(({ stage }) => stage === 'convert');
        const total = 4 * [...(await valuesOf(weights())).values()].reduce((sum, { length }) => sum + length, 0);
        expect(told.map(({ loaded }) => loaded)).toEqual(told.map(({ loaded }) => loaded).sort((a, b) => a - b));
        expect(told.at(-1)).toMatchObject({ loaded: total, total });
      }
    }
  });

  test.each([
    ['an ending that no format has', 'out.docx', {}, /expected an output that ends as one of these formats does: safetensors, h5/],
    ['a format that nobody knows', 'out.safetensors', { to: 'docx' }, /received "docx"/],
    ['a dtype that the format has not', 'out.caffemodel', { dtype: 'int8' as const }, /expected float32 for .*, received dtype int8/],
    ['int4 in another format than ours', 'out.onnx', { dtype: 'int4' as const }, /received dtype int4; safetensors can have it/],
    ['a mix in another format', 'out.onnx', { dtype: { default: 'int8', conv1_1: 'float32' } as const }, /one dtype for all .* several/],
    [
      'a dtype that there is not',
      'out.safetensors',
      { dtype: { fc6: 'in4' as never } },
      /for fc6, received "in4" \(did you mean "int4"\?\)/,
    ],
  ])('%s is refused', async (_, name, options, text) => {
    await expect(convert(weights(), at(name), options)).rejects.toMatchObject({ code: 'VGG_OPTION', message: expect.stringMatching(text) });
    expect(await readdir(folder)).not.toContain(name);
  });

  test('each layer of a dtype of its own: by its name, else by its kind, else the default', async () => {
    const dtype = { default: 'float16', conv: 'int8', conv1_1: 'float32', fc: 'int4', fc7: 'int8' } as const;
    await convert(weights(), at('mixed.safetensors'), { dtype });
    const file = await openWeights(
      await (await import('../../packages/vgg/src/io/node/source.js')).openFileSource(at('mixed.safetensors')),
    );
    const stored = new Map([...file.tensors].map(([name, info]) => [name, info.dtype]));
    await file.close();
    for (const [layer, expected] of Object.entries({ conv1_1: 'float32', conv1_2: 'int8', conv3_2: 'int8', fc6: 'int4', fc7: 'int8' })) {
      expect([layer, stored.get(`${layer}.weight`)]).toEqual([layer, expected]);
      expect([layer, stored.get(`${layer}.bias`)]).toEqual([layer, 'float32']);
    }
    const [given, read] = [await valuesOf(weights()), await valuesOf(at('mixed.safetensors'))];
    expect(read.get('conv1_1.weight')).toEqual(given.get('conv1_1.weight'));
    expect(read.get('fc6.weight')).toEqual(int4(given.get('fc6.weight')!, 20));
    // Into another format it goes as the values that it stands for, and back the same: 16 values stay 16 values.
    await convert(at('mixed.safetensors'), at('mixed.npz'));
    expect(await valuesOf(at('mixed.npz'))).toEqual(read);
    await convert(at('mixed.npz'), at('again-mixed.safetensors'), { dtype: { fc6: 'int4' } });
    expect(await valuesOf(at('again-mixed.safetensors'))).toEqual(read);
  });

  test('a layer that there is not is refused, with the nearest', async () => {
    for (const [layer, near] of [
      ['conv1_9', 'conv1_1'],
      ['conv1-2', 'conv1_2'],
      ['fc66', 'fc6'],
    ] as const) {
      await expect(convert(weights(), at('odd.safetensors'), { dtype: { [layer]: 'int4' } })).rejects.toMatchObject({
        code: 'VGG_LAYER',
        message: expect.stringMatching(`received "${layer}" \\(did you mean "${near}"`),
      });
    }
    expect(await readdir(folder)).not.toContain('odd.safetensors');
  });

  test('class names are carried, from file to file, and a list in the order of the development kit is warned of', async () => {
    const names = at('classes.txt');
    await writeFile(names, 'n02119789 kit fox\nn02100735 English setter\nn02110185 Siberian husky\nn02096294 terrier\nn02102040 spaniel');
    const warnings: string[] = [];
    await convert(weights(), at('named.safetensors'), { classes: names, onWarning: (text) => void warnings.push(text) });
    expect(warnings).toEqual([expect.stringMatching(/order of the ILSVRC development kit/)]);
    await convert(at('named.safetensors'), at('again.safetensors'));
    const file = await openWeights(
      await (await import('../../packages/vgg/src/io/node/source.js')).openFileSource(at('again.safetensors')),
    );
    expect(JSON.parse(file.metadata.get('vgg.classes')!)[1]).toEqual(['n02100735', 'English setter']);
    await file.close();
    await expect(convert(weights(), at('few.safetensors'), { classes: [{ index: 0, label: 'one' }] })).rejects.toMatchObject({
      code: 'VGG_OPTION',
      message: expect.stringMatching(/expected 5 names/),
    });
  });

  test('folded weights are others and compute the same', async () => {
    const plan = { ...SMALL_PLAN, batchNorm: true, padding: 'reflect' as const };
    await writeFile(at('bn.safetensors'), await smallFile(plan));
    await convert(at('bn.safetensors'), at('folded.safetensors'), { fold: { batchNorm: true, preprocessing: true } });
    const opened = await openNetworkWeights(undefined, { weights: at('folded.safetensors') }, true);
    await opened.file.close();
    expect(opened.network.batchNorm).toBe(false);
    expect(opened.preprocessing).toMatchObject({ channelOrder: 'rgb', scale: 1, mean: [0, 0, 0], std: [1, 1, 1] });
    const compared = await compareWeights(at('bn.safetensors'), at('folded.safetensors'), { backend: 'wasm' });
    expect(compared).toMatchObject({ ok: false, diverges: null, firstDifference: { layer: 'conv1_1' } });
    expect(compared.taps.at(-1)).toMatchObject({ layer: 'prob', cosine: expect.closeTo(1, 6) });
  });

  describe('the mean of several', () => {
    const plan = { ...SMALL_PLAN, batchNorm: true, epsilon: 1e-3 };
    const path = (seed: number) => join(folder, `seed-${seed}.safetensors`);
    beforeAll(async () => {
      for (const seed of [1, 2, 3]) await writeFile(path(seed), await smallFile(plan, { 'vgg.classes': '["a","b","c","d","e"]' }, seed));
    });

    test.each([1, 2, 3])('of %i, of each tensor, with what the first says of itself', async (count) => {
      const output = join(folder, `mean-${count}.safetensors`);
      await convert(path(1), output, { average: [2, 3].slice(0, count - 1).map(path) });
      const parts = await Promise.all([1, 2, 3].slice(0, count).map((seed) => valuesOf(path(seed))));
      const mean = await valuesOf(output);
      expect([...mean.keys()]).toEqual([...parts[0]!.keys()]);
      for (const [name, values] of mean) {
        const expected = values.map((_, i) => parts.reduce((sum, part) => sum + part.get(name)![i]!, 0) / count);
        const most = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
        for (const [i, value] of values.entries()) expect(Math.abs(value - expected[i]!), name).toBeLessThanOrEqual(2e-7 * most);
      }
      const opened = await openNetworkWeights(undefined, { weights: output }, true);
      expect(opened.network.plan).toEqual(network(plan).plan);
      expect(opened.file.metadata.get('vgg.classes')).toBe('["a","b","c","d","e"]');
      await opened.file.close();
    });

    test('is folded when it is made, and may be of files of several formats', async () => {
      const [mean, folded, other] = ['mean', 'folded', 'other'].map((name) => join(folder, `${name}.safetensors`)) as [
        string,
        string,
        string,
      ];
      const h5 = join(folder, 'seed-2.h5');
      await convert(path(2), h5);
      await convert(path(1), mean, { average: [path(2)] });
      await convert(mean, folded, { fold: { batchNorm: true } });
      await convert(path(1), other, { average: [h5], fold: { batchNorm: true } });
      expect(await valuesOf(other)).toEqual(await valuesOf(folded));
    });

    test('of what does not go together is refused, and nothing is written', async () => {
      const others = {
        'of other layers': [await smallFile({ ...plan, dense: [21] }), 'VGG_SHAPE', /^average: expected weights of the layers of seed-1/],
        'of other classes': [await smallFile(plan, { 'vgg.classes': '["e","d","c","b","a"]' }), 'VGG_OPTION', /with classes of its own$/],
        'prepared otherwise': [
          await smallFile(plan, { 'vgg.preprocessing': JSON.stringify({ ...PREPROCESSINGS.caffe, mean: [1, 2, 3] }) }),
          'VGG_OPTION',
          /with preprocessing of its own$/,
        ],
      } as const;
      for (const [what, [bytes, code, message]] of Object.entries(others)) {
        const output = join(folder, `${what}.safetensors`);
        const refused = convert(path(1), output, { average: [bytes] });
        await expect(refused, what).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
        await expect(readFile(output), what).rejects.toThrow('ENOENT');
      }
    });
  });

  test('an abort leaves nothing', async () => {
    const abort = new AbortController();
    const onProgress = () => abort.abort();
    await mkdir(at('aborted'));
    for (const writer of WRITERS) {
      const options = { signal: abort.signal, onProgress };
      await expect(convert(weights(), at('aborted', nameFor(writer)), options)).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    }
    expect(await readdir(at('aborted'))).toEqual([]);
  });
});
