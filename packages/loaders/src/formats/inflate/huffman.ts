/** Longest code (RFC 1951, section 3.2.7). */
const MAX_BITS = 15;
/** Codes up to this length are looked up; of the longer ones, which are rare, the bits are taken one by one. */
const TABLE_BITS = 10;

/** A prefix code (RFC 1951, section 3.2.2). */
export interface Huffman {
  /** By the next bits of the stream: symbol * 16 + length of its code, or 0 where that is longer than `bits`. */
  readonly table: Uint16Array;
  readonly bits: number;
  /** How many codes there are of each length, and the symbols in the order of their codes. */
  readonly counts: Uint16Array;
  readonly symbols: Uint16Array;
}

/** The code of symbols with these lengths, 0 for those that have none; undefined for lengths that no code has. */
export function huffman(lengths: Uint8Array): Huffman | undefined {
  const counts = new Uint16Array(MAX_BITS + 1);
  for (const length of lengths) counts[length]!++;
  counts[0] = 0;
  const offsets = new Uint16Array(MAX_BITS + 2);
  const starts = new Uint16Array(MAX_BITS + 2);
  let left = 1;
  let longest = 1;
  for (let length = 1; length <= MAX_BITS; length++) {
    left = left * 2 - counts[length]!;
    if (left < 0) return undefined;
    if (counts[length]! > 0) longest = length;
    offsets[length + 1] = offsets[length]! + counts[length]!;
    starts[length + 1] = (starts[length]! + counts[length]!) * 2;
  }
  // A code with gaps stands only where it has one symbol, or none.
  const used = offsets[MAX_BITS + 1]!;
  if (left > 0 && (used > 1 || longest > 1)) return undefined;
  const bits = Math.min(longest, TABLE_BITS);
  const table = new Uint16Array(1 << bits);
  const symbols = new Uint16Array(used);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol]!;
    if (length === 0) continue;
    symbols[offsets[length]!++] = symbol;
    const code = starts[length]!++;
    if (length > bits) continue;
    // The stream has a code's first bit lowest.
    for (let at = reversed(code, length); at < table.length; at += 1 << length) table[at] = symbol * 16 + length;
  }
  return { table, bits, counts, symbols };
}

function reversed(code: number, length: number): number {
  let out = 0;
  for (let rest = code, bit = 0; bit < length; bit++, rest >>= 1) out = out * 2 + (rest & 1);
  return out;
}

/** The entry, as in the table, of a code longer than the table has, which these bits begin with; 0 if there is none such. */
export function longEntry({ counts, symbols }: Huffman, bits: number): number {
  let code = 0;
  let first = 0;
  let index = 0;
  for (let length = 1; length <= MAX_BITS; length++) {
    code = code * 2 + ((bits >>> (length - 1)) & 1);
    const count = counts[length]!;
    if (code - first < count) return symbols[index + code - first]! * 16 + length;
    index += count;
    first = (first + count) * 2;
  }
  return 0;
}
