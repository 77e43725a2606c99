import { describe, expect, it } from 'vitest';
import { openBackend } from './backend.js';
import { planBackends, resolveWish } from './choose.js';
import type { AdapterLike, Environment } from './environment.js';
import { probeBackends } from './probe.js';

const LIMITS = {
  maxStorageBufferBindingSize: 2 ** 31,
  maxBufferSize: 2 ** 31,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupStorageSize: 32768,
};

function adapter(over: Partial<AdapterLike> = {}): AdapterLike {
  return {
    info: { vendor: 'acme', architecture: 'fast-1', description: '' },
    limits: LIMITS,
    features: new Set<string>(['shader-f16']),
    requestDevice: async () => {
      throw new Error('this adapter is a fake');
    },
    ...over,
  };
}

const gpuOf = (found: AdapterLike | null) => async () => ({ requestAdapter: async () => found });

function environment(over: Partial<Environment> = {}): Environment {
  return {
    gpu: async () => 'this browser has no navigator.gpu',
    wasm: WebAssembly,
    isolated: true,
    server: false,
    sharedArrayBuffer: true,
    cores: 8,
    wish: undefined,
    wishFrom: 'the test',
    ...over,
  };
}

async function picked(over: Partial<Environment>) {
  const reports = await probeBackends(environment(over));
  const { candidates, passedOver } = planBackends(reports);
  return { reports, order: candidates.map(({ name }) => name), why: passedOver.map(({ name, reason }) => `${name}: ${reason}`) };
}

describe('the automatic choice', () => {
  it('no navigator.gpu: wasm', async () => {
    const { order, why } = await picked({});
    expect(order).toEqual(['wasm', 'cpu']);
    expect(why).toEqual(['webgpu: this browser has no navigator.gpu']);
  });

  it('a null adapter: wasm', async () => {
    const { order, why } = await picked({ gpu: gpuOf(null) });
    expect(order).toEqual(['wasm', 'cpu']);
    expect(why).toEqual(['webgpu: navigator.gpu is there and offers no adapter (a driver is missing, blocked or switched off)']);
  });

  it('an adapter that throws: wasm', async () => {
    const gpu = async () => ({
      requestAdapter: async () => {
        throw new Error('driver crashed');
      },
    });
    const { order, why } = await picked({ gpu });
    expect(order).toEqual(['wasm', 'cpu']);
    expect(why).toEqual(['webgpu: asking for an adapter failed: driver crashed']);
  });

  it('low limits: wasm, and which limit', async () => {
    const { order, why } = await picked({ gpu: gpuOf(adapter({ limits: { ...LIMITS, maxStorageBufferBindingSize: 2 ** 24 } })) });
    expect(order).toEqual(['wasm', 'cpu']);
    expect(why).toEqual([
      'webgpu: the adapter (acme fast-1) is too small for VGG: maxStorageBufferBindingSize is 16777216 and at least 67108864 is needed',
    ]);
  });

  for (const [title, soft] of [
    ['that says so', adapter({ isFallbackAdapter: true })],
    ['whose info says so', adapter({ info: { vendor: 'acme', isFallbackAdapter: true } as AdapterLike['info'] })],
    ['known by name', adapter({ info: { vendor: 'google', architecture: 'swiftshader' } })],
  ] as const) {
    it(`a software adapter ${title}: wasm before it`, async () => {
      const { order, why, reports } = await picked({ gpu: gpuOf(soft) });
      expect(order).toEqual(['wasm', 'webgpu', 'cpu']);
      expect(why[0]).toMatch(/^webgpu: its adapter \(.*\) is software, which WASM outruns/);
      expect(reports[0]).toMatchObject({ available: true, software: true });
    });
  }

  it('a graphics adapter: webgpu', async () => {
    const { order, why, reports } = await picked({ gpu: gpuOf(adapter()) });
    expect(order).toEqual(['webgpu', 'wasm', 'cpu']);
    expect(why).toEqual([]);
    expect(reports[0]).toMatchObject({
      reason: 'a graphics adapter (acme fast-1)',
      software: false,
      features: ['shader-f16'],
      limits: LIMITS,
    });
  });

  it('no WebAssembly: cpu', async () => {
    const { order, why } = await picked({ wasm: undefined });
    expect(order).toEqual(['cpu']);
    expect(why[1]).toBe('wasm: this engine has no WebAssembly, or its Content-Security-Policy lacks wasm-unsafe-eval');
  });

  it('neither WebAssembly nor a graphics adapter, but a software one: that one before cpu', async () => {
    const { order } = await picked({ wasm: undefined, gpu: gpuOf(adapter({ isFallbackAdapter: true })) });
    expect(order).toEqual(['webgpu', 'cpu']);
  });

  it('no SIMD: wasm, and what that means', async () => {
    const { reports } = await picked({ wasm: { validate: () => false } });
    expect(reports[1]).toMatchObject({ available: true, simd: 'none', reason: 'WASM without SIMD, several times slower than with it' });
  });

  it('a page without COOP and COEP: no shared memory, and which headers it needs', async () => {
    const { reports } = await picked({ isolated: false });
    expect(reports[1]).toMatchObject({ sharedMemory: false, threads: { used: 1, available: 8, possible: false } });
    expect(reports[1].threads?.reason).toContain('Cross-Origin-Embedder-Policy: require-corp');
  });

  it('a graphics adapter that refuses a device: wasm, and why', async () => {
    const backend = await openBackend('auto', { environment: environment({ gpu: gpuOf(adapter()) }) });
    expect(backend.name).toBe('wasm');
    expect(backend.info.steps[0]).toEqual({
      name: 'webgpu',
      reason: 'webgpu: expected a device and the adapter refused: this adapter is a fake',
    });
    expect(backend.info.reason).toContain('this adapter is a fake');
  });
});

describe('a backend by name', () => {
  it('webgpu that is not there: an error with the reason and what to do', async () => {
    await expect(openBackend('webgpu', { environment: environment({ gpu: gpuOf(null) }) })).rejects.toMatchObject({
      code: 'VGG_BACKEND',
      message:
        'openBackend: expected backend webgpu and it is not available: navigator.gpu is there and offers no adapter (a driver is missing, blocked or switched off); ' +
        'use backend wasm or auto, or a browser and driver with WebGPU (in Node: npm install webgpu)',
    });
  });

  it('VGG_BACKEND=webgpu without one: the same error', async () => {
    const error = await openBackend('auto', { environment: environment({ wish: 'webgpu' }) }).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'VGG_BACKEND' });
  });

  it('VGG_BACKEND=cpu: cpu, and a warning of what it costs', async () => {
    const { info } = await openBackend('auto', {
      environment: environment({ wish: 'cpu', wishFrom: 'the environment variable VGG_BACKEND' }),
    });
    expect(info).toMatchObject({ name: 'cpu', simd: 'none', threads: 1, sharedMemory: false });
    expect(info.reason).toContain('asked for by the environment variable VGG_BACKEND');
    expect(info.warning).toContain('25 seconds');
  });

  it('a caller who names one is not overruled', () => {
    expect(resolveWish('wasm', environment({ wish: 'cpu' }))).toBe('wasm');
  });

  it('a name that is none', () => {
    expect(() => resolveWish('webgl', environment())).toThrow('openBackend: expected auto, webgpu, wasm or cpu, received "webgl"');
    expect(() => resolveWish('auto', environment({ wish: 'gpu' }))).toThrow('the test: expected auto, webgpu, wasm or cpu, received "gpu"');
  });

  it('an aborted signal', async () => {
    await expect(openBackend('wasm', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  });
});
