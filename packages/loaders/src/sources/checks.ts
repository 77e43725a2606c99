import { VggError } from '@vgg/errors';

/**
 * Refuses a read outside the file before anything is allocated for it.
 * @throws VggError `VGG_INTEGRITY`
 */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0 || offset + length > size) {
    throw new VggError(
      'VGG_INTEGRITY',
      `${name}: expected at least ${offset + length} bytes, received a file of ${size}; it is cut or corrupt, fetch it again`,
    );
  }
}

/** Longest file name that common file systems hold. */
const MAX_NAME = 255;

/**
 * Whether `name` is a plain file name inside its own folder: no path, no drive, no host, no `..`, no control characters.
 * Names come out of files that strangers wrote, so nothing else may reach a file system or a server.
 */
export function isPlainName(name: string): boolean {
  if (name.length === 0 || name.length > MAX_NAME || name === '.' || name === '..' || name === '__proto__') return false;
  for (const character of name) if (character < ' ' || character === '\x7f' || '/\\:'.includes(character)) return false;
  return true;
}

/** @throws VggError `VGG_INTEGRITY` unless {@link isPlainName} */
export function checkPlainName(who: string, name: string): void {
  if (isPlainName(name)) return;
  throw new VggError(
    'VGG_INTEGRITY',
    `${who}: expected the plain name of a file in the same folder, received ${JSON.stringify(name.slice(0, 80))}; paths, "..", and other hosts are refused`,
  );
}
