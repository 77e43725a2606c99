/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720, appendix B.4), eight bytes at a step by eight tables (Kounavis and
 * Berry 2008, "Novel table lookup-based algorithms for high-performance CRC generation").
 */
let tables: Int32Array | undefined;

function makeTables(): Int32Array {
  const made = new Int32Array(8 * 256);
  for (let i = 0; i < 256; i++) {
    let sum = i;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0x82f63b78 : 0);
    made[i] = sum;
  }
  for (let i = 256; i < made.length; i++) made[i] = (made[i - 256]! >>> 8) ^ made[made[i - 256]! & 255]!;
  return made;
}

/** The sum of these bytes, or of the bytes summed before and these. */
export function crc32c(bytes: Uint8Array, before = 0): number {
  tables ??= makeTables();
  const t = tables;
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

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** A sum as it is stored beside what it sums: turned and moved, so that sums of sums do not repeat (LevelDB's `util/crc32c.h`). */
export function masked(sum: number): number {
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
}
