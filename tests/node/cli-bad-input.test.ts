// Bad input: one clear sentence with a code, the right exit code, and in a batch the good pictures are kept.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { colourFolders, photograph, type Ran, RED, vgg, WASM, weightsFile } from '../../packages/vgg/test/command-line.js';

let folder: string;
let weights: string;
let picture: string;
const at = (...names: string[]) => join(folder, ...names);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-cli-bad-'));
  weights = await weightsFile(at('small.safetensors'));
  picture = await photograph(at('red.png'), RED);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** One sentence on standard error, one document on standard output, the same code in both. */
function expectFailure({ code: exit, err, json }: Ran, expected: { exit: number; code: string; says: string | RegExp }): void {
  const last = err.trimEnd().split('\n').at(-1)!;
  expect({ exit, code: json.error.code }).toEqual({ exit: expected.exit, code: expected.code });
  expect(last).toMatch(new RegExp(`^vgg: .+ \\[${expected.code}\\]$`));
  expect(json.error.message).toMatch(expected.says);
  expect(err).not.toMatch(/^ {4}at /m);
}

const extract = (...args: string[]) => vgg(['extract', ...args, ...WASM, '--json']);

test('a text file as weights', async () => {
  await writeFile(at('notes.txt'), 'These are not weights, but notes about them.\n');
  expectFailure(await extract(picture, '--weights', at('notes.txt')), { exit: 1, code: 'VGG_FORMAT', says: 'notes.txt' });
  expectFailure(await vgg(['info', at('notes.txt'), '--json']), { exit: 1, code: 'VGG_FORMAT', says: 'notes.txt' });
});

test('weights that are not there', async () => {
  expectFailure(await extract(picture, '--weights', at('gone.h5')), { exit: 1, code: 'VGG_NOT_FOUND', says: 'gone.h5' });
});

test('truncated safetensors', async () => {
  const whole = await readFile(weights);
  await writeFile(at('cut.safetensors'), whole.subarray(0, whole.length - 100));
  for (const argv of [['info'], ['verify'], ['convert', at('out.safetensors')]]) {
    const [command, ...rest] = argv;
    expectFailure(await vgg([command, at('cut.safetensors'), ...rest, '--json']), {
      exit: 4,
      code: 'VGG_INTEGRITY',
      says: 'cut.safetensors',
    });
  }
});

test.each([
  ['another folder', '../secret.bin'],
  ['an absolute path', '/etc/hostname'],
  ['another host', 'https://example.org/group1-shard1of1'],
])('a model.json that points to %s', async (_, path) => {
  const manifest = [{ paths: [path], weights: [{ name: 'block1_conv1/kernel', shape: [3, 3, 3, 64], dtype: 'float32' }] }];
  await writeFile(at('model.json'), JSON.stringify({ format: 'layers-model', modelTopology: {}, weightsManifest: manifest }));
  const ran = await extract(picture, '--weights', at('model.json'));
  expect([1, 4]).toContain(ran.code);
  expectFailure(ran, { exit: ran.code, code: ran.json.error.code, says: /plain|name|folder|shard/ });
});

test('a corrupt picture among good ones', async () => {
  const jpeg = await readFile(await photograph(at('mixed', 'a.jpg'), RED));
  await writeFile(at('mixed', 'b.jpg'), jpeg.subarray(0, 200));
  await photograph(at('mixed', 'c.png'), RED, { seed: 2 });
  const { code, json } = await extract(at('mixed'), '--weights', weights, '--layer', 'pool1');
  expect(code).toBe(3);
  expect(json.features.map(({ image }: { image: string }) => image)).toEqual([at('mixed', 'a.jpg'), at('mixed', 'c.png')]);
  expect(json.failed).toEqual([
    { image: at('mixed', 'b.jpg'), code: expect.stringMatching(/^VGG_(INTEGRITY|INPUT)$/), message: expect.stringContaining('b.jpg') },
  ]);
  // Alone it is a failure, with the same list.
  const alone = await extract(at('mixed', 'b.jpg'), '--weights', weights);
  expect(alone.json.failed).toHaveLength(1);
  expect([1, 4]).toContain(alone.code);
});

test('training with a corrupt picture goes on, and says so', async () => {
  await colourFolders(at('train'), 3);
  await writeFile(at('train', 'red', 'broken.jpg'), 'no picture at all');
  const { code, json, err } = await vgg(['train', at('train'), '--weights', weights, ...WASM, '--json']);
  expect(code).toBe(3);
  expect(json.failed).toEqual([
    { image: at('train', 'red', 'broken.jpg'), code: 'VGG_INPUT', message: expect.stringContaining('broken.jpg') },
  ]);
  expect(json.training.images).toBe(6);
  expect(err).toContain('broken.jpg');
});

test('an empty folder', async () => {
  await mkdir(at('empty'));
  expectFailure(await extract(at('empty'), '--weights', weights), { exit: 1, code: 'VGG_NOT_FOUND', says: 'empty' });
  expectFailure(await vgg(['train', at('empty'), '--weights', weights, '--json']), {
    exit: 1,
    code: 'VGG_DATASET',
    says: 'an empty folder',
  });
  expectFailure(await extract(at('empty', '*.jpg'), '--weights', weights), { exit: 1, code: 'VGG_NOT_FOUND', says: 'no file matches' });
});

test('a class with one picture', async () => {
  await colourFolders(at('single'), 2);
  await photograph(at('single', 'green', 'only.png'), [60, 200, 60]);
  const args = ['train', at('single'), '--weights', weights, ...WASM, '--json'];
  expectFailure(await vgg([...args, '--val', '0.5']), { exit: 1, code: 'VGG_DATASET', says: '"green"' });
  const { code, json, err } = await vgg(args);
  expect({ code, classes: json.classes }).toEqual({ code: 0, classes: ['blue', 'green', 'red'] });
  expect(err).toContain('class "green" has one picture');
});

test('a layer name with a typo', async () => {
  for (const command of [
    ['extract', picture],
    ['train', at('single')],
  ]) {
    expectFailure(await vgg([...command, '--weights', weights, '--layer', 'rleu3_2', ...WASM, '--json']), {
      exit: 2,
      code: 'VGG_LAYER',
      says: 'did you mean "relu3_2"?',
    });
  }
});

test('a picture too small for the network, where nothing enlarges it', async () => {
  const free = await weightsFile(at('free.safetensors'), { top: false } as object, { mode: 'none' });
  const small = await photograph(at('seven.png'), RED, { side: 7 });
  expectFailure(await extract(small, '--weights', free), { exit: 1, code: 'VGG_INPUT', says: 'at least 8 x 8 pixels' });
  expect((await extract(small, '--weights', free, '--size', '32')).code).toBe(0);
});

test('a picture of 200 megapixels, by its header', async () => {
  await writeFile(at('bomb.png'), pngHeader(20_000, 10_000));
  const { code, json } = await extract(at('bomb.png'), picture, '--weights', weights, '--layer', 'pool1');
  expect(code).toBe(3);
  expect(json.failed).toEqual([{ image: at('bomb.png'), code: 'VGG_INPUT', message: expect.stringMatching(/pixels/) }]);
});

test('weights that end before the layer name each tensor that is missing', async () => {
  await vgg(['convert', weights, at('part.safetensors'), '--layers', 'pool1', '-q']);
  expectFailure(await extract(picture, '--weights', at('part.safetensors'), '--layer', 'pool3'), {
    exit: 1,
    code: 'VGG_WEIGHTS_MISSING',
    says: /conv2_1\.weight.*conv3_2\.bias/,
  });
});

test('values that are not numbers', async () => {
  const bytes = await readFile(weights);
  bytes.writeFloatLE(Number.NaN, bytes.length - 4);
  await writeFile(at('nan.safetensors'), bytes);
  const { code, json } = await vgg(['verify', at('nan.safetensors'), '--json']);
  expect({ code, ok: json.ok }).toEqual({ code: 4, ok: false });
  expect(json.faults).toEqual([{ tensor: 'fc7.bias', message: 'value 4 is NaN' }]);
});

test('a backend that is not there is an error, never another one', async () => {
  const { json } = await vgg(['doctor', ...WASM, '--json']);
  if (json.backends[0].available) return; // this machine has WebGPU
  expectFailure(await vgg(['extract', picture, '--weights', weights, '--backend', 'webgpu', '--json']), {
    exit: 5,
    code: 'VGG_BACKEND',
    says: 'webgpu',
  });
});

test('no network: one sentence says how to pass a file', async () => {
  const ran = await vgg(['extract', picture, '--offline', ...WASM, '--json']);
  if (ran.code === 0) return; // the published weights are in this machine's cache
  expectFailure(ran, { exit: 1, code: 'VGG_NETWORK', says: '--weights FILE' });
});

test('a head file that is none', async () => {
  expectFailure(await vgg(['predict', picture, '--head', weights, '--json']), { exit: 1, code: 'VGG_FORMAT', says: 'head' });
  expectFailure(await vgg(['predict', picture, '--head', at('gone.head'), '--json']), {
    exit: 1,
    code: 'VGG_NOT_FOUND',
    says: 'gone.head',
  });
});

test('control characters of a file name do not reach the terminal', async () => {
  const { code, err } = await vgg(['extract', at('a\x1bc\x07.png'), '--weights', weights, ...WASM]);
  expect(code).toBe(1);
  expect(err).toMatch(/there is no such file/);
  for (const character of ['\x1b', '\x07']) expect(err).not.toContain(character);
});

/** A PNG of this size whose picture data are missing. */
function pngHeader(width: number, height: number): Buffer {
  const ihdr = Buffer.alloc(17);
  ihdr.write('IHDR', 0, 'latin1');
  ihdr.writeUInt32BE(width, 4);
  ihdr.writeUInt32BE(height, 8);
  ihdr.set([8, 2, 0, 0, 0], 12);
  const chunk = (body: Buffer) => {
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(body.length - 4, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk(ihdr), chunk(Buffer.from('IDAT')), chunk(Buffer.from('IEND'))]);
}
