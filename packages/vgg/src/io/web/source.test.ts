import { afterEach, expect, test, vi } from 'vitest';
import { openSource } from './source.js';
import { writeFile } from './write.js';

const BYTES = Uint8Array.from({ length: 100 }, (_, i) => i);
afterEach(() => vi.unstubAllGlobals());

test('a Blob, Files, bytes, blob: and data: URLs, and URLs relative to the page', async () => {
  const asked: string[] = [];
  const own = (async (url: URL) => {
    asked.push(String(url));
    return new Response(BYTES);
  }) as unknown as typeof fetch;
  vi.stubGlobal('location', { href: 'https://example.org/app/index.html' });
  for (const input of [
    new Blob([BYTES]),
    [new File([BYTES], 'a')],
    BYTES,
    BYTES.slice().buffer,
    URL.createObjectURL(new Blob([BYTES])),
    'data:application/octet-stream;base64,AAECAwQFBgc=',
  ]) {
    expect([...(await (await openSource(input)).read(2, 3))]).toEqual([2, 3, 4]);
  }
  await openSource('models/vgg16.h5', { fetch: own });
  expect(asked).toEqual(['https://example.org/app/models/vgg16.h5']);
});

test('what it is not', async () => {
  await expect(openSource('ftp://example.org/a')).rejects.toMatchObject({ code: 'VGG_INPUT' });
  await expect(openSource('no page to be relative to')).rejects.toMatchObject({ code: 'VGG_INPUT' });
  await expect(openSource({} as never)).rejects.toMatchObject({ code: 'VGG_INPUT' });
  await expect(openSource(new Blob([]), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
});

test('a file handle is closed when all is written and aborted when it is not', async () => {
  const calls: string[] = [];
  const handle = {
    name: 'head.vgg',
    createWritable: async () => ({
      write: async (chunk: Uint8Array) => void calls.push(`write ${chunk.length}`),
      close: async () => void calls.push('close'),
      abort: async () => void calls.push('abort'),
    }),
  } as unknown as FileSystemFileHandle;
  await writeFile(handle, [BYTES, BYTES.subarray(0, 3)]);
  expect(calls.splice(0)).toEqual(['write 100', 'write 3', 'close']);
  const failing = (function* () {
    yield BYTES;
    throw new Error('no more');
  })();
  await expect(writeFile(handle, failing)).rejects.toThrow('no more');
  expect(calls).toEqual(['write 100', 'abort']);
});

test('a download is offered under the name', async () => {
  const anchor = { href: '', download: '', click: vi.fn() };
  vi.stubGlobal('document', { createElement: () => anchor });
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  await writeFile('out/features.npy', [BYTES]);
  vi.useRealTimers();
  expect(anchor.click).toHaveBeenCalledOnce();
  expect(anchor.download).toBe('features.npy');
  expect(new Uint8Array(await (await fetch(anchor.href)).arrayBuffer())).toEqual(BYTES);
  URL.revokeObjectURL(anchor.href);
});

test('a worker has no page to download in', async () => {
  await expect(writeFile('features.npy', [BYTES])).rejects.toMatchObject({ code: 'VGG_OUTPUT' });
});
