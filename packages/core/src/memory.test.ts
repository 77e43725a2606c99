import { tensor4d, tidy } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { noise } from '../test/check-op.js';
import { type Backend, openBackend } from './backend.js';
import { currentEnvironment } from './environment.js';
import { wantedMemory } from './memory.js';
import { conv2d } from './ops/conv2d.js';

const real = currentEnvironment();

describe('which memory mode', () => {
  it('the caller before the environment, the environment before the default', () => {
    expect(wantedMemory(undefined, { ...real, memory: undefined })).toEqual({ memory: 'fast', asked: false, why: 'the default' });
    expect(wantedMemory(undefined, { ...real, memory: 'small', server: true })).toEqual({
      memory: 'small',
      asked: true,
      why: 'asked for by the environment variable VGG_MEMORY',
    });
    expect(wantedMemory('balanced', { ...real, memory: 'small' })).toEqual({ memory: 'balanced', asked: true, why: 'asked for' });
  });

  it('a word that is none is refused', async () => {
    await expect(openBackend('wasm', { memory: 'tiny' as 'small' })).rejects.toMatchObject({
      code: 'VGG_OPTION',
      message: 'openBackend: memory: expected fast, balanced or small, received "tiny"',
    });
    expect(() => wantedMemory(undefined, { ...real, memory: 'much', server: false })).toThrow("the page's URL parameter memory");
  });
});

describe('the wasm backend', () => {
  it('each opener has a mode of its own on one heap', async () => {
    const x = Float32Array.from(noise([1, 6, 6, 512], 1).data);
    const filter = Float32Array.from(noise([3, 3, 512, 512], 2).data);
    const convolve = async (backend: Backend): Promise<Float32Array> => {
      const y = backend.run(() => tidy(() => conv2d(tensor4d(x, [1, 6, 6, 512]), tensor4d(filter, [3, 3, 512, 512]), null)));
      const values = (await backend.read(y)).slice();
      y.dispose();
      return values;
    };
    const small = await openBackend('wasm', { memory: 'small', environment: real });
    const fast = await openBackend('wasm', { memory: 'fast', environment: real });
    expect([small.info.memory, fast.info.memory]).toEqual(['small', 'fast']);
    const lean = await convolve(small);
    const before = small.memory().heapBytes!;
    const quick = await convolve(fast);
    // The filter at 64 points takes 64 MiB, of which some were free; on its own it takes 9.
    expect(before).toBeLessThan(32 * 2 ** 20);
    expect(fast.memory().heapBytes! - before).toBeGreaterThan(50 * 2 ** 20);
    expect(await convolve(small)).toEqual(lean);
    const most = lean.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const apart = quick.reduce((max, value, i) => Math.max(max, Math.abs(value - lean[i])), 0);
    expect(apart).toBeLessThan(3e-5 * most);
  });
});
