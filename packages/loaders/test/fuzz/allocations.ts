/** The types that memory is made by, of a length that a file may have told. */
const TYPES = [
  'ArrayBuffer',
  'Uint8Array',
  'Float32Array',
  'Int32Array',
  'Uint32Array',
  'Float64Array',
  'Int8Array',
  'Uint16Array',
] as const;

/** Beyond what deflate can make of a file of this size, and what the readers take for their windows, nothing may be allocated at once. */
const MAX_RATIO = 1032;
const ALLOWANCE = 32 * 2 ** 20;

export interface Allocations {
  /** @throws Error if more was allocated at once since the last call than a file of `size` bytes can be a reason for */
  check(size: number): void;
  /** The largest number of bytes allocated at once since the last call, and all together. */
  taken(): { largest: number; total: number };
  restore(): void;
}

/** Counts what is allocated by number, from now on. */
export function watchAllocations(): Allocations {
  let largest = 0;
  let total = 0;
  const originals = TYPES.map((name) => [name, globalThis[name]] as const);
  for (const [name, original] of originals) {
    const type = original as unknown as new (...args: unknown[]) => object;
    const width = (original as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    const counting: typeof type = new Proxy(type, {
      construct(target, args, newTarget): object {
        if (typeof args[0] === 'number') {
          largest = Math.max(largest, args[0] * width);
          total += args[0] * width;
        }
        return Reflect.construct(target, args, newTarget === counting ? target : newTarget) as object;
      },
    });
    Object.defineProperty(globalThis, name, { value: counting, configurable: true, writable: true });
  }
  const taken = () => {
    const found = { largest, total };
    largest = 0;
    total = 0;
    return found;
  };
  return {
    taken,
    check(size) {
      const { largest: found } = taken();
      if (found > size * MAX_RATIO + ALLOWANCE) throw new Error(`allocated ${found} bytes at once for a file of ${size}`);
    },
    restore() {
      for (const [name, value] of originals) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    },
  };
}
