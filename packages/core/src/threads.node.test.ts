// Programs of their own, bundled as the package is, with threads: they must end by themselves.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import { rollup } from 'rollup';
import esbuild from 'rollup-plugin-esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inlined } from '../../../scripts/inline.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../..', import.meta.url));
let folder = '';

beforeAll(async () => {
  // Inside the repository, where the packages of tfjs are found.
  folder = await mkdtemp(join(root, 'node_modules/.vgg-threads-'));
  const bundle = await rollup({
    input: join(root, 'packages/core/src/index.ts'),
    external: /^(node:|@tensorflow\/|webgpu$)/,
    plugins: [
      inlined(),
      nodeResolve({ exportConditions: ['@vgg/source'], extensions: ['.ts', '.js'] }),
      esbuild({ target: 'es2022', tsconfig: join(root, 'tsconfig.json') }),
    ],
  });
  await bundle.write({ dir: folder, format: 'es', entryFileNames: 'core.mjs', chunkFileNames: '[name]-[hash].mjs' });
  await bundle.close();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const START = `
  import * as tf from '@tensorflow/tfjs-core';
  import { openBackend } from './core.mjs';
  const report = (what) => console.log(JSON.stringify(what));
  const x = (backend) => Math.round(backend.run(() => tf.tidy(() =>
    tf.mean(tf.conv2d(tf.ones([1, 80, 80, 32]), tf.ones([3, 3, 32, 32]), 1, 'valid')).dataSync()[0])));
`;

/** A program that does not end by itself runs into the time limit, and that is an error here. */
async function program(code: string, env: Record<string, string> = {}, options: string[] = []): Promise<{ out: unknown; err: string }> {
  const file = join(folder, `program-${Math.random().toString(36).slice(2)}.mjs`);
  await writeFile(file, START + code);
  const { stdout, stderr } = await run(process.execPath, [...options, file], { timeout: 50_000, env: { ...process.env, ...env } });
  return { out: JSON.parse(stdout), err: stderr };
}

describe('a program with threads', () => {
  it('ends when it has nothing more to do, and waits for its threads before', async () => {
    const code = `
      const backend = await openBackend('wasm', { threads: 4 });
      report([backend.info.threads, x(backend)]);
    `;
    expect(await program(code)).toEqual({ out: [4, 288], err: '' });
  });

  it('ends at process.exit, and at an error', async () => {
    const code = (end: string) => `
      const backend = await openBackend('wasm', { threads: 3 });
      report(x(backend));
      setTimeout(() => { ${end} }, 10);
    `;
    expect(await program(code('process.exit(0)'))).toEqual({ out: 288, err: '' });
    await expect(program(code("throw new Error('on purpose')"))).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('on purpose'),
    });
  });

  it('ends in the middle of its work', async () => {
    const code = (end: string) => `
      const backend = await openBackend('wasm', { threads: 4 });
      report(x(backend));
      setTimeout(() => { ${end} }, 200);
      const work = () => { x(backend); setImmediate(work); };
      work();
    `;
    expect(await program(code('process.exit(0)'))).toEqual({ out: 288, err: '' });
    await expect(program(code("process.kill(process.pid, 'SIGTERM')"))).rejects.toMatchObject({ signal: 'SIGTERM', stdout: '288\n' });
  });

  it('takes the count of VGG_THREADS', async () => {
    const code = `report((await openBackend('wasm')).info);`;
    const { out } = await program(code, { VGG_THREADS: '3' });
    expect(out).toMatchObject({ threads: 3, threadsReason: 'asked for by the environment variable VGG_THREADS' });
  });

  it("has no threads left after the backend's removal", async () => {
    const code = `
      const backend = await openBackend('wasm', { threads: 3 });
      const value = x(backend);
      tf.removeBackend('wasm');
      // A resource of the process for each worker, until it has ended.
      const workers = () => process.getActiveResourcesInfo().filter((name) => name === 'Worker' || name === 'MessagePort').length;
      for (let i = 0; i < 200 && workers() > 0; i++) await new Promise((resolve) => setTimeout(resolve, 20));
      report([value, workers(), backend.info.threads]);
    `;
    expect(await program(code)).toEqual({ out: [288, 0, 1], err: '' });
  });

  it('ends its threads in the middle of a job, from a worker of the program', async () => {
    const inner = `
      import { openBackend } from './core.mjs';
      import * as tf from '@tensorflow/tfjs-core';
      import { parentPort } from 'node:worker_threads';
      const backend = await openBackend('wasm', { threads: 3 });
      const [a, b] = [tf.ones([1, 200, 200, 64]), tf.ones([3, 3, 64, 64])];
      parentPort.postMessage(backend.info.threads);
      while (true) backend.run(() => tf.tidy(() => void tf.conv2d(a, b, 1, 'valid')));
    `;
    await writeFile(join(folder, 'inner.mjs'), inner);
    const code = `
      const { Worker } = await import('node:worker_threads');
      const { existsSync, readdirSync } = await import('node:fs');
      // Of the process, by the system's own account, where it keeps one.
      const threads = () => (existsSync('/proc/self/task') ? readdirSync('/proc/self/task').length : 0);
      const before = threads();
      const worker = new Worker(new URL('./inner.mjs', import.meta.url));
      const inside = await new Promise((resolve) => worker.once('message', resolve));
      await new Promise((resolve) => setTimeout(resolve, 100));
      const most = threads() - before;
      await worker.terminate();
      for (let i = 0; i < 200 && threads() > before; i++) await new Promise((resolve) => setTimeout(resolve, 20));
      report([inside, most >= 3 || before === 0, threads() - before]);
    `;
    expect(await program(code)).toEqual({ out: [3, true, 0], err: '' });
  });

  it('whose workers are forbidden computes on one thread, with a warning', async () => {
    const code = `
      const { default: threads } = await import('node:worker_threads');
      threads.Worker = class { constructor() { throw new Error('no workers here'); } };
      const warnings = [];
      const backend = await openBackend('wasm', { threads: 3, onWarning: (message) => warnings.push(message) });
      report([backend.info.threads, backend.info.threadsReason, x(backend), warnings]);
    `;
    expect(await program(code)).toEqual({
      out: [1, '1 of the 3 wished for could be had', 288, ['wasm: a worker cannot be started (no workers here); going on with one thread']],
      err: '',
    });
  });
});
