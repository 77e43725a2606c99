import { messageOf, throwIfAborted, VggError } from '@vgg/errors';
import { blobSource, isPlainName } from '@vgg/loaders';
import type { PartialFile, WeightCache } from '../io.js';

// A file of the origin private file system can only be replaced whole by a page, so a file of the cache is a folder of segments that are
// written once each. What is there of them is there after a crash, and no second copy is ever made:
// vgg/KEY/00000000 00000001 ... from (what the server said of them) whole (present when the file is).
const ROOT = 'vgg';
const WHOLE = 'whole';
const FROM = 'from';
const SEGMENT = /^\d{8}$/;
/** What a crash may lose, and what is kept in memory. */
const SEGMENT_BYTES = 8 * 2 ** 20;

/** Weight files in the browser's origin private file system; where there is none, nothing is kept. */
export function webCache(): WeightCache {
  return {
    where: "this browser's storage for this site",
    async get(key) {
      const folder = await folderOf(key, false);
      if (!folder || !(await has(folder, WHOLE))) return undefined;
      return blobSource(await joined(folder), key);
    },
    async partial(key, { signal, bytes } = {}) {
      const release = await turn(key, signal);
      try {
        const folder = await storing(key, () => folderOf(key, true));
        if (!folder)
          throw new VggError(
            'VGG_OUTPUT',
            `${key}: this page has no storage (navigator.storage needs https or localhost), so nothing is kept`,
          );
        const kept = await joined(folder);
        await checkRoom(key, (bytes ?? 0) - kept.size);
        return openPartial(key, folder, kept.size, await readText(folder, FROM), release);
      } catch (error) {
        release();
        throw error;
      }
    },
    async list() {
      const root = await rootFolder(false);
      const files: { key: string; bytes: number }[] = [];
      for await (const [key, folder] of root?.entries() ?? []) {
        if (folder.kind !== 'directory') continue;
        if (await has(folder as FileSystemDirectoryHandle, WHOLE))
          files.push({ key, bytes: (await joined(folder as FileSystemDirectoryHandle)).size });
      }
      return files.sort((a, b) => (a.key < b.key ? -1 : 1));
    },
    async remove(key) {
      const folder = await folderOf(key, false);
      const isThere = folder !== undefined && (await has(folder, WHOLE));
      await (await rootFolder(false))?.removeEntry(key, { recursive: true }).catch(() => {});
      return isThere;
    },
  };
}

function openPartial(
  key: string,
  folder: FileSystemDirectoryHandle,
  kept: number,
  from: string | undefined,
  release: () => void,
): PartialFile {
  let size = kept;
  let validator = from;
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  let isOpen = true;
  const flush = async () => {
    if (waitingBytes === 0) return;
    const next = (await segments(folder)).length;
    await storing(key, () => write(folder, String(next).padStart(8, '0'), waiting));
    waiting = [];
    waitingBytes = 0;
  };
  const empty = async () => {
    waiting = [];
    waitingBytes = 0;
    size = 0;
    for (const name of [...(await segments(folder)), FROM]) await folder.removeEntry(name).catch(() => {});
  };
  const end = () => {
    isOpen = false;
    release();
  };
  return {
    get size() {
      return size;
    },
    get validator() {
      return validator;
    },
    async restart(given) {
      await empty();
      validator = given;
      if (given !== undefined) await storing(key, () => write(folder, FROM, [new TextEncoder().encode(given)]));
    },
    async append(bytes) {
      // The caller's buffer may be used again before it is written.
      waiting.push(bytes.slice());
      waitingBytes += bytes.length;
      size += bytes.length;
      if (waitingBytes >= SEGMENT_BYTES) await flush();
    },
    async read(offset, length) {
      await flush();
      return blobSource(await joined(folder), key).read(offset, length);
    },
    async finish() {
      await flush();
      await storing(key, () => write(folder, WHOLE, []));
      end();
      return blobSource(await joined(folder), key);
    },
    async discard() {
      await empty();
      await (await rootFolder(false))?.removeEntry(key, { recursive: true }).catch(() => {});
      end();
    },
    async close() {
      if (!isOpen) return;
      try {
        // Without room for the last segment, the others are still worth keeping.
        await flush().catch(() => {});
        if (size === 0) await (await rootFolder(false))?.removeEntry(key, { recursive: true }).catch(() => {});
      } finally {
        end();
      }
    },
  };
}

async function rootFolder(create: boolean): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    const storage = await globalThis.navigator?.storage?.getDirectory?.();
    return await storage?.getDirectoryHandle(ROOT, { create });
  } catch (error) {
    if (create && (error as DOMException).name === 'QuotaExceededError') throw error;
    // No such folder yet, or a page that may not store.
    return undefined;
  }
}

async function folderOf(key: string, create: boolean): Promise<FileSystemDirectoryHandle | undefined> {
  if (!isPlainName(key)) throw new VggError('VGG_OPTION', `cache: expected a plain file name, received "${key.slice(0, 80)}"`);
  const root = await rootFolder(create);
  try {
    return await root?.getDirectoryHandle(key, { create });
  } catch (error) {
    if ((error as DOMException).name === 'NotFoundError') return undefined;
    throw error;
  }
}

async function segments(folder: FileSystemDirectoryHandle): Promise<string[]> {
  const names: string[] = [];
  for await (const name of folder.keys()) if (SEGMENT.test(name)) names.push(name);
  return names.sort();
}

/** One Blob over all segments; nothing of them is read into memory. */
async function joined(folder: FileSystemDirectoryHandle): Promise<Blob> {
  const files: File[] = [];
  for (const name of await segments(folder)) files.push(await (await folder.getFileHandle(name)).getFile());
  return new Blob(files);
}

async function has(folder: FileSystemDirectoryHandle, name: string): Promise<boolean> {
  return folder.getFileHandle(name).then(
    () => true,
    () => false,
  );
}

async function readText(folder: FileSystemDirectoryHandle, name: string): Promise<string | undefined> {
  return (await has(folder, name)) ? (await (await folder.getFileHandle(name)).getFile()).text() : undefined;
}

async function write(folder: FileSystemDirectoryHandle, name: string, parts: readonly Uint8Array[]): Promise<void> {
  const file = await folder.getFileHandle(name, { create: true });
  const stream = await file.createWritable();
  try {
    for (const part of parts) await stream.write(part as Uint8Array<ArrayBuffer>);
    await stream.close();
  } catch (error) {
    await stream.abort().catch(() => {});
    await folder.removeEntry(name).catch(() => {});
    throw error;
  }
}

/** One tab at a time. */
async function turn(key: string, signal: AbortSignal | undefined): Promise<() => void> {
  const { locks } = globalThis.navigator ?? {};
  if (!locks) return () => {};
  throwIfAborted(signal, key);
  return new Promise((resolve, reject) => {
    const held = () => new Promise<void>((release) => resolve(release));
    locks.request(`vgg ${key}`, signal ? { signal } : {}, held).catch((error) => {
      reject(signal?.aborted ? new VggError('VGG_ABORTED', `${key}: stopped by its AbortSignal`, { cause: signal.reason }) : error);
    });
  });
}

async function checkRoom(key: string, bytes: number): Promise<void> {
  const { quota, usage = 0 } = (await navigator.storage.estimate?.()) ?? {};
  if (quota === undefined || quota - usage >= bytes) return;
  throw new VggError(
    'VGG_OUTPUT',
    `${key}: this browser gives this site room for ${megabytes(quota - usage)} more, and ${megabytes(bytes)} are needed`,
  );
}

async function storing<T>(key: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof VggError) throw error;
    const why = (error as DOMException).name === 'QuotaExceededError' ? 'this browser gives this site no more room' : messageOf(error);
    throw new VggError('VGG_OUTPUT', `${key}: could not be kept (${why})`, { cause: error });
  }
}

function megabytes(bytes: number): string {
  return `${(Math.max(0, bytes) / 1e6).toFixed(1)} MB`;
}
