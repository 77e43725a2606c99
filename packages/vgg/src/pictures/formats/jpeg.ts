import type { Reader } from '../bytes.js';
import type { Header, PictureFormat } from './format.js';
import { scansFit } from './jpeg-scans.js';

const SOI = 0xd8;
const EOI = 0xd9;
const SOS = 0xda;
const APP1 = 0xe1;

/** ITU T.81, ISO/IEC 10918-1. */
export const jpeg: PictureFormat = {
  name: 'JPEG',
  mime: 'image/jpeg',
  matches: (reader) => reader.u8(0) === 0xff && reader.u8(1) === SOI && reader.u8(2) === 0xff,
  header(reader) {
    for (const { marker, at } of segments(reader)) if (isFrame(marker)) return frame(reader, at);
    return undefined;
  },
  damage(reader) {
    let ended = false;
    for (const { marker } of segments(reader)) {
      if (marker < 0xc0) return 'its data is corrupt';
      ended = marker === EOI;
    }
    if (!ended) return 'it ends before its end marker';
    return scansFit(reader, segments(reader)) ? undefined : 'its data is corrupt';
  },
  exif(reader) {
    const starts = [];
    for (const { marker, at } of segments(reader)) {
      if (marker === SOS) break;
      if (marker === APP1 && reader.text(at + 2, 6) === 'Exif\0\0') starts.push(at + 8);
    }
    return starts;
  },
};

/** SOF0 to SOF15, without the three codes in between that are tables. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

function frame(reader: Reader, at: number): Header | undefined {
  const precision = reader.u8(at + 2);
  const height = reader.u16(at + 3);
  const width = reader.u16(at + 5);
  const components = reader.u8(at + 7);
  if (precision === undefined || height === undefined || width === undefined || components === undefined) return undefined;
  if (components === 4) return { width, height, refused: 'a CMYK JPEG, whose colours no two decoders agree on; convert it to RGB first' };
  if (components !== 1 && components !== 3) return { width, height, refused: `a JPEG of ${components} components` };
  if (precision !== 8) return { width, height, refused: `a JPEG of ${precision} bits; convert it to 8 bits first` };
  return { width, height };
}

/** The markers in order, with where their segment's length stands; the coded data after a scan's header is stepped over. */
export function* segments(reader: Reader): Generator<{ marker: number; at: number }> {
  const { bytes } = reader;
  let at = 2;
  while (at < bytes.length) {
    if (bytes[at] !== 0xff) {
      // Stray bytes between segments: decoders skip them to the next marker, and so do we.
      at = bytes.indexOf(0xff, at);
      if (at < 0) return;
    }
    while (bytes[at] === 0xff) at++;
    const marker = bytes[at++];
    if (marker === undefined) return;
    if (marker === 0 || (marker >= 0xd0 && marker <= SOI) || marker === 1) continue;
    yield { marker, at };
    if (marker === EOI) return;
    const length = reader.u16(at);
    if (length === undefined) return;
    at += Math.max(length, 2);
    if (marker === SOS) at = endOfScan(bytes, at);
  }
}

/** The next marker that is neither a stuffed zero nor a restart. */
function endOfScan(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    at = bytes.indexOf(0xff, at);
    if (at < 0) return bytes.length;
    const next = bytes[at + 1];
    if (next === undefined) return bytes.length;
    if (next !== 0 && next !== 0xff && !(next >= 0xd0 && next <= 0xd7)) return at;
    at += next === 0xff ? 1 : 2;
  }
}
