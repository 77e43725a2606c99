import type { Picture } from './picture.js';

/** The window of `width` x `height` pixels whose top left corner is at (`left`, `top`); it must lie inside the picture. */
export function crop(picture: Picture, left: number, top: number, width: number, height: number): Picture {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * picture.width + left) * 3;
    data.set(picture.data.subarray(from, from + width * 3), y * width * 3);
  }
  return { width, height, data };
}

/** The picture at (`left`, `top`) of a `width` x `height` field of the grey value `fill`. */
export function pad(picture: Picture, left: number, top: number, width: number, height: number, fill: number): Picture {
  const data = new Uint8Array(width * height * 3).fill(fill);
  const row = picture.width * 3;
  for (let y = 0; y < picture.height; y++) data.set(picture.data.subarray(y * row, (y + 1) * row), ((top + y) * width + left) * 3);
  return { width, height, data };
}
