import { afterEach, expect, test, vi } from 'vitest';
import { openSource } from './source.js';

// What a page cannot show: a place without a document, as a worker is, or without any address.
afterEach(() => void vi.unstubAllGlobals());

test('in a worker, URLs are relative to its own', async () => {
  const asked: string[] = [];
  const own = (async (url: URL) => {
    asked.push(String(url));
    return new Response(new Uint8Array(100));
  }) as unknown as typeof fetch;
  vi.stubGlobal('location', { href: 'https://example.org/app/index.html' });
  await openSource('models/vgg16.h5', { fetch: own });
  expect(asked).toEqual(['https://example.org/app/models/vgg16.h5']);
});

test('without an address of its own, a relative URL is refused', async () => {
  await expect(openSource('no page to be relative to')).rejects.toMatchObject({ code: 'VGG_INPUT' });
});
