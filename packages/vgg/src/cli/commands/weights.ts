import { io } from '#io';
import { didYouMean } from '../../text/suggest.js';
import { fetchPublished, PUBLISHED_SETS, publishedSet } from '../../weights/published.js';
import { type Context, command, type Result } from '../command.js';
import { UsageError } from '../exit.js';
import { bytes, table } from '../text.js';

const VERBS = ['list', 'get', 'remove'] as const;

export const weights = command({
  name: 'weights',
  about: 'lists the published weights, and fetches them into the cache or removes them from it',
  args: '[list|get NAME...|remove NAME...]',
  details: 'A fetched file is kept only when its size and hash are right; a cut download is resumed. Licences are those of the publishers.',
  least: 0,
  flags: {},
  examples: [
    ['vgg weights', 'the sets, their sizes and licences, and which are here'],
    ['vgg weights get vgg16.keras_in1k_notop', 'fetch the 58.9 MB of VGG-16 without its dense layers'],
  ],
  async run([verb = 'list', ...names], _values, context) {
    if (verb === 'list') {
      if (names.length > 0) throw new UsageError(`vgg weights list: unexpected argument "${names[0]}"`);
      return list();
    }
    if (verb !== 'get' && verb !== 'remove')
      throw new UsageError(`vgg weights: expected ${VERBS.join(', ')}, received "${verb}"${didYouMean(verb, VERBS)}`);
    if (names.length === 0) throw new UsageError(`vgg weights ${verb}: expected the name of a set; vgg weights lists them`);
    const sets = names.map(publishedSet);
    return verb === 'get' ? get(sets, context) : remove(sets);
  },
});

async function list(): Promise<Result> {
  const kept = new Map((await io.cache.list()).map(({ key, bytes }) => [key, bytes]));
  const sets = PUBLISHED_SETS.map((set) => ({
    name: set.id,
    architecture: set.architecture,
    top: set.top,
    format: set.format,
    // Where the exact length is not published, what is here or about what is there.
    bytes: set.bytes ?? kept.get(set.key) ?? Math.round(set.about ?? 0),
    exact: set.bytes !== undefined || kept.has(set.key),
    cached: set.embedded === true || kept.has(set.key),
    embedded: set.embedded === true,
    licence: set.licence,
    source: set.source,
    preprocessing: set.preprocessing,
    hash: set.hash ? `${set.hash.algorithm}:${set.hash.value}` : undefined,
    urls: set.urls,
  }));
  return {
    json: { sets, cache: io.cache.where },
    text: () => {
      const rows = sets.map((set) => [
        set.name,
        bytes(set.bytes),
        set.embedded ? 'inside' : set.cached ? 'here' : '',
        set.format,
        set.licence,
        set.source,
      ]);
      return `${table(['name', 'size', 'cached', 'format', 'licence', 'source'], rows, ['size'])}\n\ncache: ${io.cache.where}`;
    },
  };
}

async function get(sets: readonly ReturnType<typeof publishedSet>[], { signal, onProgress, warn }: Context): Promise<Result> {
  const fetched: { name: string; bytes: number; cached: boolean; embedded: boolean; licence: string }[] = [];
  for (const set of sets) {
    const source = await fetchPublished(set, { signal, onProgress, onWarning: warn });
    fetched.push({ name: set.id, bytes: source.size, cached: true, embedded: set.embedded === true, licence: set.licence });
    await source.close?.();
  }
  return {
    json: { sets: fetched, cache: io.cache.where },
    text: () =>
      fetched
        .map((set) => `${set.name}: ${bytes(set.bytes)} ${set.embedded ? 'inside the package' : `in ${io.cache.where}`}, ${set.licence}`)
        .join('\n'),
  };
}

async function remove(sets: readonly ReturnType<typeof publishedSet>[]): Promise<Result> {
  const removed: { name: string; bytes: number; cached: boolean; licence: string; removed: boolean }[] = [];
  for (const set of sets) {
    const size = (await io.cache.list()).find(({ key }) => key === set.key)?.bytes ?? 0;
    removed.push({ name: set.id, bytes: size, cached: false, licence: set.licence, removed: await io.cache.remove(set.key) });
  }
  return {
    json: { sets: removed, cache: io.cache.where },
    text: () =>
      removed.map((set) => `${set.name}: ${set.removed ? `removed, ${bytes(set.bytes)} freed` : 'was not in the cache'}`).join('\n'),
  };
}
