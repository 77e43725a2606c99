import type { VggError } from '@vgg/errors';
import { viewOf } from '../../bytes.js';
import { corruptFile } from '../../refusals.js';

/** Signatures and lengths of the records of a zip archive: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16. */
export const LOCAL = { signature: 0x04034b50, length: 30 } as const;
export const CENTRAL = { signature: 0x02014b50, length: 46 } as const;
export const END = { signature: 0x06054b50, length: 22 } as const;
export const END64 = { signature: 0x06064b50, length: 56 } as const;
export const LOCATOR64 = { signature: 0x07064b50, length: 20 } as const;

/** Bits of the general purpose flag (APPNOTE 4.4.4): encrypted, compressed patched data, strongly encrypted, masked headers. */
export const REFUSED_FLAGS = 0x0001 | 0x0020 | 0x0040 | 0x2000;
/** Sizes and checksum come behind the data and not before it. */
export const DESCRIPTOR_FLAG = 0x0008;
/** The name is UTF-8. */
export const UTF8_FLAG = 0x0800;

export const STORED = 0;
export const DEFLATED = 8;

/** A 32-bit field whose value is in the zip64 record or extra field. */
const IN_ZIP64 = 0xffffffff;

/** The error for an archive that breaks the format's own rules. */
export const corrupt = (who: string, what: string): VggError => corruptFile(who, 'zip archive', what);

/** A 64-bit field as a number. @throws VggError `VGG_INTEGRITY` where it is past what a file can have */
export function uint64(view: DataView, at: number, who: string): number {
  const value = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) throw corrupt(who, `it names a size or place of ${value} bytes`);
  return value;
}

/** Id of the extra field that holds 64-bit sizes and places (APPNOTE 4.5.3). */
const ZIP64_EXTRA = 0x0001;

/**
 * These fields, those that say {@link IN_ZIP64} taken from the zip64 extra field, which holds only them, in this order.
 * @throws VggError `VGG_INTEGRITY` if it lacks one
 */
export function widened(fields: readonly number[], extra: Uint8Array, who: string): number[] {
  if (!fields.includes(IN_ZIP64)) return [...fields];
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length; ) {
    const id = view.getUint16(at, true);
    const start = at + 4;
    const end = start + view.getUint16(at + 2, true);
    if (end > extra.length) break;
    if (id === ZIP64_EXTRA) {
      let next = start;
      return fields.map((field) => {
        if (field !== IN_ZIP64) return field;
        if (next + 8 > end) throw corrupt(who, 'a zip64 field is missing');
        next += 8;
        return uint64(view, next - 8, who);
      });
    }
    at = end;
  }
  throw corrupt(who, 'a zip64 field is missing');
}

/** No drive, no root, no way up, no backslash, no control characters: nothing is unpacked to disk, but names are shown and passed on. */
export function isInside(name: string): boolean {
  if (name === '' || name.startsWith('/') || /^[a-z]:/i.test(name) || name.includes('\\') || /\p{Cc}/u.test(name)) return false;
  return !name.split('/').includes('..');
}
