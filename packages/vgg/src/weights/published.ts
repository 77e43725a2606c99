import { isVggError, messageOf, VggError } from '@vgg/errors';
import { httpSource, type Source } from '@vgg/loaders';
import { io as platformIo } from '#io';
import { findArchitecture } from '../network/architecture.js';
import type { PlanInput } from '../network/plan.js';
import { didYouMean } from '../text/suggest.js';
import { addressesOf, type FetchIo, type FetchOptions, fetchFile, isOffline } from './download.js';
import { openEmbedded } from './embedded.js';
import { PUBLISHED_SETS, type PublishedSet } from './published-sets.js';

export type { FetchOptions } from './download.js';
export { PUBLISHED_SETS, type PublishedSet } from './published-sets.js';

/**
 * The published set of this name, whatever its case: its id, the same without `_in1k`, or another name of it. `undefined` for any other
 * string, such as a path.
 *
 * @example
 * findPublished('vgg16.oxford')?.id; // 'vgg16.oxford_in1k'
 */
export function findPublished(name: string): PublishedSet | undefined {
  const key = name.toLowerCase();
  return PUBLISHED_SETS.find(({ id }) => id === key) ?? PUBLISHED_SETS.find((set) => namesOf(set).includes(key));
}

/** Every name that {@link findPublished} knows. */
export const publishedNames = (): string[] => PUBLISHED_SETS.flatMap(namesOf);

const namesOf = ({ id, aliases = [] }: PublishedSet) => [...new Set([id, id.replace(/_in1k(?=$|_)/, ''), ...aliases])];

/**
 * As {@link findPublished}, for a name that must be one; an architecture's name alone stands for its whole set.
 * @throws VggError `VGG_NOT_FOUND`, with the nearest name
 */
export function publishedSet(name: string): PublishedSet {
  const set = findPublished(name) ?? publishedDefault(name, { platform: 'node', top: true });
  if (set) return set;
  throw new VggError(
    'VGG_NOT_FOUND',
    `weights: no published set is called "${name.slice(0, 80)}"${didYouMean(name, publishedNames())}; \`vgg weights\` lists them`,
  );
}

/**
 * The set that an architecture's bare name stands for: in Node the Keras file, without its dense layers where they are not wanted
 * (58.9 MB of VGG-16's 553), or else timm's or torchvision's; in a page timm's, which allows other origins and is read tensor by
 * tensor. They were trained apart, so their features differ; name a set to have the same everywhere.
 *
 * @returns `undefined` for a custom plan, and where nothing is published
 * @example
 * publishedDefault('vgg16', { platform: 'node', top: false }).id; // 'vgg16.keras_in1k_notop'
 */
export function publishedDefault(
  arch: string | PlanInput | undefined,
  { platform, top }: { platform: 'node' | 'web'; top: boolean },
): PublishedSet | undefined {
  const found = typeof arch === 'string' ? findArchitecture(arch) : undefined;
  if (!found) return undefined;
  const { architecture, batchNorm } = found;
  const name = `${architecture.name}${batchNorm && !architecture.plan.batchNorm ? '_bn' : ''}`;
  const fit = PUBLISHED_SETS.filter((set) => set.architecture === name && (set.top || !top) && (set.cors || platform === 'node'));
  // Keras's own first, and of those the one with just the layers that are wanted.
  const cost = (set: PublishedSet) => 2 * PREFERENCE.indexOf(set.format) + (set.top === top ? 0 : 1);
  return fit.sort((a, b) => cost(a) - cost(b))[0];
}

const PREFERENCE: readonly PublishedSet['format'][] = ['keras-h5', 'safetensors', 'torch', 'caffe', 'onnx'];

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
  return set.embedded ? openEmbedded(set) : fetchFile({ ...set, name: set.id }, io, options);
}

interface OpenPublishedOptions extends FetchOptions {
  /** Only some of the tensors are wanted: where they can be had one by one, the file is not fetched whole. */
  partial?: boolean;
}

/**
 * Opens a published set: from the cache where it is there; else, in a page, over the network, tensor by tensor as they are asked for
 * (a page need not store half a gigabyte), as in Node where only a part of a safetensors file is wanted; else as {@link fetchPublished}
 * does. Where the cache has no room the file is read over the network too, with a warning.
 *
 * @throws VggError as {@link fetchPublished}
 */
export async function openPublished(
  set: PublishedSet,
  { io = platformIo, partial = false, ...options }: OpenPublishedOptions & Platform = {},
): Promise<Source> {
  if (set.embedded) return openEmbedded(set);
  const isPage = io.platform === 'web';
  const byTensor = isPage || (partial && set.format === 'safetensors');
  const cached = byTensor ? await io.cache.get(set.key) : undefined;
  if (cached) return cached;
  if (byTensor && !isOffline(io, options)) {
    if (isPage) return ranged(set, io, options);
    try {
      return await ranged(set, io, options, true);
    } catch (error) {
      if (isVggError(error, 'VGG_ABORTED')) throw error;
      // A server without Range sends all of it: then it is worth keeping.
    }
  }
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
async function ranged(set: PublishedSet, io: FetchIo, options: FetchOptions, onlyRanges = false): Promise<Source> {
  const { signal, onProgress } = options;
  const isSafe = (url: string) => url.startsWith('https:') || !set.urls.includes(url);
  let last: unknown;
  for (const { url, headers } of addressesOf(set, io, options).filter((address) => isSafe(address.url))) {
    const fetching: typeof fetch = async (input, init) => {
      const asked = { ...headers, ...(init?.headers as Record<string, string>) };
      const response = await (options.fetch ?? fetch)(input, { ...init, headers: asked });
      if (!onlyRanges || response.status !== 200 || asked.Range === undefined || init?.method === 'HEAD') return response;
      await response.body?.cancel();
      throw new VggError('VGG_NETWORK', `${set.id}: expected a server with Range requests, received the whole file`);
    };
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
