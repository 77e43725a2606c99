import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, VggError } from '@vgg/errors';
import { isPlainName } from '@vgg/loaders';
import type { FileFolder, WriteTarget } from '../io.js';
import { pathOf } from './path.js';
import { openFileSource } from './source.js';
import { writeFile } from './write.js';

/** A folder of the file system; it is made when the first file is written. @throws VggError `VGG_OUTPUT` for a handle of a page */
export async function openFolder(target: WriteTarget): Promise<FileFolder> {
  if (typeof target !== 'string' && !(target instanceof URL)) {
    throw new VggError('VGG_OUTPUT', `openFolder: expected a path or a file: URL in Node, received a page's handle "${target.name}"`);
  }
  const path = pathOf(target);
  const place = (name: string) => {
    if (isPlainName(name)) return join(path, name);
    throw new VggError('VGG_OPTION', `${path}: expected a plain file name, received "${name.slice(0, 80)}"`);
  };
  return {
    where: path,
    async list() {
      const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return [];
        throw new VggError('VGG_OUTPUT', `${path}: expected a folder, and it cannot be read (${error.code ?? messageOf(error)})`, {
          cause: error,
        });
      });
      return entries
        .filter((entry) => entry.isFile())
        .map(({ name }) => name)
        .sort();
    },
    open: async (name) => openFileSource(place(name)),
    write: async (name, chunks, options = {}) => writeFile(place(name), chunks, { ...options, makeFolder: true }),
    async remove(name) {
      await rm(place(name), { force: true }).catch((error) => {
        throw new VggError('VGG_OUTPUT', `${place(name)}: could not be removed (${messageOf(error)})`, { cause: error });
      });
    },
  };
}
