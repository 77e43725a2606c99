import { toFloat32 } from '../../dtype.js';
import type { DType } from '../../format.js';

/**
 * The numbers of a list of varints as values of a type, as the tensors of ONNX and TensorFlow keep them: 16-bit floats are their bits,
 * unsigned numbers of 64 bits may look negative.
 */
export function varintValues(numbers: readonly number[], dtype: DType): Float32Array {
  if (dtype === 'float16' || dtype === 'bfloat16') {
    const bytes = new Uint8Array(numbers.length * 2);
    for (const [i, value] of numbers.entries()) bytes.set([value & 255, (value >> 8) & 255], 2 * i);
    return toFloat32(bytes, dtype);
  }
  const range = dtype === 'uint64' ? 2 ** 64 : 2 ** 32;
  const out = new Float32Array(numbers.length);
  for (const [i, value] of numbers.entries()) out[i] = dtype.startsWith('uint') && value < 0 ? value + range : value;
  return out;
}
