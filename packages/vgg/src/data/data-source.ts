import type { Source } from '@vgg/loaders';
import { bytesSource, readInto } from '@vgg/loaders';
import { io } from '#io';
import type { OpenOptions, SourceInput } from '../io/io.js';

/** A handle that nobody has read from for so long is given back; the next read opens it again. */
const IDLE_MS = 2000;
/** A remote file of up to this size is fetched once, at the beginning: picture by picture it would be thousands of requests. */
const MAX_FETCHED = 2 ** 30;
/** Bytes fetched at a time. */
const PIECE = 2 ** 22;

/**
 * A source for a dataset, which has no end at which it could be closed: a file's handle is held only while it is read from, and a remote
 * file of up to 1 GiB is kept in memory.
 *
 * @throws VggError `VGG_NOT_FOUND`, `VGG_INPUT`, `VGG_NETWORK`, `VGG_ABORTED`
 */
export async function openDataSource(input: SourceInput, options: OpenOptions = {}): Promise<Source> {
  const source = await io.openSource(input, options);
  if (source.remote && source.size <= MAX_FETCHED) return fetched(source, options);
  return typeof input === 'string' || input instanceof URL ? closedWhenIdle(source) : source;
}

async function fetched(source: Source, { signal }: OpenOptions): Promise<Source> {
  const bytes = new Uint8Array(source.size);
  for (let at = 0; at < bytes.length; at += PIECE) await readInto(source, bytes.subarray(at, at + PIECE), at, signal ? { signal } : {});
  await source.close?.();
  return bytesSource(bytes, source.name);
}

function closedWhenIdle(source: Source): Source {
  if (!source.close) return source;
  let reading = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const during = async <T>(work: Promise<T>): Promise<T> => {
    clearTimeout(timer);
    reading++;
    try {
      return await work;
    } finally {
      if (--reading === 0) {
        timer = setTimeout(() => void source.close!(), IDLE_MS);
        // In Node it must not keep the process alive.
        (timer as { unref?: () => void }).unref?.();
      }
    }
  };
  return {
    ...source,
    read: (offset, length, options) => during(source.read(offset, length, options)),
    ...(source.readInto && { readInto: (target, offset, options) => during(source.readInto!(target, offset, options)) }),
  };
}
