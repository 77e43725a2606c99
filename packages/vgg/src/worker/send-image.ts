import { isVggError, messageOf, VggError } from '@vgg/errors';
import { captureShown, KINDS } from '../io/web/picture.js';
import { isDeferred } from '../pictures/deferred.js';
import { nameOf } from '../pictures/images.js';
import { is, notAPicture, openDeferred, readCommon } from '../pictures/input.js';
import { isRawImage, isTensor, type RawImage } from '../pictures/raw.js';
import { sendError } from './errors.js';
import type { SentImage } from './messages.js';

/** A picture to be posted, and what moves with it. */
export interface Parcel {
  readonly image: SentImage;
  readonly transfer: Transferable[];
}

/**
 * Takes a picture as it is now, so that it may be redrawn, without decoding anything here: a Blob or URL goes as it is, what a page
 * shows as a bitmap, pixels and bytes as a copy, and the caller keeps its own. A picture that cannot be taken becomes its error.
 */
export async function sendImage(image: unknown, index: number): Promise<Parcel> {
  const name = nameOf(image) ?? `picture ${index}`;
  try {
    return await take(image, name);
  } catch (error) {
    return failed(error, name);
  }
}

/** What is sent in the place of a picture. */
export function failed(error: unknown, name: string): Parcel {
  const why = isVggError(error) ? error : new VggError('VGG_INPUT', `decode: ${name}: ${messageOf(error)}`, { cause: error });
  return { image: { kind: 'failed', error: sendError(why), name }, transfer: [] };
}

async function take(image: unknown, name: string): Promise<Parcel> {
  if (typeof image === 'string') return { image: { kind: 'encoded', image }, transfer: [] };
  if (image instanceof URL) return { image: { kind: 'encoded', image: image.href }, transfer: [] };
  if (is(image, 'Blob') || is(image, 'File')) return { image: { kind: 'encoded', image: image as Blob }, transfer: [] };
  if (isDeferred(image)) return takeDeferred(await openDeferred(image, { name }), name);
  const shown = await captureShown(image, name);
  if (shown) return { image: { kind: 'shown', image: shown, name }, transfer: [shown] };
  if (is(image, 'ImageData') || isRawImage(image)) return takePixels(image as RawImage, name);
  if (isTensor(image)) {
    const { shape, dtype } = image;
    return { image: { kind: 'tensor', shape: [...shape], dtype, values: await image.data(), name }, transfer: [] };
  }
  const bytes = await readCommon(image, { name });
  if (!(bytes instanceof Uint8Array)) throw notAPicture(image, name, KINDS);
  const copy = bytes.slice();
  return { image: { kind: 'encoded', image: copy }, transfer: [copy.buffer] };
}

/** Bytes have no name of their own; those of a deferred picture keep its name as a File. */
async function takeDeferred(opened: unknown, name: string): Promise<Parcel> {
  const isBytes = is(opened, 'ArrayBuffer') || ArrayBuffer.isView(opened) || is(opened, 'Blob');
  return take(isBytes ? new File([opened as BlobPart], name) : opened, name);
}

function takePixels({ data, width, height, channels }: RawImage, name: string): Parcel {
  // Of a view of a larger buffer only the view's part.
  const copy = data.slice(0);
  const image = { data: copy, width, height, ...(channels !== undefined && { channels }) };
  return { image: { kind: 'raw', image, name }, transfer: [ArrayBuffer.isView(copy) ? copy.buffer : copy] };
}
