/** Big-endian and little-endian reads that give `undefined` past the end instead of throwing: bytes here are a stranger's. */
export class Reader {
  private readonly view: DataView;
  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  get length(): number {
    return this.bytes.length;
  }
  u8(at: number): number | undefined {
    return this.bytes[at];
  }
  u16(at: number, littleEndian = false): number | undefined {
    return at >= 0 && at + 2 <= this.length ? this.view.getUint16(at, littleEndian) : undefined;
  }
  u24(at: number): number | undefined {
    return at >= 0 && at + 3 <= this.length ? this.view.getUint16(at, true) | (this.bytes[at + 2]! << 16) : undefined;
  }
  u32(at: number, littleEndian = false): number | undefined {
    return at >= 0 && at + 4 <= this.length ? this.view.getUint32(at, littleEndian) : undefined;
  }
  /** `length` bytes from `at` as ASCII; shorter at the end. */
  text(at: number, length: number): string {
    return String.fromCharCode(...this.bytes.subarray(at, at + length));
  }
}

const CRC_TABLE = /* @__PURE__ */ makeCrcTable();

function makeCrcTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c;
  });
}

/** CRC-32 of PNG (specification, annex D). */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
