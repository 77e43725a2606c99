import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeCache } from '../src/io/node/cache.js';
import { io } from '../src/io/node.js';
import { load } from '../src/load.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-edges-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('the cache', () => {
  it('gives its lock back where a file cannot be put in its place', async () => {
    const cache = nodeCache(() => folder);
    await mkdir(join(folder, 'taken.h5', 'inside'), { recursive: true });
    const partial = await cache.partial('taken.h5');
    await partial.append(new Uint8Array(4));
    await expect(partial.finish()).rejects.toMatchObject({ code: 'VGG_OUTPUT' });
    await partial.close();
    const again = await cache.partial('taken.h5', { signal: AbortSignal.timeout(2000) });
    await again.discard();
  });
});

describe('addresses that are none', () => {
  for (const weights of ['http://', 'https://:99999/x', 'file://elsewhere/weights.h5', new URL('file://elsewhere/weights.h5')]) {
    it(`${weights} as weights is one sentence with a code`, async () => {
      await expect(load(undefined, { weights, backend: 'cpu' })).rejects.toMatchObject({ name: 'VggError', code: 'VGG_INPUT' });
    });
  }

  it('a folder on another host is one sentence with a code', async () => {
    await expect(io.listClassFolders('file://elsewhere/photos')).rejects.toMatchObject({ name: 'VggError' });
  });

  it('a file: address as text is written to where it is read from', async () => {
    const path = join(folder, 'head.bin');
    await io.writeFile(`file://${path}`, [Uint8Array.of(1, 2, 3)]);
    const source = await io.openSource(`file://${path}`);
    expect(await source.read(0, 3)).toEqual(Uint8Array.of(1, 2, 3));
    await source.close?.();
  });
});
