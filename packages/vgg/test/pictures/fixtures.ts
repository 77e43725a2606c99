import type { DecodeOptions } from '../../src/pictures/images.js';
import type { Picture } from '../../src/pictures/picture.js';
import pictures from './fixtures/pictures.json';
import resized from './fixtures/resize.json';

/** True in the tests that run in Chromium. */
export const inPage = typeof window !== 'undefined';

const io = inPage ? await import('../../src/io/web/picture.js') : await import('../../src/io/node/picture.js');

/** The platform's decoder. */
export const decodeImage: (image: unknown, options?: DecodeOptions) => Promise<Picture> = io.decodeImage;

export interface Expected {
  width: number;
  height: number;
  sha256: string;
}
/** An encoded picture, and the digest of the RGB bytes that Pillow decodes it to. */
export interface Fixture extends Expected {
  name: string;
  bytes: string;
  upright?: Expected;
}

export const fixtures: readonly Fixture[] = pictures.pictures;
export const cmyk: Uint8Array = fromBase64(pictures.cmyk);
interface Resized {
  from: [number, number];
  to: [number, number];
  filter: string;
}
export const resizeCases = resized.cases as unknown as readonly (Resized & { bytes: string })[];
export const resizeDigests = resized.digests as unknown as readonly (Resized & { sha256: string })[];

export function fixture(name: string): Uint8Array<ArrayBuffer> {
  const found = fixtures.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no fixture ${name}`);
  return fromBase64(found.bytes);
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export async function expected(picture: Picture): Promise<Expected> {
  return { width: picture.width, height: picture.height, sha256: await sha256(picture.data) };
}

/** The picture that make_fixtures.py calls `pattern`. */
export function pattern(width: number, height: number): Picture {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++, i++) {
        let value = (x * (3 + c) + y * (7 - 2 * c) + ((x * x + y * y) >> (4 + c)) + 50 * c) % 511;
        if (value > 255) value = 510 - value;
        if ((Math.floor(x / 9) + Math.floor(y / 11)) % 5 === 0) value = 255 - value;
        value += ((x * 7919 + y * 104729 + c * 1299709) % 17) - 8;
        data[i] = Math.max(0, Math.min(255, value));
      }
  return { width, height, data };
}
