import { expect, it, vi } from 'vitest';
import { openBackend } from './backend.js';

it('one opener that stops does not stop another that waits for the same backend', async () => {
  const hanging = (_: unknown, init?: RequestInit) =>
    new Promise<Response>((_resolve, reject) => {
      const stop = () => reject(new Error('aborted'));
      if (init?.signal?.aborted) stop();
      init?.signal?.addEventListener('abort', stop);
    });
  vi.stubGlobal('fetch', hanging);
  try {
    const first = new AbortController();
    const stopped = openBackend('wasm', { wasmUrl: 'https://example.org/tfjs.wasm', signal: first.signal });
    const other = openBackend('wasm');
    setTimeout(() => first.abort(), 20);
    await expect(stopped).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect((await other).name).toBe('wasm');
  } finally {
    vi.unstubAllGlobals();
  }
});
