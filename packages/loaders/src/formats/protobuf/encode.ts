import { concat } from '../../bytes.js';

/** Writing Protocol Buffers' wire format: fields as bytes, to be put together into messages. */

const text = new TextEncoder();

/** A whole number, seven bits to a byte; a negative one as the int64 that it is, in ten bytes. */
export function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  if (value < 0) {
    let bits = BigInt.asUintN(64, BigInt(value));
    for (; bits >= 128n; bits >>= 7n) out.push(Number(bits & 127n) | 128);
    rest = Number(bits);
  }
  while (rest >= 128) {
    out.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
  return Uint8Array.from(out);
}

/** A whole number field; false and true are 0 and 1. */
export const numberField = (field: number, value: number): Uint8Array => concat([varint(field * 8), varint(value)]);

/** A text, bytes or message field. */
export function bytesField(field: number, value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === 'string' ? text.encode(value) : value;
  return concat([bytesHead(field, bytes.length), bytes]);
}

/** What stands before the `length` bytes of such a field, where these are written apart. */
export const bytesHead = (field: number, length: number): Uint8Array => concat([varint(field * 8 + 2), varint(length)]);

/** A float field. */
export function floatField(field: number, value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setFloat32(0, value, true);
  return concat([varint(field * 8 + 5), out]);
}
