import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { io as node } from '#io';
import { nodeCache } from '../io/node/cache.js';
import { fetchPublished, findPublished, openPublished, type PublishedSet } from './published.js';

const BYTES = Uint8Array.from({ length: 300_000 }, (_, index) => index * 7);
let folder: string;
let server: Server;
let origin: string;
let asked: string[];
let hasRange: boolean;
let set: PublishedSet;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-weights-'));
  asked = [];
  hasRange = true;
  server = createServer((request, response) => {
    const [, start, end] = (hasRange && /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')) || [];
    asked.push(`${request.url} ${request.headers['x-key'] ?? 'no key'}`);
    const from = Number(start ?? 0);
    const to = end ? Math.min(Number(end) + 1, BYTES.length) : BYTES.length;
    response.writeHead(start === undefined ? 200 : 206, {
      'content-length': to - from,
      ...(start === undefined ? {} : { 'content-range': `bytes ${from}-${to - 1}/${BYTES.length}` }),
    });
    response.end(BYTES.subarray(from, to));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const hash = { algorithm: 'md5', value: createHash('md5').update(BYTES).digest('hex') } as const;
  set = { ...findPublished('vgg16.keras_in1k_notop')!, bytes: BYTES.length, hash, urls: [`${origin}/published.h5`] };
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

const io = (path = folder) => ({ ...node, cache: nodeCache(() => path), setting: () => undefined });

describe('openPublished in Node', () => {
  it('fetches the whole file once, and checks its hash', async () => {
    const source = await openPublished(set, { io: io() });
    expect([source.name, source.size, (await source.read(299_999, 1))[0]]).toEqual([set.key, 300_000, BYTES[299_999]]);
    await source.close?.();
    await (await openPublished(set, { io: io(), offline: true })).close?.();
    await (await fetchPublished(set, { io: io() })).close?.();
    expect(asked).toEqual(['/published.h5 no key']);
    expect(await readdir(folder)).toEqual([set.key]);
  });

  it('where only a part is wanted of a safetensors set it is read in parts, or from the cache; a server without Range sends it whole, which is kept', async () => {
    const safetensors: PublishedSet = { ...set, format: 'safetensors', key: 'set.safetensors' };
    const options = { io: io(), partial: true, mirrors: [origin] };
    const part = await openPublished(safetensors, options);
    expect((await part.read(200_000, 3))[0]).toBe(BYTES[200_000]);
    expect(await readdir(folder)).toEqual([]);
    hasRange = false;
    const whole = await openPublished(safetensors, options);
    expect((await whole.read(200_000, 3))[0]).toBe(BYTES[200_000]);
    await whole.close?.();
    expect(await readdir(folder)).toEqual(['set.safetensors']);
    asked.length = 0;
    await (await openPublished(safetensors, options)).close?.();
    expect(asked).toEqual([]);
  });

  it.runIf(existsSync('/dev/full'))(
    'a disk that fills up while the file comes: it is read in parts instead, and nothing is left',
    async () => {
      // The first byte that is written says that there is no room, as the last one of a full disk does.
      const full = io();
      const cache = {
        ...full.cache,
        async partial(key: string) {
          await symlink('/dev/full', join(folder, `${key}.part`));
          return { ...(await full.cache.partial(key)), restart: async () => {} };
        },
      };
      const warnings: string[] = [];
      const options = { io: { ...full, cache }, mirrors: [origin], onWarning: (each: string) => void warnings.push(each) };
      await expect(openPublished(set, options)).rejects.toMatchObject({
        code: 'VGG_OUTPUT',
        message: expect.stringMatching(/the disk is full; set VGG_CACHE to a folder with room/),
      });
      const source = await openPublished({ ...set, urls: ['https://weights.invalid/a.h5'] }, options);
      expect((await source.read(123_456, 3))[0]).toBe(BYTES[123_456]);
      expect(warnings).toEqual([expect.stringMatching(/not kept for the next time, and its hash is not checked: .*the disk is full/)]);
      expect(await readdir(folder)).toEqual([]);
    },
  );

  it('where nothing can be kept it is read in parts from a mirror, with a warning; from plain http of strangers never', async () => {
    await writeFile(join(folder, 'file'), '');
    const warnings: string[] = [];
    const unwritable = io(join(folder, 'file'));
    const options = {
      io: unwritable,
      mirrors: [origin],
      headers: { 'x-key': 'mine' },
      onWarning: (each: string) => void warnings.push(each),
    };
    await expect(openPublished(set, options)).rejects.toMatchObject({ code: 'VGG_OUTPUT' });
    const source = await openPublished({ ...set, urls: ['https://weights.invalid/a.h5'] }, options);
    expect((await source.read(123_456, 3))[0]).toBe(BYTES[123_456]);
    expect(warnings).toEqual([
      expect.stringMatching(/^vgg16\.keras_in1k_notop: not kept for the next time, and its hash is not checked: .*set VGG_CACHE/),
    ]);
    expect(new Set(asked)).toEqual(new Set([`/${set.key} mine`]));
  });
});
