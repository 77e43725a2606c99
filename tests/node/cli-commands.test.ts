// Every command with small weights and pictures made here: its JSON, its text, its files, its exit code.
import { createReadStream } from 'node:fs';
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { bytesSource, decodeNpy, openWeights } from '@vgg/loaders';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BLUE, colourFolders, photograph, RED, vgg, WASM, weightsFile } from '../../packages/vgg/test/command-line.js';
import { decodeImage } from '../../packages/vgg/test/pictures/fixtures.js';

let folder: string;
let weights: string;
let picture: string;
const at = (...names: string[]) => join(folder, ...names);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-cli-'));
  weights = await weightsFile(at('small.safetensors'));
  picture = await photograph(at('red.png'), RED);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('info', () => {
  test.each([
    ['A', 132_863_336],
    ['B', 133_047_848],
    ['C', 133_638_952],
    ['vgg16', 138_357_544],
    ['vgg19_bn', 143_678_248],
    ['cifar_vgg16_bn', 14_724_675],
    ['vgg19_3pool', 70_405_194],
  ])('%s has %i parameters', async (name, parameters) => {
    const { code, json, err } = await vgg(['info', name, '--json']);
    expect({ code, err, parameters: json.parameters }).toEqual({ code: 0, err: '', parameters });
    expect(json.layers[0]).toMatchObject({ name: 'conv1_1', kind: 'conv', receptiveField: 3, stride: 1 });
  });

  test('--input and --no-top', async () => {
    const { json } = await vgg(['info', 'D', '--input', '64x96', '--no-top', '--json']);
    expect(json.layers.at(-1)).toEqual({
      name: 'pool5',
      kind: 'pool',
      output: [2, 3, 512],
      parameters: 0,
      macs: 0,
      receptiveField: 212,
      stride: 32,
    });
    const wrong = await vgg(['info', 'D', '--input', '64']);
    expect(wrong).toMatchObject({ code: 1, out: '' });
    expect(wrong.err).toContain('--no-top');
  });

  test('--layers lists other names', async () => {
    const { json } = await vgg(['info', 'vgg16', '--layers', '--json']);
    expect(json.layers.find((layer: { name: string }) => layer.name === 'relu5_3').aliases).toEqual([
      'features.29',
      'block5_conv3',
      'conv5',
    ]);
  });

  test('a plan.json is a network', async () => {
    await writeFile(at('plan.json'), '{ "blocks": [[4], [8, 8]], "dense": [], "classes": 3, "size": 32 }');
    expect((await vgg(['info', at('plan.json'), '--json'])).json).toMatchObject({ architecture: 'custom', classes: 3, input: [32, 32, 3] });
    await writeFile(at('plan.json'), '{ "blocks": [[0]] }');
    expect((await vgg(['info', at('plan.json')])).err).toContain('plan.json: plan: expected');
  });

  test('a weight file says what it holds', async () => {
    const { code, json } = await vgg(['info', weights, '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({
      architecture: 'small',
      format: 'safetensors',
      reaches: 'prob',
      missing: [],
      unknown: [],
      preprocessing: { name: 'small' },
    });
    expect(json.tensors).toContainEqual({ name: 'conv1_1.weight', shape: [3, 3, 3, 8], dtype: 'float32' });
    expect(json.layers.map((layer: { name: string }) => layer.name)).toContain('fc7');
    expect((await vgg(['info', weights])).out).toMatch(/^conv1_1\.weight +\[3, 3, 3, 8\] +float32 +864 B$/m);
  });
});

test('doctor names the backend, why, and why not the others', async () => {
  const { code, json } = await vgg(['doctor', ...WASM, '--json']);
  expect(code).toBe(0);
  expect(json).toMatchObject({ chosen: 'wasm', reason: expect.any(String), node: process.version, threads: expect.any(Number) });
  expect(json.backends.map((backend: { name: string }) => backend.name)).toEqual(['webgpu', 'wasm', 'cpu']);
  for (const { available, reason } of json.backends) expect([typeof available, typeof reason]).toEqual(['boolean', 'string']);
  expect((await vgg(['doctor', ...WASM])).out).toMatch(/^chosen +wasm$/m);
});

describe('convert and verify', () => {
  test('the same values again, and half the bytes', async () => {
    const { code, json } = await vgg(['convert', weights, at('same.safetensors'), '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ input: weights, output: at('same.safetensors'), tensors: 14 });
    expect(json.bytes).toBe((await readFile(at('same.safetensors'))).length);
    expect(await vgg(['verify', weights, at('same.safetensors'), '--json'])).toMatchObject({
      code: 0,
      json: { ok: true, firstDifference: null },
    });
    await vgg(['convert', weights, at('half.safetensors'), '--dtype', 'float16', '-q']);
    const { code: differs, json: half } = await vgg(['verify', weights, at('half.safetensors'), '--json']);
    expect(differs).toBe(1);
    expect(half).toMatchObject({ ok: false, firstDifference: { layer: 'conv1_1', tensor: 'conv1_1.weight', cause: 'float16' } });
    expect(half.firstDifference.maxDifference).toBeLessThan(1e-3);
  });

  test('a folder of shards; int8 with what it costs; hashes that are checked', async () => {
    const folder = at('web');
    const { code, json } = await vgg(['convert', weights, `${folder}/`, '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({
      output: join(folder, 'model.json'),
      format: 'tfjs',
      files: [{ name: 'group1-shard1of1.bin' }, { name: 'model.json' }],
    });
    // The folder is there now, and does not need its slash.
    expect((await vgg(['convert', weights, folder, '--json'])).json.output).toBe(join(folder, 'model.json'));
    const whole = { code: 0, json: { ok: true, firstDifference: null, diverges: null } };
    expect(await vgg(['verify', weights, join(folder, 'model.json'), ...WASM, '--json'])).toMatchObject(whole);
    const { out } = await vgg(['convert', weights, at('int8.safetensors'), '--dtype', 'int8', ...WASM]);
    expect(out).toMatch(/^.*int8\.safetensors: 14 tensors, .* as int8\n\nlayer +largest error \/ maximum +cosine\n/);
    expect(out).toMatch(/^prob +0\.\d+ +(0\.99|1\.0)\d+$/m);
    expect((await vgg(['convert', weights, at('int8.safetensors'), '--dtype', 'int8', '--no-check', '--json'])).json).not.toHaveProperty(
      'errors',
    );
    const dtype = 'int8,conv1_1=float32,fc=int4';
    const mixed = await vgg(['convert', weights, at('mixed.safetensors'), '--dtype', dtype, ...WASM, '--json']);
    expect(mixed).toMatchObject({
      code: 0,
      json: { dtype, errors: expect.arrayContaining([{ layer: 'relu1_1', relative: 0, cosine: 1 }]) },
    });
    const { tensors } = (await vgg(['info', at('mixed.safetensors'), '--json'])).json;
    expect(tensors).toContainEqual({ name: 'fc6.weight', shape: [256, 20], dtype: 'int4' });
    expect((await vgg(['verify', weights, at('mixed.safetensors'), ...WASM, '--json'])).json.firstDifference).toMatchObject({
      layer: 'conv1_2',
      cause: 'int8',
    });
    const bytes = await readFile(at('same.safetensors'));
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(at('flipped.safetensors'), bytes);
    const { code: wrong, json: found } = await vgg(['verify', at('flipped.safetensors'), '--json']);
    expect(wrong).toBe(4);
    expect(found).toMatchObject({ ok: false, hashed: 14, present: 13, faults: [{ message: expect.stringMatching(/sha256 .* corrupt/) }] });
    expect((await vgg(['verify', at('same.safetensors'), '--json'])).json).toMatchObject({ ok: true, hashed: 14, present: 14, faults: [] });
  });

  test('--layers keeps a part, which is whole as far as it goes', async () => {
    expect((await vgg(['convert', weights, at('part.safetensors'), '--layers', 'pool2', '--json'])).json.tensors).toBe(6);
    const { code, json } = await vgg(['verify', at('part.safetensors'), '--json']);
    expect({ code, ...json }).toMatchObject({
      code: 0,
      ok: true,
      complete: false,
      reaches: 'pool2',
      present: 6,
      published: null,
      hashMatches: null,
    });
    expect(json.missing).toContain('fc7.bias');
    expect(json.hashes.sha256).toMatch(/^[0-9a-f]{64}$/);
    const { json: compared } = await vgg(['verify', weights, at('part.safetensors'), '--json']);
    expect(compared.firstDifference).toEqual({ layer: 'conv3_1', tensor: 'conv3_1.weight', reason: 'is only in the first' });
    expect(compared.diverges).toBe(null);
  });
});

describe('extract', () => {
  test('features in the document; alias and paper name are one layer', async () => {
    const { code, json } = await vgg([
      'extract',
      picture,
      '--weights',
      weights,
      '--layer',
      'block3_conv2,relu3_2,pool1',
      ...WASM,
      '--json',
    ]);
    expect(code).toBe(0);
    expect(json).toMatchObject({
      images: 1,
      failed: [],
      outputs: [
        { layer: 'relu3_2', shape: [8, 8, 16] },
        { layer: 'pool1', shape: [16, 16, 8] },
      ],
      backend: 'wasm',
    });
    expect(
      json.features.map(({ image, layer, data }: { image: string; layer: string; data: number[] }) => [image, layer, data.length]),
    ).toEqual([
      [picture, 'relu3_2', 8 * 8 * 16],
      [picture, 'pool1', 16 * 16 * 8],
    ]);
    expect(json.features.every(({ data }: { data: number[] }) => data.every((value) => Number.isFinite(value) && value >= 0))).toBe(true);
  });

  test('standard input, a path and a folder give the same; without --layer it says which', async () => {
    const byPath = await vgg(['extract', picture, '--weights', weights, ...WASM, '--json', '--pool', 'average']);
    expect(byPath.err).toContain('using pool3, the deepest');
    const stdin = createReadStream(picture);
    const byStdin = await vgg(['extract', '-', '--weights', weights, ...WASM, '--json', '--pool', 'average', '--quiet'], { stdin });
    expect(byStdin.err).toBe('');
    expect(byStdin.json.features[0]).toEqual({ ...byPath.json.features[0], image: '-' });
    expect(byPath.json.features[0].shape).toEqual([16]);
  });

  test('statistics for people', async () => {
    const { out } = await vgg(['extract', picture, '--weights', weights, '--layer', 'pool1,prob', ...WASM]);
    expect(out).toMatch(/^image +layer +shape +min +mean +max +sd +zeros$/m);
    expect(out).toMatch(/red\.png +prob +5 .* 0\.2 /);
    expect(out).toMatch(/1 picture, [\d.]+ s on wasm/);
  });

  test('.npy, .safetensors and .jsonl hold the same numbers; good pictures are kept, failed ones listed, exit 3', async () => {
    const other = await photograph(at('blue.jpg'), BLUE, { side: 50 });
    await writeFile(at('notes.txt'), 'no picture');
    const args = [
      'extract',
      picture,
      at('notes.txt'),
      at('gone.png'),
      other,
      '--weights',
      weights,
      '--layer',
      'pool1,pool3',
      '--pool',
      'max',
      ...WASM,
      '--json',
    ];
    const results = await Promise.all(['f.npy', 'f.safetensors', 'f.jsonl'].map((name) => vgg([...args, '--out', at('out', name)])));
    // The folder of --out must exist.
    expect(results.map(({ code, json }) => [code, json.error.code])).toEqual(Array(3).fill([1, 'VGG_OUTPUT']));

    const [npy, safetensors, jsonl] = [
      await vgg([...args, '--out', at('f.npy')]),
      await vgg([...args, '--out', at('f.safetensors')]),
      await vgg([...args, '--out', at('f.jsonl')]),
    ];
    for (const { code, json } of [npy, safetensors, jsonl]) {
      expect(code).toBe(3);
      expect(json.images).toBe(2);
      expect(json.failed.map(({ image, code }: { image: string; code: string }) => [basename(image), code])).toEqual([
        ['notes.txt', 'VGG_INPUT'],
        ['gone.png', 'VGG_NOT_FOUND'],
      ]);
      expect(json.features).toBeUndefined();
    }
    expect(npy.json.outputs).toEqual([
      { layer: 'pool1', shape: [2, 8], file: at('f.pool1.npy') },
      { layer: 'pool3', shape: [2, 16], file: at('f.pool3.npy') },
    ]);
    const { shape, data } = decodeNpy(await readFile(at('f.pool3.npy')));
    expect(shape).toEqual([2, 16]);
    const stored = await openWeights(bytesSource(await readFile(at('f.safetensors')), 'f.safetensors'));
    expect(stored.tensors.get('pool3')?.shape).toEqual([2, 16]);
    expect(await stored.read('pool3')).toEqual(data);
    expect(JSON.parse(stored.metadata.get('images')!)).toEqual([picture, other]);
    const lines = (await readFile(at('f.jsonl'), 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ image, layer }) => [image, layer])).toEqual(
      [picture, other].flatMap((image) => ['pool1', 'pool3'].map((layer) => [image, layer])),
    );
    expect(Float32Array.from(lines[3].data)).toEqual(data.slice(16));
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('maps of different sizes: --out lists the odd one, .jsonl takes it', async () => {
    const free = await weightsFile(at('free.safetensors'), { top: false } as object, { mode: 'none' });
    await photograph(at('sizes', 'a.png'), RED, { side: 32 });
    await photograph(at('sizes', 'b.png'), RED, { side: 48 });
    const args = ['extract', at('sizes', '*.png'), '--weights', free, '--layer', 'pool3', ...WASM, '--json', '--out'];
    const npy = await vgg([...args, at('sizes.npy')]);
    expect(npy).toMatchObject({
      code: 3,
      json: { images: 1, outputs: [{ shape: [1, 4, 4, 16] }], failed: [{ image: at('sizes', 'b.png'), code: 'VGG_SHAPE' }] },
    });
    expect((await vgg([...args, at('sizes.jsonl')])).json).toMatchObject({ images: 2, failed: [] });
  });

  test('an abort ends with 130 and leaves nothing behind', async () => {
    const controller = new AbortController();
    const before = await readdir(folder);
    const running = vgg(['extract', picture, '--weights', weights, ...WASM, '--out', at('never.npy'), '--json'], {
      signal: controller.signal,
    });
    controller.abort();
    expect(await running).toMatchObject({ code: 130, json: { error: { code: 'VGG_ABORTED' } } });
    expect(await readdir(folder)).toEqual(before);
  });
});

describe('classify', () => {
  test('the likeliest classes, by names from a file', async () => {
    await writeFile(at('names.txt'), 'ant\nbee\ncat\ndog\neel\n');
    const { code, json } = await vgg([
      'classify',
      picture,
      '--weights',
      weights,
      '--classes',
      at('names.txt'),
      '--top',
      '5',
      ...WASM,
      '--json',
    ]);
    expect(code).toBe(0);
    const { predictions } = json.images[0];
    expect(predictions.map(({ label }: { label: string }) => label).sort()).toEqual(['ant', 'bee', 'cat', 'dog', 'eel']);
    const probabilities = predictions.map(({ probability }: { probability: number }) => probability);
    expect(probabilities.reduce((a: number, b: number) => a + b)).toBeCloseTo(1, 5);
    expect(probabilities).toEqual([...probabilities].sort((a, b) => b - a));
    expect((await vgg(['classify', picture, '--weights', weights, '--top', '1', ...WASM])).out).toMatch(/% +class \d/);
  });

  test('weights without dense layers cannot', async () => {
    const features = await weightsFile(at('features.safetensors'), { top: false } as object);
    const { code, json } = await vgg(['classify', picture, '--weights', features, ...WASM, '--json']);
    expect({ code, error: json.error.code }).toEqual({ code: 1, error: 'VGG_WEIGHTS_MISSING' });
  });
});

describe('train, predict and eval', () => {
  let head: string;
  beforeAll(async () => {
    head = at('colours.head');
    await colourFolders(at('train'), 8);
    await colourFolders(at('val'), 3, 500);
    await writeFile(at('train', 'red', 'stray.gif'), 'GIF89a');
  });

  test('train learns red from blue', async () => {
    const { code, json, err } = await vgg([
      'train',
      at('train'),
      '--val',
      at('val'),
      '--weights',
      weights,
      '--layer',
      'pool2',
      '--out',
      head,
      '--report',
      at('run.html'),
      '--curves',
      at('curves.svg'),
      ...WASM,
      '--json',
    ]);
    expect(code).toBe(0);
    const report = await readFile(at('run.html'), 'utf8');
    expect(report).toContain('<title>A head on pool2 of');
    expect(report).toMatch(/<th>blue<\/th><td class="right"[^>]*>3<\/td><td class="none">0<\/td>/);
    expect(await readFile(at('curves.svg'), 'utf8')).toMatch(/^<svg .*<\/svg>\n$/s);
    expect(json).toMatchObject({
      classes: ['blue', 'red'],
      head,
      layer: 'pool2',
      pooling: 'average',
      failed: [],
      best: { valAccuracy: 1 },
    });
    expect(json.skipped).toEqual([{ name: 'red/stray.gif', reason: expect.stringContaining('.gif') }]);
    expect(err).toContain('stray.gif');
    for (const { epoch, loss, accuracy, valLoss, valAccuracy } of json.epochs)
      expect([epoch, loss, accuracy, valLoss, valAccuracy].every(Number.isFinite)).toBe(true);
    expect((await readFile(head)).length).toBeLessThan(20_000);
  });

  test('the head predicts and is measured', async () => {
    const predicted = await vgg([
      'predict',
      at('val', 'red', '0.png'),
      at('val', 'blue', '0.jpg'),
      '--head',
      head,
      '--weights',
      weights,
      ...WASM,
      '--json',
    ]);
    expect(predicted.code).toBe(0);
    expect(predicted.json.predictions.map(({ label }: { label: string }) => label)).toEqual(['red', 'blue']);
    expect(predicted.json.predictions[0].predictions).toHaveLength(2);
    const report = at('eval.html');
    const { code, json } = await vgg(['eval', at('val'), '--head', head, '--weights', weights, '--report', report, ...WASM, '--json']);
    expect(await readFile(report, 'utf8')).toContain('100.00 %');
    expect(code).toBe(0);
    expect(json).toMatchObject({
      top1: 1,
      top5: 1,
      images: 6,
      confusion: {
        classes: ['blue', 'red'],
        matrix: [
          [3, 0],
          [0, 3],
        ],
      },
    });
    expect((await vgg(['eval', at('val'), '--head', head, '--weights', weights, ...WASM])).out).toMatch(/^blue +3 +0$/m);
  });

  test('Adam with a hidden layer repeats itself by --seed; --val may be a fraction', async () => {
    const args = [
      'train',
      at('train'),
      '--val',
      '0.25',
      '--weights',
      weights,
      '--hidden',
      '8',
      '--epochs',
      '4',
      '--batch',
      '4',
      ...WASM,
      '--json',
      '--quiet',
    ];
    const [once, again, other] = [
      await vgg([...args, '--seed', '5']),
      await vgg([...args, '--seed', '5']),
      await vgg([...args, '--seed', '6']),
    ];
    expect(once.json.epochs).toEqual(again.json.epochs);
    expect(once.json.epochs).not.toEqual(other.json.epochs);
    expect(once.json).toMatchObject({ head: null, training: { solver: 'adam', seed: 5, batchSize: 4, images: 12 } });
    expect(once.err).toBe('');
  });

  test('--keep, then --extend: a class is added without the first pictures', async () => {
    const [kept, wider] = [at('kept.head'), at('wider.head')];
    const layer = ['--weights', weights, '--layer', 'pool2'];
    const run = [...WASM, '--json', '--quiet'];
    expect((await vgg(['train', at('train'), ...layer, '--keep', '--out', kept, ...run])).code).toBe(0);
    for (let i = 0; i < 6; i++) await photograph(at('more', 'green', `${i}.png`), [30, 200, 30], { seed: 900 + i });
    const { code, json } = await vgg(['train', at('more'), '--extend', kept, '--weights', weights, '--out', wider, ...run]);
    expect({ code, classes: json.classes, images: json.training.images }).toEqual({
      code: 0,
      classes: ['blue', 'red', 'green'],
      images: 22,
    });
    const evaluated = await vgg(['eval', at('val'), '--head', wider, '--weights', weights, ...run]);
    expect(evaluated.json).toMatchObject({ top1: 1, images: 6 });
    const green = await vgg(['predict', at('more', 'green', '0.png'), '--head', wider, '--weights', weights, ...run]);
    expect(green.json.predictions[0].label).toBe('green');
    const refused = await vgg(['train', at('more'), '--extend', head, '--weights', weights, ...run]);
    expect({ code: refused.code, error: refused.json.error.code }).toEqual({ code: 1, error: 'VGG_HEAD' });
    expect((await vgg(['train', at('more'), '--extend', kept, '--solver', 'svm', '--weights', weights])).code).toBe(2);
  });

  test.each([
    ['svm', 'step'],
    ['lbfgs', 'step'],
    ['adam', 'epoch'],
    ['nearest-mean', undefined],
  ])('what is said of %s counts in one unit', async (solver, unit) => {
    const run = ['train', at('train'), '--solver', solver, '--layer', 'pool2', '--weights', weights, ...WASM, '--report', at('words.html')];
    const { code, out } = await vgg([...run, '--epochs', '9']);
    expect(code).toBe(0);
    const [, all, count] = /^trained on .*pictures, [\w-]+(?:, (\d+) (\w+))?$/m.exec(out)!;
    const [, kept, place] = /^kept +(?:(\w+) (\d+): )?loss/m.exec(out)!;
    expect([count?.replace(/s$/, ''), kept]).toEqual([unit, unit]);
    if (unit) expect(Number(place)).toBeLessThanOrEqual(Number(all));
    const html = await readFile(at('words.html'), 'utf8');
    expect(html).toContain(`kept ${unit ?? 'step'}`);
    expect(html.includes('kept epoch')).toBe(unit === 'epoch');
  });

  test('knn, labels and numbers of a list', async () => {
    const model = ['--weights', weights, ...WASM];
    const run = ['--layer', 'pool2', ...model, '--json', '--quiet'];
    const file = at('some.head');
    const knn = await vgg(['train', at('train'), '--val', at('val'), '--solver', 'knn', '--neighbours', '3', '--out', file, ...run]);
    expect(knn.json).toMatchObject({ best: { valAccuracy: 1 }, training: { neighbours: { k: 3, distance: 'cosine' } } });
    const list = (red: string, blue: string) =>
      Array.from({ length: 8 }, (_, i) => `train/red/${i}.png,${red}\ntrain/blue/${i}.jpg,${blue}\n`).join('');
    await writeFile(at('tags.csv'), `image,label\n${list('warm;bright', 'bright')}`);
    const tags = await vgg(['train', at('tags.csv'), '--solver', 'multi-label', '--out', file, ...run]);
    expect(tags.json).toMatchObject({ classes: ['bright', 'warm'], best: { accuracy: 1 } });
    const measured = await vgg(['eval', at('tags.csv'), '--head', file, ...model, '--report', at('tags.html'), '--json']);
    expect(await readFile(at('tags.html'), 'utf8')).toContain('<th>bright</th>');
    expect(measured.json).toMatchObject({ meanAveragePrecision: 1, meanF1: 1, subsetAccuracy: 1, accuracy: 1 });
    const labelled = await vgg(['predict', at('train', 'red', '0.png'), '--head', file, ...model, '--json']);
    expect(labelled.json.predictions[0].labels.sort()).toEqual(['bright', 'warm']);
    await writeFile(at('heat.csv'), `image,target\n${list('40.5', '-3')}`);
    const heat = await vgg(['train', at('heat.csv'), '--solver', 'regression', '--out', file, '--report', at('heat.html'), ...run]);
    expect(await readFile(at('heat.html'), 'utf8')).toContain('<span>training R²</span>');
    expect(heat.json.best.accuracy).toBeGreaterThan(0.9);
    const numbers = await vgg(['eval', at('heat.csv'), '--head', file, ...model, '--report', at('numbers.html')]);
    expect(await readFile(at('numbers.html'), 'utf8')).toContain('mean absolute error');
    expect(numbers.out).toMatch(/^R2 +(0\.9\d+|1\.0000)$/m);
    const told = await vgg(['predict', at('train', 'red', '0.png'), '--head', file, ...model, '--json']);
    expect(Math.abs(told.json.predictions[0].value - 40.5)).toBeLessThan(5);
  });

  test('pictures side by side with what they were named', async () => {
    const run = ['predict', at('val'), at('none.png'), '--head', head, '--weights', weights, ...WASM, '--grid'];
    // The one that cannot be read is left out.
    expect(await vgg([...run, at('grid.svg')])).toMatchObject({ code: 3 });
    const svg = await readFile(at('grid.svg'), 'utf8');
    expect(svg.match(/<image /g)).toHaveLength(6);
    expect([...svg.matchAll(/>(blue|red) \d+ %</g)].map(([, name]) => name)).toEqual(['blue', 'blue', 'blue', 'red', 'red', 'red']);
    expect(await vgg([...run, at('grid.png')])).toMatchObject({ code: 3 });
    const { width, height } = await decodeImage(await readFile(at('grid.png')));
    expect(width).toBeGreaterThan(height);
    expect(await vgg([...run, at('grid.jpg')])).toMatchObject({
      code: 2,
      err: expect.stringContaining('expected a file name ending in .svg or .png'),
    });
    expect((await vgg(['classify', picture, '--weights', weights, ...WASM, '--grid', at('one.svg')])).code).toBe(0);
    expect(await readFile(at('one.svg'), 'utf8')).toMatch(/>class \d \d+ %</);
  });

  test('a head refuses other weights', async () => {
    const other = await weightsFile(at('other.safetensors'), { blocks: [[8, 8], [10], [16, 16]] });
    const { code, json } = await vgg(['predict', picture, '--head', head, '--weights', other, ...WASM, '--json']);
    expect({ code, error: json.error.code }).toEqual({ code: 1, error: 'VGG_HEAD' });
  });

  test('weights alone are measured on folders named by class', async () => {
    await copyFile(picture, await photograph(at('named', 'bee', '1.png'), RED));
    await photograph(at('named', '3', '2.png'), BLUE);
    const { code, json } = await vgg(['eval', at('named'), '--weights', weights, '--classes', at('names.txt'), ...WASM, '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ images: 2, top5: 1 });
    expect(json.confusion.classes).toEqual(expect.arrayContaining(['bee', 'dog']));
    expect(json.confusion.matrix.flat().reduce((a: number, b: number) => a + b)).toBe(2);
  });
});

describe('bench', () => {
  test.each(['forward', 'forward-backward'])('%s has every key of the contract', async (mode) => {
    const { code, json, err } = await vgg([
      'bench',
      '--weights',
      weights,
      '--runs',
      '10',
      '--warmup',
      '1',
      '--batch',
      '2',
      '--mode',
      mode,
      ...WASM,
      '--json',
    ]);
    expect(code).toBe(0);
    expect(json).toMatchObject({ backend: 'wasm', threads: expect.any(Number), batch: 2, runs: 10, part: 'all', mode });
    for (const key of ['mean', 'sd', 'median', 'min', 'gflops', 'peakMemoryBytes']) expect(json[key]).toBeGreaterThan(0);
    expect(json.min).toBeLessThanOrEqual(json.median);
    expect(json.times).toHaveLength(10);
    expect(err).toMatch(/run 10 of 10: [\d.]+ ms/);
  });

  test('beside an earlier measurement', async () => {
    const measure = (...more: string[]) => vgg(['bench', '--weights', weights, '--runs', '2', '--warmup', '0', ...WASM, ...more]);
    const { json } = await measure('--json');
    const before = { ...json, mean: 1e6, sd: 2, threads: 77 };
    await writeFile(at('before.json'), JSON.stringify(before));
    const compared = (await measure('--json', '--compare', at('before.json'))).json;
    expect(compared.compared).toMatchObject({ file: at('before.json'), mean: 1e6, sd: 2, differs: { threads: [77, json.threads] } });
    expect((compared.compared as { ratio: number }).ratio).toBe(1e6 / (compared.mean as number));
    expect((await measure('--compare', at('before.json'))).out).toMatch(
      /^compared +\d+\.\d\d times as fast as .*before\.json \(1000000\.0 ms \+\/- 2\.0 ms over 2 runs; threads 77, now \d+\)$/m,
    );
    expect(await measure('--batch', '3', '--compare', at('before.json'))).toMatchObject({
      code: 2,
      err: expect.stringContaining('to have measured the same work, received batch 1 instead of 3 [VGG_OPTION]'),
    });
    await writeFile(at('other.json'), '{ "mean": "1" }');
    expect(await measure('--compare', at('other.json'))).toMatchObject({ code: 1, err: expect.stringContaining('[VGG_FORMAT]') });
    expect(await measure('--compare', at('none.json'))).toMatchObject({ code: 1, err: expect.stringContaining('[VGG_NOT_FOUND]') });
  });

  test('VGG-16 takes the memory that was planned', { timeout: 120_000 }, async () => {
    const small = ['--part', 'features', '--memory', 'small', '--threads', '1', '--runs', '1', '--warmup', '1'];
    const { code, json } = await vgg(['bench', '--arch', 'vgg16', ...small, ...WASM, '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ memory: 'small', memoryPlan: { weights: 4 * 14_714_688 } });
    const { total } = json.memoryPlan as { total: number };
    expect(Math.abs((json.heapBytes as number) - total)).toBeLessThan(0.05 * total);
    const { memory } = (await vgg(['info', 'vgg16', '--no-top', '--json'])).json as { memory: Record<string, unknown> };
    expect(memory.small).toEqual(json.memoryPlan);
    expect((await vgg(['info', 'vgg16', '--no-top'])).out).toMatch(
      /^memory of the wasm backend: fast 496 MB, balanced 317 MB, small 131 MB$/m,
    );
    expect((await vgg(['doctor', ...WASM, '--memory', 'balanced'])).out).toMatch(/^memory +balanced \(asked for\)$/m);
  });

  test('a profile has every layer, its time and its kernel', async () => {
    const { code, json } = await vgg(['bench', '--weights', weights, '--runs', '3', '--profile', ...WASM, '--json']);
    expect(code).toBe(0);
    const { peakGflops, layers } = json.profile as {
      peakGflops: number;
      layers: { kind: string; ms: number; kernel: string; gflops?: number }[];
    };
    expect(peakGflops).toBeGreaterThan(0);
    for (const { kind, ms, kernel, gflops } of layers) {
      expect(ms).toBeGreaterThan(0);
      expect(gflops !== undefined).toBe(kind === 'conv' || kind === 'dense');
      if (kind === 'conv') expect(kernel).toMatch(/^vgg:FusedConv2D(\+MaxPool)?$/);
      if (kind === 'dense') expect(kernel).toBe('vgg:_FusedMatMul');
      if (kind === 'pool') expect(kernel).toBe('vgg:MaxPool');
      if (kind === 'softmax') expect(kernel).toBe('tfjs');
    }
    expect(await vgg(['bench', '--weights', weights, '--profile', '--mode', 'forward-backward', ...WASM])).toMatchObject({ code: 2 });
  });

  test('random weights of a plan, features at another size', async () => {
    await writeFile(at('tiny.json'), '{ "name": "tiny", "blocks": [[4], [8]], "size": 32 }');
    const { code, json, err } = await vgg([
      'bench',
      '--arch',
      at('tiny.json'),
      '--size',
      '48',
      '--runs',
      '2',
      '--warmup',
      '0',
      ...WASM,
      '--json',
    ]);
    expect({ code, architecture: json.architecture, part: json.part, weights: json.weights }).toEqual({
      code: 0,
      architecture: 'tiny',
      part: 'features',
      weights: 'random',
    });
    expect(err).toContain('measuring the features only');
  });
});

test('weights lists the published sets', async () => {
  const { code, json } = await vgg(['weights', '--json']);
  expect(code).toBe(0);
  expect(json.sets).toContainEqual(
    expect.objectContaining({ name: 'vgg16.keras_in1k_notop', bytes: 58_889_256, licence: 'CC-BY-4.0', cached: expect.any(Boolean) }),
  );
  expect((await vgg(['weights', 'list'])).out).toMatch(/^vgg16\.keras_in1k_notop +58\.9 MB/m);
  expect(await vgg(['weights', 'get', 'vgg16.kears_in1k'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('did you mean "vgg16.keras_in1k"?'),
  });
});
