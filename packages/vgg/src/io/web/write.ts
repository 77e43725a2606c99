import { messageOf, throwIfAborted, VggError } from '@vgg/errors';
import type { WriteTarget } from '../io.js';

export interface WriteOptions {
  signal?: AbortSignal;
}

/** How long the download's URL stays: the browser has taken the Blob over long before. */
const REVOKE_AFTER_MS = 60_000;

/**
 * Saves a file: to a handle of the File System Access API, whose writable replaces the file only when it is closed, or as a download
 * of this name. Nothing is left where `chunks` fails.
 *
 * @throws VggError `VGG_OUTPUT` if the file cannot be written or there is no page to download in, `VGG_ABORTED`, and whatever `chunks` throws
 */
export async function writeFile(
  to: WriteTarget,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { signal }: WriteOptions = {},
): Promise<void> {
  if (typeof to === 'object' && 'createWritable' in to) return writeToHandle(to as FileSystemFileHandle, chunks, signal);
  const target = String(to);
  const parts: BlobPart[] = [];
  for await (const chunk of chunks) {
    throwIfAborted(signal, target);
    parts.push(chunk.slice()); // the chunk may be a view that its maker uses again
  }
  throwIfAborted(signal, target);
  if (typeof document === 'undefined') {
    throw new VggError('VGG_OUTPUT', `${target}: expected a page to download in, received a worker; pass a FileSystemFileHandle`);
  }
  const url = URL.createObjectURL(new Blob(parts, { type: 'application/octet-stream' }));
  const anchor = document.createElement('a');
  anchor.href = url;
  anchor.download = target.split('/').pop() || 'download';
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_AFTER_MS);
}

async function writeToHandle(
  handle: FileSystemFileHandle,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const fail = (error: unknown): never => {
    throw new VggError('VGG_OUTPUT', `${handle.name}: could not be written (${messageOf(error)}); check its permission`, { cause: error });
  };
  const stream = await handle.createWritable().catch(fail);
  try {
    for await (const chunk of chunks) {
      throwIfAborted(signal, handle.name);
      await stream.write(chunk as Uint8Array<ArrayBuffer>).catch(fail);
    }
    throwIfAborted(signal, handle.name);
    await stream.close().catch(fail);
  } catch (error) {
    await stream.abort().catch(() => {});
    throw error;
  }
}
