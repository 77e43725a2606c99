import { describe, expect, it } from 'vitest';
import { cachedSource } from '../../src/sources/cached.js';
import { httpSource } from '../../src/sources/http.js';

const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251);

describe('two readers of the same bytes', () => {
  it('of a cached source: one that stops does not stop the other', async () => {
    const slow = cachedSource({
      name: 'slow',
      size: bytes.length,
      read: (offset, length, options) =>
        new Promise((resolve, reject) => {
          const timer = setTimeout(() => resolve(bytes.slice(offset, offset + length)), 50);
          options?.signal?.addEventListener('abort', () => {
            clearTimeout(timer);
            reject(Object.assign(new Error('stopped'), { name: 'VggError', code: 'VGG_ABORTED' }));
          });
        }),
    });
    const first = new AbortController();
    const stopped = slow.read(0, 10, { signal: first.signal });
    const other = slow.read(4, 10);
    first.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect(await other).toEqual(bytes.slice(4, 14));
  });

  it('of a cached source: one that waits for the other stops at once', async () => {
    const hanging = cachedSource({ name: 'hanging', size: 100, read: () => new Promise(() => {}) });
    void hanging.read(0, 10);
    const second = new AbortController();
    const waiting = hanging.read(0, 10, { signal: second.signal });
    second.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  });

  it('of a server that stops giving ranges: one that stops does not stop the other', async () => {
    const source = await httpSource('https://example.org/weights.bin', { fetch: withoutRanges() });
    const first = new AbortController();
    const stopped = source.read(100_000, 70_000, { signal: first.signal });
    await new Promise((resolve) => setTimeout(resolve, 10));
    const other = source.read(70_000, 70_000);
    first.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect(await other).toEqual(bytes.slice(70_000, 140_000));
  });

  it('of a server that stops giving ranges: both at once have the file from one download', async () => {
    const source = await httpSource('https://example.org/weights.bin', { fetch: withoutRanges() });
    const both = await Promise.all([source.read(100_000, 70_000), source.read(70_000, 70_000)]);
    expect(both).toEqual([bytes.slice(100_000, 170_000), bytes.slice(70_000, 140_000)]);
  });
});

/** Answers the first request with a range, and all others with the whole file, slowly. */
function withoutRanges(): typeof globalThis.fetch {
  let calls = 0;
  return (async (_: unknown, init?: RequestInit): Promise<Response> => {
    if (calls++ === 0) {
      const headers = { 'content-range': `bytes 0-65535/${bytes.length}` };
      return new Response(bytes.slice(0, 65536), { status: 206, headers });
    }
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        if (init?.signal?.aborted) return controller.error(new Error('aborted'));
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.slice(at, at + 50_000));
        at += 50_000;
      },
    });
    return new Response(body, { status: 200, headers: { 'content-length': String(bytes.length) } });
  }) as typeof globalThis.fetch;
}
