/**
 * Cyclic redundancy checks of 32 bits, eight bytes at a step by eight tables (Kounavis and Berry 2008, "Novel table lookup-based algorithms
 * for high-performance CRC generation").
 */

/** The reversed polynomials of CRC-32 (ISO 3309), as zip has it, and of CRC-32C (RFC 3720, appendix B.4), as TensorFlow's checkpoints do. */
const CRC32 = 0xedb88320;
const CRC32C = 0x82f63b78;

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * The CRC-32 of these bytes, or of all before them and these, where `before` is the sum of the former.
 * @example
 * crc32(new TextEncoder().encode('123456789')) // 0xcbf43926
 */
export const crc32 = summer(CRC32);

/** The CRC-32C, likewise: 0xe3069283 of the same text. */
export const crc32c = summer(CRC32C);

function summer(polynomial: number): (bytes: Uint8Array, before?: number) => number {
  let tables: Int32Array | undefined;
  return (bytes, before = 0) => {
    tables ??= makeTables(polynomial);
    return sumOf(tables, bytes, before);
  };
}

function makeTables(polynomial: number): Int32Array {
  const made = new Int32Array(8 * 256);
  for (let i = 0; i < 256; i++) {
    let sum = i;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? polynomial : 0);
    made[i] = sum;
  }
  for (let i = 256; i < made.length; i++) made[i] = (made[i - 256]! >>> 8) ^ made[made[i - 256]! & 255]!;
  return made;
}

function sumOf(t: Int32Array, bytes: Uint8Array, before: number): number {
  let sum = ~before;
  let at = 0;
  for (; at < bytes.length && (bytes.byteOffset + at) % 4 !== 0; at++) sum = (sum >>> 8) ^ t[(sum ^ bytes[at]!) & 255]!;
  if (LITTLE_ENDIAN && bytes.length - at >= 8) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (bytes.length - at) >> 2);
    const even = words.length & ~1;
    for (let i = 0; i < even; i += 2) {
      const low = words[i]! ^ sum;
      const high = words[i + 1]!;
      sum =
        t[1792 + (low & 255)]! ^
        t[1536 + ((low >>> 8) & 255)]! ^
        t[1280 + ((low >>> 16) & 255)]! ^
        t[1024 + (low >>> 24)]! ^
        t[768 + (high & 255)]! ^
        t[512 + ((high >>> 8) & 255)]! ^
        t[256 + ((high >>> 16) & 255)]! ^
        t[high >>> 24]!;
    }
    at += even * 4;
  }
  for (; at < bytes.length; at++) sum = (sum >>> 8) ^ t[(sum ^ bytes[at]!) & 255]!;
  return ~sum >>> 0;
}
