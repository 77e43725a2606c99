import type { RangeOptions, Source } from '../source.js';
import { checkRange } from './checks.js';

/** A part of a source as a source of its own, such as a stored file within a zip archive. Closing it leaves the whole open. */
export function sliceSource(source: Source, start: number, size: number, name: string): Source {
  checkRange(source.name, source.size, start, size);
  return {
    name,
    size,
    ...(source.remote && { remote: true }),
    async read(offset: number, length: number, options?: RangeOptions) {
      checkRange(name, size, offset, length);
      return source.read(start + offset, length, options);
    },
    ...(source.readInto && {
      async readInto(target: Uint8Array, offset: number, options?: RangeOptions) {
        checkRange(name, size, offset, target.length);
        await source.readInto!(target, start + offset, options);
      },
    }),
  };
}
