import { messageOf, VggError } from '@vgg/errors';
import { inflate, type ReadOptions, type Source } from '@vgg/loaders';
import { HEAD, lengthOf } from './frame.js';

/** How a file is packed as a whole: TensorFlow's `GZIP` and `ZLIB`. */
export type TfRecordCompression = 'none' | 'gzip' | 'zlib';

/** Bytes read at a time. */
const PIECE = 2 ** 20;

/** How a file is packed, by its first bytes: an unpacked one begins with a length and its checksum. */
export async function compressionOf(source: Source, options: ReadOptions): Promise<TfRecordCompression> {
  return compressionAt(await source.read(0, Math.min(HEAD, source.size), options));
}

function compressionAt(head: Uint8Array): TfRecordCompression {
  if (isHead(head)) return 'none';
  const [first = 0, second = 0] = head;
  if (first === 0x1f && second === 0x8b) return 'gzip';
  // Where bytes 4 to 7 are zero it is a length with a wrong checksum, sooner than a packed stream.
  const isZlib = (first & 15) === 8 && first >> 4 <= 7 && (first * 256 + second) % 31 === 0;
  return isZlib && head.subarray(4, 8).some((byte) => byte !== 0) ? 'zlib' : 'none';
}

const isHead = (head: Uint8Array): boolean => head.length >= HEAD && lengthOf(head.subarray(0, HEAD)) !== undefined;

/** Whether a file that begins so may be one of records: it has a record's head, or is packed. */
export const looksLikeRecords = (head: Uint8Array): boolean => isHead(head) || compressionAt(head) !== 'none';

/** A file's bytes from its first to its last, unpacked; a piece holds its bytes until the next is asked for. */
export async function* unpacked(source: Source, compression: TfRecordCompression, options: ReadOptions): AsyncGenerator<Uint8Array> {
  const pieces = piecesOf(source, options);
  if (compression === 'none') yield* pieces;
  else {
    const broken = (what: string) =>
      new VggError('VGG_INTEGRITY', `${source.name}: expected a whole ${compression} file of records, but it ${what}; get the file again`);
    yield* inflate(pieces, { format: compression === 'gzip' ? 'gzip' : 'deflate', broken });
  }
}

async function* piecesOf(source: Source, options: ReadOptions): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < source.size; at += PIECE) yield await source.read(at, Math.min(PIECE, source.size - at), options);
}

/** The same bytes packed, by the platform's own deflate. */
export async function* packed(chunks: AsyncIterable<Uint8Array>, compression: TfRecordCompression): AsyncGenerator<Uint8Array> {
  if (compression === 'none') {
    yield* chunks;
    return;
  }
  const stream = new CompressionStream(compression === 'gzip' ? 'gzip' : 'deflate');
  const writer = stream.writable.getWriter();
  let failure: { cause: unknown } | undefined;
  const feed = async () => {
    try {
      // A chunk may be a view that its maker uses again.
      for await (const chunk of chunks) await writer.write(chunk.slice() as Uint8Array<ArrayBuffer>);
      await writer.close();
    } catch (cause) {
      failure ??= { cause };
      await writer.abort(messageOf(cause)).catch(() => {});
    }
  };
  const fed = feed();
  const reader = stream.readable.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
    await fed;
  } catch (error) {
    await fed;
    throw failure?.cause ?? error;
  } finally {
    await reader.cancel().catch(() => {});
  }
  if (failure) throw failure.cause;
}
