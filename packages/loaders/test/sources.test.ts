import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { blobSource, bytesSource, cachedSource, filesSource, httpSource, isPlainName, openWeights, type Source } from '../src/index.js';
import { counted, fixture, ramp, refuses } from './helpers.js';

const BYTES = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31) & 255);

/** Compared at once: an equality of a hundred thousand elements takes a second. */
const isSlice = (offset: number) => (read: Uint8Array) =>
  Buffer.compare(read, BYTES.subarray(offset, offset + read.length)) === 0 && read.length > 99_999;

describe.each<[string, () => Source]>([
  ['bytes', () => bytesSource(BYTES)],
  ['an ArrayBuffer', () => bytesSource(BYTES.slice().buffer)],
  ['a Node Buffer', () => bytesSource(Buffer.from(BYTES))],
  ['a Blob', () => blobSource(new Blob([BYTES]))],
  ['a cache of 16 bytes', () => cachedSource(bytesSource(BYTES), { block: 16, blocks: 2 })],
])('%s', (_, make) => {
  test('reads any range, as a copy', async () => {
    const source = make();
    expect(source.size).toBe(BYTES.length);
    for (const [offset, length] of [
      [0, 0],
      [0, 5],
      [13, 7],
      [15, 1],
      [16, 16],
      [3, 500],
      [199_990, 10],
      [200_000, 0],
    ] as const) {
      const read = await source.read(offset, length);
      expect(read).toEqual(BYTES.slice(offset, offset + length));
      read.fill(0);
    }
    expect(await source.read(0, 40)).toEqual(BYTES.slice(0, 40));
  });

  test('refuses what lies outside, and an abort', async () => {
    const source = make();
    for (const [offset, length] of [
      [199_999, 2],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [0, Number.NaN],
      [2 ** 60, 1],
    ] as const) {
      await refuses(source.read(offset, length), 'VGG_INTEGRITY', /cut or corrupt/);
    }
    await refuses(source.read(0, 1, { signal: AbortSignal.abort() }), 'VGG_ABORTED', /AbortSignal/);
  });
});

test('the cache reads each block once, and long reads past it', async () => {
  const inner = counted(bytesSource(BYTES));
  const source = cachedSource(inner, { block: 1024, blocks: 4 });
  await Promise.all([source.read(0, 8), source.read(8, 8), source.read(1000, 24)]);
  expect([inner.reads, inner.bytes]).toEqual([1, 1024]);
  await source.read(1020, 8);
  expect(inner.reads).toBe(2);
  await source.read(5000, 5000);
  expect([inner.reads, inner.bytes]).toEqual([3, 7048]);
});

test('a failed block is asked for again', async () => {
  let fail = true;
  const source = cachedSource({
    ...bytesSource(BYTES),
    read: async (offset, length) => {
      if (fail) throw new Error('once');
      return BYTES.slice(offset, offset + length);
    },
  });
  await expect(source.read(0, 4)).rejects.toThrow('once');
  fail = false;
  expect(await source.read(0, 4)).toEqual(BYTES.slice(0, 4));
});

describe('a set of files', () => {
  const file = (name: string) => new File([name], name);

  test('opens the manifest or the one weight file, and finds siblings by name', async () => {
    const source = filesSource([file('group1-shard1of1'), file('model.json'), file('notes.txt')]);
    expect(source.name).toBe('model.json');
    const sibling = await source.sibling!('group1-shard1of1');
    expect(new TextDecoder().decode(await sibling!.read(0, sibling!.size))).toBe('group1-shard1of1');
    expect(await source.sibling!('absent')).toBeUndefined();
    expect(await source.sibling!('../model.json')).toBeUndefined();
    expect(filesSource([file('a.txt'), file('vgg16.h5')]).name).toBe('vgg16.h5');
    expect(filesSource([file('anything')]).name).toBe('anything');
  });

  test('none, or no telling which', async () => {
    await refuses(() => filesSource([]), 'VGG_INPUT', /received none/);
    await refuses(() => filesSource([file('a.h5'), file('b.h5')]), 'VGG_INPUT', /a.h5, b.h5/);
    await refuses(() => filesSource([file('a'), file('a')]), 'VGG_INPUT', /twice/);
  });
});

test('plain names', () => {
  for (const name of ['model.json', 'group1-shard1of1', 'a..b', '.hidden', 'über weights', '...'])
    expect(isPlainName(name), name).toBe(true);
  for (const name of ['', '.', '..', 'a/b', '/a', 'a\\b', 'C:a', 'http://x', 'a\0', '__proto__', 'x'.repeat(256)])
    expect(isPlainName(name), name).toBe(false);
});

describe('over HTTP', () => {
  const servers: { close(): void; closeAllConnections(): void }[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function serve(handle: (request: IncomingMessage, response: ServerResponse) => void) {
    const log: string[] = [];
    const server = createServer((request, response) => {
      log.push(`${request.method} ${request.url} ${request.headers.range ?? '-'}`);
      handle(request, response);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/folder/file.bin?key=1`, log };
  }

  /** What a file server with Range requests answers. */
  function ranged(
    files: Record<string, Uint8Array>,
    change: (headers: Record<string, string | number>, body: Uint8Array) => Uint8Array = (_, body) => body,
  ) {
    return (request: IncomingMessage, response: ServerResponse) => {
      const bytes = files[decodeURIComponent(request.url!.split('?')[0]!.split('/').pop()!)];
      if (!bytes) return void response.writeHead(404).end();
      const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
      if (!match) return void response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
      if (bytes.length === 0) return void response.writeHead(416, { 'content-range': 'bytes */0' }).end();
      const end = Math.min(Number(match[2]), bytes.length - 1);
      const headers = { 'content-range': `bytes ${match[1]}-${end}/${bytes.length}`, etag: '"1"' };
      const body = change(headers, bytes.slice(Number(match[1]), end + 1));
      response.writeHead(206, headers).end(body);
    };
  }

  test('Range requests: only what is asked for, small reads together', async () => {
    const { url, log } = await serve(ranged({ 'file.bin': BYTES }));
    const source = await httpSource(url);
    expect([source.name, source.size]).toEqual(['file.bin', BYTES.length]);
    for (const at of [0, 70_000, 70_100, 100_000, 65_534]) expect(await source.read(at, 10)).toEqual(BYTES.slice(at, at + 10));
    expect(await source.read(50_000, 100_000)).satisfy(isSlice(50_000));
    expect(log.map((line) => line.split(' ')[2])).toEqual(['bytes=0-65535', 'bytes=65536-131071', 'bytes=50000-149999']);
  });

  test('an .h5 is opened and read', async () => {
    const { url, log } = await serve(ranged({ 'file.bin': fixture('keras-published.h5') }));
    const file = await openWeights(await httpSource(url));
    expect([...(await file.read('fc2/kernel'))]).toEqual(ramp(64));
    expect(log.length).toBeLessThanOrEqual(2);
  });

  test('no Range requests: the whole file, with progress', async () => {
    const { url, log } = await serve((_, response) => response.writeHead(200, { 'content-length': BYTES.length }).end(BYTES));
    const seen: (number | undefined)[][] = [];
    const source = await httpSource(url, {
      onProgress: ({ stage, loaded, total }) => void (stage === 'download' && seen.push([loaded, total])),
    });
    expect(await source.read(199_000, 1000)).toEqual(BYTES.slice(199_000));
    expect(seen.at(-1)).toEqual([BYTES.length, BYTES.length]);
    expect(log.length).toBe(1);
  });

  test('a hidden Content-Range (CORS): the length by HEAD', async () => {
    const { url, log } = await serve((request, response) => {
      if (request.method === 'HEAD') return void response.writeHead(200, { 'content-length': BYTES.length }).end();
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range!)!;
      response.writeHead(206).end(BYTES.slice(Number(from), Number(to) + 1));
    });
    const source = await httpSource(url);
    expect(await source.read(150_000, 9)).toEqual(BYTES.slice(150_000, 150_009));
    expect(log[1]).toContain('HEAD');
  });

  test('an empty file', async () => {
    const { url } = await serve(ranged({ 'file.bin': new Uint8Array(0) }));
    expect((await httpSource(url)).size).toBe(0);
  });

  test.each<[string, (headers: Record<string, string | number>, body: Uint8Array) => Uint8Array, RegExp]>([
    [
      'bytes of another place',
      (headers, body) => {
        headers['content-range'] = 'bytes 5-9/200000';
        return body;
      },
      /expected bytes 0-65535, received bytes 5-9/,
    ],
    ['too few bytes', (_, body) => body.slice(1), /expected 65536 bytes, received 65535/],
    ['too many bytes', (_, body) => Uint8Array.from([...body, 1]), /received more/],
  ])('a server that lies (%s)', async (_, change, text) => {
    const { url } = await serve(ranged({ 'file.bin': BYTES }, change));
    await refuses(httpSource(url), 'VGG_INTEGRITY', text);
  });

  test('a file that changes while it is read', async () => {
    let version = 0;
    const next = (headers: Record<string, string | number>, body: Uint8Array) => {
      headers.etag = `"${version++}"`;
      return body;
    };
    const { url } = await serve(ranged({ 'file.bin': BYTES }, next));
    const source = await httpSource(url);
    await refuses(source.read(100_000, 10), 'VGG_INTEGRITY', /changed on the server/);
  });

  test('a connection that is cut', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('x'.repeat(100));
      setTimeout(() => response.destroy(), 20);
    });
    await refuses(httpSource(url), 'VGG_NETWORK', /broke after 100 bytes/);
  });

  test('404, 500 and no server', async () => {
    const { url } = await serve((request, response) => response.writeHead(request.url!.includes('gone') ? 404 : 500).end());
    await refuses(httpSource(new URL('gone', url)), 'VGG_NOT_FOUND', /status 404/);
    await refuses(httpSource(url), 'VGG_NETWORK', /status 500/);
    await refuses(httpSource('http://127.0.0.1:1/x'), 'VGG_NETWORK', /could not be reached/);
  });

  test('siblings: the same folder, absent ones undefined, other paths and hosts refused', async () => {
    const other = await serve(ranged({ shard: BYTES }));
    const { url, log } = await serve((request, response) => {
      const last = request.url!.split('/').pop();
      if (last === 'away') return void response.writeHead(302, { location: other.url }).end();
      if (last === 'near') return void response.writeHead(302, { location: '/elsewhere/shard%201' }).end();
      ranged({ 'file.bin': BYTES, 'shard 1': BYTES.slice(0, 10) })(request, response);
    });
    const source = await httpSource(url);
    expect((await source.sibling!('shard 1'))!.size).toBe(10);
    expect(log.at(-1)).toContain('/folder/shard%201');
    expect((await source.sibling!('near'))!.size).toBe(10);
    expect(await source.sibling!('absent')).toBeUndefined();
    await refuses(source.sibling!('away'), 'VGG_NETWORK', /redirect to 127.0.0.1:\d+, which is refused/);
    expect(other.log).toEqual([]);
    for (const name of ['../x', '//evil/x', 'http://evil/x', '..']) await refuses(source.sibling!(name), 'VGG_INTEGRITY', /plain name/);
  });

  test('a sibling costs no bytes until it is read, and then only those read', async () => {
    const { url, log } = await serve((request, response) => {
      if (request.method === 'HEAD') return void response.writeHead(200, { 'content-length': BYTES.length }).end();
      ranged({ 'file.bin': BYTES, shard: BYTES })(request, response);
    });
    const shard = (await (await httpSource(url)).sibling!('shard'))!;
    expect(shard.size).toBe(BYTES.length);
    expect(await shard.read(1000, 150_000)).satisfy(isSlice(1000));
    expect(log.slice(1)).toEqual(['HEAD /folder/shard bytes=0-0', 'GET /folder/shard bytes=1000-150999']);
  });

  test('siblings on a server without Range requests, or without HEAD', async () => {
    for (const status of [200, 405]) {
      const { url, log } = await serve((request, response) => {
        response.writeHead(request.method === 'HEAD' ? status : 200, { 'content-length': BYTES.length });
        response.end(request.method === 'HEAD' ? undefined : BYTES);
      });
      const shard = (await (await httpSource(url)).sibling!('shard'))!;
      expect(await shard.read(70_000, 100_000)).satisfy(isSlice(70_000));
      expect(await shard.read(5, 10)).toEqual(BYTES.slice(5, 15));
      expect(log.filter((line) => line.startsWith('GET /folder/shard')).length).toBe(1);
    }
  });

  test('an abort ends a download at once', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('x');
    });
    const abort = new AbortController();
    const started = performance.now();
    setTimeout(() => abort.abort(), 30);
    await refuses(httpSource(url, { signal: abort.signal }), 'VGG_ABORTED', /AbortSignal/);
    expect(performance.now() - started).toBeLessThan(1000);
  });

  test('a fetch of one’s own is used, for siblings too', async () => {
    const asked: string[] = [];
    const own = (async (input: URL | string) => {
      asked.push(String(input));
      return new Response(BYTES.slice(0, 4), { status: 200 });
    }) as typeof fetch;
    const source = await httpSource('https://example.org/a/model.json', { fetch: own });
    expect((await source.sibling!('shard'))!.size).toBe(4);
    expect(new Set(asked)).toEqual(new Set(['https://example.org/a/model.json', 'https://example.org/a/shard']));
  });
});
