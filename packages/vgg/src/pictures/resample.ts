import { VggError } from '@vgg/errors';
import type { Picture } from './picture.js';

/** The filters of Pillow's `Image.resize`; all but `nearest` widen when shrinking, which is antialiasing. */
export type Filter = 'nearest' | 'box' | 'bilinear' | 'hamming' | 'bicubic' | 'lanczos';

/** A filter's half-width in pixels, and its weight at a distance `x` from the centre. */
interface Kernel {
  readonly support: number;
  weight(x: number): number;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

const KERNELS: Readonly<Record<Exclude<Filter, 'nearest'>, Kernel>> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    weight: (x) => {
      const angle = Math.abs(x) * Math.PI;
      if (x === 0) return 1;
      // Pillow's two constants are single precision.
      return Math.abs(x) >= 1 ? 0 : (Math.sin(angle) / angle) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(angle));
    },
  },
  // Keys 1981 with a = -0.5.
  bicubic: {
    support: 2,
    weight: (x) => {
      const a = -0.5;
      const d = Math.abs(x);
      if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** The names of the filters, for messages and for checks. */
export const FILTERS: readonly Filter[] = ['nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos'];

/**
 * Resizes a picture to `width` x `height` pixels, to the byte as Pillow's `Image.resize` does, in Node and in a page alike:
 * columns then rows, each sum in fixed point with 22 fraction bits, rounded and clipped to 8 bits between the two.
 *
 * @throws VggError `VGG_INPUT` for a size that is not whole and positive, `VGG_OPTION` for an unknown filter
 * @example resize(photo, 224, 224, 'bilinear') // { width: 224, height: 224, data: Uint8Array(150528) }
 */
export function resize(picture: Picture, width: number, height: number, filter: Filter): Picture {
  if (!isSide(width) || !isSide(height))
    throw new VggError('VGG_INPUT', `resize: expected whole sizes from 1 to ${MAX_SIDE} pixels, received ${width} x ${height}`);
  if (!FILTERS.includes(filter))
    throw new VggError('VGG_OPTION', `resize: expected one of ${FILTERS.join(', ')} as filter, received ${filter}`);
  if (width === picture.width && height === picture.height) return { width, height, data: picture.data.slice() };
  if (filter === 'nearest') return nearest(picture, width, height);
  let { data } = picture;
  if (width !== picture.width) data = columns(data, picture.width, picture.height, weights(picture.width, width, KERNELS[filter]));
  if (height !== picture.height) data = rows(data, width, weights(picture.height, height, KERNELS[filter]));
  return { width, height, data };
}

/** torchvision's `Resize(size)`: the shorter side to `size` pixels, the longer one in proportion, rounded down. */
export function resizeShorter(picture: Picture, size: number, filter: Filter): Picture {
  const { width, height } = picture;
  const longer = Math.trunc((size * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? resize(picture, size, longer, filter) : resize(picture, longer, size, filter);
}

/** Far above any network's input, low enough that a mistaken size fails here and not in an allocation. */
const MAX_SIDE = 65_535;

function isSide(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= MAX_SIDE;
}

/** Fraction bits of a weight: 32 less 8 for the pixel and 2 for weights beyond 0..1. */
const FRACTION = 22;
const HALF = 1 << (FRACTION - 1);

/** For each output place, the first input place it sees, how many, and their fixed-point weights, `stride` apart. */
interface Weights {
  readonly size: number;
  readonly stride: number;
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly values: Int32Array;
}

function weights(from: number, to: number, kernel: Kernel): Weights {
  const scale = from / to;
  const widened = Math.max(scale, 1);
  const support = kernel.support * widened;
  const stride = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const values = new Int32Array(to * stride);
  const line = new Float64Array(stride);
  for (let place = 0; place < to; place++) {
    const center = (place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const length = Math.min(from, Math.trunc(center + support + 0.5)) - start;
    let sum = 0;
    for (let i = 0; i < length; i++) {
      line[i] = kernel.weight((i + start - center + 0.5) * (1 / widened));
      sum += line[i]!;
    }
    for (let i = 0; i < length; i++) {
      const share = (sum === 0 ? line[i]! : line[i]! / sum) * (1 << FRACTION);
      values[place * stride + i] = Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
    }
    first[place] = start;
    count[place] = length;
  }
  return { size: to, stride, first, count, values };
}

function clip(sum: number): number {
  const value = sum >> FRACTION;
  return value < 0 ? 0 : Math.min(value, 255);
}

/** Horizontal pass: [height, width, 3] -> [height, size, 3]. */
function columns(data: Uint8Array, width: number, height: number, { size, stride, first, count, values }: Weights): Uint8Array {
  const output = new Uint8Array(height * size * 3);
  for (let y = 0, to = 0; y < height; y++) {
    const row = y * width * 3;
    for (let x = 0; x < size; x++, to += 3) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let from = row + first[x]! * 3;
      const end = x * stride + count[x]!;
      for (let i = x * stride; i < end; i++, from += 3) {
        const weight = values[i]!;
        red = (red + Math.imul(data[from]!, weight)) | 0;
        green = (green + Math.imul(data[from + 1]!, weight)) | 0;
        blue = (blue + Math.imul(data[from + 2]!, weight)) | 0;
      }
      output[to] = clip(red);
      output[to + 1] = clip(green);
      output[to + 2] = clip(blue);
    }
  }
  return output;
}

/** Vertical pass: [h, width, 3] -> [size, width, 3], a row of sums at a time. */
function rows(data: Uint8Array, width: number, { size, stride, first, count, values }: Weights): Uint8Array {
  const length = width * 3;
  const output = new Uint8Array(size * length);
  const sums = new Int32Array(length);
  for (let y = 0; y < size; y++) {
    sums.fill(HALF);
    for (let i = 0; i < count[y]!; i++) {
      const weight = values[y * stride + i]!;
      const from = (first[y]! + i) * length;
      for (let x = 0; x < length; x++) sums[x] = sums[x]! + Math.imul(data[from + x]!, weight);
    }
    const to = y * length;
    for (let x = 0; x < length; x++) output[to + x] = clip(sums[x]!);
  }
  return output;
}

function nearest(picture: Picture, width: number, height: number): Picture {
  const xs = nearestPlaces(picture.width, width);
  const ys = nearestPlaces(picture.height, height);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 3) {
      const from = (ys[y]! * picture.width + xs[x]!) * 3;
      data[to] = picture.data[from]!;
      data[to + 1] = picture.data[from + 1]!;
      data[to + 2] = picture.data[from + 2]!;
    }
  }
  return { width, height, data };
}

/** Pillow adds the step up from place to place in doubles; multiplying instead picks another pixel where the sum rounds. */
function nearestPlaces(from: number, to: number): Int32Array {
  const step = from / to;
  const places = new Int32Array(to);
  for (let place = 0, at = step * 0.5; place < to; place++, at += step) places[place] = Math.trunc(at);
  return places;
}
