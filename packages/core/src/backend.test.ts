import { engine, getBackend, setBackend, tensor, tensor1d, zeros } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { describeEachBackend } from '../test/backends.js';
import { openBackend } from './backend.js';
import { probeBackends } from './probe.js';

describeEachBackend('a backend', (backend) => {
  it('is named by info, which is plain data', () => {
    const { info, name } = backend();
    expect(JSON.parse(JSON.stringify(info))).toEqual(info);
    expect(info).toMatchObject({ name, threads: expect.any(Number) });
    expect(info.reason).toContain('asked for by name');
    expect(info.steps.at(-1)?.name).toBe(name);
  });

  it('runs a function on itself and puts the former backend back', async () => {
    const other = await openBackend(backend().name === 'cpu' ? 'wasm' : 'cpu');
    const inner = other.run(() => {
      const seen = backend().run(() => getBackend());
      return [seen, getBackend()];
    });
    expect(inner).toEqual([backend().name, other.name]);
  });

  it('puts the former backend back after an error', async () => {
    const other = await openBackend(backend().name === 'cpu' ? 'wasm' : 'cpu');
    other.run(() => {
      const fail = () =>
        backend().run(() => {
          throw new Error('on purpose');
        });
      expect(fail).toThrow('on purpose');
      expect(getBackend()).toBe(other.name);
    });
  });

  it('refuses a function that returns a promise', () => {
    expect(() => backend().run(async () => 1)).toThrow('Backend.run: expected a function that returns its result');
  });

  it('counts tensors and bytes', () => {
    const before = backend().memory();
    const x = backend().run(() => tensor1d([1, 2, 3]));
    const after = backend().memory();
    expect(after.tensors - before.tensors).toBe(1);
    expect(after.bytes - before.bytes).toBe(12);
    x.dispose();
  });

  it('is started once: another handle shares its tensors', async () => {
    const again = await openBackend(backend().name);
    const x = backend().run(() => tensor([1, 2], [2]));
    expect(Array.from(await again.read(x))).toEqual([1, 2]);
    x.dispose();
  });

  it('100 calls leave no tensor behind', async () => {
    const before = backend().memory();
    for (let i = 0; i < 100; i++) backend().run(() => zeros([8, 8]).dispose());
    expect(backend().memory().tensors).toBe(before.tensors);
    expect(backend().memory().bytes).toBe(before.bytes);
  });
});

describe('the automatic choice on this machine', () => {
  it('takes the first that is available and not software, and says why', async () => {
    const reports = await probeBackends();
    const real = reports.find(({ available, software }) => available && !software);
    const backend = await openBackend();
    expect(backend.name).toBe(real?.name);
    expect(backend.info.steps.at(-1)).toEqual({ name: backend.name, reason: `taken: ${real?.reason}` });
    for (const { name, available, reason } of reports) if (!available) expect(backend.info.reason).toContain(`${name}: ${reason}`);
  });

  it('leaves the active backend of a program that uses tfjs itself', async () => {
    const cpu = await openBackend('cpu');
    cpu.run(() => 0);
    await setBackend('cpu');
    await openBackend('wasm');
    expect(engine().backendName).toBe('cpu');
  });
});
