import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { httpSource, openWeights } from '../../src/index.js';
import { fixture, ramp, refuses } from '../helpers.js';

const BYTES = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31) & 255);

/** Compared at once: an equality of a hundred thousand elements takes a second. */
const isSlice = (offset: number) => (read: Uint8Array) =>
  Buffer.compare(read, BYTES.subarray(offset, offset + read.length)) === 0 && read.length > 99_999;

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
    for (const at of [0, 70_000, 70_100, 98_000, 65_534]) expect(await source.read(at, 10)).toEqual(BYTES.slice(at, at + 10));
    expect(await source.read(50_000, 100_000)).satisfy(isSlice(50_000));
    expect(log.map((line) => line.split(' ')[2])).toEqual(['bytes=0-65535', 'bytes=65536-98303', 'bytes=50000-149999']);
  });

  test('an .h5 is opened and read', async () => {
    const { url, log } = await serve(ranged({ 'file.bin': await fixture('keras/keras-published.h5') }));
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
    setTimeout(() => abort.abort(), 30);
    await refuses(httpSource(url, { signal: abort.signal }), 'VGG_ABORTED', /AbortSignal/);
  });
});
