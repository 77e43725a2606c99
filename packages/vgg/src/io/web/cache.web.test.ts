import type { Progress } from '@vgg/errors';
import { afterEach, describe, expect, it } from 'vitest';
import { io } from '#io';
import { fetchFile } from '../../weights/download.js';
import { openPublished } from '../../weights/published.js';
import type { PublishedSet } from '../../weights/published-sets.js';
import { webCache } from './cache.js';

const KEY = 'test.safetensors';
const SIZE = 20 * 2 ** 20 + 3;
const BYTES = Uint8Array.from({ length: SIZE }, (_, index) => (index * 2654435761) >>> 13);
const cache = webCache();

afterEach(async () => {
  await (await (await navigator.storage.getDirectory()).getDirectoryHandle('vgg', { create: true }))
    .removeEntry(KEY, { recursive: true })
    .catch(() => {});
});

const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, index) => byte === b[index]);
const names = async () => {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('vgg', { create: true });
  const found: string[] = [];
  for await (const name of root.keys()) found.push(name);
  return found;
};

/** A server of BYTES inside the page; `cutAfter` ends each answer early. */
function server({ bytes = BYTES, cutAfter = Number.POSITIVE_INFINITY } = {}): typeof fetch & { ranges: string[] } {
  const ranges: string[] = [];
  const serve = async (_: unknown, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    expect(headers.has('if-range')).toBe(false);
    const [, start = '0', end] = /^bytes=(\d+)-(\d*)$/.exec(headers.get('range') ?? '') ?? [];
    ranges.push(headers.get('range') ?? 'all');
    const from = Number(start);
    const to = Math.min(end ? Number(end) + 1 : SIZE, SIZE);
    const body = bytes.slice(from, Math.min(to, from + cutAfter));
    const isPart = headers.has('range');
    return new Response(body, {
      status: isPart ? 206 : 200,
      headers: isPart ? { 'content-range': `bytes ${from}-${to - 1}/${SIZE}` } : { 'content-length': `${SIZE}` },
    });
  };
  return Object.assign(serve as typeof fetch, { ranges });
}

const running = io.hash('sha256');
running.update(BYTES);
const set: PublishedSet & { name: string } = {
  name: 'test set',
  id: 'vgg16.test',
  key: KEY,
  urls: ['https://weights.invalid/test.safetensors'],
  bytes: SIZE,
  hash: { algorithm: 'sha256', value: running.digest() },
  architecture: 'vgg16',
  top: true,
  format: 'safetensors',
  preprocessing: 'torchvision',
  rounding: 'floor',
  classes: 1000,
  licence: 'none',
  source: 'a test',
  cors: true,
};

describe('webCache', () => {
  it('a file appears when it is whole; segments are one file to its reader', async () => {
    const partial = await cache.partial(KEY, { bytes: SIZE });
    await partial.restart('from here');
    for (let at = 0; at < SIZE; at += 1_000_000) await partial.append(BYTES.subarray(at, Math.min(at + 1_000_000, SIZE)));
    expect([partial.size, await cache.get(KEY), await cache.list()]).toEqual([SIZE, undefined, []]);
    const source = await partial.finish();
    await partial.close();
    expect([source.name, source.size]).toEqual([KEY, SIZE]);
    const at = 8 * 2 ** 20 - 3;
    expect(same(await source.read(at, 1_000_000), BYTES.slice(at, at + 1_000_000))).toBe(true);
    const again = await cache.get(KEY);
    expect(same(await again!.read(0, SIZE), BYTES)).toBe(true);
    expect(await cache.list()).toEqual([{ key: KEY, bytes: SIZE }]);
    expect([await cache.remove(KEY), await cache.remove(KEY), await names()]).toEqual([true, false, []]);
  });

  it('what is closed unfinished is there the next time; what is discarded, or empty, is gone', async () => {
    const first = await cache.partial(KEY);
    await first.restart('from here');
    await first.append(BYTES.subarray(0, 9_000_000));
    await first.close();
    const second = await cache.partial(KEY);
    expect([second.size, second.validator]).toEqual([9_000_000, 'from here']);
    await second.append(BYTES.subarray(9_000_000, 9_000_100));
    expect(same(await second.read(8_999_990, 110), BYTES.slice(8_999_990, 9_000_100))).toBe(true);
    await second.restart();
    expect([second.size, second.validator]).toEqual([0, undefined]);
    await second.close();
    expect(await names()).toEqual([]);
    const third = await cache.partial(KEY);
    await third.append(BYTES.subarray(0, 10));
    await third.discard();
    expect(await names()).toEqual([]);
  });

  it('the caller may use its buffer again', async () => {
    const buffer = Uint8Array.of(1, 2, 3);
    const partial = await cache.partial(KEY);
    await partial.append(buffer);
    buffer.fill(9);
    expect([...(await partial.read(0, 3))]).toEqual([1, 2, 3]);
    await partial.discard();
  });

  it('one at a time; waiting ends with an abort', async () => {
    const held = await cache.partial(KEY);
    await expect(cache.partial(KEY, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    const next = cache.partial(KEY);
    await held.close();
    await (await next).close();
  });

  it('more than the quota is refused before a byte is fetched, and lets others in', async () => {
    await expect(cache.partial(KEY, { bytes: 1e15 })).rejects.toMatchObject({
      code: 'VGG_OUTPUT',
      message: expect.stringMatching(/room for [\d.]+ MB more, and 1000000000\.0 MB are needed/),
    });
    await (await cache.partial(KEY)).close();
  });

  it('a key is a plain name', async () => {
    await expect(cache.get('../a')).rejects.toMatchObject({ code: 'VGG_OPTION' });
  });
});

describe('a download in a page', () => {
  it('cut lines are resumed, the hash is checked, and the file is kept', async () => {
    const fetch = server({ cutAfter: 9_000_000 });
    const progress: Progress[] = [];
    const source = await fetchFile(set, io, { fetch, retryDelay: 1, onProgress: (each) => void progress.push(each) });
    expect(same(await source.read(0, SIZE), BYTES)).toBe(true);
    expect(fetch.ranges).toEqual(['all', 'bytes=9000000-', 'bytes=18000000-']);
    expect(progress.at(-1)).toMatchObject({ stage: 'download', loaded: SIZE, total: SIZE });
    await (await openPublished(set, { fetch: () => Promise.reject(new Error('not asked for')) })).close?.();
  });

  it('a wrong byte: VGG_INTEGRITY, and nothing kept', async () => {
    const bytes = BYTES.slice();
    bytes[12_345_678]! ^= 1;
    await expect(fetchFile(set, io, { fetch: server({ bytes }) })).rejects.toMatchObject({ code: 'VGG_INTEGRITY' });
    expect(await names()).toEqual([]);
  });

  it('an abort keeps what came', async () => {
    const controller = new AbortController();
    const fetch = server({ cutAfter: 9_000_000 });
    const onProgress = ({ loaded }: Progress) => loaded >= 9_000_000 && controller.abort();
    await expect(fetchFile(set, io, { fetch, onProgress, signal: controller.signal })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    const partial = await cache.partial(KEY);
    expect(partial.size).toBe(9_000_000);
    await partial.discard();
  });

  it('a published set that is not kept is read in parts', async () => {
    const fetch = server();
    const source = await openPublished(set, { fetch });
    expect(source.name).toBe(KEY);
    expect(same(await source.read(15_000_000, 100_000), BYTES.slice(15_000_000, 15_100_000))).toBe(true);
    expect(fetch.ranges.every((range) => /^bytes=\d+-\d+$/.test(range))).toBe(true);
    expect(await names()).toEqual([]);
    await expect(openPublished({ ...set, bytes: SIZE + 1 }, { fetch })).rejects.toMatchObject({ code: 'VGG_INTEGRITY' });
    await expect(
      openPublished({ ...set, cors: false }, { fetch: () => Promise.reject(new TypeError('Failed to fetch')) }),
    ).rejects.toMatchObject({
      code: 'VGG_NETWORK',
      message: expect.stringContaining('does not allow pages of other origins, so serve the file yourself'),
    });
    await expect(openPublished(set, { fetch, offline: true })).rejects.toMatchObject({ code: 'VGG_NETWORK' });
  });
});
