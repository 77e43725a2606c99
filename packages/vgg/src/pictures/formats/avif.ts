import type { Reader } from '../bytes.js';
import type { Header, PictureFormat } from './format.js';

/**
 * AVIF (ISO base media boxes): size and wholeness only. Its own rotation boxes are part of decoding and always obeyed, and its
 * colours depend on the decoder's chroma upsampling, so unlike the other formats its pixels may differ by a few levels between decoders.
 */
export const avif: PictureFormat = {
  name: 'AVIF',
  mime: 'image/avif',
  matches: (reader) => reader.text(4, 4) === 'ftyp' && /avi[fs]/.test(reader.text(8, Math.min(reader.u32(0) ?? 0, 64) - 8)),
  header(reader) {
    let largest: Header | undefined;
    for (const meta of within(reader, 0, reader.length, 'meta'))
      for (const iprp of within(reader, meta.at + 4, meta.end, 'iprp'))
        for (const ipco of within(reader, iprp.at, iprp.end, 'ipco'))
          for (const { at } of within(reader, ipco.at, ipco.end, 'ispe')) {
            const width = reader.u32(at + 4);
            const height = reader.u32(at + 8);
            if (width !== undefined && height !== undefined && width * height > (largest?.width ?? 0) * (largest?.height ?? 0))
              largest = { width, height };
          }
    return largest;
  },
  damage(reader) {
    let end = 0;
    for (const box of boxes(reader, 0, reader.length)) end = box.end;
    return end === reader.length ? undefined : 'it ends in the middle of a box';
  },
  exif: () => [],
};

interface Box {
  readonly type: string;
  readonly at: number;
  readonly end: number;
}

function within(reader: Reader, from: number, to: number, type: string): Box[] {
  return [...boxes(reader, from, to)].filter((box) => box.type === type);
}

function* boxes(reader: Reader, from: number, to: number): Generator<Box> {
  for (let at = from; at + 8 <= to; ) {
    const length = reader.u32(at)!;
    if (length === 1) return; // 64-bit lengths: no still picture is that long
    const end = length === 0 ? to : at + length;
    if (length !== 0 && length < 8) return;
    yield { type: reader.text(at + 4, 4), at: at + 8, end };
    at = end;
  }
}
