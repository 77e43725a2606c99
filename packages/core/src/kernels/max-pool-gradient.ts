import { backend_util, type NamedAttrMap, type TensorInfo } from '@tensorflow/tfjs-core';

/** The shapes of one max pool over NHWC maps; `top` and `left` cells of padding lie before the map. */
export interface PoolGeometry {
  batch: number;
  height: number;
  width: number;
  channels: number;
  outHeight: number;
  outWidth: number;
  sizeY: number;
  sizeX: number;
  strideY: number;
  strideX: number;
  top: number;
  left: number;
}

/** The shapes that tfjs's attributes of `MaxPoolGrad` mean for an input. */
export function poolGeometry(input: TensorInfo, attrs: NamedAttrMap | undefined): PoolGeometry {
  const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as {
    filterSize: [number, number];
    strides: [number, number];
    pad: number;
    dimRoundingMode?: 'floor';
  };
  const shape = input.shape as [number, number, number, number];
  const info = backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
  return {
    batch: info.batchSize,
    height: info.inHeight,
    width: info.inWidth,
    channels: info.inChannels,
    outHeight: info.outHeight,
    outWidth: info.outWidth,
    sizeY: info.filterHeight,
    sizeX: info.filterWidth,
    strideY: info.strideHeight,
    strideX: info.strideWidth,
    top: info.padInfo.top,
    left: info.padInfo.left,
  };
}

/**
 * The gradient of a max pool: each window hands its `dy` to the first cell, in row order, that holds its maximum (as in TensorFlow).
 * For engines without SIMD; the others have assembly/pool-gradient.ts.
 * `x` and `dx` are `[batch, height, width, channels]`, `dy` is `[batch, outHeight, outWidth, channels]`; `dx` is overwritten.
 */
export function maxPoolGradient(x: Float32Array, dy: Float32Array, dx: Float32Array, g: PoolGeometry): void {
  dx.fill(0);
  for (let n = 0; n < g.batch; n++) {
    for (let oy = 0; oy < g.outHeight; oy++) {
      const y0 = Math.max(0, oy * g.strideY - g.top);
      const y1 = Math.min(g.height, oy * g.strideY - g.top + g.sizeY);
      for (let ox = 0; ox < g.outWidth; ox++) {
        const x0 = Math.max(0, ox * g.strideX - g.left);
        const x1 = Math.min(g.width, ox * g.strideX - g.left + g.sizeX);
        if (y0 >= y1 || x0 >= x1) continue;
        const from = ((n * g.outHeight + oy) * g.outWidth + ox) * g.channels;
        for (let c = 0; c < g.channels; c++) {
          let best = ((n * g.height + y0) * g.width + x0) * g.channels + c;
          let maximum = x[best];
          for (let iy = y0; iy < y1; iy++) {
            let at = ((n * g.height + iy) * g.width + x0) * g.channels + c;
            for (let ix = x0; ix < x1; ix++, at += g.channels) {
              if (x[at] > maximum) {
                maximum = x[at];
                best = at;
              }
            }
          }
          dx[best] += dy[from + c];
        }
      }
    }
  }
}
