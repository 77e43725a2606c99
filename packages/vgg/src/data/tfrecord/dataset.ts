import { VggError } from '@vgg/errors';
import type { ReadOptions, Source } from '@vgg/loaders';
import type { DeferredImage } from '../../pictures/deferred.js';
import { maxBytes } from '../../pictures/encoded.js';
import { byNumberOrName, type Dataset, type Example } from '../example.js';
import { compressionOf } from './compression.js';
import { decodeExample } from './example.js';
import { pictureOf } from './picture.js';
import { recordAt, recordsOf } from './records.js';

interface Found {
  readonly image: DeferredImage;
  readonly label: number | undefined;
  readonly text: string | undefined;
}

/** Most bytes of pictures that are kept of a packed file, whose records cannot be read in any order. */
const MAX_KEPT = 2 ** 30;
/** Most bytes of a record: a picture's, and room for what is said of it. A packed file of a megabyte can claim a gigabyte. */
const MAX_RECORD_BYTES = Math.min(maxBytes({}), 2 ** 28);

/**
 * The pictures of a TFRecord file, each with its class's number or text. The file is read through once for them, its checksums looked
 * at; pictures are then read in their turn, or, of a packed file, kept in memory.
 *
 * @throws VggError `VGG_INTEGRITY` for a corrupt record, `VGG_FORMAT` for one without a picture or class, `VGG_MEMORY` for a packed file of
 * more than 1 GiB of pictures
 */
export async function openTfRecordDataset(source: Source, options: ReadOptions = {}): Promise<Dataset> {
  const isPacked = (await compressionOf(source, options)) !== 'none';
  const found: Found[] = [];
  let kept = 0;
  for await (const { index, offset, data } of recordsOf(source, { ...options, maxRecordBytes: MAX_RECORD_BYTES })) {
    const name = `${source.name}#${index}`;
    const { image, label, text } = pictureOf(decodeExample(data, name), name);
    if (label === undefined && text === undefined)
      throw new VggError('VGG_FORMAT', `${name}: expected an Example with a class, received none`);
    if (isPacked) kept += data.length;
    if (kept > MAX_KEPT) {
      throw new VggError(
        'VGG_MEMORY',
        `${source.name}: expected at most ${MAX_KEPT} bytes of packed pictures, received more; unpack the file`,
      );
    }
    const open = isPacked ? () => Promise.resolve(image) : opener(source, name, { index, offset, length: data.length });
    found.push({ image: { name, open }, label, text });
  }
  return classed(found);
}

/** Reads a record's picture; its bytes are not held until then. */
function opener(source: Source, name: string, place: { index: number; offset: number; length: number }): DeferredImage['open'] {
  return async ({ signal }) => pictureOf(decodeExample(await recordAt(source, place, signal ? { signal } : {}), name), name).image;
}

/** Classes by their numbers where they have any; a number's name is its text. */
function classed(found: readonly Found[]): Dataset {
  const byNumber = found.every(({ label }) => label !== undefined);
  const keyOf = ({ label, text }: Found) => (byNumber ? String(label) : (text ?? String(label)));
  const names = new Map<string, string>();
  for (const item of found) if (!names.has(keyOf(item))) names.set(keyOf(item), item.text ?? keyOf(item));
  // Two numbers of one text are two classes all the same.
  const isTold = new Set(names.values()).size === names.size;
  const keys = [...names.keys()].sort(byNumberOrName);
  const places = new Map(keys.map((key, i) => [key, i]));
  const examples: Example[] = found.map((item) => ({ image: item.image, label: places.get(keyOf(item))!, name: item.image.name! }));
  return { classes: keys.map((key) => (isTold ? names.get(key)! : key)), examples, skipped: [] };
}
