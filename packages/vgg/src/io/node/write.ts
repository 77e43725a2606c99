import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf, throwIfAborted, VggError } from '@vgg/errors';
import { isPlainName, type OutputFile, type Patch } from '@vgg/loaders';
import { type Chunks, isPatch, type WriteOptions, type WriteTarget } from '../io.js';
import { pathOf } from './path.js';

/** Bytes written at a time, so that an abort ends the writing of hundreds of megabytes. */
const STEP = 16 * 2 ** 20;

/** As {@link writeFiles}, for a file that has no others beside it. */
export async function writeFile(target: WriteTarget, chunks: Chunks, options: WriteOptions = {}): Promise<void> {
  await writeFiles(target, [{ name: 'file', chunks: () => chunks as AsyncIterable<Uint8Array> }], options);
}

/**
 * Writes files that belong together whole or not at all: each to a temporary name beside its place, flushed to the disk. When all are
 * there they are renamed into place, the last one, which names the others and is what `target` is the path of, after them; an earlier one
 * is taken away before, so that it never stands beside files that are not its own. On any failure, an abort included, what was
 * written is removed.
 *
 * @throws VggError `VGG_OUTPUT` if a file cannot be written, `VGG_ABORTED`, and whatever `chunks` throws
 */
export async function writeFiles(
  target: WriteTarget,
  files: readonly OutputFile[],
  { signal, makeFolder = false }: WriteOptions = {},
): Promise<void> {
  if (typeof target !== 'string' && !(target instanceof URL)) {
    throw new VggError(
      'VGG_OUTPUT',
      `writeFile: expected a path or a file: URL in Node, received a handle of a page's file "${target.name}"`,
    );
  }
  const path = pathOf(target);
  const folder = dirname(path);
  throwIfAborted(signal, path);
  const companions = files.slice(0, -1).map(({ name }) => place(folder, name, path));
  const places = [...companions, path];
  const temporaries = places.map((each) => join(folder, `.${basename(each)}.${randomUUID()}.part`));
  const renamed: string[] = [];
  if (makeFolder) await attempt(path, () => mkdir(folder, { recursive: true }));
  try {
    for (const [i, file] of files.entries()) await writeTemporary(temporaries[i]!, places[i]!, file.chunks(), signal);
    throwIfAborted(signal, path);
    if (companions.length > 0) await clear(places);
    for (const [i, each] of places.entries()) {
      await attempt(each, () => rename(temporaries[i]!, each));
      renamed.push(each);
    }
  } catch (error) {
    for (const each of [...temporaries, ...renamed]) await unlink(each).catch(() => {});
    throw error;
  }
}

function place(folder: string, name: string, path: string): string {
  if (isPlainName(name) && name !== basename(path)) return join(folder, name);
  throw new VggError('VGG_OUTPUT', `${path}: expected another plain name for a file beside it, received "${name.slice(0, 80)}"`);
}

/** What could stop the renaming half way is looked for before; then the earlier main file goes. */
async function clear(places: readonly string[]): Promise<void> {
  for (const each of places) {
    const isFolder = await stat(each).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (isFolder) throw new VggError('VGG_OUTPUT', `${each}: could not be written, since a folder of this name is there; remove it`);
  }
  const main = places.at(-1)!;
  await attempt(main, () => rm(main, { force: true }));
}

async function writeTemporary(temporary: string, path: string, chunks: Chunks, signal: AbortSignal | undefined): Promise<void> {
  const handle = await attempt(path, () => open(temporary, 'wx'));
  let end = 0;
  try {
    for await (const chunk of chunks) {
      if (isPatch(chunk)) {
        checkPatch(path, chunk, end);
        await writeAll(handle, chunk.bytes, chunk.at, path, signal);
      } else {
        await writeAll(handle, chunk, end, path, signal);
        end += chunk.length;
      }
    }
    throwIfAborted(signal, path);
    await attempt(path, () => handle.sync());
  } catch (error) {
    await handle.close().catch(() => {});
    throw error;
  }
  await attempt(path, () => handle.close());
}

function checkPatch(path: string, { at, bytes }: Patch, end: number): void {
  if (at + bytes.length > end)
    throw new VggError('VGG_OUTPUT', `${path}: expected bytes to put over the ${end} written, received ones past them`);
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, at: number, path: string, signal: AbortSignal | undefined): Promise<void> {
  for (let from = 0; from < bytes.length; ) {
    throwIfAborted(signal, path);
    const { bytesWritten } = await attempt(path, () => handle.write(bytes, from, Math.min(STEP, bytes.length - from), at + from));
    from += bytesWritten;
  }
}

async function attempt<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? messageOf(error);
    throw new VggError('VGG_OUTPUT', `${path}: could not be written (${why}); check that the folder exists and has room`, { cause: error });
  }
}
