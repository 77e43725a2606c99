/** The coded data does not fit its tables or its frame. */
export class CorruptScan extends Error {}

/** Bits of a code that are looked up at once; nearly all codes are shorter. */
const LOOKUP = 10;

/** A Huffman table in the form it is looked up: an entry is `length << 8 | value`. */
export interface Huffman {
  /** By the next ten bits; 0 for a longer code, or none. */
  readonly short: Uint16Array;
  /** By length: one more than the largest code; a code of this length is below it. */
  readonly limit: Int32Array;
  /** By length: what to add to a code to get its place in `values`. */
  readonly offset: Int32Array;
  readonly values: Uint8Array;
}

/**
 * Builds the lookup of a table from its sixteen counts and its values (ITU T.81, annex C).
 * @throws CorruptScan if there are more codes than bits for them
 */
export function huffman(counts: Uint8Array, values: Uint8Array): Huffman {
  const short = new Uint16Array(1 << LOOKUP);
  const limit = new Int32Array(17);
  const offset = new Int32Array(17);
  let code = 0;
  let place = 0;
  for (let length = 1; length <= 16; length++) {
    offset[length] = place - code;
    for (let i = 0; i < counts[length - 1]!; i++, code++, place++)
      if (length <= LOOKUP) short.fill((length << 8) | values[place]!, code << (LOOKUP - length), (code + 1) << (LOOKUP - length));
    limit[length] = code;
    if (code > 1 << length) throw new CorruptScan();
    code <<= 1;
  }
  return { short, limit, offset, values };
}

/** More bytes than a unit of ten blocks can take, so that only its end needs to look whether the data has ended. */
export const MARGIN = 4096;

/**
 * The bits of entropy-coded data, one restart interval at a time, with stuffed zeros taken out and zeros after the end.
 * `position` counts bits and is moved by whoever reads.
 */
export class Bits {
  position = 0;
  /** Bits in this interval. */
  end = 0;

  /**
   * `at` is where the data starts, and after {@link next} where the marker behind the interval stands;
   * `bytes` is room for the source and {@link MARGIN}, overwritten.
   */
  constructor(
    private readonly source: Uint8Array,
    readonly bytes: Uint8Array,
    public at: number,
  ) {
    this.next();
  }

  /** Takes in the data from `at` up to the next marker. */
  next(): void {
    const { source, bytes } = this;
    let length = 0;
    for (;;) {
      const found = source.indexOf(0xff, this.at);
      const stop = found < 0 ? source.length : found;
      bytes.set(source.subarray(this.at, stop), length);
      length += stop - this.at;
      this.at = stop;
      if (found < 0 || source[found + 1] !== 0) break;
      bytes[length++] = 0xff;
      this.at = found + 2;
    }
    while (source[this.at] === 0xff && source[this.at + 1] === 0xff) this.at++;
    bytes.fill(0, length, length + MARGIN);
    this.position = 0;
    this.end = length * 8;
  }

  /** Called after each block: @throws CorruptScan if the data ended before it. */
  check(): void {
    if (this.position > this.end) throw new CorruptScan();
  }

  /** Called after the last block: @throws CorruptScan if more follows than the bits and bytes that encoders pad with. */
  finish(): void {
    for (let at = (this.position + 7) >> 3; at < this.end >> 3; at++)
      if (this.bytes[at] !== 0 && this.bytes[at] !== 0xff) throw new CorruptScan();
  }

  read(count: number): number {
    const value = (peek(this.bytes, this.position) >> (16 - count)) & ((1 << count) - 1);
    this.position += count;
    return value;
  }

  decode(table: Huffman): number {
    const entry = lookUp(this.bytes, this.position, table);
    this.position += entry >> 8;
    return entry & 255;
  }
}

/** The sixteen bits at a position. */
function peek(bytes: Uint8Array, position: number): number {
  const at = position >>> 3;
  return (((bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!) >> (8 - (position & 7))) & 0xffff;
}

/** The code at a position, as `length << 8 | value`. */
export function lookUp(bytes: Uint8Array, position: number, table: Huffman): number {
  const next = peek(bytes, position);
  const entry = table.short[next >> (16 - LOOKUP)]!;
  return entry !== 0 ? entry : lookUpLong(next, table);
}

function lookUpLong(next: number, { limit, offset, values }: Huffman): number {
  for (let length = LOOKUP + 1; length <= 16; length++) {
    const code = next >> (16 - length);
    if (code < limit[length]!) return (length << 8) | values[code + offset[length]!]!;
  }
  throw new CorruptScan();
}
