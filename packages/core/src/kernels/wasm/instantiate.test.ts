import { describe, expect, it } from 'vitest';
import { instantiate } from './instantiate.js';
import { shareMemory } from './memory-section.js';

const onServer = typeof document === 'undefined';

describe('instantiate', () => {
  it.runIf(onServer)('leaves the process listeners that were there, and no others', async () => {
    const mine = () => {};
    process.on('uncaughtException', mine);
    const before = [process.listeners('uncaughtException'), process.listeners('unhandledRejection')];
    const { runtime } = await instantiate({ simd: true, shared: true });
    expect([process.listeners('uncaughtException'), process.listeners('unhandledRejection')]).toEqual(before);
    runtime.backend.dispose();
    expect([process.listeners('uncaughtException'), process.listeners('unhandledRejection')]).toEqual(before);
    process.removeListener('uncaughtException', mine);
  });

  it.runIf(onServer)('leaves listeners that others add while it starts', async () => {
    const others: (() => void)[] = [];
    const adding = setInterval(() => {
      const other = () => {};
      others.push(other);
      process.on('unhandledRejection', other);
    }, 0);
    const { runtime } = await instantiate({ simd: true, shared: false });
    clearInterval(adding);
    const left = process.listeners('unhandledRejection');
    for (const other of others) process.removeListener('unhandledRejection', other);
    expect(others.length).toBeGreaterThan(0);
    expect(left).toEqual(expect.arrayContaining(others));
    runtime.backend.dispose();
  });

  it.runIf(onServer)('shared memory is a SharedArrayBuffer, and ordinary memory is not', async () => {
    for (const shared of [true, false]) {
      const { runtime } = await instantiate({ simd: true, shared });
      expect(runtime.memory.buffer instanceof SharedArrayBuffer).toBe(shared);
      expect(runtime.shared).toBe(shared);
    }
  });

  it('the build without SIMD computes too', async () => {
    const { runtime } = await instantiate({ simd: false, shared: false });
    const { backend } = runtime;
    const id = backend.write(new Float32Array([1, 2]), [2], 'float32');
    expect(Array.from(backend.readSync(id) as Float32Array)).toEqual([1, 2]);
  });

  it('gives 8-byte aligned room that can be written, and takes it back', async () => {
    const { runtime } = await instantiate({ simd: true, shared: false });
    const pointer = runtime.malloc(1000);
    expect(pointer % 8).toBe(0);
    new Uint8Array(runtime.memory.buffer, pointer, 1000).fill(7);
    runtime.free(pointer);
    expect(runtime.malloc(1000)).toBe(pointer);
  });

  it('a full heap is an error, in our calls and in those of tfjs, and the next small one succeeds', async () => {
    const { runtime } = await instantiate({ simd: true, shared: false });
    const message = /^wasm: expected room for 4096 MiB on a heap of \d+ MiB \(at most 4096 MiB\) and there is none/;
    expect(() => runtime.malloc(2 ** 32 - 2 ** 17)).toThrow(message);
    expect(() => runtime.backend.makeOutput([2 ** 30 - 2 ** 15], 'float32')).toThrow(message);
    expect(runtime.malloc(64)).toBeGreaterThan(0);
  });

  it('bytes that are no module', async () => {
    const wasmBinary = new TextEncoder().encode('this is not WebAssembly');
    await expect(instantiate({ simd: true, shared: true, wasmBinary })).rejects.toMatchObject({
      code: 'VGG_BACKEND',
      message: "wasm: expected the bytes of tfjs-backend-wasm's binary and they are no WASM module; check wasmBinary and wasmUrl",
    });
    await expect(instantiate({ simd: true, shared: false, wasmBinary })).rejects.toMatchObject({ code: 'VGG_BACKEND' });
  });

  it('an address that answers nothing', async () => {
    const wasmUrl = 'data:application/wasm;base64';
    await expect(instantiate({ simd: true, shared: false, wasmUrl })).rejects.toMatchObject({ code: 'VGG_BACKEND' });
  });
});

describe('shareMemory', () => {
  const head = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

  it('sets one bit of the memory section', () => {
    const module = [...head, 0x05, 0x04, 0x01, 0x01, 0x01, 0x02];
    expect(Array.from(shareMemory(new Uint8Array(module)))).toEqual([...head, 0x05, 0x04, 0x01, 0x03, 0x01, 0x02]);
  });

  it('passes over sections before it, with lengths of two bytes', () => {
    const custom = [0x00, 0x80, 0x01, ...new Array(128).fill(0x41)];
    const shared = shareMemory(new Uint8Array([...head, ...custom, 0x05, 0x04, 0x01, 0x01, 0x01, 0x02]));
    expect(shared.at(-3)).toBe(0x03);
  });

  for (const [why, bytes] of [
    ['they declare no memory', head],
    ['their memory has no maximum', [...head, 0x05, 0x03, 0x01, 0x00, 0x01]],
    ['they declare 2 memories', [...head, 0x05, 0x05, 0x02, 0x00, 0x01, 0x00, 0x01]],
    ['they end in the middle of a number', [...head, 0x05, 0x80]],
  ] as const) {
    it(`refuses bytes where ${why}`, () => {
      expect(() => shareMemory(new Uint8Array(bytes))).toThrow(why);
    });
  }
});
