import { crc32, Reader } from '../bytes.js';
import type { PictureFormat } from './format.js';

const SIGNATURE = '\x89PNG\r\n\x1a\n';

/** ISO/IEC 15948. */
export const png: PictureFormat = {
  name: 'PNG',
  mime: 'image/png',
  matches: (reader) => reader.text(0, 8) === SIGNATURE,
  header(reader) {
    const width = reader.u32(16);
    const height = reader.u32(20);
    if (width === undefined || height === undefined || reader.text(12, 4) !== 'IHDR') return undefined;
    return { width, height };
  },
  damage(reader) {
    let data = 0;
    for (const { type, at, length } of chunks(reader)) {
      if (at + length + 4 > reader.length) return `it ends in the middle of its ${type} chunk`;
      if (crc32(reader.bytes.subarray(at - 4, at + length)) !== reader.u32(at + length))
        return `its ${type} chunk is corrupt (its checksum does not match)`;
      if (type === 'IDAT') data += length;
      if (type === 'IEND') return data > 0 ? undefined : 'it has no picture data';
    }
    return 'it ends before its end chunk';
  },
  exif: (reader) => [...chunks(reader)].filter(({ type }) => type === 'eXIf').map(({ at }) => at),
  settle(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (const { type, at, length } of chunks(new Reader(bytes)))
      if (type === 'eXIf') view.setUint32(at + length, crc32(bytes.subarray(at - 4, at + length)));
  },
};

/** The chunks in order: type, where the data starts, and its length. */
function* chunks(reader: Reader): Generator<{ type: string; at: number; length: number }> {
  for (let at = 8; ; ) {
    const length = reader.u32(at);
    if (length === undefined || at + 8 > reader.length) return;
    const type = reader.text(at + 4, 4);
    yield { type, at: at + 8, length };
    at += length + 12;
  }
}
