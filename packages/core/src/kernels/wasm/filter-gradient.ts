import { matMul, pad, reshape, slice, stack, stridedSlice, type Tensor, type Tensor2D, transpose } from '@tensorflow/tfjs-core';

/** Where the convolution's first window lay, and its steps. */
export interface FilterGradientOptions {
  top: number;
  left: number;
  strides: [number, number];
}

/**
 * The gradient of a convolution with respect to its filter, as one matrix product a tap:
 * `dW[r, s] = x(shifted by r, s)^T [Cin, N*OH*OW] . dy [N*OH*OW, Cout]`.
 *
 * `x` is `[N, H, W, Cin]`, `dy` is `[N, OH, OW, Cout]`, the result `filterShape` `[KH, KW, Cin, Cout]`.
 * The transposition is done by a kernel of its own, because tfjs's WASM product is 20 times slower with its `transposeA`.
 */
export function filterGradient(
  x: Tensor,
  dy: Tensor,
  filterShape: [number, number, number, number],
  options: FilterGradientOptions,
): Tensor {
  const [kernelY, kernelX, inputs, outputs] = filterShape;
  const [batch, height, width] = x.shape;
  const [, outHeight, outWidth] = dy.shape;
  const [strideY, strideX] = options.strides;
  const reachY = (outHeight - 1) * strideY + kernelY;
  const reachX = (outWidth - 1) * strideX + kernelX;
  const bottom = Math.max(0, reachY - height - options.top);
  const right = Math.max(0, reachX - width - options.left);
  const padded = pad(x, [[0, 0], [options.top, bottom], [options.left, right], [0, 0]]); // biome-ignore format: one axis a pair
  const flat = reshape(dy, [-1, outputs]) as Tensor2D;
  const taps: Tensor[] = [];
  for (let r = 0; r < kernelY; r++) {
    for (let s = 0; s < kernelX; s++) {
      const end = [batch, r + (outHeight - 1) * strideY + 1, s + (outWidth - 1) * strideX + 1, inputs];
      const window =
        strideY === 1 && strideX === 1
          ? slice(padded, [0, r, s, 0], [batch, outHeight, outWidth, inputs])
          : stridedSlice(padded, [0, r, s, 0], end, [1, strideY, strideX, 1]);
      taps.push(matMul(transpose(reshape(window, [-1, inputs])), flat));
    }
  }
  return reshape(stack(taps), filterShape);
}
