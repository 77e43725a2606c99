import { VggError } from '@vgg/errors';
import type { FolderListing } from '../io.js';

/** Addresses of files: by their scheme, or by the suffixes of data files. */
const FILE = /^(blob|data):|\.(zip|bin|gz|txt|csv|tsv|jsonl|ndjson|tfrecords?)([?#]|$)|\.tfrecords?-\d+-of-\d+([?#]|$)/i;

/** A page cannot list folders; the address of a data file is none. @throws VggError `VGG_DATASET` for any other */
export async function listClassFolders(folder: string | URL): Promise<FolderListing | undefined> {
  if (FILE.test(String(folder))) return undefined;
  throw new VggError(
    'VGG_DATASET',
    `dataset: a page cannot list the folder ${folder}; pass the files of an <input type="file" webkitdirectory>, or { className: [pictures] }`,
  );
}
