import { shareWork } from '@vgg/errors';
import type { RangeOptions, ReadOptions, Source } from '../source.js';
import { checkRange } from './checks.js';

export interface CacheOptions {
  /** Bytes fetched at a time; reads longer than this go straight through. */
  block?: number;
  /** Blocks kept, the least recently used ones given up first. */
  blocks?: number;
}

/** A page of a file system: an index read in small steps then costs one read per page it touches. */
const CACHE_DEFAULTS = { block: 4096, blocks: 256 };

/** A source whose small reads are served from aligned blocks, so that a reader may take a few bytes at a time. */
export function cachedSource(source: Source, options: CacheOptions = {}): Source {
  const { block, blocks } = { ...CACHE_DEFAULTS, ...options };
  const kept = new Map<number, Promise<Uint8Array>>();

  function fetchBlock(index: number, read?: ReadOptions): Promise<Uint8Array> {
    const known = kept.get(index);
    if (known) {
      kept.delete(index); // to its end: the Map's order is the order of use
      kept.set(index, known);
    }
    const start = index * block;
    const fetched = shareWork(kept, index, () => source.read(start, Math.min(block, source.size - start), read), {
      signal: read?.signal,
      who: source.name,
    });
    if (kept.size > blocks) kept.delete(kept.keys().next().value!);
    return fetched;
  }

  return {
    name: source.name,
    size: source.size,
    async read(offset: number, length: number, read?: RangeOptions) {
      checkRange(source.name, source.size, offset, length);
      if (read?.fresh) {
        for (const index of kept.keys()) if (index * block < offset + length && (index + 1) * block > offset) kept.delete(index);
        return source.read(offset, length, read);
      }
      if (length > block) return source.read(offset, length, read);
      const out = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const index = Math.floor((offset + done) / block);
        const from = offset + done - index * block;
        const bytes = (await fetchBlock(index, read)).subarray(from, from + length - done);
        out.set(bytes, done);
        done += bytes.length;
      }
      return out;
    },
    // Who reads in pieces reads each byte once.
    ...(source.readInto && { readInto: (target, offset, read) => source.readInto!(target, offset, read) }),
    ...(source.remote && { remote: true }),
    sibling: source.sibling && ((name, read) => source.sibling!(name, read)),
    close: source.close && (() => source.close!()),
  };
}
