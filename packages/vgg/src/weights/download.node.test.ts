import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Progress } from '@vgg/errors';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeCache } from '../io/node/cache.js';
import { hash } from '../io/node/hash.js';
import { type FetchIo, type FetchOptions, fetchFile, type RemoteFile } from './download.js';

const SIZE = 3 * 2 ** 20 + 7;
const BYTES = Uint8Array.from({ length: SIZE }, (_, index) => (index * 2654435761) >>> 13);
const MD5 = createHash('md5').update(BYTES).digest('hex');
const KEY = 'weights.h5';

type Handler = (request: IncomingMessage, response: ServerResponse, start: number) => void;

let folder: string;
let server: Server;
let origin: string;
let handler: Handler;
let ranges: string[];
let io: FetchIo;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-download-'));
  ranges = [];
  handler = serve();
  server = createServer((request, response) => {
    ranges.push(`${request.url} ${request.headers.range ?? 'all'}`);
    handler(request, response, Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  io = { platform: 'node', cache: nodeCache(() => folder), hash, setting: () => undefined };
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

interface Behaviour {
  bytes?: Uint8Array;
  range?: boolean;
  etag?: string;
  /** Bytes of one answer before the line is cut. */
  cutAfter?: number;
  /** What it says its length is. */
  claims?: number;
}

function serve({ bytes = BYTES, range = true, etag = '"one"', cutAfter, claims }: Behaviour = {}): Handler {
  return (request, response, start) => {
    const isPart = range && request.headers.range !== undefined && (request.headers['if-range'] ?? etag) === etag;
    if (isPart && start >= bytes.length) {
      response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
      return;
    }
    const from = isPart ? start : 0;
    const headers: Record<string, string | number> = { etag, 'content-length': claims ?? bytes.length - from };
    if (isPart) headers['content-range'] = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    response.writeHead(isPart ? 206 : 200, headers);
    if (cutAfter === undefined) response.end(bytes.subarray(from));
    else response.write(bytes.subarray(from, from + cutAfter), () => setTimeout(() => response.destroy(), 20));
  };
}

const file = (more: Partial<RemoteFile> = {}) => ({
  name: 'test set',
  key: KEY,
  urls: [`${origin}/a`],
  bytes: SIZE,
  hash: { algorithm: 'md5' as const, value: MD5 },
  ...more,
});
const quick: FetchOptions = { retryDelay: 1 };
const fetched = async (more: Partial<RemoteFile> = {}, options: FetchOptions = {}) => {
  const source = await fetchFile(file(more), io, { ...quick, ...options });
  const bytes = await source.read(0, source.size);
  await source.close?.();
  return bytes;
};
const isWhole = (bytes: Uint8Array) => Buffer.compare(bytes, BYTES) === 0;
const left = () => readdir(folder);

describe('fetchFile', () => {
  it('a whole file, once; then from the cache, with progress to its end both times', async () => {
    const progress: Progress[] = [];
    expect(isWhole(await fetched({}, { onProgress: (each) => void progress.push(each) }))).toBe(true);
    expect(progress.map(({ loaded }) => loaded)).toEqual(progress.map(({ loaded }) => loaded).sort((a, b) => a - b));
    expect(progress.at(-1)).toEqual({ stage: 'download', loaded: SIZE, total: SIZE, item: 'test set' });
    expect(await left()).toEqual([KEY]);
    handler = (_, response) => response.writeHead(500).end();
    progress.length = 0;
    expect(isWhole(await fetched({}, { offline: true, onProgress: (each) => void progress.push(each) }))).toBe(true);
    expect(progress).toEqual([{ stage: 'download', loaded: SIZE, total: SIZE, item: 'test set' }]);
    expect(ranges).toEqual(['/a all']);
  });

  it.each(['sha256', 'sha384'] as const)('%s, whole or as a prefix, with unknown length', async (algorithm) => {
    const value = createHash(algorithm).update(BYTES).digest('hex');
    expect(isWhole(await fetched({ bytes: undefined, about: SIZE * 1.01, hash: { algorithm, value } }))).toBe(true);
    await io.cache.remove(KEY);
    expect(isWhole(await fetched({ bytes: undefined, hash: { algorithm, value: value.slice(0, 8) } }))).toBe(true);
  });

  it('a line that is cut again and again is resumed where it was cut', async () => {
    handler = serve({ cutAfter: 2 ** 20 });
    expect(isWhole(await fetched())).toBe(true);
    const starts = ranges.map((range) => Number(/=(\d+)-$/.exec(range)?.[1] ?? 0));
    expect(starts.length).toBeGreaterThanOrEqual(4);
    // What was on its way when the line was cut may be lost.
    for (const [index, start] of starts.entries()) {
      expect(start).toBeLessThanOrEqual(index * 2 ** 20);
      expect(start).toBeGreaterThan(starts[index - 1] ?? -1);
    }
  });

  it('a line that is cut without Range begins anew, and is given up after the retries', async () => {
    handler = serve({ cutAfter: 2 ** 19, range: false });
    await expect(fetched({}, { retries: 2 })).rejects.toMatchObject({
      code: 'VGG_NETWORK',
      message: expect.stringContaining("(weights: 'FILE', or --weights FILE)"),
    });
    expect(ranges).toHaveLength(3);
    handler = serve({ range: false });
    expect(isWhole(await fetched())).toBe(true);
  });

  it('an answer that ends early without a length is known to be cut', async () => {
    let calls = 0;
    handler = (request, response, start) => {
      if (calls++ > 0) return serve()(request, response, start);
      response.writeHead(200, { etag: '"one"' });
      response.end(BYTES.subarray(0, 1000));
    };
    expect(isWhole(await fetched())).toBe(true);
    expect(ranges).toEqual(['/a all', '/a bytes=1000-']);
  });

  it('a file that changes on the server between two parts is fetched anew', async () => {
    const other = BYTES.map((byte) => byte ^ 1);
    let calls = 0;
    handler = (...call) => (calls++ === 0 ? serve({ bytes: other, etag: '"zero"', cutAfter: 2 ** 20 }) : serve())(...call);
    expect(isWhole(await fetched())).toBe(true);
    expect(ranges).toHaveLength(2);
  });

  it.each([
    ['shorter than it says', { claims: SIZE + 5 }, 'VGG_INTEGRITY'],
    ['another length', { bytes: BYTES.subarray(0, 100) }, 'VGG_INTEGRITY'],
    ['a wrong byte', { bytes: BYTES.map((byte, index) => (index === 2_000_000 ? byte ^ 4 : byte)) }, 'VGG_INTEGRITY'],
  ])('%s: nothing is kept', async (_, behaviour, code) => {
    handler = serve(behaviour);
    await expect(fetched({}, { retries: 1 })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(/^test set: received bytes that are not the published ones .*kept nothing/),
    });
    expect(await left()).toEqual([]);
  });

  it('more bytes than there should be are cut off, however many come', async () => {
    handler = (_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write(BYTES), 5);
      response.on('close', () => clearInterval(timer));
    };
    await expect(fetched({ bytes: undefined, about: SIZE }, { retries: 0 })).rejects.toMatchObject({ code: 'VGG_INTEGRITY' });
    expect(await left()).toEqual([]);
  });

  it('a range other than the one asked for is refused', async () => {
    handler = (request, response) => {
      if (request.headers.range === undefined) return serve({ cutAfter: 5000 })(request, response, 0);
      response.writeHead(206, { 'content-range': `bytes 0-9/${SIZE}`, 'content-length': 10 }).end(BYTES.subarray(0, 10));
    };
    await expect(fetched()).rejects.toMatchObject({
      code: 'VGG_INTEGRITY',
      message: expect.stringMatching(/expected the bytes from \d+, received those from 0/),
    });
  });

  it('what an earlier run kept of another version is found out by the hash, and fetched anew', async () => {
    await writeFile(join(folder, `${KEY}.part`), new Uint8Array(1000));
    expect(isWhole(await fetched())).toBe(true);
    expect(ranges).toEqual(['/a bytes=1000-', '/a all']);
  });

  it('a file that was ended between its last byte and its name needs no request', async () => {
    await writeFile(join(folder, `${KEY}.part`), BYTES);
    expect(isWhole(await fetched())).toBe(true);
    expect(ranges).toEqual([]);
    await io.cache.remove(KEY);
    await writeFile(join(folder, `${KEY}.part`), new Uint8Array(SIZE + 5));
    expect(isWhole(await fetched())).toBe(true);
    await io.cache.remove(KEY);
    await writeFile(join(folder, `${KEY}.part`), BYTES);
    expect(isWhole(await fetched({ bytes: undefined }))).toBe(true);
  });

  it('a file of another size in the cache is replaced', async () => {
    await writeFile(join(folder, KEY), 'not it');
    expect(isWhole(await fetched())).toBe(true);
  });

  it('a busy server is asked again after as long as it says', async () => {
    let calls = 0;
    handler = (...call) => (calls++ < 2 ? void call[1].writeHead(calls === 1 ? 503 : 429, { 'retry-after': '0' }).end() : serve()(...call));
    expect(isWhole(await fetched({}, { retryDelay: 60_000 }))).toBe(true);
    expect(ranges).toHaveLength(3);
  });

  it('a server that falls silent is left', async () => {
    let calls = 0;
    handler = (...call) => {
      if (calls++ > 0) return serve()(...call);
      call[1].writeHead(200, { 'content-length': SIZE, etag: '"one"' });
      call[1].write(BYTES.subarray(0, 500_000));
    };
    expect(isWhole(await fetched({}, { stallTimeout: 300 }))).toBe(true);
    expect(ranges.at(-1)).toMatch(/^\/a bytes=[1-9]\d*-$/);
  });
});

describe('addresses', () => {
  it('mirrors first, in order, under the key; the dead and the missing are passed over; headers go to mirrors only', async () => {
    const secrets: string[] = [];
    handler = (request, response, start) => {
      secrets.push(`${request.url} ${request.headers.authorization ?? 'none'}`);
      if (request.url === '/b') serve()(request, response, start);
      else response.writeHead(404).end();
    };
    const mirrors = ['http://127.0.0.1:1/', `${origin}/mirror/`];
    const bytes = await fetched({ urls: [`${origin}/a`, `${origin}/b`] }, { mirrors, headers: { authorization: 'secret' }, retries: 1 });
    expect(isWhole(bytes)).toBe(true);
    expect(secrets).toEqual([`/mirror/${KEY} secret`, '/a none', '/b none']);
  });

  it('a mirror with wrong bytes is passed over', async () => {
    handler = (...call) => serve(call[0].url === '/a' ? {} : { bytes: new Uint8Array(SIZE) })(...call);
    expect(isWhole(await fetched({}, { mirrors: [origin] }))).toBe(true);
  });

  it('mirrors of the environment', async () => {
    const settings = { ...io, setting: (name: string) => (name === 'VGG_MIRROR' ? `${origin}/x, ${origin}/y` : undefined) };
    await (await fetchFile(file(), settings, quick)).close?.();
    expect(ranges).toEqual([`/x/${KEY} all`]);
  });

  it('no network: one sentence that says what to do', async () => {
    const urls = ['http://127.0.0.1:1/weights.h5'];
    await expect(fetched({ urls }, { retries: 1 })).rejects.toMatchObject({
      code: 'VGG_NETWORK',
      message: expect.stringMatching(
        /^test set: could not be downloaded, 3\.1 MB \(127\.0\.0\.1:1: .*\); with no network pass a file you have \(weights: 'FILE', or --weights FILE\)$/,
      ),
    });
    expect(await left()).toEqual([]);
  });

  it('offline, by option or environment', async () => {
    await expect(fetched({}, { offline: true })).rejects.toMatchObject({
      code: 'VGG_NETWORK',
      message: expect.stringContaining(`expected it in ${folder}, since offline was asked for`),
    });
    await expect(fetchFile(file(), { ...io, setting: () => '1' })).rejects.toMatchObject({ code: 'VGG_NETWORK' });
    expect(ranges).toEqual([]);
  });
});

describe('stopped', () => {
  it('an abort ends it while the server says nothing, keeps what came, and the next call goes on from there', async () => {
    handler = (_, response) => {
      response.writeHead(200, { 'content-length': SIZE, etag: '"one"' });
      response.write(BYTES.subarray(0, 2 ** 20));
    };
    const controller = new AbortController();
    let asked = false;
    const onProgress = ({ loaded }: Progress) => {
      if (loaded < 2 ** 20 || asked) return;
      asked = true;
      setTimeout(() => controller.abort(), 10);
    };
    await expect(fetched({}, { signal: controller.signal, onProgress })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect(await left()).toEqual([`${KEY}.part`, `${KEY}.part.from`]);
    expect(await io.cache.list()).toEqual([]);
    handler = serve();
    expect(isWhole(await fetched())).toBe(true);
    expect(ranges).toEqual(['/a all', `/a bytes=${2 ** 20}-`]);
  });

  it('an abort while it waits to try again', async () => {
    handler = (_, response) => response.writeHead(503).end();
    await expect(fetched({}, { retryDelay: 60_000, signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  });

  it('a full disk is said to be one, and is no reason to ask again', async () => {
    const full = {
      ...io.cache,
      partial: async (key: string) => ({
        ...(await io.cache.partial(key)),
        size: 0,
        append: async () => Promise.reject(Object.assign(new Error('full'), { name: 'VggError', code: 'VGG_OUTPUT' })),
      }),
    };
    await expect(fetchFile(file(), { ...io, cache: full }, quick)).rejects.toMatchObject({ code: 'VGG_OUTPUT' });
    expect(ranges).toHaveLength(1);
  });
});

describe('processes', () => {
  let script: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    script = join(folder, '..', `${folder.split('/').at(-1)}.mjs`);
    const contents = `
      import { fetchFile } from './download.ts';
      import { nodeCache } from '../io/node/cache.ts';
      import { hash } from '../io/node/hash.ts';
      const [folder, file] = process.argv.slice(2);
      const io = { platform: 'node', cache: nodeCache(() => folder), hash, setting: () => undefined };
      const source = await fetchFile(JSON.parse(file), io, { retryDelay: 1, onProgress: ({ loaded }) => process.stdout.write(loaded + ' ') });
      await source.close();
      process.stdout.write('done');`;
    await build({
      stdin: { contents, resolveDir: import.meta.dirname, loader: 'ts' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      conditions: ['@vgg/source'],
      outfile: script,
      logLevel: 'error',
    });
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await rm(script);
  });

  function start(): { child: ChildProcess; output(): string; said(text: RegExp): Promise<void>; ended: Promise<unknown> } {
    const child = spawn(process.execPath, [script, folder, JSON.stringify(file())], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    let output = '';
    const ended = new Promise((resolve) => child.on('close', resolve));
    const said = (text: RegExp) =>
      new Promise<void>((resolve) => {
        const check = () => text.test(output) && resolve();
        child.stdout?.on('data', check);
        check();
      });
    child.stdout?.on('data', (data) => {
      output += data;
    });
    return { child, output: () => output, said, ended };
  }

  it('killed half way: less than 55 % is fetched again, and its lock is taken over', async () => {
    handler = (_, response) => {
      response.writeHead(200, { 'content-length': SIZE, etag: '"one"' });
      response.write(BYTES.subarray(0, SIZE >> 1));
    };
    const { child, said, ended } = start();
    await said(new RegExp(`\\b${SIZE >> 1} $`));
    child.kill('SIGKILL');
    await ended;
    expect((await left()).sort()).toEqual([`${KEY}.lock`, `${KEY}.part`, `${KEY}.part.from`]);
    const kept = (await stat(join(folder, `${KEY}.part`))).size;
    expect(kept).toBe(SIZE >> 1);
    handler = serve();
    expect(isWhole(await fetched())).toBe(true);
    expect(ranges).toEqual(['/a all', `/a bytes=${kept}-`]);
    expect(await left()).toEqual([KEY]);
  });

  it('two at once: one fetches, the other waits and takes the file', async () => {
    let go = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    handler = (...call) => void gate.then(() => serve()(...call));
    const [one, two] = [start(), start()];
    await expect.poll(() => ranges.length).toBe(1);
    const here = fetched();
    setTimeout(go, 300);
    await Promise.all([one.ended, two.ended]);
    expect(isWhole(await here)).toBe(true);
    expect([one.output().endsWith('done'), two.output().endsWith('done')]).toEqual([true, true]);
    expect(ranges).toEqual(['/a all']);
    expect(await left()).toEqual([KEY]);
  });
});
