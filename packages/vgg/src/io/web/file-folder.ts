import { messageOf, VggError } from '@vgg/errors';
import { blobSource, isPlainName } from '@vgg/loaders';
import type { FileFolder, WriteTarget } from '../io.js';
import { writeFiles } from './write.js';

/** Folders by name, in the origin private file system. */
const ROOT = 'vgg-runs';

/**
 * A folder that the person chose, by its handle, or one of the site's own storage, by a plain name.
 * @throws VggError `VGG_OUTPUT` where the page may not store anything
 */
export async function openFolder(target: WriteTarget): Promise<FileFolder> {
  const folder =
    typeof target === 'object' && 'getFileHandle' in target ? (target as FileSystemDirectoryHandle) : await stored(String(target));
  return {
    where: folder.name,
    async list() {
      const names: string[] = [];
      for await (const [name, entry] of folder.entries()) if (entry.kind === 'file') names.push(name);
      return names.sort();
    },
    async open(name) {
      const handle = await folder.getFileHandle(name).catch((cause) => {
        throw new VggError('VGG_NOT_FOUND', `${folder.name}/${name}: expected a file, and there is none (${messageOf(cause)})`, { cause });
      });
      return blobSource(await handle.getFile(), name);
    },
    write: (name, chunks, options) => writeFiles(folder, [{ name, chunks: () => chunks as AsyncIterable<Uint8Array> }], options),
    async remove(name) {
      await folder.removeEntry(name).catch((cause) => {
        if ((cause as DOMException).name === 'NotFoundError') return;
        throw new VggError('VGG_OUTPUT', `${folder.name}/${name}: could not be removed (${messageOf(cause)})`, { cause });
      });
    },
  };
}

async function stored(name: string): Promise<FileSystemDirectoryHandle> {
  if (!isPlainName(name)) {
    throw new VggError('VGG_OUTPUT', `openFolder: expected a folder's handle or a plain name in a page, received "${name.slice(0, 80)}"`);
  }
  try {
    const root = await (await navigator.storage.getDirectory()).getDirectoryHandle(ROOT, { create: true });
    return await root.getDirectoryHandle(name, { create: true });
  } catch (cause) {
    throw new VggError('VGG_OUTPUT', `${name}: this page has no storage (${messageOf(cause)}); it needs https or localhost`, { cause });
  }
}
