import { crc32c } from '@vgg/loaders';

/**
 * The framing of a TFRecord file (TensorFlow, core/lib/io/record_writer.h): each record is its length, 64 bits with the lowest first, the
 * masked CRC-32C of these 8 bytes, the bytes, and their masked CRC-32C.
 */
export const HEAD = 12;
export const TAIL = 4;

/** A checksum as it is stored: turned by 15 bits and shifted, so that sums of data that hold sums stay good ones. */
export function masked(bytes: Uint8Array): number {
  const sum = crc32c(bytes);
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
}

/** The length that a record's head says; undefined where its checksum does not agree, or no file can be so long. */
export function lengthOf(head: Uint8Array): number | undefined {
  const view = new DataView(head.buffer, head.byteOffset, HEAD);
  if (view.getUint32(8, true) !== masked(head.subarray(0, 8))) return undefined;
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  return Number.isSafeInteger(length) ? length : undefined;
}

/** What stands before a record, and behind it. */
export function frame(record: Uint8Array): { head: Uint8Array; tail: Uint8Array } {
  const head = new Uint8Array(HEAD);
  const view = new DataView(head.buffer);
  view.setUint32(0, record.length % 2 ** 32, true);
  view.setUint32(4, Math.floor(record.length / 2 ** 32), true);
  view.setUint32(8, masked(head.subarray(0, 8)), true);
  const tail = new Uint8Array(TAIL);
  new DataView(tail.buffer).setUint32(0, masked(record), true);
  return { head, tail };
}
