import { crc32 } from '../../src/formats/crc.js';
import type { WeightFile } from '../../src/index.js';

/** Bytes of a pickle: text stands for its characters, numbers for bytes. */
export function pickle(...parts: (string | number | Uint8Array | readonly number[])[]): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (const part of parts) {
    if (typeof part === 'string') for (const character of part) bytes.push(character.charCodeAt(0));
    else if (typeof part === 'number') bytes.push(part);
    else for (const byte of part) bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** BINUNICODE. */
export function text(value: string): string {
  const encoded = String.fromCharCode(...new TextEncoder().encode(value));
  return `X${String.fromCharCode(...little(encoded.length, 4))}${encoded}`;
}

/** LONG1 of eight bytes. */
export function long(value: bigint | number): string {
  return `\x8a\x08${String.fromCharCode(...little(value, 8))}`;
}

export function little(value: bigint | number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n));
}

/** The CRC-32 of each tensor's values as little-endian float32, read at once and in pieces. */
export async function checksums(file: WeightFile): Promise<Map<string, [whole: number, streamed: number]>> {
  const sums = new Map<string, [number, number]>();
  for (const { name, axes } of file.tensors.values()) {
    const values = await file.read(name);
    let streamed = 0;
    for await (const piece of file.stream(name)) streamed = crc32(bytesOf(piece), streamed);
    sums.set(name, [crc32(bytesOf(values)), axes ? crc32(bytesOf(values)) : streamed]);
  }
  return sums;
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
