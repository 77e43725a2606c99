import { type FileHandle, mkdir, open, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf, VggError } from '@vgg/errors';
import { isPlainName } from '@vgg/loaders';
import type { PartialFile, WeightCache } from '../io.js';
import { lock } from './lock.js';
import { openFileSource } from './source.js';

/** `VGG_CACHE`, else the folder that this platform has for such files. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env, platform: NodeJS.Platform = process.platform): string {
  if (environment.VGG_CACHE) return environment.VGG_CACHE;
  if (platform === 'win32') return join(environment.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'vgg', 'Cache');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'vgg');
  return join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'vgg');
}

// Beside a file's own name: its unfinished bytes, what the server said of them, and who writes them.
const PART = '.part';
const VALIDATOR = '.part.from';
const LOCK = '.lock';

/** A folder of weight files. The folder is made when the first file is; where it is, is asked at every call. */
export function nodeCache(folder: () => string = cacheFolder): WeightCache {
  const pathOf = (key: string) => {
    if (!isPlainName(key) || /\.(part|part\.from|lock)$/.test(key))
      throw new VggError('VGG_OPTION', `cache: expected a plain file name, received "${key.slice(0, 80)}"`);
    return join(folder(), key);
  };
  return {
    get where() {
      return folder();
    },
    async get(key) {
      const path = pathOf(key);
      return (await isFile(path)) ? openFileSource(path) : undefined;
    },
    async partial(key, { signal } = {}) {
      const path = pathOf(key);
      await writing(folder(), () => mkdir(folder(), { recursive: true }));
      const held = await writing(folder(), () => lock(path + LOCK, { ...(signal ? { signal } : {}) }));
      try {
        return await openPartial(path, () => held.release());
      } catch (error) {
        await held.release();
        throw error;
      }
    },
    async list() {
      const names = await readdir(folder()).catch(() => [] as string[]);
      const files = names.filter((name) => !/\.(part|from|lock)$|\.lock\./.test(name)).sort();
      const sizes = await Promise.all(files.map(async (key) => ({ key, stats: await stat(join(folder(), key)).catch(() => undefined) })));
      return sizes.flatMap(({ key, stats }) => (stats?.isFile() ? [{ key, bytes: stats.size }] : []));
    },
    async remove(key) {
      const path = pathOf(key);
      const held = (await isFile(path + PART)) ? await writing(path, () => lock(path + LOCK)) : undefined;
      await Promise.all([path + PART, path + VALIDATOR].map((each) => unlink(each).catch(() => {})));
      await held?.release();
      return unlink(path).then(
        () => true,
        () => false,
      );
    },
  };
}

async function openPartial(path: string, release: () => Promise<void>): Promise<PartialFile> {
  const part = path + PART;
  let handle: FileHandle | undefined = await writing(part, () => open(part, 'a+'));
  let size = (await handle.stat()).size;
  let validator = await readFile(path + VALIDATOR, 'utf8').catch(() => undefined);
  const opened = () => {
    if (!handle) throw new VggError('VGG_OPTION', `${part}: it was closed`);
    return handle;
  };
  const remove = async () => {
    await Promise.all([part, path + VALIDATOR].map((each) => unlink(each).catch(() => {})));
  };
  /** The lock is given back whatever happens: it would be held for as long as this process lives. */
  const end = async (work: () => Promise<void>) => {
    const closing = handle;
    handle = undefined;
    try {
      await closing?.close();
      await work();
    } finally {
      await release();
    }
  };
  return {
    get size() {
      return size;
    },
    get validator() {
      return validator;
    },
    async restart(from) {
      await writing(part, () => opened().truncate(0));
      size = 0;
      validator = from;
      if (from === undefined) await unlink(path + VALIDATOR).catch(() => {});
      else await writing(part, () => writeFile(path + VALIDATOR, from));
    },
    async append(bytes) {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await writing(part, () => opened().write(bytes, at, bytes.length - at));
        at += bytesWritten;
        size += bytesWritten;
      }
    },
    async read(offset, length) {
      const out = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const { bytesRead } = await opened().read(out, at, length - at, offset + at);
        if (bytesRead === 0) throw new VggError('VGG_INTEGRITY', `${part}: expected ${length} bytes at ${offset}, received ${at}`);
        at += bytesRead;
      }
      return out;
    },
    async finish() {
      await writing(part, () => opened().sync());
      await end(async () => {
        await writing(path, () => rename(part, path));
        await remove();
      });
      return openFileSource(path);
    },
    discard: () => end(remove),
    async close() {
      if (handle) await end(async () => (size === 0 ? remove() : undefined));
    },
  };
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

async function writing<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof VggError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const what = code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full' : `it cannot be written (${code ?? messageOf(error)})`;
    throw new VggError(
      'VGG_OUTPUT',
      `${path}: ${what}; set VGG_CACHE to a folder with room, or free some with \`vgg weights remove NAME\``,
      { cause: error },
    );
  }
}
