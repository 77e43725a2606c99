import { VggError } from '@vgg/errors';
import { crop, pad } from './crop.js';
import type { Picture } from './picture.js';
import type { Preprocessing } from './preprocessing.js';
import { type Filter, resize } from './resample.js';

export interface PrepareOptions {
  /** Squash to `size` x `size` with the pipeline's own filter, instead of its resize and crop. */
  size?: number;
  /** The least side that the network takes (32 for five pools). */
  minimum?: number;
  /** The picture's name for messages. */
  name?: string;
}

/** A network's input: float32 [height, width, 3]. */
export interface Prepared {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/**
 * A picture as its weights want it: [h, w, 3] float32.
 *
 * @throws VggError `VGG_INPUT` for a picture that ends below `minimum` or below the crop, `VGG_OPTION` for a wrong `size`
 * @example prepare(photo, PREPROCESSINGS.keras) // { width: 224, height: 224, data: Float32Array(150528) }
 */
export function prepare(picture: Picture, preprocessing: Preprocessing, options: PrepareOptions = {}): Prepared {
  const { width, height, data } = arrange(picture, preprocessing, options);
  const { channelOrder } = preprocessing;
  const tables = [0, 1, 2].map((channel) => normalisation(preprocessing, channel)) as [Float32Array, Float32Array, Float32Array];
  const first = channelOrder === 'bgr' ? 2 : 0;
  const output = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    output[i] = tables[0][data[i + first]!]!;
    output[i + 1] = tables[1][data[i + 1]!]!;
    output[i + 2] = tables[2][data[i + 2 - first]!]!;
  }
  return { width, height, data: output };
}

/** The first half of {@link prepare}: the resized and cropped 8-bit picture. */
export function arrange(picture: Picture, preprocessing: Preprocessing, options: PrepareOptions = {}): Picture {
  const { size, minimum = 1, name = 'the picture' } = options;
  if (size !== undefined && !(Number.isInteger(size) && size > 0))
    throw new VggError('VGG_OPTION', `prepare: expected a whole number of pixels as size, received ${size}`);
  const sized =
    size === undefined ? applyRules(picture, preprocessing, name) : resize(picture, size, size, preprocessing.resize.filter ?? 'bilinear');
  if (sized.width < minimum || sized.height < minimum) {
    const least = size === undefined ? `pass size: ${Math.max(minimum, 32)} or more to enlarge it` : `pass a size of ${minimum} or more`;
    throw new VggError(
      'VGG_INPUT',
      `prepare: ${name}: expected at least ${minimum} x ${minimum} pixels for this network, received ${sized.width} x ${sized.height}; ${least}`,
    );
  }
  return sized;
}

function applyRules(picture: Picture, { resize: rule, crop: side }: Preprocessing, name: string): Picture {
  let sized = picture;
  if (rule.mode === 'squash') sized = resize(picture, rule.size, rule.size, rule.filter);
  else if (rule.mode === 'shorter') sized = resizeShorter(picture, rule.size, rule.filter);
  else if (rule.mode === 'letterbox') sized = letterbox(picture, rule.size, rule.filter, rule.fill ?? 0);
  if (side === undefined) return sized;
  if (sized.width < side || sized.height < side)
    throw new VggError(
      'VGG_INPUT',
      `prepare: ${name}: expected at least ${side} x ${side} pixels to crop from, received ${sized.width} x ${sized.height}; pass size: ${side} to enlarge it`,
    );
  return crop(sized, roundHalfEven((sized.width - side) / 2), roundHalfEven((sized.height - side) / 2), side, side);
}

/** torchvision's `Resize(256)`: the longer side is rounded down. */
function resizeShorter(picture: Picture, size: number, filter: Filter): Picture {
  const { width, height } = picture;
  const longer = Math.trunc((size * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? resize(picture, size, longer, filter) : resize(picture, longer, size, filter);
}

function letterbox(picture: Picture, size: number, filter: Filter, fill: number): Picture {
  const scale = size / Math.max(picture.width, picture.height);
  const width = Math.max(1, Math.round(picture.width * scale));
  const height = Math.max(1, Math.round(picture.height * scale));
  const sized = resize(picture, width, height, filter);
  return pad(sized, Math.floor((size - width) / 2), Math.floor((size - height) / 2), size, size, fill);
}

/** Python's `round`, which torchvision's `center_crop` places its window with: 0.5 -> 0, 1.5 -> 2, 2.5 -> 2. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The 256 results of one channel, each step rounded to float32 as the reference pipelines do. */
function normalisation({ scale, mean, std }: Preprocessing, channel: number): Float32Array {
  const average = Math.fround(mean[channel]!);
  const deviation = Math.fround(std[channel]!);
  return Float32Array.from({ length: 256 }, (_, value) => Math.fround(Math.fround(value * scale) - average) / deviation);
}
