import { fetchFailure, throwIfAborted, VggError } from '@vgg/errors';
import { readStream } from './collect.js';
import type { DecodeOptions } from './images.js';

/**
 * The bytes behind an http(s):, data: or blob: URL.
 *
 * @throws VggError `VGG_NETWORK` where the server does not answer, or not with the file; `VGG_ABORTED`
 */
export async function fetchPicture(url: string, options: DecodeOptions): Promise<Uint8Array> {
  const { name = url, signal, fetch: get = fetch } = options;
  throwIfAborted(signal, 'decode');
  try {
    const response = await get(url, signal === undefined ? {} : { signal });
    if (!response.ok) {
      void response.body?.cancel();
      throw new VggError('VGG_NETWORK', `decode: ${name}: expected a picture, received HTTP status ${response.status}; check the URL`);
    }
    return response.body === null ? new Uint8Array(0) : await readStream(response.body, { ...options, name });
  } catch (error) {
    if (error instanceof VggError) throw error;
    throwIfAborted(signal, 'decode');
    throw new VggError(
      'VGG_NETWORK',
      `decode: ${name}: could not be fetched (${fetchFailure(error)}); check the URL, the network and, in a page, CORS`,
      {
        cause: error,
      },
    );
  }
}

/** True for a text that is a URL and not a path; `C:\pictures` is a path. */
export function isUrl(text: string): boolean {
  return /^(https?|file|data|blob):/i.test(text);
}
