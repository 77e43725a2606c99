import { VggError } from '@vgg/errors';
import { standardNormal } from '../normal.js';
import type { Random } from '../random.js';
import { crop, pad } from './crop.js';
import type { Picture } from './picture.js';
import { type Filter, resizeShorter } from './resample.js';

type Three = readonly [number, number, number];

/** The axes along which the colours of a set of pictures vary, largest first. */
export interface ColourComponents {
  /** Variances along the axes, of pixels scaled to 0..1. */
  readonly eigenvalues: Three;
  /** The axes as [red, green, blue], each of length 1. */
  readonly eigenvectors: readonly [Three, Three, Three];
}

/** A shift of all pixels of a picture along the axes: 255 times the sum of eigenvector x eigenvalue x a normal draw, in levels. */
export interface ColourShift extends ColourComponents {
  /** Standard deviation of the draws; the paper's is 0.1. */
  readonly deviation: number;
}

/** What is done to a training picture, in this order; what is left out is not done. */
export interface AugmentOptions {
  /** The shorter side to resize to, in pixels, or the least and most between which it is drawn for each picture (the paper's S). */
  readonly scale?: number | readonly [number, number];
  /** Filter of the resize; default bilinear. */
  readonly filter?: Filter;
  /** Zeros put on each of the four sides, in pixels. */
  readonly pad?: number;
  /** Side of the square window whose place is drawn, in pixels. */
  readonly crop?: number;
  /** Mirror every other picture, left to right. */
  readonly flip?: boolean;
  /**
   * Side in pixels of a square that is filled with the picture's mean colour, its centre anywhere in the picture: DeVries and Taylor 2017,
   * "Improved Regularization of Convolutional Neural Networks with Cutout" (arXiv:1708.04552).
   */
  readonly cutout?: number;
  readonly colour?: ColourShift;
}

/** A picture, and what is still to be added to its red, green and blue: fractions of a level, beyond 0..255 too. */
export interface Augmented extends Picture {
  /** In levels of 0..255; left out for none. */
  readonly shift?: Three;
}

/**
 * ImageNet's components as training code hands them down since fb.resnet.torch (0.2175 is the 55.46 levels of other programs).
 * {@link colourPrincipalComponents} gives those of other pictures.
 */
export const IMAGENET_COLOURS: ColourComponents = {
  eigenvalues: [0.2175, 0.0188, 0.0045],
  eigenvectors: [
    [-0.5675, -0.5808, -0.5836],
    [0.7192, -0.0045, -0.6948],
    [0.4009, -0.814, 0.4203],
  ],
};

/**
 * Section 3.1 of the paper for its jittered nets; for a fixed S pass `{ ...AUGMENTATIONS.paper, scale: 256 }`. CIFAR-10's usual way beside it,
 * without and with a cutout.
 */
export const AUGMENTATIONS = {
  paper: { scale: [256, 512], crop: 224, flip: true, colour: { deviation: 0.1, ...IMAGENET_COLOURS } },
  cifar: { pad: 4, crop: 32, flip: true },
  cutout: { pad: 4, crop: 32, flip: true, cutout: 12 },
} as const satisfies Record<string, AugmentOptions>;

/**
 * A random variant of a training picture, as the options say. The pixels stay 8-bit; a colour shift is not rounded into them but given
 * beside them, for {@link normalise} to add, or for `shifted` to apply where a person is to see it.
 *
 * @param random of this picture alone: `random(derivedSeed(seed, epoch, index))` gives the same variant in any order and on any thread
 * @throws VggError `VGG_OPTION` for wrong options, `VGG_INPUT` for a picture smaller than the crop
 * @example
 * augment(photo, AUGMENTATIONS.paper, random(1)); // { width: 224, height: 224, data: Uint8Array(150528), shift: [2.1, 2.0, 2.3] }
 */
export function augment(picture: Picture, options: AugmentOptions, random: Random): Augmented {
  checkAugmentation(options);
  const { scale, filter = 'bilinear', pad: border = 0, crop: side, flip, cutout, colour } = options;
  let result = picture;
  if (scale !== undefined) {
    const [least, most] = typeof scale === 'number' ? [scale, scale] : scale;
    result = resizeShorter(result, least + random.below(most - least + 1), filter);
  }
  if (border > 0) result = pad(result, border, border, result.width + 2 * border, result.height + 2 * border, 0);
  if (side !== undefined) {
    const { width, height } = result;
    if (width < side || height < side)
      throw new VggError(
        'VGG_INPUT',
        `augment: expected at least ${side} x ${side} pixels to crop from, received ${width} x ${height}; pass scale: ${side} or more`,
      );
    result = crop(result, random.below(width - side + 1), random.below(height - side + 1), side, side);
  }
  if (flip && random.below(2) === 1) result = mirrored(result);
  if (cutout) result = cutOut(result, cutout, random.below(result.width), random.below(result.height));
  const { width, height, data } = result;
  return colour ? { width, height, data, shift: drawShift(colour, random) } : { width, height, data };
}

/** @throws VggError `VGG_OPTION` saying which option is wrong: once, before a run, instead of at its first picture */
export function checkAugmentation({ scale, pad: border, crop: side, cutout, colour }: AugmentOptions): void {
  const least = typeof scale === 'object' ? scale[0] : scale;
  if (scale !== undefined) {
    const sides = typeof scale === 'object' ? [...scale] : [scale];
    if (!sides.every(isSide) || (typeof scale === 'object' && !(sides.length === 2 && sides[0]! <= sides[1]!)))
      throw wrong('scale', 'whole pixels, or the least and most of them', sides);
  }
  if (border !== undefined && !(Number.isInteger(border) && border >= 0 && border <= MAX_SIDE))
    throw wrong('pad', `whole pixels from 0 to ${MAX_SIDE}`, border);
  if (side !== undefined && !isSide(side)) throw wrong('crop', `whole pixels from 1 to ${MAX_SIDE}`, side);
  if (cutout !== undefined && !isSide(cutout)) throw wrong('cutout', `whole pixels from 1 to ${MAX_SIDE}`, cutout);
  if (side !== undefined && least !== undefined && least + 2 * (border ?? 0) < side)
    throw wrong('scale', `at least the crop's ${side} pixels`, least);
  if (!colour) return;
  const { deviation, eigenvalues, eigenvectors } = colour;
  if (!(Number.isFinite(deviation) && deviation >= 0)) throw wrong('colour.deviation', 'a number from 0', deviation);
  for (const [name, three] of [['eigenvalues', eigenvalues] as const, ...eigenvectors.map((axis) => ['eigenvectors', axis] as const)])
    if (!(three.length === 3 && three.every(Number.isFinite))) throw wrong(`colour.${name}`, 'three finite numbers', three);
}

/** The picture with its shift rounded into the pixels and clipped to 0..255, for people to look at. */
export function shifted({ width, height, data, shift }: Augmented): Picture {
  if (!shift) return { width, height, data };
  const clipped = Uint8ClampedArray.from(data, (value, i) => value + shift[i % 3]!);
  return { width, height, data: new Uint8Array(clipped.buffer) };
}

function drawShift({ deviation, eigenvalues, eigenvectors }: ColourShift, random: Random): Three {
  const draw = standardNormal(random);
  const along = eigenvalues.map((value) => 255 * deviation * value * draw());
  const of = (channel: number) => along.reduce((sum, step, axis) => sum + step * eigenvectors[axis]![channel]!, 0);
  return [of(0), of(1), of(2)];
}

function mirrored({ width, height, data }: Picture): Picture {
  const result = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let from = y * width * 3, to = from + (width - 1) * 3, end = from + width * 3; from < end; from += 3, to -= 3) {
      result[to] = data[from]!;
      result[to + 1] = data[from + 1]!;
      result[to + 2] = data[from + 2]!;
    }
  }
  return { width, height, data: result };
}

/** With a square of `side` pixels around (x, y), or what lies in the picture of it, in the picture's mean colour. */
function cutOut({ width, height, data }: Picture, side: number, x: number, y: number): Picture {
  const sums = [0, 0, 0];
  for (let i = 0; i < data.length; i++) sums[i % 3]! += data[i]!;
  const mean = sums.map((sum) => Math.round(sum / (width * height)));
  const result = new Uint8Array(data);
  const [left, top] = [x, y].map((centre) => centre - (side >> 1)) as [number, number];
  for (let row = Math.max(0, top); row < Math.min(height, top + side); row++) {
    for (let column = Math.max(0, left); column < Math.min(width, left + side); column++) result.set(mean, (row * width + column) * 3);
  }
  return { width, height, data: result };
}

/** As `resize` has it. */
const MAX_SIDE = 65_535;
const isSide = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= MAX_SIDE;

function wrong(name: string, expected: string, received: unknown): VggError {
  return new VggError('VGG_OPTION', `augment: expected ${expected} as ${name}, received ${String(received)}`);
}
