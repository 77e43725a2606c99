import { messageOf, throwIfAborted, VggError } from '@vgg/errors';
import { checkPixels, type Encoded, inspect } from '../../pictures/encoded.js';
import { fetchPicture } from '../../pictures/fetch-picture.js';
import type { DecodeOptions } from '../../pictures/images.js';
import { is, notAPicture, readCommon } from '../../pictures/input.js';
import { orient } from '../../pictures/orient.js';
import type { Picture } from '../../pictures/picture.js';
import { fromRaw } from '../../pictures/raw.js';
import { bitmapPixels } from './pixels.js';

/** What {@link decodeImage} takes, in words. */
export const KINDS =
  'an img, canvas, video, ImageData, ImageBitmap, VideoFrame, Blob, URL, bytes, { data, width, height, channels } or tensor';

/** Neither the colour profile nor the alpha touches the colours. */
const AS_STORED: ImageBitmapOptions = { colorSpaceConversion: 'none', premultiplyAlpha: 'none' };

/**
 * Any picture that a page has, as RGB pixels. Encoded bytes give the same pixels as in Node (see there); an img, canvas, video or frame
 * gives what it holds at the time of the call, with the orientation and colours that the browser gave it. Bitmaps and frames of the
 * caller's stay open.
 *
 * @throws VggError `VGG_INPUT` for what is not a whole picture of at most `maxPixels`, or may not be read; `VGG_NETWORK`, `VGG_ABORTED`
 */
export async function decodeImage(image: unknown, options: DecodeOptions = {}): Promise<Picture> {
  const name = options.name ?? (typeof image === 'string' && !image.startsWith('data:') ? image : 'the picture');
  const rules = { ...options, name };
  throwIfAborted(options.signal, 'decode');
  if (isA(image, 'ImageData')) return fromImageData(image, rules);
  if (isA(image, 'HTMLImageElement') && !image.complete) await loaded(image, name);
  const shown = shownSize(image, name);
  if (shown !== undefined) {
    checkPixels(shown.width, shown.height, rules);
    return readAndClose(await snapshot(shown.source, name), name);
  }
  const common = await readCommon(image, rules);
  if (common !== undefined && 'data' in common) return common;
  if (common === undefined && typeof image !== 'string' && !(image instanceof URL)) throw notAPicture(image, name, KINDS);
  const bytes = common ?? (await fetchPicture(String(image), rules));
  throwIfAborted(options.signal, 'decode');
  const encoded = inspect(bytes, rules);
  const picture = await decodeEncoded(encoded, name);
  throwIfAborted(options.signal, 'decode');
  return options.orientation ? orient(picture, encoded.orientation) : picture;
}

/**
 * What a picture object of the page shows now, to be read elsewhere and closed there; undefined for anything else, ImageData too.
 *
 * @throws VggError `VGG_INPUT` as {@link decodeImage}
 */
export async function captureShown(image: unknown, name: string): Promise<ImageBitmap | VideoFrame | undefined> {
  if (isA(image, 'HTMLImageElement') && !image.complete) await loaded(image, name);
  const shown = shownSize(image, name);
  if (shown === undefined) return undefined;
  checkPixels(shown.width, shown.height, { name });
  // A clone of a frame shares its pixels.
  return isA(image, 'VideoFrame') ? image.clone() : snapshot(shown.source, name);
}

function isA<Name extends keyof Instances>(value: unknown, name: Name): value is Instances[Name] {
  return is(value, name);
}

interface Instances {
  HTMLImageElement: HTMLImageElement;
  HTMLCanvasElement: HTMLCanvasElement;
  OffscreenCanvas: OffscreenCanvas;
  HTMLVideoElement: HTMLVideoElement;
  ImageBitmap: ImageBitmap;
  ImageData: ImageData;
  VideoFrame: VideoFrame;
}

interface Shown {
  readonly source: ImageBitmapSource;
  readonly width: number;
  readonly height: number;
}

/** A picture object of the page with its size; `undefined` for anything else. */
function shownSize(image: unknown, name: string): Shown | undefined {
  let shown: Shown | undefined;
  if (isA(image, 'HTMLImageElement')) shown = { source: image, width: image.naturalWidth, height: image.naturalHeight };
  else if (isA(image, 'HTMLVideoElement')) shown = { source: image, width: image.videoWidth, height: image.videoHeight };
  else if (isA(image, 'VideoFrame')) shown = { source: image, width: image.displayWidth, height: image.displayHeight };
  else if (isA(image, 'HTMLCanvasElement') || isA(image, 'OffscreenCanvas') || isA(image, 'ImageBitmap'))
    shown = { source: image, width: image.width, height: image.height };
  else return undefined;
  const { width, height } = shown;
  const empty = width === 0 || height === 0 || (isA(image, 'HTMLVideoElement') && image.readyState < image.HAVE_CURRENT_DATA);
  if (empty)
    throw new VggError(
      'VGG_INPUT',
      `decode: ${name}: expected pixels, received ${EMPTY[image.constructor.name] ?? 'a picture without any'}`,
    );
  return shown;
}

const EMPTY: Readonly<Record<string, string>> = {
  HTMLImageElement: 'an img that failed to load',
  HTMLVideoElement: 'a video without a frame yet; wait for its loadeddata event',
  ImageBitmap: 'an ImageBitmap that was closed',
  VideoFrame: 'a VideoFrame that was closed',
};

async function loaded(image: HTMLImageElement, name: string): Promise<void> {
  await image.decode().catch((cause: unknown) => {
    throw new VggError('VGG_INPUT', `decode: ${name}: expected pixels, received an img that failed to load`, { cause });
  });
}

function fromImageData({ data, width, height }: ImageData, options: DecodeOptions & { name: string }): Picture {
  checkPixels(width, height, options);
  return fromRaw({ data, width, height, channels: 4 }, options.name);
}

/** What the source shows now; drawing over it afterwards changes nothing. */
function snapshot(source: ImageBitmapSource, name: string): Promise<ImageBitmap> {
  return createImageBitmap(source, AS_STORED).catch((cause: unknown) => {
    throw new VggError('VGG_INPUT', `decode: ${name}: could not be read (${messageOf(cause)})`, { cause });
  });
}

async function decodeEncoded({ bytes, format, mime }: Encoded, name: string): Promise<Picture> {
  const blob = new Blob([bytes as Uint8Array<ArrayBuffer>], { type: mime });
  const bitmap = await createImageBitmap(blob, AS_STORED).catch((cause: unknown) => {
    const why = messageOf(cause);
    throw new VggError(
      'VGG_INPUT',
      `decode: ${name}: expected a whole ${format} picture, but its data is corrupt (${why}); get the file again`,
      { cause },
    );
  });
  return readAndClose(bitmap, name);
}

async function readAndClose(bitmap: ImageBitmap, name: string): Promise<Picture> {
  try {
    return await bitmapPixels(bitmap, name);
  } finally {
    bitmap.close();
  }
}
