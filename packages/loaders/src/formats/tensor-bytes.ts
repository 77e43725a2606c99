import { throwIfAborted, VggError } from '@vgg/errors';
import { countOf, toFloat16 } from '../dtype.js';
import type { TensorToWrite } from '../writer.js';
import { PIECE } from './tensors.js';

/**
 * The bytes of a tensor as it is stored, little-endian, in pieces that hold them until the next is asked for.
 * @throws VggError `VGG_SHAPE` if there are more or fewer values than the shape says
 */
export async function* tensorBytes(
  tensor: Pick<TensorToWrite, 'name' | 'shape' | 'stream'>,
  dtype: 'float32' | 'float16',
  who: string,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  throwIfAborted(signal, who);
  const { name, shape } = tensor;
  const count = countOf(shape, who);
  const wrong = (received: number) =>
    new VggError('VGG_SHAPE', `${who}: expected ${count} values for "${name}" [${shape}], received ${received}`);
  const halves = dtype === 'float16' ? new Uint16Array(Math.min(count, PIECE)) : undefined;
  let received = 0;
  for await (const values of tensor.stream(signal ? { signal } : {})) {
    received += values.length;
    if (received > count) throw wrong(received);
    for (let from = 0; from < values.length; from += PIECE) {
      throwIfAborted(signal, who);
      const piece = values.subarray(from, from + PIECE);
      const bits = halves ? toFloat16(piece, halves.subarray(0, piece.length)) : piece;
      yield new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength);
    }
  }
  if (received !== count) throw wrong(received);
}
