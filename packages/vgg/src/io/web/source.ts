import { kindOf, throwIfAborted, VggError } from '@vgg/errors';
import { blobSource, httpSource, type Source } from '@vgg/loaders';
import { heldSource } from '../held.js';
import type { OpenOptions, SourceInput } from '../io.js';

/**
 * Opens what a user passed as a file: a URL (relative ones from the page's own), a Blob or File, a FileList or other Files, bytes, or a
 * source as it is.
 *
 * @throws VggError `VGG_NOT_FOUND`, `VGG_INPUT`, `VGG_NETWORK`, `VGG_ABORTED`
 */
export async function openSource(from: SourceInput, options: OpenOptions = {}): Promise<Source> {
  throwIfAborted(options.signal, 'open');
  if (typeof from === 'string' || from instanceof URL) return openUrl(from, options);
  const held = heldSource(from);
  if (held) return held;
  throw new VggError('VGG_INPUT', `open: expected a URL, File, Blob, FileList or bytes, received ${kindOf(from)}`);
}

async function openUrl(from: string | URL, options: OpenOptions): Promise<Source> {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  let url: URL;
  try {
    url = new URL(from, base);
  } catch (error) {
    throw new VggError('VGG_INPUT', `open: expected a URL, received "${String(from).slice(0, 100)}"`, { cause: error });
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') return httpSource(url, options);
  if (url.protocol !== 'blob:' && url.protocol !== 'data:') {
    throw new VggError('VGG_INPUT', `open: expected an http:, https:, blob: or data: URL, received ${url.protocol}`);
  }
  // These are in memory already, and have no Range requests.
  const response = await (options.fetch ?? fetch)(url, { signal: options.signal ?? null }).catch((error) => {
    throwIfAborted(options.signal, 'open');
    throw new VggError('VGG_NOT_FOUND', `open: nothing is behind this ${url.protocol} URL; it may have been revoked`, { cause: error });
  });
  return blobSource(await response.blob());
}
