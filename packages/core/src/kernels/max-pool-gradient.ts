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

/**
 * The gradient of a max pool: each window hands its `dy` to the first cell, in row order, that holds its maximum (as in TensorFlow).
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
