import type { VggError } from '@vgg/errors';
import { latin1, viewOf } from '../../bytes.js';
import { corruptFile } from '../../refusals.js';

/** Reads little-endian fields one after another, and refuses to pass the end. */
export interface Cursor {
  /** Bytes from the start. */
  at: number;
  readonly end: number;
  u8(): number;
  u16(): number;
  u32(): number;
  /** An unsigned integer of 1 to 8 bytes. */
  uint(bytes: number): number;
  /** An offset within the file; undefined where the file says that there is none (all bits set). */
  address(): number | undefined;
  /** A length, in the file's own size of lengths. */
  length(): number;
  /** A length that may be without limit (all bits set): Infinity. */
  extent(): number;
  bytes(count: number): Uint8Array;
  skip(count: number): void;
  /** Four characters that every structure of this kind begins with. */
  signature(expected: string): void;
}

export interface FieldSizes {
  readonly who: string;
  readonly offsetSize: number;
  readonly lengthSize: number;
}

export function cursor(data: Uint8Array, { who, offsetSize, lengthSize }: FieldSizes): Cursor {
  const view = viewOf(data);
  const take = (count: number): number => {
    const at = self.at;
    if (count < 0 || at + count > data.length) throw corrupt(who, `a structure of ${data.length} bytes ends early`);
    self.at = at + count;
    return at;
  };
  const unlessAllOnes = (count: number): number | undefined => {
    const at = take(count);
    if (data.subarray(at, at + count).every((byte) => byte === 255)) return undefined;
    self.at = at;
    return self.uint(count);
  };
  const self: Cursor = {
    at: 0,
    end: data.length,
    u8: () => view.getUint8(take(1)),
    u16: () => view.getUint16(take(2), true),
    u32: () => view.getUint32(take(4), true),
    uint(bytes) {
      const at = take(bytes);
      let value = 0;
      for (let i = bytes - 1; i >= 0; i--) value = value * 256 + data[at + i]!;
      if (value > Number.MAX_SAFE_INTEGER) throw corrupt(who, 'a number is past any file');
      return value;
    },
    address: () => unlessAllOnes(offsetSize),
    length: () => self.uint(lengthSize),
    extent: () => unlessAllOnes(lengthSize) ?? Number.POSITIVE_INFINITY,
    bytes(count) {
      const at = take(count);
      return data.subarray(at, at + count);
    },
    skip: (count) => void take(count),
    signature(expected) {
      const found = latin1(self.bytes(4));
      if (found !== expected) throw corrupt(who, `expected ${expected}, received ${JSON.stringify(found)}`);
    },
  };
  return self;
}

/** The error for a file that breaks the format's own rules. */
export const corrupt = (who: string, what: string): VggError => corruptFile(who, 'HDF5 file', what);

/** Text of a name or value: UTF-8, up to the first NUL. */
export function zeroEnded(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
