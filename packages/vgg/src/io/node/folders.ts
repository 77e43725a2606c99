import type { Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, posix } from 'node:path';
import { messageOf, throwIfAborted, VggError } from '@vgg/errors';
import { byName, notPhotograph, type Skipped } from '../../data/photographs.js';
import type { FolderListing } from '../io.js';
import { globBase, globDepth, globToRegExp, isGlob } from './glob.js';
import { pathOf } from './path.js';

/** Folders inside folders beyond this are a mistake, or an attack. */
const MAX_DEPTH = 32;

interface Found {
  /** The file's path, openable. */
  path: string;
  /** Its path below the folder that was listed, with `/`. */
  relative: string;
}

/**
 * The files of a folder of class folders, pictures in nested folders too, in the order of their names. Dot files are passed over in silence;
 * links are followed, and one that leads back into its own path is skipped.
 *
 * @returns `undefined` for a file or an http(s) address
 * @throws VggError `VGG_NOT_FOUND` if there is nothing
 */
export async function listClassFolders(folder: string | URL, options: { signal?: AbortSignal } = {}): Promise<FolderListing | undefined> {
  if (/^https?:/i.test(String(folder))) return undefined;
  const root = pathOf(folder);
  const entry = await statOf(root);
  if (!entry) throw new VggError('VGG_NOT_FOUND', `dataset: expected a folder of class folders, received ${root}, which does not exist`);
  if (!entry.isDirectory()) return undefined;
  const skipped: Skipped[] = [];
  const found = await walk(root, skipped, options.signal);
  return {
    name: basename(root),
    folders: await classFolders(root),
    files: found.map(({ path, relative }) => ({ image: path, parts: relative.split('/') })),
    skipped,
  };
}

async function classFolders(root: string): Promise<string[]> {
  const folders: string[] = [];
  for (const name of await namesIn(root)) if ((await statOf(join(root, name)))?.isDirectory()) folders.push(name);
  return folders;
}

/**
 * The pictures that a command line names: files, folders (all photographs below them), globs (`*`, `**`, `?`, `[a-z]`, `{a,b}`), URLs and
 * `-`. The order of the arguments is kept, files of a folder or glob are in the order of their names, and none comes twice.
 * A named file is kept whatever its suffix is, and although it may not exist: opening it says why.
 *
 * @returns the pictures, and what was passed over: files of a folder or glob that are not photographs, globs that match nothing
 */
export async function listImages(
  args: readonly string[],
  options: { signal?: AbortSignal } = {},
): Promise<{ images: string[]; skipped: Skipped[] }> {
  const images = new Map<string, string>();
  const skipped: Skipped[] = [];
  const keep = (key: string, image: string) => {
    if (!images.has(key)) images.set(key, image);
  };
  for (const arg of args) {
    throwIfAborted(options.signal, 'listImages');
    if (arg === '-' || /^[a-z][a-z\d+.-]+:/i.test(arg)) {
      keep(arg, arg);
      continue;
    }
    const entry = await statOf(arg);
    const pattern = !entry && isGlob(arg) ? posix.normalize(slashed(arg)) : undefined;
    if (!entry?.isDirectory() && !pattern) {
      keep(entry ? await realpath(arg) : arg, arg);
      continue;
    }
    const before = images.size + skipped.length;
    const root = pattern ? globBase(pattern) : arg;
    const matches = (await statOf(root))?.isDirectory() ? await walk(root, skipped, options.signal, pattern) : [];
    for (const { path } of matches) {
      const reason = notPhotograph(path);
      if (reason) skipped.push({ name: path, reason });
      else keep(await realpath(path), path);
    }
    if (images.size + skipped.length === before && matches.length === 0) {
      skipped.push({ name: arg, reason: pattern ? 'no file matches this pattern' : 'the folder holds no photographs' });
    }
  }
  return { images: [...images.values()], skipped };
}

/** All files below a folder that a pattern for whole paths lets through, depth first, by name. */
async function walk(root: string, skipped: Skipped[], signal?: AbortSignal, pattern?: string): Promise<Found[]> {
  const found: Found[] = [];
  const wanted = pattern === undefined ? undefined : globToRegExp(pattern);
  const depth = pattern === undefined ? Number.POSITIVE_INFINITY : globDepth(pattern);
  const visit = async (folder: string, below: string, above: readonly string[]): Promise<void> => {
    throwIfAborted(signal, 'listing a folder');
    let names: string[];
    try {
      names = await namesIn(folder);
    } catch (error) {
      skipped.push({ name: below || folder, reason: `the folder cannot be read (${messageOf(error)})` });
      return;
    }
    for (const name of names) {
      const path = folder === '' ? name : join(folder, name);
      const relative = below === '' ? name : `${below}/${name}`;
      const entry = await statOf(path);
      if (entry?.isDirectory()) {
        if (above.length >= depth) continue;
        const real = await realpath(path);
        if (above.includes(real)) skipped.push({ name: relative, reason: 'a link back to a folder that holds it' });
        else if (above.length >= MAX_DEPTH) skipped.push({ name: relative, reason: `more than ${MAX_DEPTH} folders deep` });
        else await visit(path, relative, [...above, real]);
      } else if (wanted && !wanted.test(slashed(path))) {
        // not asked for
      } else if (entry?.isFile()) {
        found.push({ path, relative });
      } else {
        skipped.push({ name: relative, reason: entry ? 'neither a file nor a folder' : 'a link to nothing' });
      }
    }
  };
  await visit(root, '', [await realpath(root === '' ? '.' : root)]);
  return found;
}

async function namesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder === '' ? '.' : folder);
  return names.filter((name) => !name.startsWith('.')).sort(byName);
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path === '' ? '.' : path);
  } catch {
    return undefined;
  }
}

/** The path as glob patterns see it, on Windows too. */
function slashed(path: string): string {
  return process.platform === 'win32' ? path.replaceAll('\\', '/') : path;
}
