import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const WEIGHTS = '../shared/data/vgg16-tfjs/model.json';
const out = mkdtempSync(join(tmpdir(), 'vgg-tour-'));
afterAll(() => rmSync(out, { recursive: true, force: true }));

// Without the software WebGPU of the other specs: a driver's own warnings on stderr are not the tour's.
const { VK_ICD_FILENAMES: _, ...env } = process.env;
const tour = (...args: string[]) =>
  run(process.execPath, ['examples/node/tour.mjs', '--out', out, ...args], {
    env: { ...env, VGG_OFFLINE: '1', VGG_CACHE: join(out, 'cache') },
  });

describe('the first command (examples/node/tour.mjs)', () => {
  it('runs the main job on the weights inside the package, with nothing fetched', async () => {
    const { stdout, stderr } = await tour();
    expect(stderr).toBe('');
    expect(stdout).toContain('weights: compact.cifar10 (safetensors)');
    const accuracy = Number(/validation accuracy ([\d.]+) %/.exec(stdout)?.[1]);
    expect(accuracy).toBeGreaterThan(85);
    const right = Number(/([\d.]+) % of 30 new pictures right/.exec(stdout)?.[1]);
    expect(right).toBeGreaterThan(85);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('A head on relu3_1 of compact');
    expect(readFileSync(join(out, 'relu3_1.npy')).subarray(1, 6).toString()).toBe('NUMPY');
  });

  it.skipIf(!existsSync(WEIGHTS))(`runs the main job on real weights (${WEIGHTS})`, async () => {
    const { stdout } = await tour('--weights', WEIGHTS);
    const accuracy = Number(/validation accuracy ([\d.]+) %/.exec(stdout)?.[1]);
    expect(accuracy).toBeGreaterThan(90);
    const right = Number(/([\d.]+) % of 30 new pictures right/.exec(stdout)?.[1]);
    expect(right).toBeGreaterThan(90);
    expect(readFileSync(join(out, 'pool3.npy')).subarray(1, 6).toString()).toBe('NUMPY');
    expect(readFileSync(join(out, 'head.safetensors')).length).toBeLessThan(20_000);
  });

  it('says in one sentence how to pass a file where there is no network', async () => {
    const failure = await tour('--arch', 'vgg16').catch((error: { code: number; stderr: string }) => error);
    expect(failure).toMatchObject({ code: 1 });
    expect((failure as { stderr: string }).stderr.trim()).toMatch(/^[^\n]*pass a file you have[^\n]*--weights FILE[^\n]*\[VGG_NETWORK\]$/);
  });
});

describe('examples/node/weights.mjs', () => {
  const weights = (...args: string[]) => run(process.execPath, ['examples/node/weights.mjs', ...args], { env: { ...env, TMPDIR: out } });

  it('makes a tiny network, tells what is in it, converts it and compares', async () => {
    const { stdout } = await weights();
    expect(stdout).toContain('6 tensors, safetensors');
    expect(stdout).toContain('it is tiny, up to prob');
    expect(stdout).toContain('pictures as for torchvision: RGB');
    expect(stdout).toMatch(/the same values, and the same maps at 5 layers\n$/);
  });

  it.skipIf(!existsSync(WEIGHTS))(`converts what is there of a broken download (${WEIGHTS})`, async () => {
    const { stdout } = await weights(WEIGHTS, join(out, 'part.safetensors'));
    expect(stdout).toContain('it is vgg16, up to pool3');
    expect(stdout).toContain(`wrote ${join(out, 'part.safetensors')}: 14 tensors`);
    expect(stdout).toContain('the same up to conv4_1: conv4_1.bias is only in the first');
  });

  it('says in one sentence what is wrong', async () => {
    const failure = await weights(join(out, 'none.pth')).catch((error: { code: number; stderr: string }) => error);
    expect(failure).toMatchObject({ code: 1 });
    expect((failure as { stderr: string }).stderr).toMatch(/^[^\n]*none\.pth: expected a file[^\n]* \[VGG_NOT_FOUND\]\n$/);
  });
});

describe('examples/node/similar.mjs', () => {
  it.skipIf(!existsSync(WEIGHTS))(`finds a picture first among its like (${WEIGHTS})`, async () => {
    const folder = join(out, 'pictures', 'train', 'dots');
    const picture = join(folder, 'dots-03.png');
    const { stdout } = await run(
      process.execPath,
      ['examples/node/similar.mjs', picture, folder, '--weights', WEIGHTS, '--size', '64', '--top', '3'],
      { env },
    );
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toBe(`1.0000 ${picture}`);
    expect(Number(lines[1].split(' ')[0])).toBeLessThan(1);
  });
});
