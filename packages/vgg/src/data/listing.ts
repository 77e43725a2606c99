import { VggError } from '@vgg/errors';
import type { FolderListing } from '../io/io.js';
import type { ImageInput } from '../pictures/images.js';
import { assemble, type Dataset, type Named } from './example.js';
import { notPhotograph, type Skipped } from './photographs.js';

/** The files of a tree; `parts` is a file's path below its root. */
export interface Listing {
  readonly name: string;
  /** The folders directly in it, empty ones too. */
  readonly folders: readonly string[];
  readonly files: readonly { readonly image: ImageInput; readonly parts: readonly string[] }[];
  readonly skipped: readonly Skipped[];
}

/** A tree whose top folders are classes. @throws VggError `VGG_DATASET` if there is no photograph in any */
export function fromListing({ name, folders, files, skipped: passed }: Listing | FolderListing): Dataset {
  const skipped = [...passed];
  const classes = new Map<string, Named[]>(folders.map((folder) => [folder, []]));
  for (const { image, parts } of files) {
    const path = parts.join('/');
    const reason = parts.length < 2 ? 'it lies beside the class folders' : notPhotograph(path);
    if (reason) {
      skipped.push({ name: path, reason });
      continue;
    }
    const own = classes.get(parts[0]!) ?? [];
    classes.set(parts[0]!, own);
    own.push({ image, name: path });
  }
  if (classes.size === 0) {
    const held = files.length === 0 ? 'an empty folder' : `a folder of ${files.length} files without folders`;
    throw new VggError('VGG_DATASET', `dataset: expected one folder of photographs for each class in ${name}, received ${held}`);
  }
  for (const [folder, own] of classes) {
    if (own.length > 0) continue;
    classes.delete(folder);
    skipped.push({ name: folder, reason: 'the folder holds no photographs' });
  }
  if (classes.size === 0) {
    const why = skipped.length > 0 ? ` (${skipped[0]!.name}: ${skipped[0]!.reason})` : '';
    throw new VggError('VGG_DATASET', `dataset: expected photographs in the class folders of ${name}, received none${why}`);
  }
  return assemble(classes, skipped);
}

/**
 * The same tree from below the folders that merely hold it, as `train/` does in an archive of `train/ants/1.jpg` and `train/bees/2.jpg`:
 * a folder in which all photographs lie, none of them directly.
 */
export function belowCommonFolder(listing: Listing): Listing {
  const photographs = listing.files.filter(({ parts }) => notPhotograph(parts.at(-1)!) === undefined);
  const top = photographs[0]?.parts[0];
  if (top === undefined || photographs.some(({ parts }) => parts.length < 3 || parts[0] !== top)) return listing;
  const isInside = ({ parts }: { parts: readonly string[] }) => parts[0] === top && parts.length > 1;
  const outside = listing.files.filter((file) => !isInside(file));
  const files = listing.files.filter(isInside).map(({ image, parts }) => ({ image, parts: parts.slice(1) }));
  const skipped = outside.map(({ parts }) => ({ name: parts.join('/'), reason: `it lies beside ${top}` }));
  const folders = new Set(files.filter(({ parts }) => parts.length > 1).map(({ parts }) => parts[0]!));
  return belowCommonFolder({ name: `${listing.name}/${top}`, folders: [...folders], files, skipped: [...listing.skipped, ...skipped] });
}

/** True for what systems leave in folders and archives, and nobody put there. */
export const isHidden = (parts: readonly string[]): boolean => parts.some((part) => part.startsWith('.') || part === '__MACOSX');
