import { throwIfAborted } from '@vgg/errors';
import type { ReadOptions, Source } from '../source.js';
import { checkRange } from './checks.js';

/** A source over bytes in memory, which must not change while it is in use. */
export function bytesSource(data: ArrayBuffer | Uint8Array, name = 'bytes'): Source {
  // A plain view also of a Buffer, whose own slice would not copy.
  const bytes = data instanceof Uint8Array ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
  return {
    name,
    size: bytes.byteLength,
    async read(offset: number, length: number, options?: ReadOptions) {
      throwIfAborted(options?.signal, name);
      checkRange(name, bytes.byteLength, offset, length);
      return bytes.slice(offset, offset + length);
    },
  };
}
