import { VggError } from '@vgg/errors';

/** The sentences in which files are refused; the codes are the same for all formats. */

/** The error for a file that breaks its format's own rules: cut, corrupt, or made to do harm. `kind` is what it should be, such as `HDF5 file`. */
export function corruptFile(who: string, kind: string, what: string): VggError {
  return new VggError('VGG_INTEGRITY', `${who}: expected a whole ${kind}, received one that is cut or corrupt (${what}); fetch it again`);
}

/** The error for a file that is past a limit of ours, such as `at most 64 filters`. */
export function pastLimit(who: string, expected: string, received: number | string = 'more'): VggError {
  return new VggError('VGG_INTEGRITY', `${who}: expected ${expected}, received ${received}`);
}

/** The error for a file that is sound, with something that its reader does not take. */
export function unsupported(who: string, what: string): VggError {
  return new VggError('VGG_FORMAT', `${who}: ${what}`);
}

/** Longest part of a stranger's name that an error shows. */
const MAX_SHOWN = 80;

/** A stranger's name as errors show it. */
export function shown(name: string): string {
  return name.length > MAX_SHOWN ? `"${name.slice(0, MAX_SHOWN)}..."` : `"${name}"`;
}
