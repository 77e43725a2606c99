import { io } from '#io';
import type { OpenOptions, SourceInput } from '../../io/io.js';
import type { TfRecordCompression } from './compression.js';

/** A record of a TFRecord file. */
export interface TfRecord {
  /** Its place, from 0. */
  readonly index: number;
  /** The byte at which it begins, of the unpacked file. */
  readonly offset: number;
  /** Its content, most often an Example: {@link decodeExample}. */
  readonly data: Uint8Array;
}

export interface ReadTfRecordsOptions extends OpenOptions {
  /** How the file is packed; found by its first bytes where it is not said. */
  compression?: TfRecordCompression;
  /** Longest record that is read, against files that lie; default 1 GiB. */
  maxRecordBytes?: number;
}

/**
 * The records of a TFRecord file, one after another, each with both its checksums looked at. In memory are a piece of the file and one record.
 *
 * @param from a path (in Node), URL, File, Blob or bytes
 * @throws VggError `VGG_INTEGRITY` for a record that is corrupt, cut or too long, with its number and place; `VGG_NOT_FOUND`,
 * `VGG_NETWORK`, `VGG_ABORTED`
 * @example
 * for await (const { data } of readTfRecords('train.tfrecord')) decodeExample(data).get('label'); // { int64List: [6] }
 */
export async function* readTfRecords(from: SourceInput, options: ReadTfRecordsOptions = {}): AsyncGenerator<TfRecord, void, undefined> {
  const source = await io.openSource(from, options);
  try {
    // Its code is loaded when the first file is read.
    const { recordsOf } = await import('./records.js');
    yield* recordsOf(source, options);
  } finally {
    if (typeof from === 'string' || from instanceof URL) await source.close?.();
  }
}
