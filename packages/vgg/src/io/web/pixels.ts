import { messageOf, VggError } from '@vgg/errors';
import type { Picture } from '../../pictures/picture.js';
import { readTexture } from './texture.js';

/** Side of the pieces that a bitmap is read in: within every browser's canvas and texture limits. */
const TILE = 2048;

/** A piece of a bitmap. */
export interface Tile {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * A bitmap's colours without loss, its alpha dropped. A 2D canvas stores colours multiplied by alpha and loses what is under it, so it
 * serves for opaque pieces only; the others go through a texture.
 *
 * @throws VggError `VGG_INPUT` where the bitmap holds another site's pixels, or has alpha and there is no WebGL
 */
export async function bitmapPixels(bitmap: ImageBitmap, name: string): Promise<Picture> {
  const { width, height } = bitmap;
  const data = new Uint8Array(width * height * 3);
  const side = { width: Math.min(width, TILE), height: Math.min(height, TILE) };
  const context = new OffscreenCanvas(side.width, side.height).getContext('2d', { willReadFrequently: true });
  if (context === null) throw new VggError('VGG_INPUT', `decode: ${name}: this browser gives no 2D canvas to read pixels with`);
  context.globalCompositeOperation = 'copy';
  for (let top = 0; top < height; top += TILE)
    for (let left = 0; left < width; left += TILE) {
      const tile = { left, top, width: Math.min(TILE, width - left), height: Math.min(TILE, height - top) };
      const drawn = readCanvas(context, bitmap, tile, name);
      copyTile(isOpaque(drawn) ? drawn : await readTexture(bitmap, tile, name), tile, data, width);
    }
  return { width, height, data };
}

function readCanvas(context: OffscreenCanvasRenderingContext2D, bitmap: ImageBitmap, tile: Tile, name: string): Uint8ClampedArray {
  try {
    context.drawImage(bitmap, -tile.left, -tile.top);
    return context.getImageData(0, 0, tile.width, tile.height).data;
  } catch (cause) {
    const tainted = cause instanceof DOMException && cause.name === 'SecurityError';
    const why = tainted ? "it holds another site's pixels, which a page may not read; load it with crossOrigin" : messageOf(cause);
    throw new VggError('VGG_INPUT', `decode: ${name}: expected readable pixels, but ${why}`, { cause });
  }
}

function isOpaque(rgba: Uint8ClampedArray): boolean {
  for (let i = 3; i < rgba.length; i += 4) if (rgba[i] !== 255) return false;
  return true;
}

function copyTile(rgba: ArrayLike<number>, tile: Tile, rgb: Uint8Array, width: number): void {
  for (let y = 0, from = 0; y < tile.height; y++) {
    let to = ((tile.top + y) * width + tile.left) * 3;
    for (let x = 0; x < tile.width; x++, from += 4, to += 3) {
      rgb[to] = rgba[from]!;
      rgb[to + 1] = rgba[from + 1]!;
      rgb[to + 2] = rgba[from + 2]!;
    }
  }
}
