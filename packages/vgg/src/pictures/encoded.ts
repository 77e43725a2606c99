import { VggError } from '@vgg/errors';
import { Reader } from './bytes.js';
import { clearOrientation, type Orientation, readOrientation } from './exif.js';
import { avif } from './formats/avif.js';
import type { Header, PictureFormat } from './formats/format.js';
import { gif } from './formats/gif.js';
import { jpeg } from './formats/jpeg.js';
import { png } from './formats/png.js';
import { webp } from './formats/webp.js';
import type { DecodeOptions } from './images.js';

/** 300 MB of RGB; a larger picture is a mistake or an attack until someone says otherwise. */
const MAX_PIXELS = 100_000_000;

const FORMATS: readonly PictureFormat[] = [jpeg, png, webp, gif, avif];
const NAMES = 'JPEG, PNG, WebP, GIF or AVIF';

/** Encoded bytes that were looked over and are safe to hand to the platform's decoder. */
export interface Encoded {
  readonly format: PictureFormat['name'];
  readonly mime: string;
  readonly width: number;
  readonly height: number;
  /** What the file asks for; the bytes themselves no longer do. */
  readonly orientation: Orientation;
  readonly bytes: Uint8Array;
}

/**
 * Looks over the bytes of a picture file before any decoder sees them, so that Node and a page refuse the same files with the same words:
 * its format, its size against `maxPixels`, colour models that decoders disagree on, and whether it is whole.
 *
 * @throws VggError `VGG_INPUT` where it is not a picture, too large, damaged, or of a kind that is refused
 */
export function inspect(bytes: Uint8Array, options: DecodeOptions): Encoded {
  const { name = 'the picture' } = options;
  const reader = new Reader(bytes);
  const format = formatOf(reader);
  if (format === undefined) throw new VggError('VGG_INPUT', `decode: ${name}: expected a ${NAMES} picture, received ${beginning(bytes)}`);
  const header = checkHeader(format, reader, options);
  const damage = header === undefined ? 'it ends in the middle of its header' : format.damage(reader);
  if (damage !== undefined || header === undefined)
    throw new VggError('VGG_INPUT', `decode: ${name}: expected a whole ${format.name} picture, but ${damage}; get the file again`);
  const exif = format.exif(reader);
  const orientation = readOrientation(bytes, exif);
  const { width, height } = header;
  const known = { format: format.name, mime: format.mime, width, height, orientation };
  if (orientation === 1 && !format.unsettled?.(reader)) return { ...known, bytes };
  const copy = bytes.slice();
  clearOrientation(copy, exif);
  format.settle?.(copy);
  return { ...known, bytes: copy };
}

/**
 * Refuses a picture that is too large, or of a refused kind, from its first bytes, so that the rest need not be read.
 *
 * @returns false while the bytes do not reach to the size
 * @throws VggError `VGG_INPUT` as {@link inspect}
 */
export function checkBeginning(bytes: Uint8Array, options: DecodeOptions): boolean {
  const reader = new Reader(bytes);
  const format = formatOf(reader);
  return format !== undefined && checkHeader(format, reader, options) !== undefined;
}

function formatOf(reader: Reader): PictureFormat | undefined {
  return FORMATS.find((format) => format.matches(reader));
}

function checkHeader(
  format: PictureFormat,
  reader: Reader,
  { name = 'the picture', maxPixels = MAX_PIXELS }: DecodeOptions,
): Header | undefined {
  const header = format.header(reader);
  if (header === undefined) return undefined;
  const { width, height, refused } = header;
  if (refused !== undefined) throw new VggError('VGG_INPUT', `decode: ${name}: expected an 8-bit grey or RGB picture, received ${refused}`);
  if (width === 0 || height === 0)
    throw new VggError('VGG_INPUT', `decode: ${name}: expected a picture with pixels, received ${width} x ${height}`);
  checkPixels(width, height, { name, maxPixels });
  return header;
}

/** @throws VggError `VGG_INPUT` where a picture has more than `maxPixels` */
export function checkPixels(width: number, height: number, { name = 'the picture', maxPixels = MAX_PIXELS }: DecodeOptions): void {
  if (width * height <= maxPixels) return;
  throw new VggError(
    'VGG_INPUT',
    `decode: ${name}: expected at most ${maxPixels.toLocaleString('en')} pixels, received ${width} x ${height} = ${(width * height).toLocaleString('en')}; pass maxPixels to allow more`,
  );
}

/** The bytes that no picture of `maxPixels` exceeds: 16-bit RGBA stored as it is, and room for profiles and thumbnails. */
export function maxBytes({ maxPixels = MAX_PIXELS }: DecodeOptions): number {
  return maxPixels * 8 + (64 << 20);
}

/** What unknown bytes look like, for a message. */
function beginning(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'no bytes';
  const start = bytes.subarray(0, 24);
  const text = new TextDecoder().decode(start);
  const kinds: [RegExp, string][] = [
    [/^(II\*\0|MM\0\*)/, 'a TIFF file'],
    [/^BM/, 'a BMP file'],
    [/^\s*<(\?xml|svg)/i, 'an SVG or XML file'],
    [/^\s*<(!doctype|html)/i, 'an HTML page'],
    [/^.{4}ftyp(heic|heix|mif1|msf1)/s, 'a HEIC file'],
    [/^%PDF/, 'a PDF file'],
  ];
  const kind = kinds.find(([pattern]) => pattern.test(text))?.[1];
  if (kind !== undefined) return `${kind}; convert it first`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what tells bytes from text
  const readable = !/[\u0000-\u0008\u000e-\u001f\ufffd]/.test(text);
  return readable ? `the text ${JSON.stringify(text)}` : `${bytes.length} bytes of something else`;
}
