import { VggError } from '@vgg/errors';
import type { FolderListing } from '../io.js';

/** A page cannot list folders. @throws VggError `VGG_DATASET` always */
export async function listClassFolders(folder: string | URL): Promise<FolderListing> {
  throw new VggError(
    'VGG_DATASET',
    `dataset: a page cannot list the folder ${folder}; pass the files of an <input type="file" webkitdirectory>, or { className: [pictures] }`,
  );
}
