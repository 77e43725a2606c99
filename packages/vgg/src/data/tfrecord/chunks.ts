import { throwIfAborted, VggError } from '@vgg/errors';
import { packed, type TfRecordCompression } from './compression.js';
import { encodeExample } from './example.js';
import { frame } from './frame.js';
import type { TfRecords } from './write.js';

/** Small records are written some together. */
const PIECE = 2 ** 18;

/** The bytes of a file of records. @throws VggError `VGG_OPTION` for an unknown compression */
export function recordChunks(
  records: TfRecords,
  compression: TfRecordCompression = 'none',
  counted = { count: 0 },
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (compression !== 'none' && compression !== 'gzip' && compression !== 'zlib')
    throw new VggError('VGG_OPTION', `writeTfRecords: expected none, gzip or zlib as compression, received ${compression}`);
  return packed(framed(records, counted, signal), compression);
}

async function* framed(records: TfRecords, counted: { count: number }, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  let piece = new Uint8Array(PIECE);
  let filled = 0;
  for await (const item of records) {
    throwIfAborted(signal, 'writeTfRecords');
    const record = item instanceof Uint8Array ? item : encodeExample(item);
    const { head, tail } = frame(record);
    for (const part of [head, record, tail]) {
      if (filled + part.length > PIECE && filled > 0) {
        yield piece.subarray(0, filled);
        piece = new Uint8Array(PIECE);
        filled = 0;
      }
      if (part.length > PIECE) yield part;
      else {
        piece.set(part, filled);
        filled += part.length;
      }
    }
    counted.count++;
  }
  if (filled > 0) yield piece.subarray(0, filled);
}
