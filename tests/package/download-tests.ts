import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Project } from './support/project.ts';

const SET = 'vgg16.keras_in1k_notop';
const KEY = `${SET}.h5`;
const SIZE = 58_889_256;
const BLOCK = Buffer.alloc(2 ** 20, 7);

/** The published hosts must not be asked from a test: only this machine can be reached. */
const ALONE = `
  const real = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    if (new URL(String(input)).hostname !== '127.0.0.1') throw Object.assign(new Error('no network'), { code: 'ENETUNREACH' });
    return real(input, init);
  };
`;

/** The command of the package against a server that does wrong: nothing may get into the cache, and the exit code says why. */
export function downloadTests(project: () => Project): void {
  let folder: string;
  let server: Server;
  let mirror: string;
  let asked: string[];
  let answer: (request: IncomingMessage, response: ServerResponse, start: number) => void;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(project().folder, 'download-'));
    await writeFile(join(folder, 'alone.mjs'), ALONE);
    asked = [];
    server = createServer((request, response) => {
      asked.push(request.headers.range ?? 'all');
      answer(request, response, Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  });

  const command = () => [project().path('node_modules/vgg/bin/vgg.js'), 'weights', 'get', SET, '--json'];
  const env = () => ({
    VGG_CACHE: join(folder, 'cache'),
    VGG_MIRROR: mirror,
    NODE_OPTIONS: `--import ${JSON.stringify(new URL(`file://${folder}/alone.mjs`).href)}`,
  });
  const get = async () => {
    const { status, stdout } = await project().run(process.execPath, command(), { env: env() });
    return { status, code: JSON.parse(stdout).error?.code, message: JSON.parse(stdout).error?.message };
  };
  const kept = () => readdir(join(folder, 'cache'));

  /** So many of the bytes from `start` on, as the answer to a Range request where there was one. */
  function send(request: IncomingMessage, response: ServerResponse, start: number, bytes = SIZE - start, claims = SIZE): void {
    const head = { 'content-length': claims - start, etag: '"one"' };
    if (request.headers.range === undefined) response.writeHead(200, head);
    else response.writeHead(206, { ...head, 'content-range': `bytes ${start}-${claims - 1}/${claims}` });
    const step = (left: number) => {
      if (response.destroyed) return;
      if (left > 0) response.write(BLOCK.subarray(0, Math.min(left, BLOCK.length)), () => step(left - BLOCK.length));
      else if (start + bytes === claims) response.end();
      else setTimeout(() => response.destroy(), 20);
    };
    step(bytes);
  }

  test('wrong bytes: exit 4, and nothing is kept', async () => {
    answer = send;
    expect(await get()).toMatchObject({
      status: 4,
      code: 'VGG_INTEGRITY',
      message: expect.stringMatching(/the md5 hash is another.*kept nothing/),
    });
    expect(await kept()).toEqual([]);
    expect(asked).toEqual(['all']);
  });

  test('another length: exit 4, and nothing is kept', async () => {
    answer = (request, response, start) => send(request, response, start, 1000, 1000);
    expect(await get()).toMatchObject({ status: 4, code: 'VGG_INTEGRITY', message: expect.stringMatching(/received a file of 1000/) });
    expect(await kept()).toEqual([]);
  });

  test('a line that is cut is resumed, with Range and from the beginning without', async () => {
    answer = (request, response, start) => send(request, response, start, Math.min(SIZE - start, SIZE >> 1));
    expect((await get()).status).toBe(4); // whole at last, and the hash tells that it is not the file
    expect(asked.length).toBeGreaterThan(1);
    expect(asked[0]).toBe('all');
    expect(Number(/=(\d+)-/.exec(asked[1]!)![1])).toBeGreaterThan(0);
    expect(await kept()).toEqual([]);
    asked.length = 0;
    let calls = 0;
    answer = (request, response) => {
      delete request.headers.range; // a server that does not know of it
      send(request, response, 0, calls++ === 0 ? SIZE >> 1 : SIZE);
    };
    expect((await get()).status).toBe(4);
    expect(asked.length).toBe(2);
    expect(await kept()).toEqual([]);
  });

  test('no server: exit 1', async () => {
    answer = (_, response) => void response.writeHead(404).end();
    expect(await get()).toMatchObject({ status: 1, code: 'VGG_NETWORK' });
    expect(await kept()).toEqual([]);
  });

  test.skipIf(process.platform === 'win32')('interrupted: exit 130, and the next run goes on from there', async () => {
    answer = (request, response, start) => {
      response.writeHead(200, { 'content-length': SIZE, etag: '"one"' });
      if (start === 0 && request.headers.range === undefined) response.write(BLOCK);
    };
    const child = spawn(process.execPath, command(), { env: { ...process.env, ...env() }, stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    const ended = new Promise((resolve) => child.on('close', resolve));
    const part = join(folder, 'cache', `${KEY}.part`);
    const size = () =>
      stat(part).then(
        (found) => found.size,
        () => 0,
      );
    await expect.poll(size, { timeout: 20_000 }).toBe(BLOCK.length);
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect((await kept()).sort()).toEqual([`${KEY}.part`, `${KEY}.part.from`]);
    asked.length = 0;
    answer = (_, response) => void response.writeHead(404).end();
    await get();
    expect(asked).toEqual([`bytes=${BLOCK.length}-`]);
  });
}
