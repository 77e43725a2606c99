/** TFRecord files and Examples by their specification alone, sharing nothing with the code under test. */

/** CRC-32C, bit by bit (RFC 3720, appendix B.4). */
export function crc32c(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0x82f63b78 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

/** "((crc >> 15) | (crc << 17)) + 0xa282ead8", in 32 bits. */
const mask = (crc: number): bigint => BigInt.asUintN(32, (BigInt(crc) >> 15n) + BigInt.asUintN(32, BigInt(crc) << 17n) + 0xa282ead8n);

function little(value: bigint, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 255n));
}

const numberAt = (bytes: Uint8Array, at: number, length: number): bigint =>
  bytes.slice(at, at + length).reduceRight((value, byte) => value * 256n + BigInt(byte), 0n);

/** A file of these records. */
export function writeFile(records: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out: number[] = [];
  for (const record of records) {
    const length = little(BigInt(record.length), 8);
    out.push(...length, ...little(mask(crc32c(Uint8Array.from(length))), 4), ...record, ...little(mask(crc32c(record)), 4));
  }
  return Uint8Array.from(out);
}

/** The records of a file; throws where anything is wrong. */
export function parseFile(bytes: Uint8Array): Uint8Array[] {
  const records: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(numberAt(bytes, at, 8));
    if (numberAt(bytes, at + 8, 4) !== mask(crc32c(bytes.slice(at, at + 8)))) throw new Error(`length at ${at}`);
    const record = bytes.slice(at + 12, at + 12 + length);
    if (record.length !== length || numberAt(bytes, at + 12 + length, 4) !== mask(crc32c(record))) throw new Error(`record at ${at}`);
    records.push(record);
    at += 16 + length;
  }
  return records;
}

type Value = string[] | number[] | bigint[];

/** The features of an Example: bytes as hexadecimal texts, floats as numbers, whole numbers as bigints. */
export function parseExample(bytes: Uint8Array): Record<string, Value> {
  const out: Record<string, Value> = {};
  for (const [, features] of fields(bytes))
    for (const [, entry] of fields(features as Uint8Array)) {
      const parts = new Map(fields(entry as Uint8Array));
      const [[kind, list] = [0, new Uint8Array(0)]] = fields(parts.get(2) as Uint8Array);
      out[new TextDecoder().decode(parts.get(1) as Uint8Array)] = values(kind, list as Uint8Array);
    }
  return out;
}

function values(kind: number, list: Uint8Array): Value {
  const items = fields(list).map(([, value]) => value);
  if (kind === 1) return items.map((value) => [...(value as Uint8Array)].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
  if (kind === 2) {
    const all = Uint8Array.from(items.flatMap((value) => [...(value as Uint8Array)]));
    return [...new Float32Array(all.buffer)];
  }
  return items.flatMap((value) => (typeof value === 'bigint' ? [BigInt.asIntN(64, value)] : varints(value)));
}

function varints(bytes: Uint8Array): bigint[] {
  const out: bigint[] = [];
  for (let at = 0; at < bytes.length; ) {
    const [value, end] = varint(bytes, at);
    out.push(BigInt.asIntN(64, value));
    at = end;
  }
  return out;
}

function varint(bytes: Uint8Array, start: number): [bigint, number] {
  let value = 0n;
  let at = start;
  do value |= BigInt(bytes[at]! & 127) << BigInt(7 * (at - start));
  while (bytes[at++]! & 128);
  return [value, at];
}

function fields(bytes: Uint8Array): [number, Uint8Array | bigint][] {
  const out: [number, Uint8Array | bigint][] = [];
  for (let at = 0; at < bytes.length; ) {
    const [tag, start] = varint(bytes, at);
    const number = Number(tag >> 3n);
    if ((tag & 7n) === 0n) {
      const [value, end] = varint(bytes, start);
      out.push([number, value]);
      at = end;
    } else {
      const [length, from] = (tag & 7n) === 5n ? [4n, start] : varint(bytes, start);
      at = from + Number(length);
      out.push([number, bytes.slice(from, at)]);
    }
  }
  return out;
}
