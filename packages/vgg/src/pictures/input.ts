import { abortable, kindOf, throwIfAborted, VggError } from '@vgg/errors';
import { readStream, readWhole } from './collect.js';
import { type DeferredImage, isDeferred } from './deferred.js';
import { checkPixels, maxBytes } from './encoded.js';
import { type DecodeOptions, isByteStream } from './images.js';
import type { Picture } from './picture.js';
import { fromRaw, fromTensor, isRawImage, isTensor } from './raw.js';

/**
 * What both platforms take alike: pixels and tensors become a picture, buffers, Blobs and streams become encoded bytes,
 * a deferred picture what it opens to; `undefined` for all else. Raw pixels are copied before the first `await`, so their buffer may be reused after the call.
 */
export async function readCommon(image: unknown, options: DecodeOptions & { name: string }): Promise<Picture | Uint8Array | undefined> {
  throwIfAborted(options.signal, 'decode');
  if (is(image, 'ArrayBuffer')) return new Uint8Array(image as ArrayBuffer);
  if (ArrayBuffer.isView(image)) return new Uint8Array(image.buffer, image.byteOffset, image.byteLength);
  if (isRawImage(image)) {
    checkPixels(image.width, image.height, options);
    return fromRaw(image, options.name);
  }
  if (isTensor(image)) return fromTensor(image, options.name);
  if (is(image, 'Blob') || is(image, 'File')) {
    const blob = image as Blob;
    const read = async (offset: number, length: number) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    return readWhole({ size: blob.size, read }, options);
  }
  if (isByteStream(image)) return readStream(image, options);
  if (isDeferred(image)) return readCommon(await openDeferred(image, options), options);
  return undefined;
}

/** What a deferred picture opens to: bytes or pixels, never another of its kind. */
export async function openDeferred(image: DeferredImage, options: DecodeOptions & { name: string }): Promise<unknown> {
  const { signal, name } = options;
  const opened: unknown = await abortable(image.open({ maxBytes: maxBytes(options), ...(signal && { signal }) }), signal, 'decode');
  if (isDeferred(opened)) throw notAPicture(opened, name, 'a picture that opens to bytes or pixels');
  return opened;
}

/** An `instanceof` that also knows the classes of other realms: an iframe's elements, a test runner's buffers. */
export function is(value: unknown, name: string): boolean {
  return Object.prototype.toString.call(value) === `[object ${name}]`;
}

/** The error for an input that is no picture of any kind. */
export function notAPicture(image: unknown, name: string, kinds: string): VggError {
  return new VggError('VGG_INPUT', `decode: ${name}: expected ${kinds}, received ${kindOf(image)}`);
}
