import type { Io } from './io.js';
import { nodeCache } from './node/cache.js';
import { openFolder } from './node/file-folder.js';
import { listClassFolders } from './node/folders.js';
import { hash } from './node/hash.js';
import { decodeImage } from './node/picture.js';
import { openSource } from './node/source.js';
import { writeFile, writeFiles } from './node/write.js';

/** Node's own: the file system, sharp, node:crypto, environment variables. */
export const io: Io = {
  platform: 'node',
  cache: nodeCache(),
  decode: decodeImage,
  hash,
  listClassFolders,
  openFolder,
  openSource,
  setting: (name) => process.env[name],
  writeFile,
  writeFiles,
};
