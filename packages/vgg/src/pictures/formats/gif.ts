import { Reader } from '../bytes.js';
import type { PictureFormat } from './format.js';

const EXTENSION = 0x21;
const GRAPHIC_CONTROL = 0xf9;
const IMAGE = 0x2c;

/** GIF89a; of an animation, the first frame. */
export const gif: PictureFormat = {
  name: 'GIF',
  mime: 'image/gif',
  matches: (reader) => /^GIF8[79]a$/.test(reader.text(0, 6)),
  header(reader) {
    const width = reader.u16(6, true);
    const height = reader.u16(8, true);
    return width === undefined || height === undefined ? undefined : { width, height };
  },
  damage(reader) {
    for (const { kind, at, end } of blocks(reader)) {
      if (end === undefined) return 'it ends in the middle of a frame';
      if (kind !== IMAGE) continue;
      const right = reader.u16(at, true)! + reader.u16(at + 4, true)!;
      const bottom = reader.u16(at + 2, true)! + reader.u16(at + 6, true)!;
      // Decoders differ in whether the picture then grows, past the size that was held against the cap.
      return right > reader.u16(6, true)! || bottom > reader.u16(8, true)! ? 'its first frame reaches beyond it' : undefined;
    }
    return 'it ends before its first frame';
  },
  exif: () => [],
  unsettled: (reader) => firstControls(reader).some((at) => (reader.u8(at + 1)! & 1) === 1),
  /** The colour under a transparent pixel is its palette's; decoders that see the transparency flag give black instead. */
  settle(bytes) {
    for (const at of firstControls(new Reader(bytes))) bytes[at + 1]! &= ~1;
  },
};

/** Where the graphic control blocks of the first frame stand. */
function firstControls(reader: Reader): number[] {
  const found = [];
  for (const { kind, label, at } of blocks(reader)) {
    if (kind === IMAGE) break;
    if (label === GRAPHIC_CONTROL && reader.u8(at + 1) !== undefined) found.push(at);
  }
  return found;
}

interface Block {
  readonly kind: number;
  /** Of an extension. */
  readonly label?: number;
  /** Its first data sub-block, or the image descriptor. */
  readonly at: number;
  /** `undefined` where the file ends before the block does. */
  readonly end: number | undefined;
}

function* blocks(reader: Reader): Generator<Block> {
  let at = 13 + paletteBytes(reader.u8(10));
  for (;;) {
    const kind = reader.u8(at);
    if (kind === EXTENSION) {
      const end = endOfSubBlocks(reader, at + 2);
      yield { kind, label: reader.u8(at + 1) ?? 0, at: at + 2, end };
      if (end === undefined) return;
      at = end;
    } else if (kind === IMAGE) {
      const end = endOfSubBlocks(reader, at + 11 + paletteBytes(reader.u8(at + 9)));
      yield { kind, at: at + 1, end };
      if (end === undefined) return;
      at = end;
    } else return;
  }
}

function paletteBytes(packed: number | undefined): number {
  return packed !== undefined && (packed & 0x80) !== 0 ? 3 << ((packed & 7) + 1) : 0;
}

function endOfSubBlocks(reader: Reader, from: number): number | undefined {
  for (let at = from; ; ) {
    const length = reader.u8(at);
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    at += length + 1;
  }
}
