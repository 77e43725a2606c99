import { throwIfAborted, VggError } from '@vgg/errors';
import { checkBeginning, maxBytes } from './encoded.js';
import type { ByteStream, DecodeOptions } from './images.js';

/** Enough for the size of nearly every picture: what stands before it in a JPEG (thumbnail, colour profile) is smaller. */
const BEGINNING = 1 << 18;

/** Bytes that can be read in part: a file, a Blob. */
export interface Readable {
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** A whole file, whose beginning is looked at first: one that is too large is refused for the price of its header. */
export async function readWhole(file: Readable, options: DecodeOptions): Promise<Uint8Array> {
  const { name = 'the picture', signal } = options;
  const most = maxBytes(options);
  if (file.size <= BEGINNING) return file.read(0, file.size);
  checkBeginning(await file.read(0, BEGINNING), options);
  if (file.size > most) throw tooLong(name, most);
  throwIfAborted(signal, 'decode');
  return file.read(0, file.size);
}

/**
 * A stream's bytes, looked at as they arrive. The stream is ended in every case: read out, or cancelled.
 *
 * @throws VggError `VGG_INPUT` for text chunks, for more bytes than a picture can have, and as `checkBeginning`; `VGG_ABORTED`
 */
export async function readStream(stream: ReadableStream<Uint8Array> | ByteStream, options: DecodeOptions): Promise<Uint8Array> {
  const { name = 'the picture', signal } = options;
  throwIfAborted(signal, 'decode');
  const parts: Uint8Array[] = [];
  const most = maxBytes(options);
  let length = 0;
  let checked = false;
  let nextCheck = 1 << 10;
  for await (const chunk of chunks(stream, signal)) {
    if (!ArrayBuffer.isView(chunk))
      throw new VggError('VGG_INPUT', `decode: ${name}: expected a stream of bytes, received ${describe(chunk)}`);
    parts.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    length += chunk.byteLength;
    if (length > most) throw tooLong(name, most);
    if (!checked && length >= nextCheck) {
      nextCheck *= 4;
      checked = checkBeginning(join(parts, length), options);
    }
  }
  throwIfAborted(signal, 'decode');
  return join(parts, length);
}

async function* chunks(stream: ReadableStream<Uint8Array> | ByteStream, signal: AbortSignal | undefined): AsyncGenerator<unknown> {
  if (!('getReader' in stream)) {
    const destroy = () => (stream as { destroy?(): void }).destroy?.();
    signal?.addEventListener('abort', destroy, { once: true });
    try {
      yield* stream;
    } catch (error) {
      throwIfAborted(signal, 'decode');
      throw error;
    } finally {
      signal?.removeEventListener('abort', destroy);
    }
    return;
  }
  const reader = stream.getReader();
  const cancel = () => void reader.cancel(signal?.reason).catch(() => {});
  signal?.addEventListener('abort', cancel, { once: true });
  let done = false;
  try {
    while (!done) {
      const next = await reader.read();
      done = next.done;
      if (!next.done) yield next.value;
    }
  } finally {
    signal?.removeEventListener('abort', cancel);
    if (!done) cancel();
  }
}

function join(parts: Uint8Array[], length: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function tooLong(name: string, most: number): VggError {
  return new VggError(
    'VGG_INPUT',
    `decode: ${name}: expected a picture of at most ${most} bytes, received more; pass maxPixels to allow more`,
  );
}

function describe(chunk: unknown): string {
  return typeof chunk === 'string' ? 'text; do not set an encoding on it' : `a chunk of type ${typeof chunk}`;
}
