import { VggError } from '@vgg/errors';
import type { DType } from './format.js';

/** Bytes of one element; an odd number of int4 takes half a byte more. */
export const DTYPE_BYTES: Readonly<Record<DType, number>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  int4: 0.5,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  bool: 1,
};

/** Most values of one tensor: fc6 of VGG-16 has 103 million; this is 1 GiB of float32, which every engine can still allocate. */
const MAX_VALUES = 2 ** 28;
/** Most axes of a tensor: filters have four. */
const MAX_RANK = 8;

/**
 * The number of values of a stranger's shape.
 * @throws VggError `VGG_INTEGRITY` if it is no list of whole numbers, or past {@link MAX_VALUES} or {@link MAX_RANK}
 */
export function countOf(shape: readonly number[], who: string): number {
  const some = shape.slice(0, MAX_RANK + 1); // of a stranger's shape an error shows no more
  let count = 1;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new VggError('VGG_INTEGRITY', `${who}: expected a shape of whole numbers, received [${some}]`);
    }
    count *= size;
  }
  if (shape.length > MAX_RANK || count > MAX_VALUES) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected at most ${MAX_VALUES} values on ${MAX_RANK} axes, received shape [${some}]`);
  }
  return count;
}

const LITTLE_ENDIAN_HOST = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Whether stored bytes are float32 values as they are. */
export function isNativeFloat32(dtype: DType, littleEndian: boolean): boolean {
  return dtype === 'float32' && littleEndian === LITTLE_ENDIAN_HOST;
}

/**
 * Stored bytes as float32; those of little-endian float32 are taken over without a copy where they are aligned.
 * Values that float32 cannot hold are rounded to the nearest that it can.
 *
 * @throws VggError `VGG_OPTION` for int4, see `dequantizeInt4`
 */
export function toFloat32(bytes: Uint8Array, dtype: DType, littleEndian = true): Float32Array<ArrayBuffer> {
  if (dtype === 'int4')
    throw new VggError('VGG_OPTION', 'toFloat32: expected values, received int4, which are nothing without their palettes');
  const size = DTYPE_BYTES[dtype];
  const count = Math.floor(bytes.length / size);
  if (isNativeFloat32(dtype, littleEndian)) {
    if (bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, count);
    return new Float32Array(new Uint8Array(bytes.subarray(0, count * 4)).buffer);
  }
  if (dtype === 'float16' || dtype === 'bfloat16') return widen(bytes, count, dtype, littleEndian);
  const view = new DataView(bytes.buffer, bytes.byteOffset, count * size);
  const get = GETTERS[dtype];
  const out = new Float32Array(count);
  for (let i = 0; i < count; i++) out[i] = get(view, i * size, littleEndian);
  return out;
}

const GETTERS: Readonly<Record<Exclude<DType, 'float16' | 'bfloat16' | 'int4'>, (view: DataView, at: number, little: boolean) => number>> =
  {
    float64: (view, at, little) => view.getFloat64(at, little),
    float32: (view, at, little) => view.getFloat32(at, little),
    int64: (view, at, little) => Number(view.getBigInt64(at, little)),
    int32: (view, at, little) => view.getInt32(at, little),
    int16: (view, at, little) => view.getInt16(at, little),
    int8: (view, at) => view.getInt8(at),
    uint8: (view, at) => view.getUint8(at),
    uint16: (view, at, little) => view.getUint16(at, little),
    uint32: (view, at, little) => view.getUint32(at, little),
    uint64: (view, at, little) => Number(view.getBigUint64(at, little)),
    bool: (view, at) => (view.getUint8(at) === 0 ? 0 : 1),
  };

/** IEEE 754 binary16: 1 sign, 5 exponent (bias 15) and 10 fraction bits. */
function float16ToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

let halves: Float32Array | undefined;

/** Both 16-bit floats: bfloat16 is the upper half of a float32, float16 is looked up, since a dense layer has a hundred million of them. */
function widen(bytes: Uint8Array, count: number, dtype: 'float16' | 'bfloat16', littleEndian: boolean): Float32Array<ArrayBuffer> {
  const out = new Float32Array(count);
  const bits = new Uint32Array(out.buffer);
  const [low, high] = littleEndian ? [0, 1] : [1, 0];
  halves ??= Float32Array.from({ length: 65536 }, (_, half) => float16ToNumber(half));
  for (let i = 0; i < count; i++) {
    const word = bytes[2 * i + low]! | (bytes[2 * i + high]! << 8);
    if (dtype === 'float16') out[i] = halves[word]!;
    else bits[i] = word << 16;
  }
  return out;
}

/** Rounds float32 values to the nearest binary16, ties to even; past 65504 they become infinite. Returns the bits, one value in two bytes. */
export function toFloat16(values: Float32Array, out = new Uint16Array(values.length)): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < out.length; i++) {
    const word = bits[i]!;
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    if (magnitude > 0x7f800000) out[i] = sign | 0x7e00;
    else if (magnitude >= 0x477ff000) out[i] = sign | 0x7c00;
    else if (magnitude >= 0x38800000) out[i] = sign | roundShift(magnitude - 0x38000000, 13);
    else if (magnitude < 0x33000000) out[i] = sign;
    else out[i] = sign | roundShift((magnitude & 0x7fffff) | 0x800000, 126 - (magnitude >>> 23));
  }
  return out;
}

/** `value >> shift`, rounded to the nearest, ties to even. */
function roundShift(value: number, shift: number): number {
  const half = 2 ** (shift - 1);
  const kept = Math.floor(value / (2 * half));
  const rest = value - kept * 2 * half;
  return rest > half || (rest === half && kept & 1) ? kept + 1 : kept;
}
