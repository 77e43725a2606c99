import { VggError } from '@vgg/errors';

/**
 * Weights at a quarter of their size: whole numbers of -127 to 127 and one scale for each output channel, symmetric around zero
 * (Jacob et al. 2018, arXiv:1712.05877, section 3, without a zero point; per channel as Krishnamoorthi 2018, arXiv:1806.08342).
 */
export interface Int8Values {
  readonly values: Int8Array<ArrayBuffer>;
  /** A value is its whole number times the scale of its output channel; always above 0. */
  readonly scales: Float32Array<ArrayBuffer>;
}

/** The largest whole number; -128 is left out, so that w and -w are stored alike. */
const LEVELS = 127;
/** The least positive float32: what a scale is at least, where the division by 127 would make it 0. */
const LEAST = 2 ** -149;
/** Added and taken away again, it rounds a float64 below 2 ** 51 to a whole number, half to even, as ONNX's QuantizeLinear does. */
const ROUND = 1.5 * 2 ** 52;

/**
 * Quantises weights of which the last axis is the output channel, as the canonical layouts have it: [kh, kw, in, out] and [in, out].
 * Each scale is the channel's largest magnitude / 127 as float32, or 1 where all its values are 0; each value is divided by it and rounded
 * to the nearest, half to even. The error of a value is at most half its channel's scale.
 *
 * @throws VggError `VGG_SHAPE` if the channels do not divide the values, `VGG_OPTION` for values that are not finite
 * @example
 * quantizeInt8(Float32Array.of(1.27, 0.5, -0.63, -1), 2) // values [127, 64, -63, -127], scales [0.01, 1 / 127]
 */
export function quantizeInt8(values: Float32Array, channels: number): Int8Values {
  const scales = int8Scales(values, channels);
  return { values: quantizeBy(values, scales), scales };
}

/** The scales alone, for values that are then quantised in pieces of whole rows by {@link quantizeBy}. */
export function int8Scales(values: Float32Array, channels: number): Float32Array<ArrayBuffer> {
  checkChannels(values.length, channels);
  const largest = new Float32Array(channels);
  let finite = true;
  for (let at = 0; at < values.length; at += channels) {
    for (let c = 0; c < channels; c++) {
      const magnitude = Math.abs(values[at + c]!);
      if (magnitude > largest[c]!) largest[c] = magnitude;
      if (!(magnitude < Number.POSITIVE_INFINITY)) finite = false;
    }
  }
  if (!finite) throw notFinite();
  return largest.map(scaleOf);
}

/** Values, of which the last axis is the output channel, divided by the scales of their channels and rounded. */
export function quantizeBy(values: Float32Array, scales: Float32Array, out = new Int8Array(values.length)): Int8Array<ArrayBuffer> {
  const channels = scales.length;
  checkChannels(values.length, channels);
  for (let at = 0; at < values.length; at += channels) {
    for (let c = 0; c < channels; c++) out[at + c] = nearest(values[at + c]!, scales[c]!);
  }
  return out;
}

/** The same for values of which the first axis is the output channel, as ONNX has them: `channels` rows, one after another. */
export function quantizeRowsInt8(values: Float32Array, channels: number): Int8Values {
  checkChannels(values.length, channels);
  const row = channels === 0 ? 0 : values.length / channels;
  const scales = new Float32Array(channels);
  const out = new Int8Array(values.length);
  for (let c = 0; c < channels; c++) {
    const end = (c + 1) * row;
    let largest = 0;
    for (let i = c * row; i < end; i++) {
      const magnitude = Math.abs(values[i]!);
      if (!(magnitude < Number.POSITIVE_INFINITY)) throw notFinite();
      if (magnitude > largest) largest = magnitude;
    }
    const scale = scaleOf(largest);
    scales[c] = scale;
    for (let i = c * row; i < end; i++) out[i] = nearest(values[i]!, scale);
  }
  return { values: out, scales };
}

/**
 * The values again, each its whole number times the scale of its output channel (the last axis), rounded to float32.
 * @throws VggError `VGG_SHAPE` if the scales do not divide the values
 */
export function dequantizeInt8(values: Int8Array, scales: Float32Array): Float32Array<ArrayBuffer> {
  const channels = scales.length;
  checkChannels(values.length, channels);
  const out = new Float32Array(values.length);
  for (let at = 0; at < out.length; at += channels) for (let c = 0; c < channels; c++) out[at + c] = values[at + c]! * scales[c]!;
  return out;
}

function scaleOf(largest: number): number {
  return largest === 0 ? 1 : Math.max(Math.fround(largest / LEVELS), LEAST);
}

/** The scale is rounded, so that the largest value may be a little over 127 of it; it rounds to 127 all the same. */
function nearest(value: number, scale: number): number {
  return value / scale + ROUND - ROUND;
}

/** @throws VggError `VGG_SHAPE` where the values are not as many for each channel */
export function checkChannels(count: number, channels: number, what = 'int8: expected one scale'): void {
  if (!Number.isSafeInteger(channels) || channels < 0 || (channels === 0 ? count > 0 : count % channels !== 0)) {
    throw new VggError('VGG_SHAPE', `${what} for each output channel of ${count} values, received ${channels} channels`);
  }
}

function notFinite(): VggError {
  return new VggError('VGG_OPTION', 'int8: expected finite values to quantise, received NaN or Infinity; write them as float32');
}
