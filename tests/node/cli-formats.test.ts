// Weight files of every format that can be written, through every command that takes weights; and what is said of files that are none.
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { photograph, RED, vgg, WASM, weightsFile } from '../../packages/vgg/test/command-line.js';

const LABELS = ['ant', 'bee', 'cat', 'dog', 'eel'];
const FILES = ['a.safetensors', 'a.h5', 'a.onnx', 'a.npz', 'a.caffemodel', 'web/model.json'];
let folder: string;
let picture: string;
const at = (...names: string[]) => join(folder, ...names);
const last = (text: string) => text.trimEnd().split('\n').at(-1)!;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-cli-formats-'));
  picture = await photograph(at('red.png'), RED);
  const weights = await weightsFile(at('small.safetensors'));
  await writeFile(at('names.txt'), LABELS.join('\n'));
  expect((await vgg(['convert', weights, at('a.safetensors'), '--classes', at('names.txt'), '-q'])).code).toBe(0);
  for (const name of FILES.slice(1))
    expect((await vgg(['convert', at('a.safetensors'), at(name.replace('model.json', '')), '-q'])).code).toBe(0);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(FILES)('%s', (name) => {
  test('info tells what it is', async () => {
    const { code, json } = await vgg(['info', at(name), '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ architecture: 'small', classes: 5, reaches: 'prob', missing: [], preprocessing: { name: 'small' } });
  });

  test('classify gives the class names that it carries, and the same probabilities', async () => {
    const argv = ['classify', picture, '--top', '5', '--json', ...WASM];
    const expected = (await vgg([...argv, '--weights', at('small.safetensors'), '--classes', at('names.txt')])).json.images[0].predictions;
    expect((await vgg([...argv, '--weights', at(name)])).json.images[0].predictions).toEqual(expected);
  });

  test('verify finds it whole, and the same as the others', async () => {
    const { code, out } = await vgg(['verify', at(name)]);
    expect(code).toBe(0);
    expect(last(out)).toBe('result     ok');
    expect((await vgg(['verify', at('small.safetensors'), at(name), ...WASM])).code).toBe(0);
  });

  test('cut short it is refused with exit code 4', async () => {
    const cut = at('cut', name.split('/').at(-1)!);
    await mkdir(at('cut'), { recursive: true });
    if (name.endsWith('model.json')) {
      await copyFile(at(name), cut);
      const { code, json } = await vgg(['verify', cut, '--json']);
      expect({ code, reason: json.faults[0].message }).toEqual({ code: 4, reason: 'missing shard group1-shard1of1.bin' });
      return;
    }
    const whole = await readFile(at(name));
    await writeFile(cut, whole.subarray(0, Math.floor(whole.length / 2)));
    for (const argv of [['verify'], ['info'], ['extract', picture, ...WASM, '--weights']]) {
      const { code, err } = await vgg([...argv, cut, '-q']);
      expect(code).toBe(4);
      expect(err).toMatch(/^vgg: cut|^vgg: a\./);
      expect(err).toMatch(/ \[VGG_INTEGRITY\]\n$/);
    }
  });
});

describe('what the command line says of the weights', () => {
  test('--preprocessing is taken instead', async () => {
    const argv = [
      'extract',
      picture,
      '--weights',
      at('a.onnx'),
      '--layer',
      'relu1_1',
      '--size',
      '32',
      '--pool',
      'average',
      '--json',
      ...WASM,
    ];
    const own = (await vgg(argv)).json.features[0].data;
    expect((await vgg([...argv, '--preprocessing', 'caffe'])).json.features[0].data).not.toEqual(own);
    const { code, err } = await vgg([...argv, '--preprocessing', 'cafe']);
    expect(code).toBe(2);
    expect(err).toContain('expected one of keras, caffe');
  });

  test('a part of the weights reaches its last pool', async () => {
    expect((await vgg(['convert', at('small.safetensors'), at('part.h5'), '--layers', 'pool3', '-q'])).code).toBe(0);
    expect((await vgg(['info', at('part.h5'), '--json'])).json.reaches).toBe('pool3');
    const { code, out } = await vgg(['verify', at('part.h5')]);
    expect({ code, result: last(out) }).toEqual({ code: 0, result: 'result     ok, up to pool3' });
  });

  test('convert --average writes the mean, and not over what it is of', async () => {
    const [a, b, mean] = [at('small.safetensors'), at('a.h5'), at('mean.safetensors')];
    const { code, json } = await vgg(['convert', a, mean, '--average', b, '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ input: a, average: [b], output: mean, format: 'safetensors' });
    // Of twice the same values.
    expect((await vgg(['verify', a, mean, '--json'])).json).toMatchObject({ ok: true });
    const over = await vgg(['convert', a, b, '--average', b]);
    expect(over.code).toBe(2);
    expect(over.err).toContain('expected an OUT that is not IN, received a.h5 itself');
  });

  test('a plan as JSON needs no more than the blocks', async () => {
    const bare = at('bare.npz');
    await vgg(['convert', at('small.safetensors'), bare, '-q']);
    const plan = '{"blocks":[[8,8],[12],[16,16]]}';
    const { json } = await vgg(['info', bare, '--arch', plan, '--json']);
    expect(json).toMatchObject({ input: [32, 32, 3], classes: 5, reaches: 'prob', missing: [] });
    await writeFile(at('plan.json'), plan);
    expect((await vgg(['info', bare, '--arch', at('plan.json'), '--json'])).json.layers).toEqual(json.layers);
  });
});

describe('published sets by name', () => {
  const env = { VGG_CACHE: '/nowhere' };

  test.each(['vgg16', 'vgg16.oxford', 'vgg16.torchvision', 'vgg19.keras_in1k_notop'])(
    'verify, info and convert know %s, and fetch nothing with --offline',
    async (name) => {
      for (const argv of [
        ['verify', name],
        ['info', name],
        ['convert', name, at('out.npz')],
      ]) {
        // An architecture's name alone is one to look into.
        if (argv[0] === 'info' && name === 'vgg16') continue;
        const { code, err } = await vgg([...argv, '--offline', '-q'], { env });
        expect({ argv, code }).toEqual({ argv, code: 1 });
        expect(err).toMatch(/expected it in .*, since offline was asked for; .*\[VGG_NETWORK\]\n$/);
      }
    },
  );

  test('a slip of the pen is seen', async () => {
    for (const argv of [
      ['verify', 'vgg16.oxfrod'],
      ['extract', picture, '--weights', 'vgg16.oxfrod', ...WASM],
    ]) {
      const { code, err } = await vgg([...argv, '-q']);
      expect(code).toBe(1);
      expect(err).toContain('vgg16.oxfrod: expected a file or a published set, received the name of neither; did you mean "vgg16.oxford"?');
    }
    expect((await vgg(['weights', 'get', 'vgg16.oxfrod'])).err).toContain('did you mean "vgg16.oxford"?');
  });
});

describe('files that hold no weights', () => {
  test('a prototxt alone', async () => {
    for (const argv of [['verify'], ['extract', picture, ...WASM, '--weights']]) {
      const { code, err } = await vgg([...argv, at('a.prototxt'), '-q']);
      expect(code).toBe(1);
      expect(err).toMatch(
        /a\.prototxt: tells of the layers of small and holds no weights; pass the file with the weights, .*\[VGG_WEIGHTS_MISSING\]/,
      );
    }
    expect((await vgg(['info', at('a.prototxt')])).out).toContain('reaches        no layer');
  });

  test('a model.json whose shards are elsewhere: each command says which', async () => {
    await mkdir(at('alone'), { recursive: true });
    await copyFile(at('web/model.json'), at('alone/model.json'));
    const shard = 'missing shard group1-shard1of1.bin';
    expect((await vgg(['info', at('alone/model.json')])).out).toContain(`because        ${shard}`);
    expect((await vgg(['verify', at('alone/model.json')])).out).toContain(
      `conv1_1.weight, conv1_1.bias, conv1_2.weight, conv1_2.bias, conv2_1.weight, conv2_1.bias and 8 more (${shard})`,
    );
    const { code, err } = await vgg(['extract', picture, ...WASM, '--weights', at('alone/model.json'), '-q']);
    expect(code).toBe(1);
    expect(err).toContain(`does not even hold conv1_1.weight (${shard}); pass weights that are whole`);
  });

  test('names that are no layers: the file is called by its name', async () => {
    await writeFile(at('mean.npy'), npy());
    const { code, err, out } = await vgg(['info', at('mean.npy')]);
    expect(code).toBe(0);
    expect(err).toMatch(/^vgg: mean\.npy: expected names such as/);
    expect(out).toContain('holds   1 tensor, 2 values');
  });
});

/** Two float32 values, as NumPy saves them. */
function npy(): Buffer {
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }".padEnd(117);
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00\x76\x00', 'latin1'), Buffer.from(`${header}\n`), Buffer.alloc(8)]);
}
