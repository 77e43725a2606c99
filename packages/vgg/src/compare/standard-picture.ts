import type { Preprocessing } from '../pictures/preprocessing.js';

/** Side of the picture for networks without dense layers, which take any size. */
export const STANDARD_SIDE = 64;

/**
 * The picture on which weight sets are compared: whole numbers from 0 to 255, the same on every machine. Each channel is another mixture
 * of slopes in both directions and of a fine texture, so that exchanged channels, mirrored filters and moved rows all show.
 *
 * @returns [side, side, channels]; channel c of pixel (y, x) is ((3 + 2c) x + (7 - 2c) y + 40 c) xor ((x y) >> 2), modulo 256
 */
export function standardPicture(side: number, channels = 3): Uint8Array {
  const out = new Uint8Array(side * side * channels);
  let at = 0;
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      for (let c = 0; c < channels; c++) out[at++] = ((3 + 2 * c) * x + (7 - 2 * c) * y + 40 * c) ^ ((x * y) >> 2);
    }
  }
  return out;
}

/** The picture as a network takes it, without a resize: channel order, scale, mean and deviation; other than three channels as they are. */
export function preparedPicture(side: number, channels: number, { channelOrder, scale, mean, std }: Preprocessing): Float32Array {
  const picture = standardPicture(side, channels);
  if (channels !== 3) return Float32Array.from(picture);
  return Float32Array.from(picture, (_, i) => {
    const c = i % 3;
    const value = picture[channelOrder === 'bgr' ? i - c + 2 - c : i]!;
    return (value * scale - mean[c]!) / std[c]!;
  });
}
