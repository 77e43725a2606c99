import type { Codes } from './codes.js';
import { longEntry } from './huffman.js';

/** Farthest that a copy reaches back. */
export const WINDOW = 2 ** 15;
/** Longest copy. */
export const MAX_COPY = 258;
/** Bytes that a literal or a copy takes at most, some of them into the bits that are kept: four times two. */
export const STEP = 8;
/** Bytes that the bits which are kept may be ahead of those that are used: 30 bits. */
export const AHEAD = 3;

/** Of the symbols from 257 on: the least length of the copy, and how many bits are added to it (RFC 1951, section 3.2.5). */
const LENGTHS = table([0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5], 3);
const DISTANCES = table([0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13], 1);

function table(extra: readonly number[], least: number): { base: Uint16Array; extra: Uint8Array } {
  let base = least;
  const bases = extra.map((bits) => {
    const own = base;
    base += 2 ** bits;
    return own;
  });
  return { base: Uint16Array.from(bases), extra: Uint8Array.from(extra) };
}

/** Where a stream stands. */
export interface State {
  /** Packed bytes, read up to `at`; a step may begin up to `end`, behind which there are as many more as one takes. */
  input: Uint8Array;
  at: number;
  end: number;
  /** Bits that are read and not used, the next lowest, and how many. */
  bits: number;
  count: number;
  /** What is unpacked, up to `to`; copies may reach back to `oldest`. */
  readonly window: Uint8Array;
  to: number;
  oldest: number;
}

/**
 * Unpacks until the block ends, or the input, or the room in the window. Returns whether it was the block; undefined if that is corrupt.
 */
export function unpackBlock(state: State, { literals, distances }: Codes): boolean | undefined {
  const { input, end, window, oldest } = state;
  const { table } = literals;
  const mask = table.length - 1;
  const far = distances.table;
  const farMask = far.length - 1;
  const last = window.length - MAX_COPY;
  let { at, bits, count, to } = state;
  let ended: boolean | undefined = false;
  while (at <= end && to <= last) {
    if (count < 15) {
      bits |= (input[at]! | (input[at + 1]! << 8)) << count;
      at += 2;
      count += 16;
    }
    let entry = table[bits & mask]!;
    if (entry === 0) entry = longEntry(literals, bits);
    if (entry === 0) {
      ended = undefined;
      break;
    }
    bits >>>= entry & 15;
    count -= entry & 15;
    if (entry < 256 * 16) {
      window[to++] = entry >> 4;
      continue;
    }
    if (entry < 257 * 16) {
      ended = true;
      break;
    }
    if (count < 15) {
      bits |= (input[at]! | (input[at + 1]! << 8)) << count;
      at += 2;
      count += 16;
    }
    const symbol = (entry >> 4) - 257;
    let length = 258;
    if (symbol < 28) {
      const extra = LENGTHS.extra[symbol]!;
      length = LENGTHS.base[symbol]! + (bits & ((1 << extra) - 1));
      bits >>>= extra;
      count -= extra;
    } else if (symbol > 28) {
      ended = undefined;
      break;
    }
    if (count < 15) {
      bits |= (input[at]! | (input[at + 1]! << 8)) << count;
      at += 2;
      count += 16;
    }
    entry = far[bits & farMask]!;
    if (entry === 0) entry = longEntry(distances, bits);
    bits >>>= entry & 15;
    count -= entry & 15;
    if (count < 15) {
      bits |= (input[at]! | (input[at + 1]! << 8)) << count;
      at += 2;
      count += 16;
    }
    const near = entry >> 4;
    if (entry === 0 || near > 29) {
      ended = undefined;
      break;
    }
    const more = DISTANCES.extra[near]!;
    let from = to - DISTANCES.base[near]! - (bits & ((1 << more) - 1));
    bits >>>= more;
    count -= more;
    if (from < oldest) {
      ended = undefined;
      break;
    }
    for (const stop = to + length; to < stop; ) window[to++] = window[from++]!;
  }
  Object.assign(state, { at, bits, count, to });
  return ended;
}
