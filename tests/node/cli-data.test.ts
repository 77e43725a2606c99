// With the real weights and photographs beside the repository, where they are.
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { vgg, WASM } from '../../packages/vgg/test/command-line.js';

const data = '../shared/data';
const weights = join(data, 'vgg16-tfjs/model.json');
const cat = join(data, 'caffe/cat.jpg');

describe.skipIf(!existsSync(weights))('real weights (../shared/data)', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vgg-cli-data-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('info: an interrupted download, with what is missing', async () => {
    const { code, json } = await vgg(['info', weights, '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({
      architecture: 'vgg16',
      parameters: 138_357_544,
      format: 'tfjs-layers',
      preprocessing: { name: 'keras' },
      reaches: 'pool3',
    });
    expect(json.missing).toEqual(
      ['conv4_1', 'conv4_2', 'conv4_3', 'conv5_1', 'conv5_2', 'conv5_3', 'fc6', 'fc7', 'fc8'].map((layer) => `${layer}.weight`),
    );
  });

  test('verify: it is not whole', async () => {
    expect(await vgg(['verify', weights, '--json'])).toMatchObject({ code: 4, json: { ok: false, complete: false, present: 23 } });
  });

  test('convert up to the hole, the same values', async () => {
    const part = join(folder, 'part.safetensors');
    expect((await vgg(['convert', weights, part, '--layers', 'pool3', '--json'])).json).toMatchObject({
      tensors: 14,
      bytes: expect.any(Number),
    });
    expect((await vgg(['verify', weights, part, '--json'])).json.firstDifference).toMatchObject({ layer: 'conv4_1' });
  });

  test.each(['float16', 'int8'])('%s costs little at every layer: the cosine is .999 and more', async (dtype) => {
    const small = join(folder, `${dtype}.safetensors`);
    const { code, json } = await vgg(['convert', weights, small, '--layers', 'pool3', '--dtype', dtype, ...WASM, '--json']);
    expect(code).toBe(0);
    expect(json.errors.map(({ layer }: { layer: string }) => layer)).toEqual([
      ...['relu1_1', 'relu1_2', 'pool1', 'relu2_1', 'relu2_2', 'pool2', 'relu3_1', 'relu3_2', 'relu3_3', 'pool3'],
    ]);
    for (const { layer, relative, cosine } of json.errors) {
      expect({ layer, isSmall: relative > 0 && relative < 0.03 && cosine >= 0.999 && cosine <= 1 }).toEqual({ layer, isSmall: true });
    }
    // 1,735,488 parameters, of which 1,152 are biases.
    const least = dtype === 'int8' ? 1_734_336 + 4 * 1152 : 2 * 1_735_488;
    expect(json.bytes).toBeGreaterThan(least);
    expect(json.bytes).toBeLessThan(least + 20_000);
    const { firstDifference } = (await vgg(['verify', small, join(folder, 'part.safetensors'), ...WASM, '--json'])).json;
    expect(firstDifference).toMatchObject({ layer: 'conv1_1', cause: dtype });
  });

  test('int4 costs more than int8, and beside it, where few weights are, stays at a cosine of .999', async () => {
    const convert = async (dtype: string) => {
      const path = join(folder, 'int4.safetensors');
      const { code, json } = await vgg(['convert', weights, path, '--layers', 'pool3', '--dtype', dtype, ...WASM, '--json']);
      expect(code).toBe(0);
      return json as { bytes: number; errors: { layer: string; cosine: number }[] };
    };
    const whole = await convert('int4');
    // Half a byte for each of 1,734,336 weights, 16 values for each of 1,152 channels, and the biases.
    const least = 1_734_336 / 2 + 4 * 17 * 1152;
    expect(whole.bytes).toBeGreaterThan(least);
    expect(whole.bytes).toBeLessThan(least + 20_000);
    for (const { layer, cosine } of whole.errors) expect({ layer, isNear: cosine > 0.995 && cosine < 1 }).toEqual({ layer, isNear: true });
    expect(whole.errors.find(({ layer }) => layer === 'pool3')!.cosine).toBeLessThan(0.999);
    for (const { layer, cosine } of (await convert('int8,conv1_2=int4,conv2_2=int4')).errors) {
      expect({ layer, isNear: cosine >= 0.999 }).toEqual({ layer, isNear: true });
    }
    const { firstDifference } = (await vgg(['verify', weights, join(folder, 'int4.safetensors'), ...WASM, '--json'])).json;
    expect(firstDifference).toMatchObject({ layer: 'conv1_1', cause: 'int8' });
  });

  test('extract: the deepest tap, and past it the missing tensors by name', async () => {
    const { code, json, err } = await vgg(['extract', cat, '--weights', weights, '--size', '64', '--pool', 'average', ...WASM, '--json']);
    expect(code).toBe(0);
    expect(json.features[0]).toMatchObject({ image: cat, layer: 'pool3', shape: [256] });
    expect(err).toContain('using pool3');
    const deeper = await vgg(['extract', cat, '--weights', weights, '--layer', 'relu4_1', ...WASM, '--json']);
    expect(deeper.code).toBe(1);
    expect(deeper.json.error).toEqual({ code: 'VGG_WEIGHTS_MISSING', message: expect.stringContaining('conv4_1.weight') });
    expect((await vgg(['classify', cat, '--weights', weights, '--offline', ...WASM, '--json'])).json.error.code).toBe(
      'VGG_WEIGHTS_MISSING',
    );
  });

  test('info: a Keras file of another network is listed all the same', async () => {
    const { code, json, err } = await vgg(['info', join(data, 'keras/fer2013_mini_XCEPTION.102-0.66.hdf5'), '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ architecture: null, format: 'keras-h5' });
    expect(json.tensors).toContainEqual({ name: 'conv2d_1/kernel', shape: [3, 3, 1, 8], dtype: 'float32' });
    expect(err).toContain('expected the convolutions of a VGG column');
  });

  test('info: a small network of the family, by the layers that Keras saved with it', async () => {
    const { code, json } = await vgg(['info', join(data, 'keras/mnist_cnn.h5'), '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({
      architecture: 'sequential',
      input: [28, 28, 1],
      classes: 10,
      parameters: 225_034,
      missing: [],
      unknown: [],
    });
  });

  test('info: a Caffe file with its layers, and a PyTorch file that is cut', async () => {
    const lenet = await vgg(['info', join(data, 'caffe/lenet_v1.caffemodel'), '--json']);
    expect(lenet).toMatchObject({ code: 0, json: { architecture: null, format: 'caffe', parameters: 431_080 } });
    expect(lenet.json.layers.map(({ kind }: { kind: string }) => kind).join(' ')).toBe('conv pool conv pool dense relu dense softmax');
    const cut = await vgg(['info', join(data, 'torch/vgg16_reducedfc.truncated.pth'), '--json']);
    expect(cut).toMatchObject({
      code: 0,
      json: { architecture: 'vgg16', reaches: null, unknown: ['31.weight', '31.bias', '33.weight', '33.bias'] },
    });
    expect(cut.json.tensors.every(({ present }: { present?: boolean }) => present === false)).toBe(true);
    const model = await vgg(['info', join(data, 'caffe/VGG_ILSVRC_19_layers_deploy.v1.prototxt'), '--json']);
    expect(model.json).toMatchObject({ architecture: 'vgg19', parameters: 143_667_240 });
  });

  test('a truncated .h5', async () => {
    const whole = await readFile(join(data, 'keras/mnist_cnn.h5'));
    const cut = join(folder, 'cut.h5');
    await writeFile(cut, whole.subarray(0, whole.length >> 1));
    for (const command of ['info', 'verify']) {
      const { code, json } = await vgg([command, cut, '--json']);
      expect({ command, code, error: json.error?.code }).toEqual({ command, code: 4, error: 'VGG_INTEGRITY' });
    }
  });

  test('train, predict and eval on a few ants and bees', async () => {
    const photographs = join(data, 'hymenoptera/train');
    const few = join(folder, 'few');
    for (const name of ['ants', 'bees']) {
      await mkdir(join(few, name), { recursive: true });
      const all = (await readdir(join(photographs, name))).filter((file) => file.endsWith('.jpg'));
      for (const file of all.slice(1, 13)) await copyFile(join(photographs, name, file), join(few, name, file));
    }
    const head = join(folder, 'insects.head');
    const { code, json } = await vgg([
      'train',
      few,
      '--val',
      '0.3',
      '--weights',
      weights,
      '--layer',
      'conv2',
      '--size',
      '32',
      '--out',
      head,
      ...WASM,
      '--json',
    ]);
    expect(code).toBe(0);
    expect(json).toMatchObject({ classes: ['ants', 'bees'], layer: 'relu2_2', size: 32, failed: [] });
    // The whole folder is what was trained on and what was set aside.
    const { accuracy, valAccuracy } = json.best;
    const trained = json.training.images;
    const measured = (await vgg(['eval', few, '--head', head, '--weights', weights, ...WASM, '--json'])).json;
    expect(measured.images).toBe(24);
    expect(measured.top1 * 24).toBeCloseTo(accuracy * trained + valAccuracy * (24 - trained), 6);
    expect(accuracy).toBeGreaterThan(0.7);
    const predicted = await vgg([
      'predict',
      join(photographs, 'ants/0013035.jpg'),
      '--head',
      head,
      '--weights',
      weights,
      ...WASM,
      '--json',
    ]);
    expect(predicted.json.predictions[0].label).toMatch(/^(ants|bees)$/);
  });
});
