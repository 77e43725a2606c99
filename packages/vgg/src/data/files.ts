import { isVggError, VggError } from '@vgg/errors';
import type { ReadOptions, Source } from '@vgg/loaders';
import type { OpenOptions, SourceInput } from '../io/io.js';
import type { ImageInput } from '../pictures/images.js';
import { openDataSource } from './data-source.js';
import type { Dataset } from './example.js';
import { isManifestName } from './file-names.js';
import { beside, openManifest } from './manifest.js';

export interface DataFileOptions extends OpenOptions {
  /** The pictures that a list names, by their names, where they are not beside it. */
  pictures?: ReadonlyMap<string, ImageInput>;
}

/** A zip archive of members, or of none. */
const ZIP = [0x04034b50, 0x06054b50];

/**
 * The pictures of one data file. What it is, is known by its content; a file list by its suffix.
 *
 * @throws VggError `VGG_DATASET` if it is none, and what reading it throws
 */
export async function openDataFile(input: SourceInput, options: DataFileOptions = {}): Promise<Dataset> {
  const source = await openDataSource(input, options);
  const read: ReadOptions = options.signal ? { signal: options.signal } : {};
  // Readers are loaded when a file of theirs is opened.
  if (isManifestName(source.name)) return openManifest(source, locator(input, source.name, options), read);
  const head = await source.read(0, Math.min(16, source.size), read);
  if (head.length >= 4 && ZIP.includes(new DataView(head.buffer, head.byteOffset).getUint32(0, true)))
    return (await import('./zip.js')).openZipDataset(source, read);
  const { cifarKind, openCifar } = await import('./cifar.js');
  const kind = await cifarKind(source, read);
  if (kind) return openCifar(source, kind, read);
  return openRecords(source, head, read);
}

async function openRecords(source: Source, head: Uint8Array, options: ReadOptions): Promise<Dataset> {
  const [{ looksLikeRecords }, { openTfRecordDataset }] = await Promise.all([
    import('./tfrecord/compression.js'),
    import('./tfrecord/dataset.js'),
  ]);
  const isNamed = /\.tfrecords?\b/i.test(source.name);
  if (!isNamed && !looksLikeRecords(head)) throw notData(source.name);
  try {
    return await openTfRecordDataset(source, options);
  } catch (error) {
    // Something else that was packed by gzip.
    if (!isNamed && isVggError(error, 'VGG_INTEGRITY') && /record 0 at byte 0/.test(error.message)) throw notData(source.name);
    throw error;
  }
}

function notData(name: string): VggError {
  return new VggError(
    'VGG_DATASET',
    `dataset: expected a folder, a zip archive, a CIFAR .bin, a TFRecord file or a list (.txt, .csv, .jsonl), received the file ${name}`,
  );
}

function locator(input: SourceInput, who: string, { pictures }: DataFileOptions): (path: string, line: number) => ImageInput {
  const place = typeof input === 'string' || input instanceof URL ? input : undefined;
  const located = beside(place, who);
  if (!pictures) return located;
  return (path, line) => {
    const found = pictures.get(path) ?? pictures.get(path.slice(path.lastIndexOf('/') + 1));
    if (found !== undefined) return found;
    throw new VggError(
      'VGG_DATASET',
      `${who}, line ${line}: expected the name of a picture that was given with the list, received "${path.slice(0, 80)}"`,
    );
  };
}
