import type { RangeOptions, Source } from '../source.js';

/** Fills `target` with the bytes from `offset` on: in place where the source can, else with a copy of what it reads. */
export async function readInto(source: Source, target: Uint8Array, offset: number, options?: RangeOptions): Promise<void> {
  if (source.readInto) await source.readInto(target, offset, options);
  else target.set(await source.read(offset, target.length, options));
}
