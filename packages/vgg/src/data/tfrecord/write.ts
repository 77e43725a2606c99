import { io } from '#io';
import type { WriteTarget } from '../../io/io.js';
import type { TfRecordCompression } from './compression.js';
import type { ExampleInput } from './example.js';

export interface WriteTfRecordsOptions {
  /** Default `none`. */
  compression?: TfRecordCompression;
  /** Make the folder where it is not there yet. */
  makeFolder?: boolean;
  signal?: AbortSignal;
}

/** Records to write: bytes as they are, others as Examples. */
export type TfRecords = AsyncIterable<Uint8Array | ExampleInput> | Iterable<Uint8Array | ExampleInput>;

/**
 * Writes records to a TFRecord file as they come: under a temporary name, renamed when it is whole; in a page, as a download or to a file's handle.
 *
 * @returns how many records were written
 * @throws VggError `VGG_OUTPUT` if the file cannot be written, `VGG_OPTION` for what is no Example, `VGG_ABORTED`, and whatever `records` throws
 * @example
 * await writeTfRecords('a.tfrecord', [{ label: { int64List: [6] }, data: { bytesList: [pixels] } }]); // 1
 */
export async function writeTfRecords(target: WriteTarget, records: TfRecords, options: WriteTfRecordsOptions = {}): Promise<number> {
  const { recordChunks } = await import('./chunks.js');
  const counted = { count: 0 };
  const { compression, ...rest } = options;
  await io.writeFile(target, recordChunks(records, compression, counted, options.signal), rest);
  return counted.count;
}

/**
 * The same in several files, `name-00000-of-00004` and so on, which appear together.
 * @param records of each file
 * @throws VggError as {@link writeTfRecords}
 */
export async function writeTfRecordShards(
  target: string,
  shards: readonly TfRecords[],
  options: WriteTfRecordsOptions = {},
): Promise<number> {
  const { recordChunks } = await import('./chunks.js');
  const counted = { count: 0 };
  const { compression, ...rest } = options;
  const names = shards.map((_, i) => shardName(target, i, shards.length));
  const files = shards.map((records, i) => ({
    name: names[i]!.slice(Math.max(names[i]!.lastIndexOf('/'), names[i]!.lastIndexOf('\\')) + 1),
    chunks: () => recordChunks(records, compression, counted, options.signal),
  }));
  await io.writeFiles(names.at(-1)!, files, rest);
  return counted.count;
}

/** TensorFlow's way to name files that belong together. */
export function shardName(target: string, index: number, count: number): string {
  const five = (number: number) => String(number).padStart(5, '0');
  return `${target}-${five(index)}-of-${five(count)}`;
}
