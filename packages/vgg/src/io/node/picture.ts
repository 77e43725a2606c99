import { open } from 'node:fs/promises';
import { messageOf, throwIfAborted, VggError } from '@vgg/errors';
import { readStream, readWhole } from '../../pictures/collect.js';
import { type Encoded, inspect } from '../../pictures/encoded.js';
import { fetchPicture, isUrl } from '../../pictures/fetch-picture.js';
import type { DecodeOptions } from '../../pictures/images.js';
import { notAPicture, readCommon } from '../../pictures/input.js';
import { orient } from '../../pictures/orient.js';
import type { Picture } from '../../pictures/picture.js';
import { pathOf } from './path.js';

const KINDS = 'a path, URL, Buffer, Blob, stream, { data, width, height, channels } or tensor';

/**
 * Any picture that Node has, as RGB pixels equal to Pillow's `Image.open(path).convert('RGB')`: grey spread, palette looked up, alpha dropped,
 * the high byte of 16 bits, colour profiles and (by default) EXIF orientation ignored, the first frame of an animation.
 *
 * @throws VggError `VGG_INPUT` for what is not a whole picture of at most `maxPixels`, `VGG_NOT_FOUND`, `VGG_NETWORK`, `VGG_ABORTED`
 */
export async function decodeImage(image: unknown, options: DecodeOptions = {}): Promise<Picture> {
  const name = options.name ?? (typeof image === 'string' || image instanceof URL ? String(image) : 'the picture');
  const rules = { ...options, name };
  const common = await readCommon(image, rules);
  if (common !== undefined && 'data' in common) return common;
  const bytes = common ?? (await readLocated(image, rules));
  throwIfAborted(options.signal, 'decode');
  const encoded = inspect(bytes, rules);
  const picture = await decodeEncoded(encoded, name);
  throwIfAborted(options.signal, 'decode');
  return options.orientation ? orient(picture, encoded.orientation) : picture;
}

async function readLocated(image: unknown, options: DecodeOptions & { name: string }): Promise<Uint8Array> {
  if (typeof image !== 'string' && !(image instanceof URL)) throw notAPicture(image, options.name, KINDS);
  const text = String(image);
  return isUrl(text) && !/^file:/i.test(text) ? fetchPicture(text, options) : readPath(pathOf(text), options);
}

async function readPath(path: string, options: DecodeOptions & { name: string }): Promise<Uint8Array> {
  const file = await open(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') throw new VggError('VGG_NOT_FOUND', `decode: ${options.name}: there is no such file`, { cause });
    throw new VggError('VGG_INPUT', `decode: ${options.name}: could not be opened (${cause.code})`, { cause });
  });
  try {
    const stat = await file.stat();
    if (stat.isDirectory()) throw new VggError('VGG_INPUT', `decode: ${options.name}: expected a picture file, received a folder`);
    // A pipe or device has no size to read up to.
    if (!stat.isFile()) return await readStream(file.createReadStream({ autoClose: false }), options);
    const read = async (offset: number, length: number) => {
      const bytes = new Uint8Array(length);
      const { bytesRead } = await file.read(bytes, 0, length, offset);
      return bytes.subarray(0, bytesRead);
    };
    return await readWhole({ size: stat.size, read }, options);
  } finally {
    await file.close();
  }
}

async function decodeEncoded({ bytes, format, width, height }: Encoded, name: string): Promise<Picture> {
  const sharp = await loadSharp();
  try {
    // Size and wholeness were checked by inspect, by the same rules as in a page.
    const decoder = sharp(bytes, { ignoreIcc: true, failOn: 'error', limitInputPixels: width * height, autoOrient: false });
    const { data, info } = await decoder.toColourspace('srgb').removeAlpha().raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    if (info.width === width && info.height === height && info.channels === 3)
      return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
    throw new Error(`decoded to ${info.width} x ${info.height} x ${info.channels}`);
  } catch (cause) {
    const why = messageOf(cause).trim().split('\n')[0];
    throw new VggError(
      'VGG_INPUT',
      `decode: ${name}: expected a whole ${format} picture, but its data is corrupt (${why}); get the file again`,
      { cause },
    );
  }
}

async function loadSharp(): Promise<typeof import('sharp').default> {
  try {
    return (await import('sharp')).default;
  } catch (cause) {
    throw new VggError('VGG_NOT_FOUND', `decode: the package sharp could not be loaded (${messageOf(cause)}); run npm install sharp`, {
      cause,
    });
  }
}
