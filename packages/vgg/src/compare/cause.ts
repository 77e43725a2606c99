import { dequantizeInt4, dequantizeInt8, quantizeInt4, quantizeInt8, toFloat16, toFloat32, type WeightSpec } from '@vgg/loaders';

/** Why two sets of values of a layer differ, where that shows. */
export type Cause =
  | 'bgr-rgb'
  | 'scale'
  | 'mean'
  | 'preprocessing'
  | 'fc6-order'
  | 'flipped-filters'
  | 'permuted-outputs'
  | 'float16'
  | 'int8'
  | 'int4';

export interface Reason {
  readonly cause: Cause;
  /** As the end of a sentence about the layer. */
  readonly reason: string;
}

/** Values that differ by no more than this part of the largest are the same but for rounding. */
const ROUNDING = 1e-5;

/**
 * What a layer's weights, [kh, kw, in, out] or [in, out] in both, tell of why they differ.
 * @param isInput whether the layer takes the picture
 */
export function causeOf(spec: WeightSpec, a: Float32Array, b: Float32Array, isInput: boolean): Reason | undefined {
  return (
    (isInput ? colours(spec, a, b) : undefined) ?? mirrored(spec, a, b) ?? rows(spec, a, b) ?? rounded(spec, a, b) ?? outputs(spec, a, b)
  );
}

/** The channels of the picture the other way round, or each of them scaled. */
function colours(spec: WeightSpec, a: Float32Array, b: Float32Array): Reason | undefined {
  if (spec.shape.length !== 4) return undefined;
  const [, , channels, out] = spec.shape as unknown as [number, number, number, number];
  const straight = factors(a, b, channels, out, (c) => c);
  const turned = factors(a, b, channels, out, (c) => channels - 1 - c);
  const isOne = (all: readonly number[]) => all.every((factor) => Math.abs(factor - 1) < ROUNDING);
  if (channels > 1 && turned && isOne(turned))
    return {
      cause: 'bgr-rgb',
      reason: 'holds the same filters with the colour channels the other way round: one set is for BGR, the other for RGB',
    };
  if (straight && !isOne(straight))
    return {
      cause: 'scale',
      reason: `holds the same filters, times ${shown(straight)} in the second: one set is for pictures on another scale`,
    };
  if (channels > 1 && turned)
    return {
      cause: 'bgr-rgb',
      reason: `holds the same filters with the colour channels the other way round, times ${shown(turned)} in the second: one set is for BGR, the other for RGB, and on another scale`,
    };
  return undefined;
}

function shown(factors: readonly number[]): string {
  const all = factors.map((factor) => String(Number(factor.toPrecision(4))));
  return new Set(all).size === 1 ? all[0]! : `${all.join(', ')} (by channel)`;
}

/** By what each channel of `a` is multiplied to give the channel of `b` that `to` names; undefined where it is not just multiplied. */
function factors(a: Float32Array, b: Float32Array, channels: number, out: number, to: (c: number) => number): number[] | undefined {
  const dots = new Float64Array(channels);
  const squares = new Float64Array(channels);
  const other = (i: number, c: number) => i + (to(c) - c) * out;
  const channelOf = (i: number) => Math.floor(i / out) % channels;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const c = channelOf(i);
    dots[c]! += a[i]! * b[other(i, c)]!;
    squares[c]! += a[i]! ** 2;
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  const found = Array.from(dots, (dot, c) => dot / (squares[c]! || 1));
  if (found.some((factor) => !(factor > 0))) return undefined;
  for (let i = 0; i < a.length; i++) {
    const c = channelOf(i);
    if (!(Math.abs(a[i]! * found[c]! - b[other(i, c)]!) <= ROUNDING * largest)) return undefined;
  }
  return found;
}

/** Filters turned by half a circle, as a convolution of mathematics (Theano's) has them. */
function mirrored({ shape }: WeightSpec, a: Float32Array, b: Float32Array): Reason | undefined {
  if (shape.length !== 4 || shape[0]! * shape[1]! === 1) return undefined;
  const cells = shape[0]! * shape[1]!;
  const size = a.length / cells;
  const isTurned = every(a.length, (i) => a[i] === b[(cells - 1 - Math.floor(i / size)) * size + (i % size)]);
  return isTurned
    ? {
        cause: 'flipped-filters',
        reason:
          'holds the same filters turned by half a circle: one set is of a program that convolves (Theano), the other of one that correlates',
      }
    : undefined;
}

/** The first dense layer's rows in the order C, H, W in one set and H, W, C in the other. */
function rows({ shape, flattenedFrom }: WeightSpec, a: Float32Array, b: Float32Array): Reason | undefined {
  if (!flattenedFrom || flattenedFrom[0] * flattenedFrom[1] === 1) return undefined;
  const [h, w, channels] = flattenedFrom;
  const out = shape[1]!;
  const cells = h * w;
  const same = (x: Float32Array, y: Float32Array) =>
    every(h * w * channels, (row) => {
      const other = (row % channels) * cells + Math.floor(row / channels);
      for (let o = 0; o < out; o++) if (x[row * out + o] !== y[other * out + o]) return false;
      return true;
    });
  const odd = same(a, b) ? 'second' : same(b, a) ? 'first' : undefined;
  return (
    odd && { cause: 'fc6-order', reason: `holds the same rows in another order: in the ${odd} they are those of a map flattened as C,H,W` }
  );
}

function rounded({ shape }: WeightSpec, a: Float32Array, b: Float32Array): Reason | undefined {
  const half = isHalf(a, b) ? 'second' : isHalf(b, a) ? 'first' : undefined;
  if (half) return { cause: 'float16', reason: `holds the same values, rounded to float16 in the ${half}` };
  if (![a, b].every((values) => values.every(Number.isFinite))) return undefined;
  const isInt8 = (x: Float32Array, y: Float32Array) => {
    const { values, scales } = quantizeInt8(x, shape.at(-1)!);
    const back = dequantizeInt8(values, scales);
    return every(back.length, (i) => back[i] === y[i]);
  };
  const small = isInt8(a, b) ? 'second' : isInt8(b, a) ? 'first' : undefined;
  if (small) return { cause: 'int8', reason: `holds the same values, rounded to int8 in the ${small}` };
  const few = isPalette(a, b, shape.at(-1)!) ? 'second' : isPalette(b, a, shape.at(-1)!) ? 'first' : undefined;
  return few && { cause: 'int4', reason: `holds the same values, rounded to int4 (16 values for each output channel) in the ${few}` };
}

/** Whether `y` has at most 16 values for each output channel, and of them the palette that `x` has. */
function isPalette(x: Float32Array, y: Float32Array, channels: number): boolean {
  const found = Array.from({ length: channels }, () => new Set<number>());
  // The palette is looked for only where it may be: for a dense layer that takes some seconds.
  if (!every(y.length, (i) => found[i % channels]!.add(y[i]!).size <= 16)) return false;
  const { indices, palettes } = quantizeInt4(x, channels);
  const back = dequantizeInt4(indices, palettes, new Float32Array(x.length));
  return every(back.length, (i) => back[i] === y[i]);
}

/** The same filters in another order of the outputs. */
function outputs({ shape }: WeightSpec, a: Float32Array, b: Float32Array): Reason | undefined {
  const out = shape.at(-1)!;
  const digests = (values: Float32Array) => {
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
    const sums = new Uint32Array(out);
    for (let i = 0; i < words.length; i++) sums[i % out] = Math.imul(sums[i % out]!, 0x01000193) ^ words[i]!;
    return [...sums].sort((x, y) => x - y);
  };
  const others = digests(b);
  return digests(a).every((digest, i) => digest === others[i])
    ? { cause: 'permuted-outputs', reason: 'holds the same filters in another order of the output channels' }
    : undefined;
}

/** Values at a time: a dense layer has a hundred million. */
const PIECE = 2 ** 16;

function isHalf(x: Float32Array, y: Float32Array): boolean {
  for (let at = 0; at < x.length; at += PIECE) {
    const back = toFloat32(new Uint8Array(toFloat16(x.subarray(at, at + PIECE)).buffer), 'float16');
    if (!every(back.length, (i) => back[i] === y[at + i])) return false;
  }
  return true;
}

function every(count: number, test: (i: number) => boolean): boolean {
  for (let i = 0; i < count; i++) if (!test(i)) return false;
  return true;
}
