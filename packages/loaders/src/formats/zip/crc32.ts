/** The reversed polynomial of CRC-32 (ISO 3309), as zip, gzip and PNG use it. */
const POLYNOMIAL = 0xedb88320;

let tables: readonly Uint32Array[] | undefined;

/** Eight tables, for eight bytes at a time ("slicing-by-8": Kounavis and Berry, ISCC 2005). */
function makeTables(): readonly Uint32Array[] {
  const made = Array.from({ length: 8 }, () => new Uint32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1;
    made[0]![byte] = sum;
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let i = 1; i < 8; i++) {
      const before = made[i - 1]![byte]!;
      made[i]![byte] = (before >>> 8) ^ made[0]![before & 255]!;
    }
  }
  return made;
}

/**
 * The CRC-32 of these bytes, or of all before them and these, where `before` is the sum of the former.
 * @example
 * crc32(new TextEncoder().encode('123456789')) // 0xcbf43926
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  tables ??= makeTables();
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  let sum = ~before;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += 8) {
    sum ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    sum =
      t7[sum & 255]! ^
      t6[(sum >>> 8) & 255]! ^
      t5[(sum >>> 16) & 255]! ^
      t4[sum >>> 24]! ^
      t3[bytes[i + 4]!]! ^
      t2[bytes[i + 5]!]! ^
      t1[bytes[i + 6]!]! ^
      t0[bytes[i + 7]!]!;
  }
  for (; i < bytes.length; i++) sum = (sum >>> 8) ^ t0[(sum ^ bytes[i]!) & 255]!;
  return ~sum >>> 0;
}
