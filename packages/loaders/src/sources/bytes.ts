import { throwIfAborted } from '@vgg/errors';
import type { ReadOptions, Source } from '../source.js';
import { checkRange } from './checks.js';

/** A source over bytes in memory, which must not change while it is in use. */
export function bytesSource(data: ArrayBuffer | Uint8Array, name = 'bytes'): Source {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  return {
    name,
    size: bytes.byteLength,
    async read(offset: number, length: number, options?: ReadOptions) {
      throwIfAborted(options?.signal, name);
      checkRange(name, bytes.byteLength, offset, length);
      return Uint8Array.prototype.slice.call(bytes, offset, offset + length); // a Buffer's own slice would not copy
    },
  };
}
