import { messageOf, throwIfAborted, VggError } from '@vgg/errors';
import type { DeferredImage } from '../pictures/deferred.js';
import type { ImageInput } from '../pictures/images.js';
import { belowCommonFolder, isHidden, type Listing } from './listing.js';
import { byName } from './photographs.js';
import type { DirectoryHandle, DroppedEntry, DroppedFile, DroppedFolder, FileHandle } from './tree-kinds.js';

/** Trees of files that a page is given: dropped ones (`DataTransferItemList`, `FileSystemEntry`), and those behind a `FileSystemDirectoryHandle`. */

/** Folders inside folders beyond this are a mistake, or an attack. */
const MAX_DEPTH = 32;

/** The files of a chosen directory. */
export async function listDirectory(root: DirectoryHandle, signal?: AbortSignal): Promise<Listing> {
  const tree = newTree(root.name);
  const visit = async (folder: DirectoryHandle, above: readonly string[]): Promise<void> => {
    for await (const entry of folder.values()) {
      throwIfAborted(signal, 'openDataset');
      const parts = [...above, entry.name];
      if (isHidden(parts)) continue;
      if (entry.kind === 'file') tree.files.push({ image: handled(entry, parts.join('/')), parts });
      else if (tree.enter(parts)) await visit(entry, parts);
    }
  };
  await attempt(root.name, visit(root, []));
  return sorted(tree);
}

/** What was dropped: files alone, or a tree; a folder that was dropped by itself is the root. */
export async function listDropped(entries: readonly DroppedEntry[], signal?: AbortSignal): Promise<{ files: File[] } | { tree: Listing }> {
  if (entries.length > 0 && entries.every(({ isFile }) => isFile))
    return { files: await Promise.all(entries.map((entry) => fileOf(entry as DroppedFile))) };
  const [only] = entries;
  const isOne = entries.length === 1 && only!.isDirectory;
  const tree = newTree(isOne ? only!.name : 'what was dropped');
  const visit = async (children: readonly DroppedEntry[], above: readonly string[]): Promise<void> => {
    for (const entry of children) {
      throwIfAborted(signal, 'openDataset');
      const parts = [...above, entry.name];
      if (isHidden(parts)) continue;
      if (entry.isFile) tree.files.push({ image: await fileOf(entry as DroppedFile), parts });
      else if (tree.enter(parts)) await visit(await entriesOf(entry as DroppedFolder), parts);
    }
  };
  await attempt(tree.name, visit(isOne ? await entriesOf(only as DroppedFolder) : entries, []));
  return { tree: belowCommonFolder(sorted(tree)) };
}

interface Tree extends Listing {
  readonly folders: string[];
  readonly files: { readonly image: ImageInput; readonly parts: readonly string[] }[];
  readonly skipped: { readonly name: string; readonly reason: string }[];
  /** Notes a folder; false where it is too deep to go into. */
  enter(parts: readonly string[]): boolean;
}

function newTree(name: string): Tree {
  const folders: string[] = [];
  const skipped: { name: string; reason: string }[] = [];
  const enter = (parts: readonly string[]) => {
    if (parts.length === 1) folders.push(parts[0]!);
    if (parts.length <= MAX_DEPTH) return true;
    skipped.push({ name: parts.join('/'), reason: `more than ${MAX_DEPTH} folders deep` });
    return false;
  };
  return { name, folders, files: [], skipped, enter };
}

/** Neither interface promises an order. */
function sorted({ name, folders, files, skipped }: Tree): Listing {
  files.sort((a, b) => byName(a.parts.join('/'), b.parts.join('/')));
  return { name, folders: [...folders].sort(byName), files, skipped };
}

function handled(handle: FileHandle, name: string): DeferredImage {
  return { name, open: () => handle.getFile() };
}

function fileOf(entry: DroppedFile): Promise<File> {
  return attempt(entry.name, new Promise((resolve, reject) => entry.file(resolve, reject)));
}

/** A reader gives its entries a hundred at a time, and none when they are over. */
async function entriesOf(folder: DroppedFolder): Promise<DroppedEntry[]> {
  const reader = folder.createReader();
  const all: DroppedEntry[] = [];
  for (;;) {
    const some = await attempt(folder.name, new Promise<DroppedEntry[]>((resolve, reject) => reader.readEntries(resolve, reject)));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

async function attempt<T>(name: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof VggError) throw error;
    throw new VggError('VGG_INPUT', `${name}: could not be read (${messageOf(error)}); choose it again`, { cause: error });
  }
}
