import { VggError } from '@vgg/errors';
import type { Source } from '@vgg/loaders';
import { io } from '#io';
import type { OpenOptions } from '../io/io.js';
import { type ImageInput, nameOf } from '../pictures/images.js';
import { assemble, checked, type Dataset, type Example, isDataset, joined, type Named } from './example.js';
import { isDataFileName, isManifestName } from './file-names.js';
import type { DataFileOptions } from './files.js';
import { fromListing, isHidden, type Listing } from './listing.js';
import { notPhotograph } from './photographs.js';
import { type Selection, select } from './select.js';
import {
  type DirectoryHandle,
  type DroppedEntry,
  type DroppedItem,
  isDirectoryHandle,
  isDroppedEntry,
  isDroppedItem,
} from './tree-kinds.js';

export type { Dataset, Example };

/** A data file: a zip archive of class folders, a CIFAR-10 or CIFAR-100 binary file, a TFRecord file or a file list. */
export type DataFile = string | URL | Blob | ArrayBuffer | Uint8Array | Source;

/**
 * What a dataset is made from:
 * - a folder of class folders (in Node; its path or `file:` URL), or of data files;
 * - a {@link DataFile} or several (batches of CIFAR, shards of records), known by their content, lists by their suffix;
 * - the files of a folder chosen in a page (`<input webkitdirectory>`), a `FileSystemDirectoryHandle`, or what was dropped:
 *   `event.dataTransfer.items`, or a `FileSystemEntry`;
 * - pictures by class name, or a dataset that was made before.
 */
export type DatasetInput =
  | DataFile
  | Readonly<Record<string, Iterable<ImageInput>>>
  | Iterable<DataFile>
  | Iterable<DroppedItem>
  | DroppedEntry
  | DirectoryHandle
  | Dataset;

export interface DatasetOptions extends Selection, OpenOptions {}

/**
 * A dataset of pictures in classes. Pictures are read when their turn comes: an archive of 50,000 needs the memory of their names.
 *
 * Pictures in nested folders belong to their top folder's class; in an archive, and in what was dropped, a folder that holds all class
 * folders is passed over. Files that are not photographs by their suffix are listed in `skipped`; dot files are passed over in silence.
 * Pictures that cannot be decoded are found only when they are read.
 *
 * @throws VggError `VGG_DATASET` if there is no picture in any class, or a wanted class is not there, `VGG_NOT_FOUND` for a folder or file that
 * does not exist, `VGG_INTEGRITY` for a corrupt file, `VGG_NETWORK`, `VGG_ABORTED`
 * @example
 * const { classes } = await openDataset({ cat: ['a.jpg'], ant: ['b.jpg', 'c.jpg'] }); // ['ant', 'cat']
 * const { examples } = await openDataset('cifar10/train.zip', { classes: ['airplane', 'automobile', 'bird'] }); // 15,000
 */
export async function openDataset(input: DatasetInput, options: DatasetOptions = {}): Promise<Dataset> {
  // What was dropped is there only until the first await.
  const dropped = droppedEntries(input);
  const dataset = dropped ? await openDropped(dropped, options) : await open(input, options);
  // A shard may be empty, all of them not.
  if (dataset.examples.length === 0) throw new VggError('VGG_DATASET', 'dataset: expected pictures, received a file without any');
  return select(dataset, options);
}

async function open(input: DatasetInput, options: DatasetOptions): Promise<Dataset> {
  if (typeof input === 'string' || input instanceof URL) {
    const listing = await io.listClassFolders(input, options);
    return listing ? openListing(listing, options) : openDataFile(input, options);
  }
  if (typeof input !== 'object' || input === null) {
    throw new VggError('VGG_DATASET', `dataset: expected a folder, files, or { className: [pictures] }, received ${typeof input}`);
  }
  if (isDataset(input)) return checked(input);
  if (isHeld(input)) return openDataFile(input, options);
  if (isDirectoryHandle(input)) return openListing(await (await import('./trees.js')).listDirectory(input, options.signal), options);
  if (Symbol.iterator in input) return openFiles([...(input as Iterable<DataFile>)], options);
  return fromRecord(input as Record<string, Iterable<ImageInput>>);
}

function droppedEntries(input: unknown): DroppedEntry[] | undefined {
  if (isDroppedEntry(input)) return [input];
  if (typeof input !== 'object' || input === null || !(Symbol.iterator in input) || ArrayBuffer.isView(input)) return undefined;
  const items = [...(input as Iterable<unknown>)];
  if (items.length === 0 || !items.every((item) => isDroppedItem(item) || isDroppedEntry(item))) return undefined;
  return items.flatMap((item) => {
    const entry = isDroppedItem(item) ? item.webkitGetAsEntry() : (item as DroppedEntry);
    return entry ? [entry] : [];
  });
}

async function openDropped(entries: readonly DroppedEntry[], options: DatasetOptions): Promise<Dataset> {
  const { listDropped } = await import('./trees.js');
  const dropped = await listDropped(entries, options.signal);
  return 'files' in dropped ? openFiles(dropped.files, options) : openListing(dropped.tree, options);
}

const isHeld = (input: object): input is Blob | ArrayBuffer | Uint8Array | Source =>
  input instanceof Blob ||
  input instanceof ArrayBuffer ||
  input instanceof Uint8Array ||
  ('read' in input && typeof input.read === 'function');

/** The readers of data files are loaded when there is one. */
async function openDataFile(file: DataFile, options: DataFileOptions): Promise<Dataset> {
  return (await import('./files.js')).openDataFile(file, options);
}

/** A tree of class folders; or of data files, where it has no folders and nothing else. */
async function openListing(listing: Listing, options: DatasetOptions): Promise<Dataset> {
  const top = listing.files.filter(({ parts }) => parts.length === 1);
  const data = trainingFiles(top.filter(({ parts }) => isDataFileName(parts[0]!)));
  if (listing.folders.length > 0 || data.length === 0) return fromListing(listing);
  const parts: Dataset[] = [];
  for (const { image } of data) parts.push(await openDataFile(await asDataFile(image), options));
  return joined(parts);
}

/** Of the files of CIFAR those for training; the one for tests is opened by its own name. */
function trainingFiles<F extends { readonly parts: readonly string[] }>(files: readonly F[]): readonly F[] {
  const own = files.filter(({ parts }) => /^(data_batch_\d+|train)\.bin$/i.test(parts[0]!));
  return own.length > 0 ? own : files;
}

/** A file of a listing: a path, a File, or what opens to one. */
async function asDataFile(image: ImageInput): Promise<DataFile> {
  if (typeof image === 'object' && 'open' in image) return (await image.open({ maxBytes: Number.POSITIVE_INFINITY })) as Blob;
  return image as DataFile;
}

/** The files of a chosen folder by their paths; files without paths are data files, or a list and the pictures that it names. */
async function openFiles(files: readonly DataFile[], options: DatasetOptions): Promise<Dataset> {
  if (files.length === 0) throw new VggError('VGG_DATASET', 'dataset: expected files, received an empty list');
  if (files.some((file) => pathWithin(file) !== '')) return openListing(listFiles(files as readonly File[]), options);
  const pictures = files.filter(
    (file): file is File => file instanceof Blob && 'name' in file && typeof file.name === 'string' && !notPhotograph(file.name),
  );
  const others = files.filter((file) => !pictures.includes(file as File));
  const [list] = others;
  if (pictures.length > 0 && !(others.length === 1 && list instanceof File && isManifestName(list.name))) throw withoutPaths();
  if (pictures.length > 0) return openDataFile(list!, { ...options, pictures: new Map(pictures.map((file) => [file.name, file])) });
  const parts: Dataset[] = [];
  for (const file of files) parts.push(await openDataFile(file, options));
  return joined(parts);
}

function withoutPaths(): VggError {
  return new VggError(
    'VGG_DATASET',
    'dataset: expected files with a webkitRelativePath, as <input type="file" webkitdirectory> gives them, received a list without; pass { className: [pictures] } instead',
  );
}

const pathWithin = (file: unknown): string => String((file as { webkitRelativePath?: unknown } | null)?.webkitRelativePath ?? '');

/** Files by their path below the folder that was chosen. */
function listFiles(files: readonly File[]): Listing {
  const listed: Listing['files'][number][] = [];
  const folders = new Set<string>();
  let root = 'the chosen folder';
  for (const file of files) {
    const path = pathWithin(file);
    if (path === '') throw withoutPaths();
    const [top, ...parts] = path.split('/');
    root = top!;
    if (parts.length === 0 || isHidden(parts)) continue;
    if (parts.length > 1) folders.add(parts[0]!);
    listed.push({ image: file, parts });
  }
  return { name: root, folders: [...folders], files: listed, skipped: [] };
}

function fromRecord(record: Readonly<Record<string, Iterable<ImageInput>>>): Dataset {
  const pictures = new Map<string, Named[]>();
  for (const [name, images] of Object.entries(record)) {
    const several = typeof images === 'object' && images !== null && Symbol.iterator in images && !ArrayBuffer.isView(images);
    if (!several) throw new VggError('VGG_DATASET', `dataset: expected a list of pictures for class "${name}", received ${typeof images}`);
    const own = [...images].map((image, i) => ({ image, name: nameOf(image) ?? `${name}[${i}]` }));
    if (own.length === 0) throw new VggError('VGG_DATASET', `dataset: expected pictures for class "${name}", received an empty list`);
    pictures.set(name, own);
  }
  if (pictures.size === 0) throw new VggError('VGG_DATASET', 'dataset: expected pictures by class name, received an empty object');
  return assemble(pictures, [], { keepOrder: true });
}
