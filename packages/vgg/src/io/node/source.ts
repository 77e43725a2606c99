import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { kindOf, messageOf, throwIfAborted, VggError } from '@vgg/errors';
import { checkRange, httpSource, isPlainName, type ReadOptions, type Source } from '@vgg/loaders';
import { heldSource } from '../held.js';
import type { OpenOptions, SourceInput } from '../io.js';
import { pathOf } from './path.js';

/**
 * A source over a file on disk; its siblings are the files of the same folder. The handle is opened by the first read and given
 * back by `close`, so that a manifest may name hundreds of shards.
 *
 * @throws VggError `VGG_NOT_FOUND` if there is no such file, `VGG_INPUT` if it is a folder or may not be read
 */
export async function openFileSource(path: string): Promise<Source> {
  const size = await sizeOf(path);
  const name = basename(path);
  let handle: Promise<FileHandle> | undefined;
  const check = (offset: number, length: number, options: ReadOptions | undefined) => {
    throwIfAborted(options?.signal, name);
    checkRange(name, size, offset, length);
  };
  const fill = async (target: Uint8Array, offset: number, options: ReadOptions | undefined) => {
    handle ??= open(path, 'r').catch((error) => {
      handle = undefined;
      throw fileError(path, error);
    });
    await readFully(await handle, name, target, offset, options?.signal);
  };
  return {
    name,
    size,
    async read(offset, length, options) {
      check(offset, length, options);
      const out = new Uint8Array(length);
      await fill(out, offset, options);
      return out;
    },
    async readInto(target, offset, options) {
      check(offset, target.length, options);
      await fill(target, offset, options);
    },
    async sibling(plain: string) {
      if (!isPlainName(plain)) return undefined;
      try {
        return await openFileSource(join(dirname(path), plain));
      } catch (error) {
        if (error instanceof VggError && error.code === 'VGG_NOT_FOUND') return undefined;
        throw error;
      }
    },
    async close() {
      const opened = handle;
      handle = undefined;
      await (await opened?.catch(() => undefined))?.close();
    },
  };
}

/** Bytes read at a time, so that an abort ends a read of hundreds of megabytes. */
const STEP = 16 * 2 ** 20;

async function readFully(
  handle: FileHandle,
  name: string,
  out: Uint8Array,
  offset: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { length } = out;
  for (let at = 0; at < length; ) {
    throwIfAborted(signal, name);
    const { bytesRead } = await handle.read(out, at, Math.min(STEP, length - at), offset + at);
    if (bytesRead === 0)
      throw new VggError(
        'VGG_INTEGRITY',
        `${name}: expected ${length} bytes at ${offset}, received ${at}; the file was cut while it was read`,
      );
    at += bytesRead;
  }
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch((error) => {
    throw fileError(path, error);
  });
  if (found.isDirectory()) {
    throw new VggError('VGG_INPUT', `${path}: expected a file, received a folder; pass the weight file or the model.json in it`);
  }
  return found.size;
}

function fileError(path: string, error: unknown): VggError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new VggError('VGG_NOT_FOUND', `${path}: expected a file, and there is none at this path; check its spelling`, { cause: error });
  }
  return new VggError('VGG_INPUT', `${path}: could not be read (${code ?? messageOf(error)}); check its permissions`, { cause: error });
}

/**
 * Opens what a user passed as a file: a path, a file: or http(s): URL, bytes, a Blob, a set of Files, or a source as it is.
 * @throws VggError `VGG_NOT_FOUND`, `VGG_INPUT`, `VGG_NETWORK`, `VGG_ABORTED`
 */
export async function openSource(from: SourceInput, options: OpenOptions = {}): Promise<Source> {
  throwIfAborted(options.signal, 'open');
  if (typeof from === 'string' || from instanceof URL) {
    const scheme = /^(https?|file):/i.exec(String(from))?.[1]?.toLowerCase();
    if (scheme === 'http' || scheme === 'https') return httpSource(from, options);
    if (typeof from === 'string' || scheme === 'file') return openFileSource(pathOf(from));
    throw new VggError('VGG_INPUT', `open: expected a file:, http: or https: URL, received ${from.protocol}`);
  }
  const held = heldSource(from);
  if (held) return held;
  throw new VggError('VGG_INPUT', `open: expected a path, URL, Blob, Files or bytes, received ${kindOf(from)}`);
}
