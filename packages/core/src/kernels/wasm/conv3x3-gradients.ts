import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import type { ConvCall } from './conv3x3-engine.js';
import type { FilterGradientCall } from './filter-gradient-3x3.js';
import type { KernelArguments } from './override.js';

type Shape = [number, number, number, number];

/** The attributes of tfjs's gradients of a convolution. */
interface GradientAttributes {
  strides: number | [number, number];
  pad: 'same' | 'valid' | number;
  dataFormat?: string;
  dimRoundingMode?: 'floor';
  inputShape?: Shape;
  filterShape?: Shape;
  /** Of ours alone: the sums of `dy` over all places are wanted with the gradient of the filter. */
  sums?: boolean;
}

/** The gradient of a 3x3 convolution's input, as a convolution; undefined where the gradient is not one of ours. */
export function inputGradient({ inputs, attrs }: KernelArguments): ConvCall | undefined {
  const { dy, filter, y } = inputs as Record<'dy' | 'filter' | 'y', TensorInfo | undefined>;
  const { inputShape } = attrs as unknown as GradientAttributes;
  if (!dy || !filter || !inputShape || filter.dtype !== 'float32') return undefined;
  const forward = forwardOf(inputShape, filter.shape as Shape, dy, y, attrs as unknown as GradientAttributes);
  // Further zeros would be a negative padding here.
  if (!forward || forward.padInfo.top > 2 || forward.padInfo.left > 2) return undefined;
  return {
    x: dy,
    filter,
    bias: undefined,
    relu: false,
    flipped: true,
    mask: y,
    info: {
      batchSize: forward.batchSize,
      inHeight: forward.outHeight,
      inWidth: forward.outWidth,
      inChannels: forward.outChannels,
      outHeight: forward.inHeight,
      outWidth: forward.inWidth,
      outChannels: forward.inChannels,
      outShape: inputShape,
      padInfo: { top: 2 - forward.padInfo.top, left: 2 - forward.padInfo.left },
    },
  };
}

/** The forward convolution that a gradient belongs to; undefined where it is not 3x3 of stride 1, or its tensors are not ours to read. */
function forwardOf(
  inputShape: Shape,
  filterShape: Shape,
  dy: TensorInfo,
  y: TensorInfo | undefined,
  { strides, pad, dataFormat, dimRoundingMode }: GradientAttributes,
): backend_util.Conv2DInfo | undefined {
  if (dy.dtype !== 'float32' || (y && y.dtype !== 'float32') || dataFormat === 'NCHW') return undefined;
  if (inputShape.length !== 4 || filterShape[0] !== 3 || filterShape[1] !== 3 || inputShape[3] !== filterShape[2]) return undefined;
  const info = backend_util.computeConv2DInfo(inputShape, filterShape, strides, 1, pad, dimRoundingMode);
  if (info.strideHeight !== 1 || info.strideWidth !== 1 || [...info.inShape, ...info.outShape].some((size) => size < 1)) return undefined;
  const isOutput = ({ shape }: TensorInfo) => shape.length === 4 && shape.every((size, i) => size === info.outShape[i]);
  return isOutput(dy) && (!y || isOutput(y)) ? info : undefined;
}

/** The gradient of a 3x3 convolution's filter; undefined where it is not one of ours. */
export function filterGradientOf({ inputs, attrs }: KernelArguments): FilterGradientCall | undefined {
  const { x, dy, y } = inputs as Record<'x' | 'dy' | 'y', TensorInfo | undefined>;
  const attributes = attrs as unknown as GradientAttributes;
  if (!x || !dy || !attributes.filterShape || x.dtype !== 'float32') return undefined;
  const info = forwardOf(x.shape as Shape, attributes.filterShape, dy, y, attributes);
  return info && { x, dy, mask: y, sums: attributes.sums === true, info };
}
