import { isVggError, messageOf, VggError } from '@vgg/errors';
import type { Source } from '@vgg/loaders';
import { io as platformIo } from '#io';
import type { OpenOptions, SourceInput } from '../io/io.js';
import { type FetchIo, type FetchOptions, fetchFile } from '../weights/download.js';
import { IMAGENET_CLASSES, type PublishedSet } from '../weights/published-sets.js';
import { type ClassName, classWarnings, parseClasses } from './parse-classes.js';

export type { ClassName } from './parse-classes.js';

/** ImageNet's list has 35 kB; a hundred times the largest one published. */
const MAX_LIST = 64 * 2 ** 20;

interface Platform {
  io?: FetchIo & { openSource(from: SourceInput, options?: OpenOptions): Promise<Source> };
}

/**
 * The names of a classifier's outputs: those given, from a file in any form that {@link parseClasses} reads or as a list; else, for
 * the 1000 outputs of ImageNet, the published class index, fetched once and kept. Where that cannot be had there are none, with a
 * warning, and classes are called by their index.
 *
 * @param count how many outputs there are
 * @throws VggError `VGG_FORMAT`, `VGG_OPTION` if the list given has another length, `VGG_ABORTED`
 */
export async function classNames(
  given: SourceInput | readonly ClassName[] | readonly string[] | undefined,
  count: number,
  set: Pick<PublishedSet, 'classes'> | undefined,
  { io = platformIo, ...options }: FetchOptions & Platform = {},
): Promise<readonly ClassName[] | undefined> {
  const classes = given === undefined ? await imageNet(count, set, io, options) : await listOf(given, io, options);
  if (classes && classes.length !== count) {
    throw new VggError('VGG_OPTION', `classes: expected ${count} names, one for each output, received ${classes.length}`);
  }
  for (const warning of classWarnings(classes ?? [])) options.onWarning?.(warning);
  return classes;
}

async function listOf(
  given: SourceInput | readonly ClassName[] | readonly string[],
  io: NonNullable<Platform['io']>,
  { signal, fetch }: FetchOptions,
): Promise<readonly ClassName[]> {
  if (Array.isArray(given) && given.every((each) => typeof each === 'string')) return given.map((label, index) => ({ index, label }));
  if (Array.isArray(given) && given.every((each) => typeof each === 'object' && 'label' in each)) return given;
  const source = await io.openSource(given as SourceInput, { ...(fetch ? { fetch } : {}), ...(signal ? { signal } : {}) });
  try {
    return await read(source, signal);
  } finally {
    await source.close?.();
  }
}

async function imageNet(
  count: number,
  set: Pick<PublishedSet, 'classes'> | undefined,
  io: FetchIo,
  options: FetchOptions,
): Promise<readonly ClassName[] | undefined> {
  if (count !== (set?.classes ?? 1000) || count !== 1000) return undefined;
  try {
    // Names are a courtesy: without a network they are not waited for.
    const source = await fetchFile({ ...IMAGENET_CLASSES, name: 'ImageNet class names' }, io, { retries: 1, ...options });
    try {
      return await read(source, options.signal);
    } finally {
      await source.close?.();
    }
  } catch (error) {
    if (isVggError(error, 'VGG_ABORTED')) throw error;
    options.onWarning?.(`classes go by their index: ${messageOf(error)}`);
    return undefined;
  }
}

async function read(source: Source, signal: AbortSignal | undefined): Promise<ClassName[]> {
  if (source.size > MAX_LIST)
    throw new VggError('VGG_FORMAT', `${source.name}: expected a list of class names, received ${source.size} bytes`);
  const bytes = await source.read(0, source.size, signal ? { signal } : {});
  return parseClasses(new TextDecoder().decode(bytes), source.name);
}
