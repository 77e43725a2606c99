import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf, throwIfAborted, VggError } from '@vgg/errors';
import type { WriteTarget } from '../io.js';
import { pathOf } from './path.js';

export interface WriteOptions {
  signal?: AbortSignal;
}

/**
 * Writes a file whole or not at all: to a temporary name beside it, flushed to the disk, then renamed over it. On any failure, an abort
 * included, the temporary file is removed and an earlier file of that name is as it was.
 *
 * @throws VggError `VGG_OUTPUT` if the file cannot be written, `VGG_ABORTED`, and whatever `chunks` throws
 */
export async function writeFile(
  target: WriteTarget,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { signal }: WriteOptions = {},
): Promise<void> {
  if (typeof target !== 'string' && !(target instanceof URL)) {
    throw new VggError(
      'VGG_OUTPUT',
      `writeFile: expected a path or a file: URL in Node, received a handle of a page's file "${target.name}"`,
    );
  }
  const path = pathOf(target);
  throwIfAborted(signal, path);
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.part`);
  const handle = await attempt(path, () => open(temporary, 'wx'));
  let opened: FileHandle | undefined = handle;
  try {
    for await (const chunk of chunks) {
      throwIfAborted(signal, path);
      await attempt(path, () => writeAll(handle, chunk));
    }
    throwIfAborted(signal, path);
    await attempt(path, () => handle.sync());
    opened = undefined;
    await attempt(path, () => handle.close());
    await attempt(path, () => rename(temporary, path));
  } catch (error) {
    await opened?.close().catch(() => {});
    await unlink(temporary).catch(() => {});
    throw error;
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at, chunk.length - at)).bytesWritten;
}

async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? messageOf(error);
    throw new VggError('VGG_OUTPUT', `${path}: could not be written (${why}); check that the folder exists and has room`, { cause: error });
  }
}
