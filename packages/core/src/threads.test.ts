import { tensor4d, tidy } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { noise } from '../test/check-op.js';
import { type Backend, openBackend } from './backend.js';
import { currentEnvironment, type Environment } from './environment.js';
import { conv2d } from './ops/conv2d.js';
import { probeBackend } from './probe.js';
import { wantedThreads } from './threads.js';

const real = currentEnvironment();
const environment = (over: Partial<Environment>): Environment => ({ ...real, threads: undefined, ...over });

describe('how many threads', () => {
  it('as many as there are cores, at most 8', () => {
    for (const [cores, threads] of [
      [1, 1],
      [2, 2],
      [8, 8],
      [96, 8],
    ])
      expect(wantedThreads(undefined, environment({ cores })).threads).toBe(threads);
  });

  it('the caller before the environment, the environment before the cores', () => {
    expect(wantedThreads(undefined, environment({ threads: '3', server: true }))).toEqual({
      threads: 3,
      why: 'asked for by the environment variable VGG_THREADS',
    });
    expect(wantedThreads(5, environment({ threads: '3' }))).toEqual({ threads: 5, why: 'asked for' });
  });

  it.each([0, -1, 1.5, 65, Number.NaN])('%d is refused', async (threads) => {
    await expect(openBackend('wasm', { threads })).rejects.toMatchObject({
      code: 'VGG_OPTION',
      message: expect.stringMatching(/^openBackend: threads: expected a whole number from 1 to 64, received /),
    });
  });

  it('a word in the environment is refused', () => {
    expect(() => wantedThreads(undefined, environment({ threads: 'many', server: true }))).toThrow(
      'the environment variable VGG_THREADS: expected a whole number from 1 to 64, received "many"',
    );
    expect(() => wantedThreads(undefined, environment({ threads: 'many', server: false }))).toThrow("the page's URL parameter threads");
  });

  it('the report says how many would be used, and how a page gets more than one', async () => {
    const report = await probeBackend('wasm', environment({ cores: 4 }));
    expect(report.threads).toEqual({ used: 4, available: 4, possible: true, reason: '4 threads for 4 cores' });
    const page = await probeBackend('wasm', environment({ isolated: false, server: false }));
    expect(page.threads).toMatchObject({ used: 1, possible: false });
    expect(page.threads?.reason).toMatch(/^one thread: this page is not isolated; the headers Cross-Origin-Opener-Policy: same-origin and/);
  });
});

describe('threads of the wasm backend', () => {
  const SHAPE: [number, number, number, number] = [1, 64, 64, 32];
  const FILTER: [number, number, number, number] = [3, 3, 32, 32];
  const x = noise(SHAPE, 1);
  const filter = noise(FILTER, 2);
  async function convolve(backend: Backend): Promise<Float32Array> {
    const y = backend.run(() =>
      tidy(() => conv2d(tensor4d(x.data as Float32Array, SHAPE), tensor4d(filter.data as Float32Array, FILTER), null)),
    );
    const values = await backend.read(y);
    y.dispose();
    return values;
  }

  it('each opener has its own count of the same threads, and all get the same bits', async () => {
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    const one = await openBackend('wasm', { threads: 1, onWarning });
    const [three, two] = await Promise.all([openBackend('wasm', { threads: 3 }), openBackend('wasm', { threads: 2 })]);
    expect([one, two, three].map(({ info }) => info.threads)).toEqual([1, 2, 3]);
    expect(three.info.threadsReason).toBe('asked for');
    const truth = await convolve(one);
    for (const backend of [three, two, one, three]) expect(await convolve(backend)).toEqual(truth);
    expect(warnings).toEqual([]);
  });

  it('tells of the default', async () => {
    const { info } = await openBackend('wasm', { environment: environment({ cores: 2 }) });
    expect(info).toMatchObject({ threads: 2, threadsReason: 'for 2 cores', sharedMemory: true });
    expect(JSON.parse(JSON.stringify(info))).toEqual(info);
  });

  it('other backends have one', async () => {
    const { info } = await openBackend('cpu', { threads: 2 });
    expect(info).toMatchObject({ name: 'cpu', threads: 1 });
  });
});
