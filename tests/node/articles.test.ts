// The articles' five programs (examples/articles), as a reader runs them, on pictures made here. What the articles get wrong is looked at.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Classification,
  encodePng,
  network,
  openDataset,
  type Preprocessing,
  random,
  summarize,
} from '../../packages/vgg/src/index.js';
import { bytesSource, openWeights } from '../../packages/vgg/src/loaders.js';

const run = promisify(execFile);
const SIDE = 32;
const CLASSES = ['across', 'down', 'dots'];
let folder: string;
const at = (...parts: string[]) => join(folder, ...parts);

const { VK_ICD_FILENAMES: _, ...env } = process.env;
const example = async (name: string, ...args: string[]) => {
  const { stdout, stderr } = await run(process.execPath, [`examples/articles/${name}.mjs`, ...args], { env });
  return { out: stdout, err: stderr };
};
const plan = (fields: object) => JSON.stringify({ name: 'tiny', blocks: [[8, 8], [16]], dense: [16], size: SIDE, ...fields });

/** Every number of a pattern's first group. */
const numbers = (text: string, pattern: RegExp): number[] => [...text.matchAll(pattern)].map(([, found]) => Number(found));

/** Stripes and dots over noise. */
function pixels(label: number, seed: number): Uint8Array {
  const { below } = random(seed);
  const phase = below(4);
  return new Uint8Array(SIDE * SIDE * 3).map((_, i) => {
    const [x, y] = [Math.floor(i / 3) % SIDE, Math.floor(i / 3 / SIDE)];
    const bright = label === 2 ? (x + phase) % 4 === 0 && y % 4 === 0 : ((label === 0 ? x : y) + phase) % 4 < 2;
    return (bright ? 150 : 60) + below(60);
  });
}

/** Pictures in folders of their classes; the first of each is grey, the second has an alpha channel. */
async function writePictures(target: string, count: number, seed: number, classes = CLASSES): Promise<string> {
  for (const [label, name] of classes.entries()) {
    await mkdir(join(target, name), { recursive: true });
    for (let i = 0; i < count; i++) {
      const data = pixels(label, seed + label * count + i);
      const picture = sharp(data, { raw: { width: SIDE, height: SIDE, channels: 3 } });
      const path = join(target, name, `${i}.png`);
      if (i === 0) await picture.toColourspace('b-w').png().toFile(path);
      else if (i === 1) await picture.ensureAlpha().png().toFile(path);
      else await writeFile(path, await encodePng({ data, width: SIDE, height: SIDE }));
    }
  }
  return target;
}

/** Prints the scores of pictures, in the order of the classes. */
const SCORES = `
  import { load, openDataset } from 'vgg';
  const [weights, data, classes] = process.argv.slice(1);
  const model = await load(undefined, { weights, backend: 'wasm' });
  const { examples } = await openDataset(data, { classes: classes.split(',') });
  const found = await model.classify(examples.map(({ image }) => image), { top: classes.split(',').length });
  const rows = found.map((predictions, i) => ({ label: examples[i].label, predictions }));
  console.log(JSON.stringify({ rows, preprocessing: model.preprocessing }));
  model.dispose();`;

/** Mean cross-entropy and accuracy of a saved network, from its scores, and the least of these. */
async function scored(weights: string, data: string, classes: readonly string[]) {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', SCORES, weights, data, classes.join()], { env });
  const { rows: found, preprocessing }: { rows: { label: number; predictions: Classification[] }[]; preprocessing: Preprocessing } =
    JSON.parse(stdout);
  let [loss, right, least] = [0, 0, Number.POSITIVE_INFINITY];
  for (const { label, predictions } of found) {
    const logits = predictions.map(({ logit }) => logit);
    const own = predictions.find(({ index }) => index === label)!;
    loss += Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - own.logit;
    if (predictions[0]!.label === classes[label]) right++;
    least = Math.min(least, ...logits);
  }
  return { loss: loss / found.length, accuracy: right / found.length, least, preprocessing };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-articles-'));
  expect((await sharp(join(await writePictures(at('train'), 8, 1), 'dots', '0.png')).metadata()).channels).toBe(1);
  expect((await sharp(at('train', 'dots', '1.png')).metadata()).channels).toBe(4);
  await writePictures(at('test'), 7, 1000);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('0-tfrecords.mjs', () => {
  const common = ['--backend', 'wasm', '--arch', plan({ dropout: 0.5 }), '--every', '1', '--rate', '1e-3'];

  test('writes and lists records, and reports the loss itself, of every picture', async () => {
    const { out, err } = await example(
      '0-tfrecords',
      at('train'),
      '--out',
      at('a'),
      ...common,
      '--batch',
      '10',
      '--epochs',
      '2',
      '--validation',
      '0',
    );
    expect(err).toBe('');
    expect(out).toContain('24 records of 3 classes (across, dots, down)');
    // By their names, and mixed: not class by class.
    const { classes, examples } = await openDataset(at('a', 'pictures.tfrecord'));
    expect(classes).toEqual(['across', 'dots', 'down']);
    expect(examples.map(({ label }) => label)).not.toEqual(examples.map(({ label }) => label).sort());
    const listed = out.match(/^record \d: \w+, \d+ bytes$/gm)!;
    expect(listed.map((line) => line.split(/[ ,]/)[2])).toEqual(examples.slice(0, 3).map(({ label }) => classes[label]));
    expect(out).toContain('conv1_1 [batch, 32, 32, 8]\n');
    // 24 pictures are three steps: 10, 10 and the 4 that are left.
    expect(numbers(out, /^step (\d+): /gm)).toEqual([1, 2, 3, 4, 5, 6]);
    const losses = numbers(out, /^step \d+: loss ([\d.]+)/gm);
    const epochs = numbers(out, /^epoch \d: loss ([\d.]+)/gm);
    for (const epoch of [0, 1]) {
      const [a, b, c] = losses.slice(3 * epoch);
      expect(epochs[epoch]).toBeCloseTo((10 * a! + 10 * b! + 4 * c!) / 24, 6);
    }
  });

  test('the loss is the cross-entropy of scores that may be negative', async () => {
    const still = ['--batch', '24', '--epochs', '1', '--validation', '0', '--keep', '1', '--rate', '1e-30'];
    const { out } = await example('0-tfrecords', at('train'), '--out', at('b'), ...common, ...still);
    const { loss, accuracy, least, preprocessing } = await scored(at('b', 'net.safetensors'), at('train'), ['across', 'dots', 'down']);
    expect(numbers(out, /^step 1: loss ([\d.]+)/gm)[0]).toBeCloseTo(loss, 4);
    expect(numbers(out, /^step 1: .* accuracy ([\d.]+) %/gm)[0]).toBeCloseTo(100 * accuracy, 1);
    expect(least).toBeLessThan(0);
    // Bytes are scaled, and the training pictures' mean goes off: both are in the file.
    expect(preprocessing.scale).toBeCloseTo(1 / 255, 9);
    for (const mean of preprocessing.mean) expect(Math.abs(mean - 0.45)).toBeLessThan(0.15);
  });

  test('its network has three pools, names of their own, and no ReLU behind the scores', () => {
    const net = network('vgg19_3pool');
    const names = net.layers.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => name.startsWith('pool'))).toEqual(['pool1', 'pool2', 'pool5']);
    expect(names.slice(-2)).toEqual(['fc8', 'prob']);
    expect(summarize(net).parameters).toBe(70_405_194);
  });

  test("the article's own records are resumed to the same bits", async () => {
    const runs = [...common, '--raw', '--batch', '8', '--validation', '0.25', '--checkpoint-every', '1'];
    const whole = await example('0-tfrecords', at('train'), '--out', at('whole'), ...runs, '--epochs', '2');
    await example('0-tfrecords', at('train'), '--out', at('parts'), ...runs, '--epochs', '1');
    const { out } = await example('0-tfrecords', at('train'), '--out', at('parts'), ...runs, '--epochs', '2', '--resume');
    expect(whole.out).toMatch(/^record 0: [012], 3072 bytes$/m);
    expect(whole.out).toMatch(/^epoch 2: .*; held out: loss [\d.]+, accuracy [\d.]+ %$/m);
    expect(numbers(out, /^epoch (\d): /gm)).toEqual([2]);
    const [a, b] = await Promise.all(['whole', 'parts'].map((name) => readFile(at(name, 'net.safetensors'))));
    expect(Buffer.compare(a!, b!)).toBe(0);
  });
});

describe('1-benchmark.mjs', () => {
  test('mean and deviation of the measured batches, in portions that fit', async () => {
    const bench = [
      '--backend',
      'wasm',
      '--arch',
      plan({ classes: 5 }),
      '--batch',
      '13',
      '--warmup',
      '2',
      '--runs',
      '12',
      '--max-memory',
      '4',
    ];
    const { out, err } = await example('1-benchmark', ...bench, '--out', at('bench.json'));
    const results = JSON.parse(await readFile(at('bench.json'), 'utf8'));
    for (const mode of ['forward', 'forward-backward']) {
      const { times, mean, sd, batch, warmup } = results[mode];
      expect([times.length, batch, warmup]).toEqual([12, 13, 2]);
      const average = times.reduce((a: number, b: number) => a + b) / 12;
      const variance = times.reduce((sum: number, time: number) => sum + (time - average) ** 2, 0) / 12;
      expect(mean).toBeCloseTo(average, 9);
      expect(sd).toBeCloseTo(Math.sqrt(variance), 9);
      const line = `${mode} over 12 batches of 13 after 2: ${(mean / 1000).toFixed(3)} +/- ${(sd / 1000).toFixed(3)} s a batch\n`;
      expect(out).toContain(line);
    }
    expect(results['forward-backward'].portion).toBeLessThan(13);
    expect(err).toContain(`portions of ${results['forward-backward'].portion}`);
    expect(err).toMatch(/run 10 of 12: [\d.]+ ms/);
    expect(out).toMatch(/^forward and backward together take [\d.]+ times as long as forward; backward alone -?[\d.]+$/m);
  });
});

describe('2-short-memory.mjs', () => {
  test('smaller portions and a line saying so; the loss stays the same', async () => {
    const memory = ['--arch', plan({ classes: 5 }), '--batch', '32', '--max-memory', '5', '--warmup', '0', '--runs', '1'];
    const { out, err } = await example('2-short-memory', ...memory);
    expect(out).toMatch(/^forward, batch 32, memory fast: \d+ MB: weights \d+ MB, filters \d+ MB, maps \d+ MB, scratch \d+ MB$/m);
    const [portion] = numbers(out, /^forward-backward in 5 MB: portions of (\d+)/gm);
    expect(portion).toBeGreaterThanOrEqual(1);
    expect(portion).toBeLessThan(32);
    expect(err).toMatch(new RegExp(`^vgg: bench: a batch of 32 takes .* it is worked off in portions of ${portion}, `, 'm'));
    expect(out).toMatch(/^train: a batch of 32 takes .* it is worked off in portions of \d+, \d+ MB$/m);
    const [, whole, parts] = /^loss after 3 epochs: ([\d.]+) in one go, ([\d.]+) in portions$/m.exec(out)!;
    expect(Number(parts)).toBeCloseTo(Number(whole), 3);
    expect(out).toMatch(/^train: expected one picture of 64x64 to fit 1 MB.*\(maxMemoryBytes\) \[VGG_MEMORY\]$/m);
    expect(out + err).not.toMatch(/OOM|ResourceExhausted|out of memory/i);
  });
});

describe('3-builder.mjs', () => {
  test('counts, receptive fields, initialisers and layers of A', async () => {
    const { out } = await example('3-builder');
    expect(out).toContain('parameters 138,357,544, weights without biases 138,344,128\n');
    expect(out).toContain('138,357,544 parameters (89.4 % in the dense layers), 527.8 MiB as float32');
    expect(out).toMatch(/^pool1 +pool +112x112x64 /m);
    expect(out.match(/^conv\d_\d +conv /gm)).toHaveLength(13);
    expect(out).toContain('behind the scores: softmax, no ReLU\n');
    expect(out).toMatch(/^E +2 2 4 4 4 +144 M$/m);
    expect(out).toMatch(/^A +1 1 2 2 2 +133 M$/m);
    expect(out).toContain('3 of 3x3 see 7x7: 27 C^2 weights for 49 C^2, 55.1 %\n');
    for (const field of [
      'conv1_1 3/1',
      'pool1 6/2',
      'conv2_2 14/2',
      'conv3_3 40/4',
      'pool3 44/8',
      'conv4_3 92/8',
      'conv5_3 196/16',
      'pool5 212/32',
    ])
      expect(out).toContain(field);
    // conv3_2 has 9 * 256 inputs and as many outputs.
    const deviations = { normal: 0.01, 'glorot-uniform': Math.sqrt(2 / (2 * 9 * 256)), 'he-normal': Math.sqrt(2 / (9 * 256)) };
    for (const [name, expected] of Object.entries(deviations)) {
      expect(numbers(out, new RegExp(`^${name}: conv3_2 deviation ([\\d.]+), biases 0.1$`, 'gm'))[0]).toBeCloseTo(expected, 3);
    }
    expect(out).toContain('from A: conv1_1 conv2_1 conv3_1 conv3_2 fc6 fc7 fc8; at random: conv1_2 conv2_2 conv3_3');
    expect(out).toContain('conv1_2 is drawn from the seed: true');
  });
});

describe('4-cifar.mjs', () => {
  test('three classes, evaluated by the running statistics, the best epoch kept', async () => {
    const classes = ['down', 'across'];
    const arch = plan({ blocks: [[8], [16]], batchNorm: true, dense: [] });
    const settings = ['--classes', classes.join(), '--arch', arch, '--batch', '6', '--epochs', '4', '--backend', 'wasm'];
    const { out } = await example('4-cifar', at('train'), at('test'), '--out', at('cifar'), ...settings);
    // The third class is left out.
    expect(out).toContain('16 pictures to train, 14 to test: down, across\n');
    const accuracies = numbers(out, /^epoch \d: .*; test: loss [\d.]+, accuracy ([\d.]+) %/gm);
    expect(accuracies).toHaveLength(4);
    const best = Math.max(...accuracies);
    expect(out).toContain(
      `best epoch ${accuracies.indexOf(best) + 1}: ${best.toFixed(2)} %; last epoch 4: ${accuracies.at(-1)!.toFixed(2)} %`,
    );
    expect(out).toContain(`evaluated in batches of 100 and of 7: ${best.toFixed(2)} % and ${best.toFixed(2)} % of 14`);
    expect(out).toContain('weights and running statistics are as before: true');

    // The file holds the best epoch: its weights and running statistics, and its accuracy and loss.
    const weights = at('cifar', 'net.safetensors');
    const { accuracy, loss } = await scored(weights, at('test'), classes);
    expect(100 * accuracy).toBeCloseTo(best, 1);
    const losses = numbers(out, /^epoch \d: .*; test: loss ([\d.]+),/gm);
    expect(losses[accuracies.indexOf(best)]).toBeCloseTo(loss, 3);
    const [kept, checkpoint] = await Promise.all(
      [weights, at('cifar', 'checkpoints', 'best.safetensors')].map(async (path) => openWeights(bytesSource(await readFile(path)))),
    );
    expect([...kept!.tensors.keys()]).toContain('bn2_1.variance');
    for (const name of kept!.tensors.keys()) expect(await kept!.read(name)).toEqual(await checkpoint!.read(name));
    await Promise.all([kept, checkpoint].map((file) => file!.close()));

    const grid = await readFile(at('cifar', 'grid.svg'), 'utf8');
    expect(grid.match(/<image /g)).toHaveLength(14);
    expect(grid.match(/>(?:down|across) \d+ %(?: \((?:down|across)\))?</g)).toHaveLength(14);
    expect(await readFile(at('cifar', 'curves.svg'), 'utf8')).toContain('learning rate');
    expect(await readFile(at('cifar', 'report.html'), 'utf8')).toMatch(/tiny on 2 classes[\s\S]*weightDecay[^\d]{1,40}0\.0005/);
  });

  test('says in one sentence what is wrong, and what it takes', async () => {
    const failure = await example('4-cifar', at('none'), at('test')).catch((error: { code: number; stderr: string }) => error);
    expect(failure).toMatchObject({ code: 1, stderr: expect.stringMatching(/^[^\n]*none[^\n]* \[VGG_NOT_FOUND\]\n$/) });
    const { out } = await example('4-cifar', '--help');
    expect(out).toContain('4-cifar.mjs TRAIN TEST');
  });
});

// docs/recipes.md, at an eighth of the size.
test("the paper's scales: 256, 384, jitter", async () => {
  const train = async (...args: string[]) => {
    const way = [
      '--val',
      at('test'),
      '--augment',
      'paper',
      '--schedule',
      'plateau',
      '--epochs',
      '1',
      '--batch',
      '12',
      '--backend',
      'wasm',
      '--json',
    ];
    const { stdout } = await run(process.execPath, ['packages/vgg/bin/vgg.js', 'train', at('train'), ...way, ...args], { env });
    return JSON.parse(stdout);
  };
  const on = ['--top', 'pretrained', '--unfreeze', 'conv1', '--lr', '0.001'];
  const [first, second, third] = ['256', '384', 'jitter'].map((name) => at(`${name}.safetensors`)) as [string, string, string];
  await train('--from-scratch', '--arch', plan({}), '--scale', '36', '--lr', '0.01', '--out', first);
  const stages = [
    await train('--weights', first, ...on, '--scale', '54', '--out', second),
    await train('--weights', second, ...on, '--scale', '36,72', '--out', third),
  ];
  for (const { epochs, classes } of stages) {
    expect(classes).toEqual(['across', 'dots', 'down']);
    expect(epochs[0].rate).toBe(0.001);
  }
  // Every convolution is the last stage's, a little further.
  const files = await Promise.all([first, second, third].map(async (path) => openWeights(bytesSource(await readFile(path)))));
  const [a, b, c] = (await Promise.all(files.map((file) => file.read('conv1_1.weight')))) as [Float32Array, Float32Array, Float32Array];
  const apart = (x: Float32Array, y: Float32Array) => Math.hypot(...x.map((value, i) => value - y[i]!)) / Math.hypot(...x);
  for (const distance of [apart(a, b), apart(b, c)]) {
    expect(distance).toBeGreaterThan(0);
    expect(distance).toBeLessThan(0.1);
  }
  const refused = await train('--from-scratch', '--arch', plan({}), '--scale', '16').catch(
    (error: { code: number; stderr: string }) => error,
  );
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("at least the crop's 32 pixels") });
});
