import { pad, reshape, type Tensor4D } from '@tensorflow/tfjs-core';

/** Puts `stride - 1` zeros after each cell, along height and width: `[N, H, W, C]` to `[N, H . stride, W . stride, C]`. */
export function spreadOut(x: Tensor4D, stride: number): Tensor4D {
  if (stride === 1) return x;
  const [batch, height, width, channels] = x.shape;
  const rows = pad(reshape(x, [batch * height, 1, width * channels]), [[0, 0], [0, stride - 1], [0, 0]]); // biome-ignore format: one axis a pair
  const columns = pad(reshape(rows, [batch * height * stride * width, 1, channels]), [[0, 0], [0, stride - 1], [0, 0]]); // biome-ignore format: one axis a pair
  return reshape(columns, [batch, height * stride, width * stride, channels]);
}
