import type { Reader } from '../bytes.js';
import type { PictureFormat } from './format.js';

/** WebP container specification (RFC 9649). */
export const webp: PictureFormat = {
  name: 'WebP',
  mime: 'image/webp',
  matches: (reader) => reader.text(0, 4) === 'RIFF' && reader.text(8, 4) === 'WEBP',
  header(reader) {
    const kind = reader.text(12, 4);
    if (kind === 'VP8X') return size(reader.u24(24), reader.u24(27), 1);
    if (kind === 'VP8 ') return size(masked(reader.u16(26, true)), masked(reader.u16(28, true)), 0);
    const packed = kind === 'VP8L' ? reader.u32(21, true) : undefined;
    return packed === undefined ? undefined : size(packed & 0x3fff, (packed >>> 14) & 0x3fff, 1);
  },
  damage(reader) {
    const length = reader.u32(4, true) ?? 0;
    if (length + 8 > reader.length) return `it ends after ${reader.length} of ${length + 8} bytes`;
    for (const { at, length: part } of chunks(reader)) if (at + part > reader.length) return 'it ends in the middle of a chunk';
    return undefined;
  },
  exif(reader) {
    const found = [...chunks(reader)].filter(({ type }) => type === 'EXIF');
    return found.map(({ at }) => (reader.text(at, 6) === 'Exif\0\0' ? at + 6 : at));
  },
};

function masked(value: number | undefined): number | undefined {
  return value === undefined ? undefined : value & 0x3fff;
}

function size(width: number | undefined, height: number | undefined, more: number): { width: number; height: number } | undefined {
  return width === undefined || height === undefined ? undefined : { width: width + more, height: height + more };
}

function* chunks(reader: Reader): Generator<{ type: string; at: number; length: number }> {
  for (let at = 12; ; ) {
    const length = reader.u32(at + 4, true);
    if (length === undefined) return;
    yield { type: reader.text(at, 4), at: at + 8, length };
    at += 8 + length + (length & 1);
  }
}
