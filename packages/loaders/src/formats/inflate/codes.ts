import type { State } from './block.js';
import { type Huffman, huffman } from './huffman.js';

/** Bytes that the head of a block takes at most, rounded up: 74 bits, and 316 lengths of up to 7 bits and 7 more. */
export const HEAD = 640;
/** Literals, the end of the block and lengths of copies; and their distances. */
const MAX_LITERALS = 286;
const MAX_DISTANCES = 30;
const END_OF_BLOCK = 256;
/** The order in which the lengths of the code for lengths come (RFC 1951, section 3.2.7). */
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** The two codes of a block. */
export interface Codes {
  readonly literals: Huffman;
  readonly distances: Huffman;
}

/** The next `length` bits, of 16 at most, as a number. */
export function take(state: State, length: number): number {
  while (state.count < length) {
    state.bits |= state.input[state.at++]! << state.count;
    state.count += 8;
  }
  const value = state.bits & ((1 << length) - 1);
  state.bits >>>= length;
  state.count -= length;
  return value;
}

let fixed: Codes | undefined;

/** Section 3.2.6. */
export function fixedCodes(): Codes {
  const lengths = Uint8Array.from({ length: 288 }, (_, symbol) => (symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8));
  fixed ??= { literals: huffman(lengths)!, distances: huffman(new Uint8Array(32).fill(5))! };
  return fixed;
}

/** Section 3.2.7; undefined for what is none. */
export function dynamicCodes(state: State): Codes | undefined {
  const literals = take(state, 5) + 257;
  const distances = take(state, 5) + 1;
  const count = take(state, 4) + 4;
  if (literals > MAX_LITERALS || distances > MAX_DISTANCES) return undefined;
  const own = new Uint8Array(ORDER.length);
  for (const symbol of ORDER.slice(0, count)) own[symbol] = take(state, 3);
  const code = huffman(own);
  if (!code) return undefined;
  const lengths = new Uint8Array(literals + distances);
  for (let at = 0; at < lengths.length; ) {
    const symbol = next(state, code);
    if (symbol === undefined) return undefined;
    if (symbol < 16) {
      lengths[at++] = symbol;
      continue;
    }
    if (symbol === 16 && at === 0) return undefined;
    const times = symbol === 16 ? 3 + take(state, 2) : symbol === 17 ? 3 + take(state, 3) : 11 + take(state, 7);
    if (at + times > lengths.length) return undefined;
    lengths.fill(symbol === 16 ? lengths[at - 1]! : 0, at, at + times);
    at += times;
  }
  const [first, second] = [huffman(lengths.subarray(0, literals)), huffman(lengths.subarray(literals))];
  return first && second && lengths[END_OF_BLOCK]! > 0 ? { literals: first, distances: second } : undefined;
}

/** A symbol of the code for lengths, whose codes are of 7 bits at most. */
function next(state: State, { table, bits }: Huffman): number | undefined {
  while (state.count < bits) {
    state.bits |= state.input[state.at++]! << state.count;
    state.count += 8;
  }
  const entry = table[state.bits & (table.length - 1)]!;
  if (entry === 0) return undefined;
  state.bits >>>= entry & 15;
  state.count -= entry & 15;
  return entry >> 4;
}
