import { openWeights } from '@vgg/loaders';
import { afterEach, expect, test } from 'vitest';
import { openSource } from './source.js';

const BYTES = Uint8Array.from({ length: 100 }, (_, i) => i);
/** A safetensors file that the server of the tests has. */
const SERVED = '/packages/loaders/test/fixtures/safetensors/torch-plain.safetensors';

const urls: string[] = [];
afterEach(() => {
  for (const url of urls.splice(0)) URL.revokeObjectURL(url);
});
function objectUrl(): string {
  const url = URL.createObjectURL(new Blob([BYTES]));
  urls.push(url);
  return url;
}

/** Files as an input element or a drop gives them. */
function fileList(...files: File[]): FileList {
  const transfer = new DataTransfer();
  for (const file of files) transfer.items.add(file);
  return transfer.files;
}

test.each<[string, () => Parameters<typeof openSource>[0]]>([
  ['a Blob', () => new Blob([BYTES])],
  ['a File', () => new File([BYTES], 'a')],
  ['Files', () => [new File([BYTES], 'a')]],
  ['a FileList', () => fileList(new File([BYTES], 'a.h5'), new File(['read me'], 'b.txt'))],
  ['bytes', () => BYTES],
  ['an ArrayBuffer', () => BYTES.slice().buffer],
  ['a blob: URL', () => objectUrl()],
  ['a URL object', () => new URL(objectUrl())],
  ['a data: URL', () => 'data:application/octet-stream;base64,AAECAwQFBgc='],
])('%s', async (_, input) => {
  const source = await openSource(input());
  expect([...(await source.read(2, 3))]).toEqual([2, 3, 4]);
  expect(await openSource(source)).toBe(source);
});

test('a FileList finds the shards of its manifest', async () => {
  const source = await openSource(fileList(new File([BYTES], 'group1-shard1of1'), new File(['{}'], 'model.json')));
  expect(source.name).toBe('model.json');
  expect(await (await source.sibling!('group1-shard1of1'))!.read(5, 1)).toEqual(BYTES.slice(5, 6));
});

test('URLs are relative to the page, and to its <base>', async () => {
  const asked: string[] = [];
  const own = (async (url: URL) => {
    asked.push(String(url));
    return new Response(BYTES);
  }) as unknown as typeof fetch;
  await openSource('models/vgg16.h5', { fetch: own });
  const base = document.createElement('base');
  base.href = 'https://example.org/app/index.html';
  document.head.prepend(base);
  try {
    await openSource('models/vgg16.h5', { fetch: own });
  } finally {
    base.remove();
  }
  expect(asked).toEqual([new URL('models/vgg16.h5', location.href).href, 'https://example.org/app/models/vgg16.h5']);
});

test('an http URL is read by Range requests', async () => {
  const asked: string[] = [];
  const own = ((url: URL, init: RequestInit) => {
    asked.push(`${url.pathname} ${new Headers(init.headers).get('range')}`);
    return fetch(url, init);
  }) as typeof fetch;
  const file = await openWeights(await openSource(SERVED, { fetch: own }));
  expect(file.format).toBe('safetensors');
  expect((await file.read('features.0.bias')).length).toBe(2);
  expect(asked).toEqual([`${SERVED} bytes=0-65535`]);
});

test('what it is not', async () => {
  await expect(openSource('ftp://example.org/a')).rejects.toMatchObject({ code: 'VGG_INPUT' });
  await expect(openSource('https://')).rejects.toMatchObject({ code: 'VGG_INPUT' });
  await expect(openSource({} as never)).rejects.toMatchObject({ code: 'VGG_INPUT' });
  await expect(openSource(new Blob([]), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
});

test('a blob: URL that was revoked', async () => {
  const url = URL.createObjectURL(new Blob([BYTES]));
  URL.revokeObjectURL(url);
  await expect(openSource(url)).rejects.toMatchObject({ code: 'VGG_NOT_FOUND', message: expect.stringContaining('revoked') });
});
