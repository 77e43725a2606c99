// Networks trained by the command line, as a user does it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePng } from '../../packages/vgg/src/pictures/encode-png.js';
import { random } from '../../packages/vgg/src/random.js';
import { openNetworkWeights } from '../../packages/vgg/src/weights/open-weights.js';
import { vgg, WASM } from '../../packages/vgg/test/command-line.js';

const SIDE = 16;
const BIN = join(import.meta.dirname, '../../packages/vgg/bin/vgg.js');
const PLAN = { name: 'small', blocks: [[8], [16]], batchNorm: true, globalPool: true, dense: [32], dropout: 0.5, size: SIDE };
let folder: string;
const at = (...parts: string[]) => join(folder, ...parts);

/** Stripes across and down, over noise. */
async function writePictures(target: string, count: number, seed: number): Promise<void> {
  const rng = random(seed);
  for (const [label, name] of ['across', 'down'].entries()) {
    await mkdir(join(target, name), { recursive: true });
    for (let i = 0; i < count; i++) {
      const phase = rng.below(4);
      const data = new Uint8Array(SIDE * SIDE * 3).map((_, k) => {
        const [x, y] = [Math.floor(k / 3) % SIDE, Math.floor(k / 3 / SIDE)];
        return ((label === 0 ? x : y) + phase) % 4 < 2 ? 60 + rng.below(60) : 140 + rng.below(60);
      });
      await writeFile(join(target, name, `${i}.png`), await encodePng({ data, width: SIDE, height: SIDE }));
    }
  }
}

/** The tensors of a file of ours. */
async function valuesOf(path: string): Promise<Map<string, Float32Array>> {
  const { file } = await openNetworkWeights(undefined, { weights: path }, true);
  try {
    const values = new Map<string, Float32Array>();
    for (const name of file.tensors.keys()) values.set(name, (await file.read(name)).slice());
    return values;
  } finally {
    await file.close();
  }
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-train-network-'));
  await writeFile(at('small.json'), JSON.stringify(PLAN));
  await writePictures(at('train'), 64, 1);
  await writePictures(at('val'), 24, 2);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const RUN = ['--batch', '16', '--lr', '0.1', '--augment', 'cifar', '--seed', '5', ...WASM];
const scratch = (epochs: number, out: string, ...more: string[]) => [
  ...['train', at('train'), '--val', at('val'), '--from-scratch', '--arch', at('small.json'), '--epochs', String(epochs)],
  ...['--schedule', 'cosine', '--out', out, ...RUN, ...more],
];

describe('vgg train --from-scratch', () => {
  test('learns, and the file is taken by every command', { timeout: 60_000 }, async () => {
    const out = at('net.safetensors');
    const { code, json, err } = await vgg([...scratch(8, out, '--report', at('run.html'), '--curves', at('run.svg')), '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ classes: ['across', 'down'], head: out, network: 'small' });
    expect(json.epochs).toHaveLength(8);
    expect(json.best.valAccuracy).toBeGreaterThan(0.95);
    expect(err).toMatch(/epoch 8: loss [\d.]+, accuracy [\d.]+ %; validation [\d.]+, [\d.]+ %, rate 0\.\d+, \d+ s/);
    expect(await readFile(at('run.html'), 'utf8')).toContain('small');
    expect(await readFile(at('run.svg'), 'utf8')).toContain('<svg');
    const evaluated = await vgg(['eval', at('val'), '--weights', out, ...WASM, '--json']);
    expect(evaluated.json.top1).toBeCloseTo(json.best.valAccuracy, 6);
    const classified = await vgg(['classify', at('val/down/0.png'), '--weights', out, '--top', '1', ...WASM, '--json']);
    expect(classified.json.images[0].predictions[0].label).toBe('down');
  });

  test('only what is unfrozen changes', { timeout: 60_000 }, async () => {
    const base = at('base.safetensors');
    const tuned = at('tuned.safetensors');
    expect(await vgg(scratch(2, base))).toMatchObject({ code: 0 });
    const run = ['--unfreeze', 'conv2', '--epochs', '2', '--out', tuned];
    const { code, json } = await vgg(['train', at('train'), '--weights', base, ...run, ...RUN, '--json']);
    expect(code).toBe(0);
    expect(json.network).toBe('small_pool2');
    const [before, after] = await Promise.all([base, tuned].map(valuesOf));
    const same = [...after!].filter(
      ([name, values]) => Buffer.compare(Buffer.from(values.buffer), Buffer.from(before!.get(name)?.buffer ?? new ArrayBuffer(0))) === 0,
    );
    expect(same.map(([name]) => name).sort()).toEqual(
      // The statistics of batch normalisation are kept where a network is only tuned.
      [...[...after!.keys()].filter((name) => /^(conv|bn)1_1/.test(name)), 'bn2_1.mean', 'bn2_1.variance'].sort(),
    );
  });

  test('--top pretrained goes on with the dense layers that are there', { timeout: 60_000 }, async () => {
    const base = at('on-base.safetensors');
    const on = at('on.safetensors');
    expect(await vgg(scratch(2, base))).toMatchObject({ code: 0 });
    const run = ['--top', 'pretrained', '--unfreeze', 'fc6', '--batch-norm', 'train', '--epochs', '1', '--out', on];
    const { code, json } = await vgg(['train', at('train'), '--weights', base, ...run, ...RUN, '--json']);
    expect({ code, network: json.network }).toEqual({ code: 0, network: 'small' });
    const [before, after] = await Promise.all([base, on].map(valuesOf));
    const changed = [...after!].filter(([name, values]) => String(values) !== String(before!.get(name))).map(([name]) => name);
    expect(changed.sort()).toEqual(['fc6.bias', 'fc6.weight', 'fc7.bias', 'fc7.weight']);
  });

  test('--transplant begins with the layers of a shallower network, and --layer-rates 0 leaves them', { timeout: 60_000 }, async () => {
    const base = at('shallow.safetensors');
    const deep = at('deep.safetensors');
    expect(await vgg(scratch(2, base))).toMatchObject({ code: 0 });
    const blocks = [
      [8, 8],
      [16, 16],
    ];
    await writeFile(at('deep.json'), JSON.stringify({ ...PLAN, name: 'deep', blocks }));
    const run = ['train', at('train'), '--from-scratch', '--arch', at('deep.json'), '--epochs', '1', '--out', deep, ...RUN];
    const rates = ['--layer-rates', 'conv1_1=0,conv2_1=0,fc*=0'];
    expect(await vgg([...run, '--transplant', base, ...rates])).toMatchObject({ code: 0 });
    const [before, after] = await Promise.all([base, deep].map(valuesOf));
    const same = [...after!].filter(([name, values]) => String(values) === String(before!.get(name))).map(([name]) => name);
    expect(same).toEqual(['conv1_1', 'conv2_1', 'fc6', 'fc7'].flatMap((layer) => [`${layer}.weight`, `${layer}.bias`]));
    const { code, err } = await vgg([...run, '--layer-rates', 'conv9=0.5']);
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringContaining('received "conv9_*", which matches nothing of conv1_1, bn1_1, '),
    });
  });

  test.each([
    [['--top', 'pretrained'], 'expected --unfreeze'],
    [['--from-scratch', '--arch', 'cifar_vgg16_bn', '--top', 'new'], 'expected --from-scratch or --top, received both'],
    [['--from-scratch'], 'expected --arch'],
    [['--from-scratch', '--arch', 'cifar_vgg16_bn', '--unfreeze', 'conv5'], 'received both'],
    [['--unfreeze', 'conv5', '--resume'], 'expected --checkpoints'],
    [['--from-scratch', '--arch', 'cifar_vgg16_bn', '--dense', 'wide'], 'expected widths such as 512,512'],
    [['--unfreeze', 'conv5', '--layer-rates', 'conv5'], '--layer-rates: expected layers and factors such as conv4=0.1,conv5=0.3'],
    [['--unfreeze', 'conv5', '--transplant', 'a.h5'], '--transplant: expected --from-scratch, received none'],
    [['--augment', 'none'], '--augment: expected --unfreeze, such as conv5, or --from-scratch, received neither'],
    [['--checkpoints', 'run'], '--checkpoints: expected --unfreeze'],
    [['--schedule', 'cosine', '--solver', 'svm'], '--schedule: expected --unfreeze'],
    [['--dropout', '0.5'], '--dropout: expected --from-scratch, received none'],
    [['--unfreeze', 'conv5', '--init', 'normal'], '--init: expected --from-scratch'],
    [['--unfreeze', 'conv5', '--solver', 'svm'], '--solver: expected no --unfreeze'],
    [['--from-scratch', '--arch', 'cifar_vgg16_bn', '--keep'], '--keep: expected no --from-scratch'],
    [['--from-scratch', '--arch', 'cifar_vgg16_bn', '--layer', 'pool3'], 'expected --from-scratch or --layer, received both'],
    [['--extend', 'a.head', '--neighbours', '3'], '--extend: expected no --neighbours'],
    [['--unfreeze', 'conv5', '--optimizer', 'adam', '--momentum', '0.9'], '--momentum: expected --optimizer sgd, received adam'],
    [['--unfreeze', 'conv5', '--checkpoint-every', '5'], '--checkpoint-every: expected --checkpoints, received none'],
  ])('%j is refused', async (flags, message) => {
    const { code, err } = await vgg(['train', at('train'), ...flags, ...WASM]);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(message) });
  });
});

describe('vgg train', () => {
  test('--offline fetches no weights to tune', async () => {
    const { code, err } = await vgg(['train', at('train'), '--weights', 'vgg16', '--unfreeze', 'conv5', '--offline', '-q', ...WASM], {
      env: { VGG_CACHE: at('no-cache') },
    });
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringMatching(/expected it in .*, since offline was asked for; .*\[VGG_NETWORK\]\n$/),
    });
  });

  const small = () => ['train', at('train'), '--from-scratch', '--arch', at('small.json'), '--epochs', '1', ...WASM];

  test.each(['out', 'report', 'curves', 'checkpoints'])(
    '--%s where nothing can be written is refused before anything is computed',
    async (flag) => {
      const [isFolder, below] = [flag === 'checkpoints', flag === 'checkpoints' ? at('small.json', 'x') : at('none', 'x')];
      // A head, and a network: the weights are not even looked for.
      const runs = isFolder ? [small()] : [small(), ['train', at('train'), '--weights', at('none.h5')]];
      for (const run of runs) {
        const { code, err } = await vgg([...run, `--${flag}`, below]);
        expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining(`vgg: train --${flag}: expected a folder`) });
        expect(err).toMatch(/^vgg: [^\n]+ \[VGG_OUTPUT\]\n$/);
      }
      if (isFolder) return;
      const { code, err } = await vgg([...small(), `--${flag}`, at('train')]);
      expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('expected the path of a file, received the folder') });
    },
  );

  test('a network without a picture that cannot be read is done in part, and says so', { timeout: 60_000 }, async () => {
    await writePictures(at('spoilt'), 8, 3);
    await writeFile(at('spoilt', 'down', 'broken.png'), 'no picture at all');
    const run = ['train', at('spoilt'), '--from-scratch', '--arch', at('small.json'), '--epochs', '2', '--batch', '8', ...WASM];
    const { code, json } = await vgg([...run, '--json']);
    expect({ code, failed: json.failed }).toEqual({
      code: 3,
      failed: [{ image: at('spoilt', 'down', 'broken.png'), code: 'VGG_INPUT', message: expect.stringContaining('broken.png') }],
    });
    const { out } = await vgg(run);
    expect(out).toMatch(/\n\nfailed: .*broken\.png.* \[VGG_INPUT\]\n$/);
  });

  test('what does not fit the memory is said in its own words, and alone', { timeout: 60_000 }, async () => {
    const { code, err } = await vgg([...small(), '--max-memory', '1', '--out', at('never.safetensors')]);
    expect(code).toBe(1);
    expect(err).toMatch(/^vgg: train: expected one picture of 16x16 .* or a larger --max-memory \[VGG_MEMORY\]\n$/);
  });
});

const KILLS = 20;

test(`a run that is killed ${KILLS} times ends with the same bits as one that is not`, { timeout: 240_000 }, async () => {
  const whole = at('whole.safetensors');
  expect(await vgg(scratch(80, whole))).toMatchObject({ code: 0 });
  const out = at('killed.safetensors');
  const run = scratch(80, out, '--checkpoints', at('run'), '--checkpoint-every', '3', '--resume');
  const rng = random(Date.now());
  let kills = 0;
  const start = () => {
    const child = spawn(process.execPath, [BIN, ...run], { stdio: ['ignore', 'ignore', 'pipe'] });
    return { child, exited: once(child, 'exit') };
  };
  while (kills < KILLS) {
    const { child, exited } = start();
    // It has begun to learn, or has ended.
    await Promise.race([once(child.stderr, 'data'), exited]);
    await setTimeout(rng.below(150));
    child.kill('SIGKILL');
    const [code] = await exited;
    if (code === 0) break;
    kills++;
  }
  const { child, exited } = start();
  child.stderr.resume();
  expect(await exited).toEqual([0, null]);
  expect(kills).toBe(KILLS);
  expect(Buffer.compare(await readFile(out), await readFile(whole))).toBe(0);
  expect((await readdir(at('run'))).filter((name) => name.startsWith('.'))).toEqual([]);
});

test('Ctrl-C writes a checkpoint and exits with 130', { timeout: 60_000 }, async () => {
  const run = scratch(500, at('never.safetensors'), '--checkpoints', at('interrupted'), '--json');
  const child = spawn(process.execPath, [BIN, ...run], { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  await once(child.stderr, 'data');
  await setTimeout(1500);
  child.kill('SIGINT');
  expect(await exited).toEqual([130, null]);
  expect((await readdir(at('interrupted'))).filter((name) => name.startsWith('epoch-')).length).toBeGreaterThan(0);
});
