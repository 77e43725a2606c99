import type { Io } from './io.js';
import { webCache } from './web/cache.js';
import { openFolder } from './web/file-folder.js';
import { listClassFolders } from './web/folders.js';
import { hash } from './web/hash.js';
import { decodeImage } from './web/picture.js';
import { openSource } from './web/source.js';
import { writeFile, writeFiles } from './web/write.js';

/** A page's own: Blobs and Range requests, createImageBitmap, the origin private file system, URL parameters. */
export const io: Io = {
  platform: 'web',
  cache: webCache(),
  decode: decodeImage,
  hash,
  listClassFolders,
  openFolder,
  openSource,
  /** `VGG_MIRROR` is `?vgg-mirror=`. */
  setting: (name) => new URLSearchParams(globalThis.location?.search ?? '').get(name.toLowerCase().replaceAll('_', '-')) ?? undefined,
  writeFile,
  writeFiles,
};
