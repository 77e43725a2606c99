import { type OnProgress, throwIfAborted, VggError } from '@vgg/errors';
import type { Source } from '@vgg/loaders';
import { given } from '../given.js';
import type { Hash, Io, PartialFile } from '../io/io.js';
import { type Answer, attempt } from './download-attempt.js';

/** A file to be had from one of several addresses, and kept by its key. */
export interface RemoteFile {
  /** Its name in the cache and on mirrors. */
  readonly key: string;
  readonly urls: readonly string[];
  /** Exact length; where it is not published, `about`. */
  readonly bytes?: number;
  readonly about?: number;
  /** In lower-case hexadecimal; fewer digits than the algorithm gives are compared as a prefix. */
  readonly hash?: { readonly algorithm: 'md5' | 'sha256' | 'sha384'; readonly value: string };
}

export interface FetchOptions {
  /**
   * Addresses of one's own, asked in this order before the published ones, instead of those of `VGG_MIRROR`: each has the files by their
   * `key`, such as `https://files.example.org/vgg/vgg16.keras_in1k.h5`.
   */
  mirrors?: readonly string[];
  /** Sent to mirrors only: they may be secrets. */
  headers?: Readonly<Record<string, string>>;
  /** The fetch to use: for proxies and tests. */
  fetch?: typeof fetch;
  /** Use the cache alone, as with `VGG_OFFLINE=1` in the environment. */
  offline?: boolean;
  /** How often an address is asked again after a failure; progress of a mebibyte starts the count anew. Default 4. */
  retries?: number;
  /** Before the first retry, in ms, doubled each time; default 500. */
  retryDelay?: number;
  /** An address that sends nothing for so long, in ms, counts as cut; default 30,000. */
  stallTimeout?: number;
  signal?: AbortSignal;
  onProgress?: OnProgress;
  /** Told in a sentence of what went another way than expected. */
  onWarning?: (message: string) => void;
}

/** Those of other options that say how to fetch. */
export function fetchOptionsOf(options: FetchOptions): FetchOptions {
  const { mirrors, headers, fetch, offline, retries, retryDelay, stallTimeout, signal, onProgress, onWarning } = options;
  return given({ mirrors, headers, fetch, offline, retries, retryDelay, stallTimeout, signal, onProgress, onWarning });
}

/** What a download needs of the platform. */
export type FetchIo = Pick<Io, 'platform' | 'cache' | 'hash' | 'setting'>;

/** Bytes read at a time to hash what an earlier run kept. */
const CHUNK = 2 ** 22;
/** A line this long has recovered. */
const RECOVERED = 2 ** 20;
const MAX_DELAY = 30_000;

/**
 * A remote file through the cache: what an earlier run left unfinished is resumed, a cut line too, the next address is asked where one
 * fails, and the file is kept only when its size and hash are right.
 *
 * @throws VggError `VGG_NETWORK`, `VGG_INTEGRITY`, `VGG_OUTPUT`, `VGG_ABORTED`
 */
export async function fetchFile(file: RemoteFile & { name: string }, io: FetchIo, options: FetchOptions = {}): Promise<Source> {
  const { signal, onProgress } = options;
  throwIfAborted(signal, file.name);
  const found = await cached(file, io, onProgress);
  if (found) return found;
  if (isOffline(io, options)) {
    throw new VggError('VGG_NETWORK', `${file.name}: expected it in ${io.cache.where}, since offline was asked for; ${remedy(file)}`);
  }
  const size = file.bytes ?? file.about;
  const partial = await io.cache.partial(file.key, { ...(signal ? { signal } : {}), ...(size === undefined ? {} : { bytes: size }) });
  try {
    // Another process may have brought it while this one waited for its turn.
    const meanwhile = await cached(file, io, onProgress);
    if (meanwhile) return meanwhile;
    await transfer(file, partial, io, options);
    return await partial.finish();
  } finally {
    await partial.close();
  }
}

/** Whether only the cache may be used, by option or by `VGG_OFFLINE`. */
export function isOffline(io: FetchIo, { offline }: FetchOptions): boolean {
  return offline ?? (io.platform === 'node' && /^(1|true|yes)$/i.test(io.setting('VGG_OFFLINE') ?? ''));
}

async function cached(file: RemoteFile & { name: string }, io: FetchIo, onProgress: OnProgress | undefined): Promise<Source | undefined> {
  const source = await io.cache.get(file.key);
  if (!source) return undefined;
  if (file.bytes === undefined || source.size === file.bytes) {
    onProgress?.({ stage: 'download', loaded: source.size, total: source.size, item: file.name });
    return source;
  }
  // Only something else than this program can have left it so.
  await source.close?.();
  await io.cache.remove(file.key);
  return undefined;
}

/** Where a file may be asked for, and what may be told there. */
export interface Address {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Mirrors given, or those of `VGG_MIRROR`, then the published addresses. */
export function addressesOf(file: RemoteFile, io: FetchIo, { mirrors, headers = {} }: FetchOptions): Address[] {
  const setting =
    io.platform === 'node'
      ? io
          .setting('VGG_MIRROR')
          ?.split(/[\s,]+/)
          .filter(Boolean)
      : undefined;
  const own = (mirrors ?? setting ?? []).map((base) => ({ url: `${base.replace(/\/+$/, '')}/${file.key}`, headers }));
  return [...own, ...file.urls.map((url) => ({ url, headers: {} }))];
}

async function transfer(file: RemoteFile & { name: string }, partial: PartialFile, io: FetchIo, options: FetchOptions): Promise<void> {
  const { signal, onProgress, retries = 4, retryDelay = 500 } = options;
  let hash = file.hash && io.hash(file.hash.algorithm);
  let isFromEarlier = partial.size > 0;
  if (hash) await rehash(partial, hash, file.name, options);
  const restart = async (validator?: string) => {
    hash = file.hash && io.hash(file.hash.algorithm);
    isFromEarlier = false;
    await partial.restart(validator);
  };
  if (file.bytes !== undefined && partial.size >= file.bytes) {
    // An earlier run was ended between the last byte and the renaming.
    if (partial.size === file.bytes && isRight(file, hash)) return;
    await restart();
  }
  // Starting again must not make a progress bar run backwards.
  let shown = partial.size;
  const take = async (bytes: Uint8Array, total: number | undefined) => {
    await partial.append(bytes);
    hash?.update(bytes);
    shown = Math.max(shown, partial.size);
    onProgress?.({ stage: 'download', loaded: shown, ...(total === undefined ? {} : { total }), item: file.name });
  };
  const failures: { why: string; isWrong: boolean }[] = [];
  for (const { url, headers } of addressesOf(file, io, options)) {
    let tries = 0;
    let before = partial.size;
    for (;;) {
      const answer: Answer = await attempt({ url, headers, file, partial, isPage: io.platform === 'web', options, take, restart });
      if (answer.kind === 'whole') {
        if (isRight(file, hash)) return;
        const wasResumed = isFromEarlier;
        await restart();
        // What an earlier run kept may have been of another version; what came just now was not.
        if (wasResumed) continue;
        failures.push({ why: `${hostOf(url)}: the ${file.hash?.algorithm} hash is another`, isWrong: true });
        break;
      }
      if (answer.kind === 'refused' || tries >= retries) {
        failures.push({ why: `${hostOf(url)}: ${answer.why}`, isWrong: answer.kind === 'refused' && answer.isWrong === true });
        break;
      }
      tries = partial.size - before >= RECOVERED ? 0 : tries + 1;
      before = partial.size;
      await pause(Math.min(MAX_DELAY, answer.after ?? retryDelay * 2 ** Math.max(0, tries - 1)), signal, file.name);
    }
  }
  const why = failures.map((failure) => failure.why).join('; ');
  if (failures.some(({ isWrong }) => isWrong)) {
    await partial.discard();
    throw new VggError(
      'VGG_INTEGRITY',
      `${file.name}: received bytes that are not the published ones (${why}), and kept nothing; try again, or ${remedy(file)}`,
    );
  }
  throw new VggError('VGG_NETWORK', `${file.name}: could not be downloaded${sizeOf(file)} (${why}); with no network ${remedy(file)}`);
}

/** Ends the hash. */
function isRight(file: RemoteFile, hash: Hash | undefined): boolean {
  return file.hash === undefined || hash?.digest().startsWith(file.hash.value) === true;
}

/** The hash of what an earlier run kept, so that the rest can be added to it. */
async function rehash(partial: PartialFile, hash: Hash, name: string, { signal, onProgress }: FetchOptions): Promise<void> {
  const total = partial.size;
  for (let offset = 0; offset < total; offset += CHUNK) {
    throwIfAborted(signal, name);
    hash.update(await partial.read(offset, Math.min(CHUNK, total - offset)));
    onProgress?.({ stage: 'verify', loaded: Math.min(offset + CHUNK, total), total, item: name });
  }
}

async function pause(ms: number, signal: AbortSignal | undefined, name: string): Promise<void> {
  throwIfAborted(signal, name);
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
  throwIfAborted(signal, name);
}

function remedy({ key }: RemoteFile): string {
  return key.endsWith('.json') ? 'pass a file you have' : "pass a file you have (weights: 'FILE', or --weights FILE)";
}

function sizeOf({ bytes, about }: RemoteFile): string {
  const size = bytes ?? about;
  return size === undefined || size < 1e6 ? '' : `, ${(size / 1e6).toFixed(1)} MB`;
}

function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return `"${url.slice(0, 100)}"`;
  }
}
