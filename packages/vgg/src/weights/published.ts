import { isVggError, messageOf, VggError } from '@vgg/errors';
import { httpSource, type Source } from '@vgg/loaders';
import { io as platformIo } from '#io';
import { findArchitecture } from '../network/architecture.js';
import type { Plan } from '../network/plan.js';
import { didYouMean } from '../text/suggest.js';
import { addressesOf, type FetchIo, type FetchOptions, fetchFile } from './download.js';
import { PUBLISHED_SETS, type PublishedSet } from './published-sets.js';

export type { FetchOptions } from './download.js';
export { PUBLISHED_SETS, type PublishedSet } from './published-sets.js';

/** The published set of this name, whatever its case; `undefined` for any other string, such as a path. */
export function findPublished(name: string): PublishedSet | undefined {
  return PUBLISHED_SETS.find((set) => set.id === name.toLowerCase());
}

/** As {@link findPublished}, for a name that must be one. @throws VggError `VGG_NOT_FOUND`, with the nearest name */
export function publishedSet(name: string): PublishedSet {
  const set = findPublished(name);
  if (set) return set;
  const ids = PUBLISHED_SETS.map((each) => each.id);
  throw new VggError(
    'VGG_NOT_FOUND',
    `weights: no published set is called "${name.slice(0, 80)}"${didYouMean(name, ids)}; \`vgg weights\` lists them`,
  );
}

/**
 * The set that an architecture's bare name stands for: in Node the Keras file, without its dense layers where they are not wanted
 * (58.9 MB of VGG-16's 553); in a page timm's, which allows other origins and is read tensor by tensor. The two were trained apart,
 * so their features differ; name a set to have the same everywhere.
 *
 * @returns `undefined` for a custom plan, and where nothing that can be read here is published
 * @example
 * publishedDefault('vgg16', { platform: 'node', top: false }).id; // 'vgg16.keras_in1k_notop'
 */
export function publishedDefault(
  arch: string | Plan | undefined,
  { platform, top }: { platform: 'node' | 'web'; top: boolean },
): PublishedSet | undefined {
  const found = typeof arch === 'string' ? findArchitecture(arch) : undefined;
  if (found?.architecture.column === undefined) return undefined;
  const name = `${found.architecture.name}${found.batchNorm ? '_bn' : ''}`;
  const fit = PUBLISHED_SETS.filter(
    (set) => set.readable && set.architecture === name && (set.top || !top) && (set.cors || platform === 'node'),
  );
  // Keras's own first, and of those the one with just the layers that are wanted.
  const cost = (set: PublishedSet) => (set.format === 'keras-h5' ? 0 : 2) + (set.top === top ? 0 : 1);
  return fit.sort((a, b) => cost(a) - cost(b))[0];
}

/** For tests and for hosts of their own: the platform's parts, instead of those of `#io`. */
interface Platform {
  io?: FetchIo;
}

/**
 * A published set as a whole file in the cache: fetched with progress unless it is there, resumed where an earlier download stopped,
 * and kept only when its size and hash are right.
 *
 * @throws VggError `VGG_NETWORK` (no network, or `offline`), `VGG_INTEGRITY`, `VGG_OUTPUT` (no room), `VGG_ABORTED`
 * @example
 * const source = await fetchPublished(findPublished('vgg16.keras_in1k_notop'), { onProgress });
 */
export async function fetchPublished(set: PublishedSet, { io = platformIo, ...options }: FetchOptions & Platform = {}): Promise<Source> {
  return fetchFile({ ...set, name: set.id }, io, options);
}

/**
 * Opens a published set: from the cache where it is there; else, in a page, over the network, tensor by tensor as they are asked for
 * (a page need not store half a gigabyte); else as {@link fetchPublished} does. Where the cache has no room the file is read over the
 * network too, with a warning.
 *
 * @throws VggError `VGG_FORMAT` for a set that this version cannot read, and as {@link fetchPublished}
 */
export async function openPublished(set: PublishedSet, { io = platformIo, ...options }: FetchOptions & Platform = {}): Promise<Source> {
  if (!set.readable) {
    const others = PUBLISHED_SETS.filter((each) => each.readable && each.architecture === set.architecture).map((each) => each.id);
    const instead = others.length > 0 ? `; use ${others.join(' or ')}` : '';
    throw new VggError(
      'VGG_FORMAT',
      `${set.id}: expected a set in a format that can be read, received ${set.format}, which is not supported yet${instead}`,
    );
  }
  const isPage = io.platform === 'web';
  const cached = isPage ? await io.cache.get(set.key) : undefined;
  if (cached) return cached;
  if (isPage && !options.offline) return ranged(set, io, options);
  try {
    return await fetchPublished(set, { io, ...options });
  } catch (error) {
    const canRead = isVggError(error, 'VGG_OUTPUT') && set.urls.some((url) => url.startsWith('https:'));
    if (!canRead) throw error;
    options.onWarning?.(`${set.id}: not kept for the next time, and its hash is not checked: ${messageOf(error)}`);
    return ranged(set, io, options);
  }
}

/** Of a file that is read in parts the hash cannot be checked, so only https vouches for what is published. */
async function ranged(set: PublishedSet, io: FetchIo, options: FetchOptions): Promise<Source> {
  const { signal, onProgress } = options;
  const isSafe = (url: string) => url.startsWith('https:') || !set.urls.includes(url);
  let last: unknown;
  for (const { url, headers } of addressesOf(set, io, options).filter((address) => isSafe(address.url))) {
    const fetching: typeof fetch = (input, init) =>
      (options.fetch ?? fetch)(input, { ...init, headers: { ...headers, ...(init?.headers as Record<string, string>) } });
    try {
      const source = await httpSource(url, { fetch: fetching, ...(signal ? { signal } : {}), ...(onProgress ? { onProgress } : {}) });
      if (set.bytes === undefined || source.size === set.bytes) return { ...source, name: set.key };
      await source.close?.();
      throw new VggError('VGG_INTEGRITY', `${set.id}: expected ${set.bytes} bytes, ${new URL(url).host} has ${source.size}`);
    } catch (error) {
      if (isVggError(error, 'VGG_ABORTED')) throw error;
      last = error;
    }
  }
  if (isVggError(last, 'VGG_INTEGRITY')) throw last;
  const cors = set.cors ? '' : '; its host does not allow pages of other origins, so serve the file yourself';
  throw new VggError('VGG_NETWORK', `${set.id}: could not be reached (${messageOf(last)})${cors}; or pass a file you have as weights`, {
    cause: last,
  });
}
