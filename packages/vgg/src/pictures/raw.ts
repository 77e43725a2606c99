import { VggError } from '@vgg/errors';
import type { Picture } from './picture.js';

/** Decoded 8-bit pixels, rows from the top: 1 (grey), 3 (RGB) or 4 (RGBA, alpha dropped) bytes a pixel. */
export interface RawImage {
  readonly data: Uint8Array | Uint8ClampedArray | ArrayBuffer;
  readonly width: number;
  readonly height: number;
  /** Default: as many as `data` has bytes for. */
  readonly channels?: 1 | 3 | 4;
}

/** What is used of a tfjs tensor, so that any copy of tfjs will do. */
export interface TensorLike {
  readonly shape: readonly number[];
  readonly dtype: string;
  data(): Promise<ArrayLike<number>>;
}

export function isRawImage(value: unknown): value is RawImage {
  if (typeof value !== 'object' || value === null) return false;
  const { data, width, height } = value as Partial<RawImage>;
  return (
    (ArrayBuffer.isView(data) || Object.prototype.toString.call(data) === '[object ArrayBuffer]') &&
    width !== undefined &&
    height !== undefined
  );
}

export function isTensor(value: unknown): value is TensorLike {
  if (typeof value !== 'object' || value === null) return false;
  const { shape, data } = value as Partial<TensorLike>;
  return Array.isArray(shape) && typeof data === 'function';
}

/**
 * Raw pixels as a picture, copied at once: the caller may draw over its buffer afterwards.
 * @throws VggError `VGG_INPUT` if the bytes do not match the sizes
 */
export function fromRaw(image: RawImage, name: string): Picture {
  const { width, height } = image;
  const bytes = ArrayBuffer.isView(image.data) ? image.data : new Uint8Array(image.data);
  if (bytes.BYTES_PER_ELEMENT !== 1)
    throw new VggError(
      'VGG_INPUT',
      `decode: ${name}: expected 8-bit pixels in a Uint8Array, received ${bytes.constructor.name}; scale them to 0..255`,
    );
  if (!isSize(width) || !isSize(height))
    throw new VggError('VGG_INPUT', `decode: ${name}: expected a width and height of whole pixels, received ${width} x ${height}`);
  const channels = image.channels ?? bytes.length / (width * height);
  if (channels !== 1 && channels !== 3 && channels !== 4)
    throw new VggError(
      'VGG_INPUT',
      `decode: ${name}: expected 1, 3 or 4 channels, received ${channels} (${bytes.length} bytes for ${width} x ${height})`,
    );
  const expected = width * height * channels;
  if (bytes.length !== expected)
    throw new VggError(
      'VGG_INPUT',
      `decode: ${name}: expected ${width} x ${height} x ${channels} = ${expected} bytes, received ${bytes.length}`,
    );
  return { width, height, data: toRgb(bytes, channels, width * height) };
}

/** Grey spread over three channels, alpha dropped with the colours under it kept: Pillow's `convert('RGB')`. Always a fresh copy. */
function toRgb(bytes: Uint8Array | Uint8ClampedArray, channels: 1 | 3 | 4, pixels: number): Uint8Array {
  if (channels === 3) return new Uint8Array(bytes.subarray(0, pixels * 3));
  const rgb = new Uint8Array(pixels * 3);
  const green = channels === 1 ? 0 : 1;
  const blue = channels === 1 ? 0 : 2;
  for (let i = 0, from = 0, to = 0; i < pixels; i++, from += channels, to += 3) {
    rgb[to] = bytes[from]!;
    rgb[to + 1] = bytes[from + green]!;
    rgb[to + 2] = bytes[from + blue]!;
  }
  return rgb;
}

/**
 * A tensor `[h, w, c]` or `[1, h, w, c]` of 0..255 as a picture; fractions are rounded to the nearest whole value.
 * @throws VggError `VGG_INPUT` for another shape, or for values outside 0..255 or scaled to 0..1
 */
export async function fromTensor(tensor: TensorLike, name: string): Promise<Picture> {
  const shape = tensor.shape.length === 4 && tensor.shape[0] === 1 ? tensor.shape.slice(1) : tensor.shape;
  const [height, width, channels] = shape;
  if (shape.length !== 3 || !isSize(height) || !isSize(width) || (channels !== 1 && channels !== 3 && channels !== 4))
    throw new VggError('VGG_INPUT', `decode: ${name}: expected a tensor [h, w, 3] or [1, h, w, 3], received [${tensor.shape.join(', ')}]`);
  const bytes = toBytes(await tensor.data(), name);
  return { width, height, data: toRgb(bytes, channels, width * height) };
}

/** A batch `[n, h, w, c]` as n raw pictures; its values are read once, when the first is asked for. */
export function splitTensor(tensor: TensorLike): { count: number; picture(index: number, name: string): Promise<Picture> } {
  const [count, ...shape] = tensor.shape as [number, ...number[]];
  const size = shape.reduce((product, side) => product * side, 1);
  let values: Promise<ArrayLike<number>> | undefined;
  const picture = async (index: number, name: string): Promise<Picture> => {
    values ??= tensor.data();
    const part = Array.prototype.slice.call(await values, index * size, (index + 1) * size) as number[];
    return fromTensor({ shape, dtype: tensor.dtype, data: () => Promise.resolve(part) }, name);
  };
  return { count, picture };
}

function toBytes(values: ArrayLike<number>, name: string): Uint8Array {
  const bytes = new Uint8Array(values.length);
  let largest = 0;
  let whole = true;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!(value >= 0 && value <= 255))
      throw new VggError(
        'VGG_INPUT',
        `decode: ${name}: expected tensor values from 0 to 255, received ${value}; pass pixels before any normalisation`,
      );
    if (value > largest) largest = value;
    if (value !== Math.round(value)) whole = false;
    bytes[i] = Math.round(value);
  }
  if (!whole && largest <= 1)
    throw new VggError(
      'VGG_INPUT',
      `decode: ${name}: expected tensor values from 0 to 255, received fractions from 0 to 1; multiply by 255`,
    );
  return bytes;
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0;
}
