export { openZip, type Zip, type ZipEntry } from './directory.js';
export { readEntry, zipSource, zipStream } from './read.js';
