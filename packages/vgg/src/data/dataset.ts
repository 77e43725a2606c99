import { VggError } from '@vgg/errors';
import { io } from '#io';
import type { FolderListing } from '../io/io.js';
import { type ImageInput, nameOf } from '../pictures/images.js';
import { byName, notPhotograph, type Skipped } from './photographs.js';

/** A picture and its class. */
export interface Example {
  readonly image: ImageInput;
  /** Its class's place in `classes`. */
  readonly label: number;
  /** For messages and lists of failures: `ants/ant1.jpg`. */
  readonly name: string;
}

/** Pictures in classes; classes are in the order of their names. */
export interface Dataset {
  readonly classes: readonly string[];
  readonly examples: readonly Example[];
  /** Files that are no photographs, folders without any, and why. */
  readonly skipped: readonly Skipped[];
}

/**
 * What a dataset is made from: a folder of class folders (in Node; its path or `file:` URL), the files of a folder chosen in a page
 * (`<input webkitdirectory>`), pictures by class name, or a dataset that was made before.
 */
export type DatasetInput = string | URL | Readonly<Record<string, Iterable<ImageInput>>> | Iterable<File> | Dataset;

/**
 * A dataset of pictures in classes.
 *
 * Pictures in nested folders belong to their top folder's class. Files that are not photographs by their suffix are listed in
 * `skipped`; dot files are passed over in silence. Pictures that cannot be decoded are found only when they are read.
 *
 * @throws VggError `VGG_DATASET` if there is no picture in any class, `VGG_NOT_FOUND` for a folder that does not exist
 * @example
 * const { classes } = await openDataset({ cat: ['a.jpg'], ant: ['b.jpg', 'c.jpg'] }); // ['ant', 'cat']
 */
export async function openDataset(input: DatasetInput, options: { signal?: AbortSignal } = {}): Promise<Dataset> {
  if (typeof input === 'string' || input instanceof URL) return fromListing(await io.listClassFolders(input, options));
  if (typeof input !== 'object' || input === null) {
    throw new VggError('VGG_DATASET', `dataset: expected a folder, files, or { className: [pictures] }, received ${typeof input}`);
  }
  if (isDataset(input)) return checked(input);
  if (Symbol.iterator in input) return fromListing(listFiles(input as Iterable<File>));
  return fromRecord(input as Record<string, Iterable<ImageInput>>);
}

interface Listing {
  readonly name: string;
  readonly folders: readonly string[];
  readonly files: readonly { readonly image: ImageInput; readonly parts: readonly string[] }[];
  readonly skipped: readonly Skipped[];
}

function fromListing({ name, folders, files, skipped: passed }: Listing | FolderListing): Dataset {
  const skipped = [...passed];
  const classes = new Map<string, { image: ImageInput; name: string }[]>(folders.map((folder) => [folder, []]));
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

function assemble(pictures: ReadonlyMap<string, readonly { image: ImageInput; name: string }[]>, skipped: readonly Skipped[]): Dataset {
  const classes = [...pictures.keys()].sort(byName);
  const examples = classes.flatMap((name, label) => {
    const own = [...pictures.get(name)!].sort((a, b) => byName(a.name, b.name));
    return own.map((picture) => ({ ...picture, label }));
  });
  return { classes, examples, skipped };
}

/** Files by their path below the folder that was chosen. */
function listFiles(files: Iterable<File>): Listing {
  const listed: Listing['files'][number][] = [];
  const folders = new Set<string>();
  let root = 'the chosen folder';
  for (const file of files) {
    const path = (file as { webkitRelativePath?: unknown } | null)?.webkitRelativePath;
    if (typeof path !== 'string' || path === '') {
      throw new VggError(
        'VGG_DATASET',
        'dataset: expected files with a webkitRelativePath, as <input type="file" webkitdirectory> gives them, received a list without; pass { className: [pictures] } instead',
      );
    }
    const [top, ...parts] = path.split('/');
    root = top!;
    if (parts.length === 0 || parts.some((part) => part.startsWith('.'))) continue;
    if (parts.length > 1) folders.add(parts[0]!);
    listed.push({ image: file, parts });
  }
  return { name: root, folders: [...folders], files: listed, skipped: [] };
}

function fromRecord(record: Readonly<Record<string, Iterable<ImageInput>>>): Dataset {
  const pictures = new Map<string, { image: ImageInput; name: string; label: number }[]>();
  for (const [name, images] of Object.entries(record)) {
    const several = typeof images === 'object' && images !== null && Symbol.iterator in images && !ArrayBuffer.isView(images);
    if (!several) throw new VggError('VGG_DATASET', `dataset: expected a list of pictures for class "${name}", received ${typeof images}`);
    const own = [...images].map((image, i) => ({ image, name: nameOf(image) ?? `${name}[${i}]`, label: 0 }));
    if (own.length === 0) throw new VggError('VGG_DATASET', `dataset: expected pictures for class "${name}", received an empty list`);
    pictures.set(name, own);
  }
  if (pictures.size === 0) throw new VggError('VGG_DATASET', 'dataset: expected pictures by class name, received an empty object');
  // The lists keep their own order: a canvas or a buffer has no name to sort by.
  const classes = [...pictures.keys()].sort(byName);
  const examples = classes.flatMap((name, label) => pictures.get(name)!.map((picture) => ({ ...picture, label })));
  return { classes, examples, skipped: [] };
}

function isDataset(input: object): input is Dataset {
  const { classes, examples } = input as Partial<Dataset>;
  return Array.isArray(classes) && Array.isArray(examples) && examples.every((example) => typeof example?.label === 'number');
}

function checked(dataset: Dataset): Dataset {
  const { classes, examples } = dataset;
  if (new Set(classes).size !== classes.length)
    throw new VggError('VGG_DATASET', 'dataset: expected each class name once, received one twice');
  const wrong = examples.find(({ label }) => !(Number.isInteger(label) && label >= 0 && label < classes.length));
  if (wrong) {
    throw new VggError(
      'VGG_DATASET',
      `dataset: expected labels from 0 to ${classes.length - 1}, received ${wrong.label} for ${wrong.name}`,
    );
  }
  if (examples.length === 0) throw new VggError('VGG_DATASET', 'dataset: expected pictures, received none');
  return { classes, examples, skipped: dataset.skipped ?? [] };
}
