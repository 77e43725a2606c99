import { VggError } from '@vgg/errors';
import type { Augmented } from './augment.js';
import { crop, pad } from './crop.js';
import type { Picture } from './picture.js';
import type { Preprocessing } from './preprocessing.js';
import { type Filter, resize, resizeShorter } from './resample.js';

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
  return normalise(arrange(picture, preprocessing, options), preprocessing);
}

/**
 * The second half of {@link prepare}: the pixels in the weights' channel order as `(value * scale - mean) / std`, float32, with the colour
 * shift of an augmented picture added to the value first.
 */
export function normalise({ width, height, data, shift }: Augmented, preprocessing: Preprocessing): Prepared {
  const bgr = preprocessing.channelOrder === 'bgr';
  const tables = [0, 1, 2].map((channel) => normalisation(preprocessing, channel, shift?.[bgr ? 2 - channel : channel] ?? 0)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const first = bgr ? 2 : 0;
  const output = new Float32Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    output[i] = tables[0][data[i + first]!]!;
    output[i + 1] = tables[1][data[i + 1]!]!;
    output[i + 2] = tables[2][data[i + 2 - first]!]!;
  }
  return { width, height, data: output };
}

/**
 * A network's input, or anything else of its kind, as a picture again: the inverse of {@link normalise}, rounded to whole levels and
 * clipped to 0..255.
 *
 * @param values [height, width, 3], in the channel order of the preprocessing
 * @throws VggError `VGG_SHAPE` for values that do not fill the sizes
 * @example deprocess(prepare(photo, PREPROCESSINGS.keras), PREPROCESSINGS.keras) // the 224 x 224 pixels that the network saw
 */
export function deprocess({ width, height, data }: Prepared, { channelOrder, scale, mean, std }: Preprocessing): Picture {
  if (data.length !== width * height * 3)
    throw new VggError(
      'VGG_SHAPE',
      `deprocess: expected ${width} x ${height} x 3 = ${width * height * 3} values, received ${data.length}; pass one picture at a time`,
    );
  const pixels = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i++) {
    const channel = i % 3;
    const place = channelOrder === 'bgr' ? i + 2 - 2 * channel : i;
    pixels[place] = (data[i]! * std[channel]! + mean[channel]!) / scale;
  }
  return { width, height, data: new Uint8Array(pixels.buffer) };
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
function normalisation({ scale, mean, std }: Preprocessing, channel: number, shift: number): Float32Array {
  const average = Math.fround(mean[channel]!);
  const deviation = Math.fround(std[channel]!);
  return Float32Array.from({ length: 256 }, (_, value) => Math.fround(Math.fround((value + shift) * scale) - average) / deviation);
}
