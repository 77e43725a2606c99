import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheFolder, nodeCache } from './cache.js';
import { lock } from './lock.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vgg-cache-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (words: string) => new TextEncoder().encode(words);

describe('cacheFolder', () => {
  it.each([
    ['linux', { VGG_CACHE: '/x' }, /^\/x$/],
    ['linux', { XDG_CACHE_HOME: '/c' }, /^\/c\/vgg$/],
    ['linux', {}, /\/\.cache\/vgg$/],
    ['darwin', { XDG_CACHE_HOME: '/c' }, /\/Library\/Caches\/vgg$/],
    ['win32', { LOCALAPPDATA: '/l' }, /^\/l\/vgg\/Cache$/],
  ] as const)('%s %o', (platform, environment, expected) => {
    expect(cacheFolder(environment, platform)).toMatch(expected);
  });
});

describe('nodeCache', () => {
  it('a file appears when it is whole, and not before', async () => {
    const cache = nodeCache(() => join(folder, 'deep', 'er'));
    expect(await cache.list()).toEqual([]);
    const partial = await cache.partial('a.h5');
    await partial.restart('from here');
    await partial.append(bytes('one '));
    await partial.append(bytes('two'));
    expect([partial.size, text(await partial.read(2, 4))]).toEqual([7, 'e tw']);
    expect([await cache.get('a.h5'), await cache.list()]).toEqual([undefined, []]);
    const source = await partial.finish();
    expect([source.name, source.size, text(await source.read(0, 7))]).toEqual(['a.h5', 7, 'one two']);
    await source.close?.();
    await partial.close();
    expect(await cache.list()).toEqual([{ key: 'a.h5', bytes: 7 }]);
    expect([await cache.remove('a.h5'), await cache.remove('a.h5'), await cache.list()]).toEqual([true, false, []]);
  });

  it('what is closed unfinished is there the next time; what is discarded, or empty, is gone', async () => {
    const cache = nodeCache(() => folder);
    const first = await cache.partial('a.h5');
    await first.restart('from here');
    await first.append(bytes('one'));
    await first.close();
    const second = await cache.partial('a.h5');
    expect([second.size, second.validator, text(await second.read(0, 3))]).toEqual([3, 'from here', 'one']);
    await second.restart();
    expect([second.size, second.validator]).toEqual([0, undefined]);
    await second.close();
    expect(await readdir(folder)).toEqual([]);
    const third = await cache.partial('a.h5');
    await third.append(bytes('one'));
    await third.discard();
    await third.close();
    expect(await readdir(folder)).toEqual([]);
  });

  it('removing a file removes what is left of a download too', async () => {
    const cache = nodeCache(() => folder);
    const partial = await cache.partial('a.h5');
    await partial.append(bytes('one'));
    await partial.close();
    expect(await cache.remove('a.h5')).toBe(false);
    expect(await readdir(folder)).toEqual([]);
  });

  it.each(['../a', 'a/b', '', '..', 'a.part', 'a.lock'])('refuses the key %j', async (key) => {
    const cache = nodeCache(() => folder);
    await expect(cache.get(key)).rejects.toMatchObject({ code: 'VGG_OPTION' });
    await expect(cache.partial(key)).rejects.toMatchObject({ code: 'VGG_OPTION' });
    await expect(cache.remove(key)).rejects.toMatchObject({ code: 'VGG_OPTION' });
  });

  it('a folder that cannot be made says what to do', async () => {
    await writeFile(join(folder, 'file'), '');
    const cache = nodeCache(() => join(folder, 'file'));
    await expect(cache.partial('a.h5')).rejects.toMatchObject({
      code: 'VGG_OUTPUT',
      message: expect.stringContaining('set VGG_CACHE to a folder with room'),
    });
    expect([await cache.get('a.h5'), await cache.list()]).toEqual([undefined, []]);
  });

  it.skipIf(process.getuid?.() === 0)('a folder that may not be written', async () => {
    await chmod(folder, 0o500);
    await expect(nodeCache(() => folder).partial('a.h5')).rejects.toMatchObject({
      code: 'VGG_OUTPUT',
      message: expect.stringContaining('EACCES'),
    });
  });
});

describe('lock', () => {
  const holder = (pid: number, host = hostname()) => JSON.stringify({ pid, host, id: 'x' });
  const dead = () => spawnSync(process.execPath, ['-e', '']).pid;
  const path = () => join(folder, 'a.lock');
  const soon = () => ({ signal: AbortSignal.timeout(250) });

  it('one at a time, in any number', async () => {
    let inside = 0;
    let most = 0;
    const work = async () => {
      const held = await lock(path());
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside--;
      await held.release();
    };
    await Promise.all(Array.from({ length: 8 }, work));
    expect(most).toBe(1);
    expect(await readdir(folder)).toEqual([]);
  });

  it('that of a living process is waited for, until an abort', async () => {
    const held = await lock(path());
    await expect(lock(path(), soon())).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    await held.release();
    await (await lock(path(), soon())).release();
  });

  it('that of a dead process is taken over, by one of many', async () => {
    await writeFile(path(), holder(dead()));
    let inside = 0;
    const work = async () => {
      const held = await lock(path());
      expect(++inside).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      inside--;
      await held.release();
    };
    await Promise.all(Array.from({ length: 6 }, work));
    expect(await readdir(folder)).toEqual([]);
  });

  it('that of another machine is taken over when it was not touched for a minute', async () => {
    await writeFile(path(), holder(1, 'elsewhere'));
    await expect(lock(path(), soon())).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    const past = new Date(Date.now() - 61_000);
    await utimes(path(), past, past);
    await (await lock(path(), soon())).release();
  });

  it('a lock that was taken over meanwhile is not removed', async () => {
    const held = await lock(path());
    await writeFile(path(), holder(1, 'elsewhere'));
    await held.release();
    expect(await readFile(path(), 'utf8')).toBe(holder(1, 'elsewhere'));
  });
});
