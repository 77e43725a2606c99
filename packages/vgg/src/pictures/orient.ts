import type { Orientation } from './exif.js';
import type { Picture } from './picture.js';

/**
 * Turns a picture upright as its EXIF orientation says, as Pillow's `ImageOps.exif_transpose`:
 * 2 mirrors, 3 turns by 180 degrees, 4 flips, 5 to 8 exchange rows and columns (6 turns clockwise).
 */
export function orient(picture: Picture, orientation: Orientation): Picture {
  if (orientation === 1) return picture;
  const swap = orientation >= 5;
  const width = swap ? picture.height : picture.width;
  const height = swap ? picture.width : picture.height;
  const fromRight = orientation === 2 || orientation === 3 || orientation === 7 || orientation === 8;
  const fromBottom = orientation === 3 || orientation === 4 || orientation === 6 || orientation === 7;
  const data = new Uint8Array(picture.data.length);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const column = swap ? y : x;
      const row = swap ? x : y;
      const fromX = fromRight ? picture.width - 1 - column : column;
      const fromY = fromBottom ? picture.height - 1 - row : row;
      const from = (fromY * picture.width + fromX) * 3;
      data[to] = picture.data[from]!;
      data[to + 1] = picture.data[from + 1]!;
      data[to + 2] = picture.data[from + 2]!;
    }
  }
  return { width, height, data };
}
