import { messageOf, throwIfAborted, VggError } from '@vgg/errors';
import type { OutputFile, Patch } from '@vgg/loaders';
import { type Chunks, isPatch, type WriteOptions, type WriteTarget } from '../io.js';

/** How long the download's URL stays: the browser has taken the Blob over long before. */
const REVOKE_AFTER_MS = 60_000;

/**
 * Saves a file: to a handle of the File System Access API, whose writable replaces the file only when it is closed, or as a download
 * of this name. Nothing is left where `chunks` fails.
 *
 * @throws VggError `VGG_OUTPUT` if the file cannot be written or there is no page to download in, `VGG_ABORTED`, and whatever `chunks` throws
 */
export async function writeFile(to: WriteTarget, chunks: Chunks, { signal }: WriteOptions = {}): Promise<void> {
  if (typeof to === 'object' && 'createWritable' in to) return writeToHandle(to as FileSystemFileHandle, chunks, signal);
  if (typeof to === 'object' && 'getFileHandle' in to) {
    throw new VggError('VGG_OUTPUT', `${to.name}: expected a file's handle for a single file, received a folder's`);
  }
  const name = String(to);
  const blob = await collected(name, chunks, signal);
  offer([{ name, blob }]);
}

/**
 * Saves files that belong together: into a folder's handle, or as downloads one after another; the last one, which names the others,
 * when they are whole.
 *
 * @throws VggError as {@link writeFile}
 */
export async function writeFiles(to: WriteTarget, files: readonly OutputFile[], options: WriteOptions = {}): Promise<void> {
  const { signal } = options;
  if (typeof to === 'object' && 'getFileHandle' in to) return writeToFolder(to as FileSystemDirectoryHandle, files, signal);
  if (files.length === 1) return writeFile(to, files[0]!.chunks(), options);
  if (typeof to === 'object' && 'createWritable' in to) {
    const names = files.map(({ name }) => name).join(', ');
    throw new VggError('VGG_OUTPUT', `${to.name}: expected a folder's handle for ${files.length} files (${names}), received a file's`);
  }
  const blobs: { name: string; blob: Blob }[] = [];
  for (const [i, { name, chunks }] of files.entries()) {
    const own = i === files.length - 1 ? String(to) : name;
    blobs.push({ name: own, blob: await collected(own, chunks(), signal) });
  }
  offer(blobs);
}

/** What is downloaded, with its patches; without a page there is no use in it. */
async function collected(name: string, chunks: Chunks, signal: AbortSignal | undefined): Promise<Blob> {
  let whole = new Blob();
  let parts: BlobPart[] = [];
  for await (const chunk of chunks) {
    throwIfAborted(signal, name);
    if (isPatch(chunk)) {
      whole = new Blob([whole, ...parts]);
      parts = [whole.slice(0, chunk.at), chunk.bytes.slice(), whole.slice(chunk.at + chunk.bytes.length)];
      whole = new Blob();
    } else parts.push(chunk.slice() as Uint8Array<ArrayBuffer>); // the chunk may be a view that its maker uses again
  }
  throwIfAborted(signal, name);
  if (typeof document === 'undefined') {
    throw new VggError('VGG_OUTPUT', `${name}: expected a page to download in, received a worker; pass a FileSystemFileHandle`);
  }
  return new Blob([whole, ...parts], { type: 'application/octet-stream' });
}

function offer(files: readonly { name: string; blob: Blob }[]): void {
  for (const { name, blob } of files) {
    const url = URL.createObjectURL(blob);
    const anchor = document.createElement('a');
    anchor.href = url;
    anchor.download = name.split('/').pop() || 'download';
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(url), REVOKE_AFTER_MS);
  }
}

/** The main file goes before anything else changes and comes when the others are there. */
async function writeToFolder(
  folder: FileSystemDirectoryHandle,
  files: readonly OutputFile[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const made: string[] = [];
  const main = files.at(-1)!.name;
  try {
    if (files.length > 1) await folder.removeEntry(main).catch(() => {});
    for (const { name, chunks } of files) {
      throwIfAborted(signal, folder.name);
      const handle = await fileIn(folder, name, made);
      await writeToHandle(handle, chunks(), signal);
    }
  } catch (error) {
    for (const name of made) await folder.removeEntry(name).catch(() => {});
    throw error;
  }
}

/** The handle of a file; one that is made here, empty, is noted in `made`. */
async function fileIn(folder: FileSystemDirectoryHandle, name: string, made: string[]): Promise<FileSystemFileHandle> {
  const there = await folder.getFileHandle(name).catch(() => undefined);
  if (there) return there;
  made.push(name);
  return folder.getFileHandle(name, { create: true }).catch((error) => failed(`${folder.name}/${name}`, error));
}

async function writeToHandle(handle: FileSystemFileHandle, chunks: Chunks, signal: AbortSignal | undefined): Promise<void> {
  const fail = (error: unknown): never => failed(handle.name, error);
  const stream = await handle.createWritable().catch(fail);
  const put = (chunk: Uint8Array | Patch) =>
    isPatch(chunk)
      ? stream.write({ type: 'write', position: chunk.at, data: chunk.bytes as Uint8Array<ArrayBuffer> })
      : stream.write(chunk as Uint8Array<ArrayBuffer>);
  try {
    for await (const chunk of chunks) {
      throwIfAborted(signal, handle.name);
      await put(chunk).catch(fail);
    }
    throwIfAborted(signal, handle.name);
    await stream.close().catch(fail);
  } catch (error) {
    await stream.abort().catch(() => {});
    throw error;
  }
}

function failed(name: string, error: unknown): never {
  throw new VggError('VGG_OUTPUT', `${name}: could not be written (${messageOf(error)}); check its permission`, { cause: error });
}
