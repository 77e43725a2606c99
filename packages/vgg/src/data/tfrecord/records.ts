import { throwIfAborted, VggError } from '@vgg/errors';
import type { ReadOptions, Source } from '@vgg/loaders';
import { compressionOf, unpacked } from './compression.js';
import { HEAD, lengthOf, masked, TAIL } from './frame.js';
import type { ReadTfRecordsOptions, TfRecord } from './read.js';

/** Longer than any picture. */
const MAX_RECORD = 2 ** 30;

/** As {@link readTfRecords}, of a source at hand, which stays open. */
export async function* recordsOf(
  source: Source,
  { signal, compression, maxRecordBytes = MAX_RECORD }: ReadTfRecordsOptions = {},
): AsyncGenerator<TfRecord, void, undefined> {
  const options: ReadOptions = signal ? { signal } : {};
  const form = compression ?? (await compressionOf(source, options));
  const bytes = new Bytes(unpacked(source, form, options));
  const most = form === 'none' ? Math.min(maxRecordBytes, source.size) : maxRecordBytes;
  try {
    for (let index = 0, offset = 0; ; index++) {
      throwIfAborted(signal, source.name);
      const corrupt = (what: string) => corruptRecord(source.name, index, offset, what);
      const head = await bytes.take(HEAD);
      if (head.length === 0) return;
      if (head.length < HEAD) throw corrupt('it is cut in its length');
      const length = lengthOf(head);
      if (length === undefined) throw corrupt('the checksum of its length does not agree');
      if (length > most) throw corrupt(`its length is said to be ${length} bytes, where ${most} are possible`);
      const data = await bytes.take(length);
      const tail = data.length === length ? await bytes.take(TAIL) : data;
      if (data.length < length || tail.length < TAIL) throw corrupt('it is cut');
      if (new DataView(tail.buffer, tail.byteOffset).getUint32(0, true) !== masked(data)) throw corrupt('its checksum does not agree');
      yield { index, offset, data };
      offset += HEAD + length + TAIL;
    }
  } finally {
    await bytes.end();
  }
}

/** One record of an unpacked file by its place, checked again. */
export async function recordAt(
  source: Source,
  { index, offset, length }: { index: number; offset: number; length: number },
  options: ReadOptions,
): Promise<Uint8Array> {
  const bytes = await source.read(offset, HEAD + length + TAIL, options);
  const data = bytes.subarray(HEAD, HEAD + length);
  if (lengthOf(bytes) !== length || new DataView(bytes.buffer, bytes.byteOffset + HEAD + length).getUint32(0, true) !== masked(data))
    throw corruptRecord(source.name, index, offset, 'it has changed since the file was opened');
  return data;
}

function corruptRecord(who: string, index: number, offset: number, what: string): VggError {
  const whole = index === 0 ? 'a whole TFRecord file' : 'whole records';
  return new VggError(
    'VGG_INTEGRITY',
    `${who}: expected ${whole}, received record ${index} at byte ${offset} corrupt (${what}); get the file again`,
  );
}

/** Bytes of a stream, as many at a time as are asked for; fewer only at its end. */
class Bytes {
  private readonly pieces: AsyncGenerator<Uint8Array>;
  private piece: Uint8Array = new Uint8Array(0);
  constructor(pieces: AsyncGenerator<Uint8Array>) {
    this.pieces = pieces;
  }

  /** A copy. Memory is taken only as the bytes come: a length is a stranger's word. */
  async take(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let left = length;
    while (left > 0) {
      if (this.piece.length === 0) {
        const next = await this.pieces.next();
        if (next.done) break;
        this.piece = next.value;
      }
      const part = this.piece.slice(0, left);
      this.piece = this.piece.subarray(part.length);
      left -= part.length;
      parts.push(part);
    }
    if (parts.length === 1) return parts[0]!;
    const whole = new Uint8Array(length - left);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  async end(): Promise<void> {
    await this.pieces.return(undefined);
  }
}
