import { VggError } from '@vgg/errors';
import { bytesSource, openZip, type ReadOptions, readEntry, type Source, type Zip, type ZipEntry } from '@vgg/loaders';
import type { DeferredImage } from '../pictures/deferred.js';
import type { Dataset } from './example.js';
import { belowCommonFolder, fromListing, isHidden } from './listing.js';

/** ImageNet has 1.3 million pictures. */
const MAX_PICTURES = 2 ** 21;
/** Picture files are packed themselves: a large one that an archive packs to less than a hundredth is none, whatever its name. */
const BOMB_SIZE = 2 ** 24;
const BOMB_RATIO = 100;
/** A member that is this small, with its header, is read at once. */
const MAX_SPAN = 2 ** 18;

/**
 * The pictures of a zip archive of class folders, each unpacked when it is read. A folder that holds them all (`train/`) is passed over.
 *
 * @throws VggError `VGG_DATASET` if there are no photographs in folders, `VGG_INTEGRITY` if the archive is corrupt
 */
export async function openZipDataset(source: Source, options: ReadOptions = {}): Promise<Dataset> {
  const zip = await openZip(source, { ...options, maxEntries: MAX_PICTURES });
  const files = [...zip.entries.values()]
    .map((entry) => ({ image: member(zip, entry), parts: entry.name.split('/') }))
    .filter(({ parts }) => !isHidden(parts));
  const folders = new Set(files.filter(({ parts }) => parts.length > 1).map(({ parts }) => parts[0]!));
  return fromListing(belowCommonFolder({ name: source.name, folders: [...folders], files, skipped: [] }));
}

function member(zip: Zip, entry: ZipEntry): DeferredImage {
  const name = `${zip.who}/${entry.name}`;
  return {
    name,
    async open({ maxBytes, signal }) {
      if (entry.size > maxBytes) {
        throw new VggError('VGG_INPUT', `decode: ${name}: expected a picture of at most ${maxBytes} bytes, received ${entry.size}`);
      }
      if (entry.size > BOMB_SIZE && entry.size > BOMB_RATIO * entry.packedSize) {
        throw new VggError('VGG_INPUT', `decode: ${name}: expected a picture, received ${entry.size} bytes packed in ${entry.packedSize}`);
      }
      const options = signal ? { signal } : {};
      return readEntry(await nearby(zip, entry, options), entry.name, maxBytes, options);
    },
  };
}

/** The archive with the bytes of a small member at hand: one read in the place of several. */
async function nearby(zip: Zip, entry: ZipEntry, options: ReadOptions): Promise<Zip> {
  const { offset, limit } = entry;
  if (limit - offset > MAX_SPAN) return zip;
  const held = bytesSource(await zip.source.read(offset, limit - offset, options), zip.who);
  const source = { ...zip.source, read: (at: number, length: number) => held.read(at - offset, length) };
  return { ...zip, source: { name: source.name, size: source.size, read: source.read } };
}
