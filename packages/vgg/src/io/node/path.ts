import { fileURLToPath } from 'node:url';
import { messageOf, VggError } from '@vgg/errors';

/** The path that a path or a `file:` URL stands for. @throws VggError `VGG_INPUT` for a URL that is no file of this machine */
export function pathOf(from: string | URL): string {
  if (typeof from === 'string' && !/^file:/i.test(from)) return from;
  try {
    return fileURLToPath(from);
  } catch (cause) {
    throw new VggError('VGG_INPUT', `${String(from).slice(0, 200)}: expected a path or a file: URL of this machine (${messageOf(cause)})`, {
      cause,
    });
  }
}
