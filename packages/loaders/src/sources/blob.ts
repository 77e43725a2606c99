import { messageOf, throwIfAborted, VggError } from '@vgg/errors';
import type { ReadOptions, Source } from '../source.js';
import { checkRange, isPlainName } from './checks.js';

/** A source over a Blob or File; only the slices asked for are read into memory. */
export function blobSource(blob: Blob, name = blobName(blob)): Source {
  return {
    name,
    size: blob.size,
    async read(offset: number, length: number, options?: ReadOptions) {
      throwIfAborted(options?.signal, name);
      checkRange(name, blob.size, offset, length);
      const out = new Uint8Array(length);
      for (let at = 0; at < length; at += STEP) {
        const part = await slice(blob, name, offset + at, offset + Math.min(length, at + STEP));
        throwIfAborted(options?.signal, name);
        out.set(part, at);
      }
      return out;
    },
  };
}

/** Bytes read at a time, so that an abort ends a read of hundreds of megabytes. */
const STEP = 16 * 2 ** 20;

async function slice(blob: Blob, name: string, start: number, end: number): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await blob.slice(start, end).arrayBuffer());
  } catch (error) {
    throw new VggError('VGG_INPUT', `${name}: could not be read (${messageOf(error)}); choose the file again`, { cause: error });
  }
  checkRange(name, start + bytes.length, start, end - start);
  return bytes;
}

function blobName(blob: Blob): string {
  return 'name' in blob && typeof blob.name === 'string' && blob.name !== '' ? blob.name : 'blob';
}

/** The files that a person chose or dropped: which to open first, by how telling its name is. */
const FIRST = [/^model\.json$/i, /\.(safetensors|h5|hdf5|keras|caffemodel|pth|pt|onnx|npz|npy|mat|pkl|index|ckpt)$/i, /\.json$/i];

/**
 * A source over a set of files (a FileList, a dropped folder): the manifest or the one weight file is read, and its siblings
 * are found by base name among the others.
 *
 * @throws VggError `VGG_INPUT` if there is no file, or no telling which of them to open
 */
export function filesSource(files: Iterable<File>): Source {
  const byName = new Map<string, File>();
  for (const file of files) {
    if (byName.has(file.name)) {
      throw new VggError('VGG_INPUT', `files: expected each name once, received "${file.name}" twice; pass the files of one folder`);
    }
    byName.set(file.name, file);
  }
  const main = mainFile([...byName.values()]);
  const source = (file: File): Source => ({
    ...blobSource(file),
    async sibling(basename: string) {
      const found = isPlainName(basename) ? byName.get(basename) : undefined;
      return found && source(found);
    },
  });
  return source(main);
}

function mainFile(files: readonly File[]): File {
  if (files.length === 1) return files[0]!;
  for (const pattern of FIRST) {
    const found = files.filter((file) => pattern.test(file.name));
    if (found.length === 1) return found[0]!;
    if (found.length > 1) break;
  }
  throw new VggError(
    'VGG_INPUT',
    files.length === 0
      ? 'files: expected a weight file, received none; pass at least one file'
      : `files: expected one model.json or one weight file among ${files.length} files, received ${names(files)}; pass one set of weights`,
  );
}

function names(files: readonly File[]): string {
  const shown = files.slice(0, 5).map((file) => file.name);
  return shown.join(', ') + (files.length > shown.length ? ' ...' : '');
}
