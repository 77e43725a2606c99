import { isVggError, messageOf, throwIfAborted, VggError } from '@vgg/errors';
import type { DeferredImage } from './deferred.js';
import type { Picture } from './picture.js';
import { isTensor, type RawImage, splitTensor, type TensorLike } from './raw.js';

/** Rules for turning encoded bytes into pixels; the defaults are Pillow's. */
export interface DecodeOptions {
  /** Turn the picture as its EXIF orientation says; default false, as Pillow's and Keras's loaders. */
  orientation?: boolean;
  /** Most pixels a picture may have, against decompression bombs; default 100 million. */
  maxPixels?: number;
  /** Name for messages. */
  name?: string;
  /** Used for http(s) URLs; default the platform's. */
  fetch?: typeof fetch;
  signal?: AbortSignal;
}

/** The instance type of a global class where the platform's types have it, so that these types compile with and without DOM. */
export type Global<Name extends string> = typeof globalThis extends { [name in Name]: { prototype: infer Instance } } ? Instance : never;

/** A Node stream of encoded bytes (`process.stdin`, `createReadStream`); an object-mode stream is an iterable of pictures instead. */
export interface ByteStream extends AsyncIterable<Uint8Array | string> {
  pipe(...args: never[]): unknown;
  read(size?: number): unknown;
}

/** What a page shows pictures with; used as it is now, and never closed by us. */
export type PageImage =
  | Global<'HTMLImageElement'>
  | Global<'HTMLCanvasElement'>
  | Global<'OffscreenCanvas'>
  | Global<'HTMLVideoElement'>
  | Global<'ImageData'>
  | Global<'ImageBitmap'>
  | Global<'VideoFrame'>;

/**
 * One picture: in Node a path, and everywhere a URL (`file:` in Node only), encoded bytes (JPEG, PNG, WebP, GIF or AVIF) in a
 * buffer, Blob, File or stream, raw 8-bit pixels, a tensor `[h, w, 3]` or `[1, h, w, 3]` of 0..255, a {@link DeferredImage} that opens
 * to bytes or pixels; in a page also a {@link PageImage}.
 */
export type ImageInput =
  | string
  | URL
  | ArrayBuffer
  | ArrayBufferView
  | Blob
  | ReadableStream<Uint8Array>
  | ByteStream
  | RawImage
  | TensorLike
  | DeferredImage
  | PageImage;

/** One picture, a batch tensor `[n, h, w, 3]`, an array, or an (async) iterable of pictures. */
export type ImageInputs = ImageInput | Iterable<ImageInput> | AsyncIterable<ImageInput>;

/** A picture of a list, or why there is none; `index` is its place in the list. */
export type PictureItem =
  | { readonly index: number; readonly name: string; readonly picture: Picture; readonly error?: undefined }
  | { readonly index: number; readonly name: string; readonly error: VggError; readonly picture?: undefined };

export interface PicturesOptions extends DecodeOptions {
  /** Pictures decoded, or waiting, ahead of the reader; default 4. */
  ahead?: number;
}

/** The platform's decoder, `io.decode`. */
export type Decode = (image: unknown, options: DecodeOptions) => Promise<Picture>;

/**
 * Pictures in the order of their inputs, each with its own failure where it has one: a corrupt file among good ones costs only itself.
 *
 * Inputs are asked for only as the pictures are taken: at most `ahead` are decoded or waiting at any time, so a list of any length
 * needs the memory of a few pictures. What can be redrawn (a canvas, a video, raw pixels) is read before the next input is asked for.
 *
 * @throws VggError `VGG_ABORTED` once `signal` is aborted; whatever the iterable itself throws
 * @example for await (const { name, picture, error } of toPictures(['a.jpg', 'b.jpg'], io.decode)) console.log(name, picture?.width ?? error.message);
 */
export async function* toPictures(
  inputs: ImageInputs,
  decode: Decode,
  options: PicturesOptions = {},
): AsyncGenerator<PictureItem, void, undefined> {
  const { ahead = 4, signal, ...rules } = options;
  if (!(Number.isInteger(ahead) && ahead > 0))
    throw new VggError('VGG_OPTION', `toPictures: expected a whole number above 0 as ahead, received ${ahead}`);
  throwIfAborted(signal, 'toPictures');
  const own = new AbortController();
  const source = entries(inputs);
  const waiting: Slot[] = [];
  let arrived: Arrival | undefined;
  let asking = false;
  let ended = false;
  let failure: { cause: unknown } | undefined;
  let index = 0;

  // One waker at a time, rather than a race against a lasting promise, which would hold on to every picture that won.
  let wake = () => {};
  const abort = () => {
    own.abort(signal?.reason);
    wake();
  };
  const ask = async () => {
    asking = true;
    try {
      const result = await source.next();
      arrived = result.done ? { kind: 'end' } : { kind: 'entry', entry: result.value };
    } catch (cause) {
      arrived = { kind: 'failure', cause };
    }
    asking = false;
    wake();
  };
  const decodeInto = async (slot: Slot, entry: Entry, place: number) => {
    slot.item = await settle(entry, place, decode, { ...rules, signal: own.signal });
    wake();
  };

  signal?.addEventListener('abort', abort, { once: true });
  try {
    while (!ended || waiting.length > 0) {
      if (signal?.aborted) throwIfAborted(signal, 'toPictures');
      if (arrived?.kind === 'entry') {
        const slot: Slot = {};
        waiting.push(slot);
        void decodeInto(slot, arrived.entry, index++);
        arrived = undefined;
      } else if (arrived !== undefined) {
        ended = true;
        if (arrived.kind === 'failure') failure = arrived;
        arrived = undefined;
      } else if (!ended && !asking && waiting.length < ahead) {
        void ask();
      } else if (waiting[0]?.item !== undefined) {
        yield waiting.shift()!.item!;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
    if (failure !== undefined) throw failure.cause;
  } finally {
    signal?.removeEventListener('abort', abort);
    own.abort();
    // Not awaited: a source that hangs must not hold up the one who stopped it.
    if (!ended) void Promise.resolve(source.return?.()).catch(() => {});
  }
}

/** A picture's place in the queue, until it is decoded and after. */
interface Slot {
  item?: PictureItem;
}

/** What the source answered. */
type Arrival =
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'end' }
  | { readonly kind: 'failure'; readonly cause: unknown };

/** An input and how to decode it. */
interface Entry {
  readonly input: unknown;
  readonly decode?: (name: string) => Promise<Picture>;
}

async function settle(entry: Entry, index: number, decode: Decode, options: DecodeOptions): Promise<PictureItem> {
  const name = nameOf(entry.input) ?? `picture ${index}`;
  try {
    return { index, name, picture: await (entry.decode?.(name) ?? decode(entry.input, { ...options, name })) };
  } catch (error) {
    return {
      index,
      name,
      error: isVggError(error) ? error : new VggError('VGG_INPUT', `decode: ${name}: ${messageOf(error)}`, { cause: error }),
    };
  }
}

/** One input or many, as an iterator; a batch tensor counts as many. */
function entries(inputs: ImageInputs): Iterator<Entry> | AsyncIterator<Entry> {
  if (isTensor(inputs) && !isOneImage(inputs)) return batch(inputs);
  if (isOneImage(inputs)) return [{ input: inputs }].values();
  return each(inputs as Iterable<unknown> | AsyncIterable<unknown>);
}

function* batch(tensor: TensorLike): Generator<Entry> {
  const { count, picture } = splitTensor(tensor);
  for (let i = 0; i < count; i++) yield { input: undefined, decode: (name) => picture(i, name) };
}

async function* each(inputs: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<Entry> {
  for await (const input of inputs) yield { input };
}

/** True for what is one picture: also texts, bytes and streams of bytes, which could be iterated, but not a batch tensor of several. */
export function isOneImage(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (isTensor(value)) return value.shape.length !== 4 || value.shape[0] === 1;
  if (ArrayBuffer.isView(value) || isByteStream(value)) return true;
  return !(Symbol.iterator in value || Symbol.asyncIterator in value);
}

/** A web ReadableStream, or a Node stream that is not in object mode. */
export function isByteStream(value: unknown): value is ReadableStream<Uint8Array> | ByteStream {
  if (typeof value !== 'object' || value === null) return false;
  const { getReader, pipe, readableObjectMode } = value as { getReader?: unknown; pipe?: unknown; readableObjectMode?: unknown };
  return typeof getReader === 'function' || (typeof pipe === 'function' && readableObjectMode !== true);
}

/** What people call a picture: its path, URL or file name. */
export function nameOf(input: unknown): string | undefined {
  if (typeof input === 'string') return input.startsWith('data:') ? undefined : input;
  if (input instanceof URL) return input.href;
  if (typeof input !== 'object' || input === null) return undefined;
  const { name, currentSrc } = input as { name?: unknown; currentSrc?: unknown };
  for (const text of [name, currentSrc]) if (typeof text === 'string' && text !== '' && !text.startsWith('data:')) return text;
  return undefined;
}
