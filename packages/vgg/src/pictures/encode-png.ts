import { concat } from '@vgg/loaders';
import { crc32 } from './bytes.js';
import type { Picture } from './picture.js';

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const CHANNELS = 3;

/**
 * A picture as the bytes of a PNG file (ISO/IEC 15948: 8-bit RGB), without loss, in Node and in a page alike.
 *
 * @example await writeFile('grid.png', await encodePng(pictureGrid(pictures)));
 */
export async function encodePng(picture: Picture): Promise<Uint8Array<ArrayBuffer>> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, picture.width);
  view.setUint32(4, picture.height);
  // Eight bits, RGB; the one compression, the one filter method, not interlaced.
  header.set([8, 2, 0, 0, 0], 8);
  return concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', await deflate(filtered(picture))), chunk('IEND', new Uint8Array(0))]);
}

/** Length, type, data, and the checksum of the last two. */
function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = type.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

async function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  // PNG's zlib stream is what this format is called here.
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * Each row as differences from its neighbours, after a byte that names the filter: of Sub, Up and Paeth the one whose differences have
 * the smallest sum, which usually compresses best (section 12.7).
 */
function filtered({ width, height, data }: Picture): Uint8Array<ArrayBuffer> {
  const row = width * CHANNELS;
  const output = new Uint8Array(height * (row + 1));
  const candidates = FILTERS.map(() => new Uint8Array(row));
  const sums = new Float64Array(FILTERS.length);
  for (let y = 0; y < height; y++) {
    const at = y * row;
    sums.fill(0);
    for (let x = 0; x < row; x++) {
      const left = x < CHANNELS ? 0 : data[at + x - CHANNELS]!;
      const above = y === 0 ? 0 : data[at + x - row]!;
      const corner = x < CHANNELS || y === 0 ? 0 : data[at + x - row - CHANNELS]!;
      for (let k = 0; k < FILTERS.length; k++) {
        const difference = (data[at + x]! - FILTERS[k]!.predict(left, above, corner)) & 255;
        candidates[k]![x] = difference;
        sums[k]! += difference < 128 ? difference : 256 - difference;
      }
    }
    const best = sums.indexOf(Math.min(...sums));
    output[y * (row + 1)] = FILTERS[best]!.type;
    output.set(candidates[best]!, y * (row + 1) + 1);
  }
  return output;
}

const FILTERS: readonly { type: number; predict(left: number, above: number, corner: number): number }[] = [
  { type: 1, predict: (left) => left },
  { type: 2, predict: (_, above) => above },
  { type: 4, predict: paeth },
];

/** Of the three neighbours the one nearest to left + above - corner, the first of equals. */
function paeth(left: number, above: number, corner: number): number {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/** The file as a `data:` URL, for SVG and HTML that refer to nothing outside. */
export async function pngDataUrl(picture: Picture): Promise<string> {
  const bytes = await encodePng(picture);
  let binary = '';
  // A call takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return `data:image/png;base64,${btoa(binary)}`;
}
