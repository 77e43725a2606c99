import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stateAfter } from '../../test/train/checkpoints.js';
import { random } from '../random.js';
import { CheckpointFolder } from './checkpoint-folder.js';

const KILLS = 12;

let parent: string;
let script: string;
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'vgg-killed-'));
  script = join(parent, 'save-forever.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, '../../test/train/save-forever.ts')],
    outfile: script,
    bundle: true,
    format: 'esm',
    platform: 'node',
    conditions: ['@vgg/source'],
    external: ['sharp'],
    logLevel: 'error',
  });
});
afterAll(() => rm(parent, { recursive: true }));

it(`a process that is killed ${KILLS} times while it writes leaves whole checkpoints alone`, async () => {
  const runs = join(parent, 'run');
  const rng = random(Date.now());
  let furthest = 0;
  for (let i = 0; i < KILLS; i++) {
    const child = spawn(process.execPath, [script, runs], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    // It has found the last checkpoint, and writes.
    await Promise.race([once(child.stdout, 'data'), exited]);
    if (i === 0) await expect.poll(async () => (await CheckpointFolder.open(runs)).list()).not.toEqual([]);
    await setTimeout(5 + rng.below(120));
    child.kill('SIGKILL');
    expect(await exited).toEqual([null, 'SIGKILL']);

    const warnings: string[] = [];
    const folder = await CheckpointFolder.open(runs, { onWarning: (message) => warnings.push(message) });
    const found = await folder.newest();
    expect(warnings).toEqual([]);
    const epoch = found?.run.epoch ?? 0;
    expect(epoch).toBeGreaterThanOrEqual(furthest);
    furthest = epoch;
    if (!found) continue;
    expect(found.run).toEqual(stateAfter(epoch).run);
    for (const { name, values } of stateAfter(epoch).weights) expect(await found.readWeight(name)).toEqual(await values());
    await found.close();
    // Those that are kept, and one that was written before the oldest of them could be removed.
    expect((await folder.list()).length).toBeLessThanOrEqual(3);
  }
  expect(furthest).toBeGreaterThan(0);
  const folder = await CheckpointFolder.open(runs);
  await folder.save(stateAfter(furthest + 1));
  expect((await readdir(runs)).filter((name) => name.endsWith('.part'))).toEqual([]);
});
