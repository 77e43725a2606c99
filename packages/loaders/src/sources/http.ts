import { fetchFailure, type OnProgress, shareWork, throwIfAborted, VggError } from '@vgg/errors';
import type { RangeOptions, ReadOptions, Source } from '../source.js';
import { bytesSource } from './bytes.js';
import { cachedSource } from './cached.js';
import { checkPlainName, checkRange } from './checks.js';

export interface HttpOptions {
  /** The fetch to use: for headers, proxies and tests. */
  fetch?: typeof fetch;
  signal?: AbortSignal;
  /** Told of a whole download, where the server has no Range requests. */
  onProgress?: OnProgress;
}

/** Bytes of the first request, which has most of an index: over a network a request costs more than 64 KiB do. */
const BLOCK = 65536;
/** Bytes of the later small ones: the ten biases up to conv4_3 must not add a megabyte. */
const SMALL_BLOCK = 32768;
/** A server without Range requests sends the whole file into memory; past this an ArrayBuffer may not be had. */
const MAX_WHOLE = 2 ** 31;
/** Enough for a mirror or two; more is a loop. */
const MAX_REDIRECTS = 5;

/**
 * A source over an http(s) URL, read by Range requests, or downloaded whole where the server has none. Siblings are plain names
 * in the same folder of the same host.
 *
 * @throws VggError `VGG_INPUT` (no URL), `VGG_NOT_FOUND` (404, 410), `VGG_NETWORK` (unreachable, another status), `VGG_INTEGRITY` (other bytes than
 * asked for), `VGG_ABORTED`
 */
export async function httpSource(url: string | URL, options: HttpOptions = {}): Promise<Source> {
  if (!URL.canParse(url)) throw new VggError('VGG_INPUT', `open: expected an http(s) URL, received "${String(url).slice(0, 100)}"`);
  return openHttp(new URL(url), options, false);
}

/** One file on a server, and how it is asked for. */
interface Remote {
  name: string;
  signal: AbortSignal | undefined;
  options: HttpOptions;
  request(
    range: string | undefined,
    signal: AbortSignal | undefined,
    how?: { method?: string; fresh?: boolean | undefined },
  ): Promise<Response>;
}

async function openHttp(url: URL, options: HttpOptions, sameHost: boolean): Promise<Source> {
  const name = baseName(url);
  const { signal } = options;
  const request: Remote['request'] = (range, readSignal, { method = 'GET', fresh = false } = {}) =>
    send(url, { range, method, fresh, signal: readSignal ?? signal, fetch: options.fetch ?? globalThis.fetch, sameHost, name });
  const remote: Remote = { name, signal, options, request };
  const sibling = (basename: string, read?: ReadOptions) => openSibling(url, basename, { ...options, signal: read?.signal ?? signal });
  const known = sameHost ? await headLength(remote) : undefined;
  return { ...(known === undefined ? await openByRange(remote) : rangedSource(remote, known)), remote: true, sibling };
}

/** Asks for the first bytes, which tells the size, whether there are Range requests, and most of an index. */
async function openByRange(remote: Remote): Promise<Source> {
  const { name, request, signal } = remote;
  const first = await request(`bytes=0-${BLOCK - 1}`, signal);
  if (first.status === 416 && /^bytes \*\/0$/.test(first.headers.get('content-range') ?? '')) {
    await first.body?.cancel();
    return bytesSource(new Uint8Array(0), name);
  }
  if (first.status !== 206) return whole(first, remote);
  const range = contentRange(first);
  const total = range?.total ?? (await headLength(remote));
  if (total === undefined) {
    await first.body?.cancel();
    return whole(await request(undefined, signal), remote);
  }
  const length = Math.min(BLOCK, total);
  if (range && (range.start !== 0 || range.end !== length - 1)) await wrongRange(first, name, 0, length);
  return rangedSource(remote, total, { etag: first.headers.get('etag'), bytes: await bodyOf(first, name, length, signal) });
}

/** A source of a known size; `head` are its first bytes where they are there already. */
function rangedSource(remote: Remote, total: number, head?: { etag: string | null; bytes: Uint8Array }): Source {
  const { name, request, signal } = remote;
  let etag = head?.etag;
  const downloads = new Map<'whole', Promise<Source>>(); // where the server turns out to have no Range requests
  const download = (response: Response | undefined, read: RangeOptions | undefined): Promise<Source> => {
    const start = async () => {
      const all = await whole(response ?? (await request(undefined, read?.signal, { fresh: read?.fresh })), remote, read?.signal);
      if (all.size !== total) throw changed(name);
      return all;
    };
    return shareWork(downloads, 'whole', start, { signal: read?.signal, who: name });
  };
  const ranged: Source = {
    name,
    size: total,
    async read(offset: number, count: number, read?: RangeOptions) {
      throwIfAborted(read?.signal, name);
      checkRange(name, total, offset, count);
      if (count === 0) return new Uint8Array(0);
      if (read?.fresh) downloads.clear();
      else if (head && offset + count <= head.bytes.length) return head.bytes.slice(offset, offset + count);
      if (downloads.size > 0) return (await download(undefined, read)).read(offset, count, read);
      const response = await request(`bytes=${offset}-${offset + count - 1}`, read?.signal, { fresh: read?.fresh });
      const own = response.headers.get('etag');
      etag ??= own;
      const got = contentRange(response);
      if ((got?.total ?? total) !== total || (own ?? etag) !== etag) {
        await response.body?.cancel();
        throw changed(name);
      }
      if (response.status === 200) {
        // Of several reads at once the first takes the file, and the others take it from there.
        const isFirst = downloads.size === 0;
        if (!isFirst) await response.body?.cancel();
        return (await download(isFirst ? response : undefined, read)).read(offset, count, read);
      }
      if (response.status !== 206 || (got && (got.start !== offset || got.end !== offset + count - 1))) {
        await wrongRange(response, name, offset, count);
      }
      return bodyOf(response, name, count, read?.signal ?? signal);
    },
  };
  return cachedSource(ranged, { block: SMALL_BLOCK, blocks: 128 });
}

function changed(name: string): VggError {
  return new VggError('VGG_INTEGRITY', `${name}: the file changed on the server while it was read; load it again`);
}

/** Opens a file beside another; only its length is asked for until it is read, so that a manifest may name hundreds. */
async function openSibling(base: URL, basename: string, options: HttpOptions): Promise<Source | undefined> {
  checkPlainName(base.href, basename);
  const url = new URL(encodeURIComponent(basename), base);
  try {
    return await openHttp(url, options, true);
  } catch (error) {
    if (error instanceof VggError && error.code === 'VGG_NOT_FOUND') return undefined;
    throw error;
  }
}

interface Request {
  range: string | undefined;
  method: string;
  /** Past the browser's cache, too. */
  fresh: boolean;
  signal: AbortSignal | undefined;
  fetch: typeof fetch;
  sameHost: boolean;
  name: string;
}

async function send(url: URL, request: Request): Promise<Response> {
  // Taken out of the request: a page's fetch refuses to be called as a method of anything but the window.
  const { range, method, fresh, signal, fetch, sameHost, name } = request;
  let at = url;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    throwIfAborted(signal, name);
    let response: Response;
    try {
      const headers: Record<string, string> = range === undefined ? {} : { Range: range };
      const init: RequestInit = { method, headers, signal: signal ?? null, ...(fresh && { cache: 'reload' as const }) };
      response = await fetch(at, { ...init, redirect: sameHost ? 'manual' : 'follow' });
      // A page may not see where a redirect leads: it follows, under CORS, and the address is looked at afterwards.
      if (response.type === 'opaqueredirect') response = await fetch(at, init);
    } catch (error) {
      throwIfAborted(signal, name);
      throw new VggError(
        'VGG_NETWORK',
        `${name}: ${url.host} could not be reached (${fetchFailure(error)}); check the address and the network`,
        {
          cause: error,
        },
      );
    }
    const location = response.status >= 300 && response.status < 400 ? response.headers.get('location') : null;
    if (location !== null && !URL.canParse(location, at)) {
      await response.body?.cancel();
      throw new VggError('VGG_NETWORK', `${name}: expected a redirect to an address, received ${JSON.stringify(location.slice(0, 100))}`);
    }
    const next = location !== null ? new URL(location, at) : new URL(response.url || at);
    if (sameHost && (next.host !== url.host || next.protocol !== url.protocol)) {
      await response.body?.cancel();
      throw new VggError('VGG_NETWORK', `${name}: expected it on ${url.host}, received a redirect to ${next.host}, which is refused`);
    }
    if (location !== null) {
      await response.body?.cancel();
      at = next;
      continue;
    }
    if (response.ok || response.status === 416) return response;
    await response.body?.cancel();
    const gone = response.status === 404 || response.status === 410;
    throw new VggError(
      gone ? 'VGG_NOT_FOUND' : 'VGG_NETWORK',
      `${name}: expected a file at ${url.host}${url.pathname}, received HTTP status ${response.status}; check the address`,
    );
  }
  throw new VggError('VGG_NETWORK', `${name}: ${url.host} redirected more than ${MAX_REDIRECTS} times`);
}

function contentRange(response: Response): { start: number; end: number; total: number } | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  if (response.status !== 206 || !match) return undefined; // across origins the header may be hidden
  return { start: Number(match[1]), end: Number(match[2]), total: Number(match[3]) };
}

/**
 * A file's length without its bytes, or undefined where the server does not tell. The Range keeps the answer from being a packed one's
 * length: with it, fetch asks for no encoding.
 */
async function headLength({ request, signal }: Remote): Promise<number | undefined> {
  let response: Response;
  try {
    response = await request('bytes=0-0', signal, { method: 'HEAD' });
  } catch (error) {
    if (error instanceof VggError && error.code === 'VGG_NETWORK') return undefined; // some servers refuse HEAD: GET will tell
    throw error;
  }
  await response.body?.cancel();
  if (response.status !== 200) return contentRange(response)?.total;
  const length = response.headers.get('content-length');
  const plain = length !== null && /^\d+$/.test(length) && response.headers.get('content-encoding') === null;
  return plain ? Number(length) : undefined;
}

async function wrongRange(response: Response, name: string, offset: number, length: number): Promise<never> {
  await response.body?.cancel();
  const got = response.headers.get('content-range') ?? `status ${response.status}`;
  throw new VggError('VGG_INTEGRITY', `${name}: expected bytes ${offset}-${offset + length - 1}, received ${got} from the server`);
}

/** Exactly `length` bytes of a body: fewer is a cut connection, more is a server that lies. */
async function bodyOf(response: Response, name: string, length: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
  const out = new Uint8Array(length);
  const end = await eachChunk(response, name, signal, (chunk, at) => {
    if (at + chunk.length > length) {
      throw new VggError('VGG_INTEGRITY', `${name}: expected ${length} bytes, received more from the server`);
    }
    out.set(chunk, at);
  });
  if (end < length) throw new VggError('VGG_INTEGRITY', `${name}: expected ${length} bytes, received ${end}; the connection was cut`);
  return out;
}

/** The whole of a body, in memory. */
async function whole(response: Response, { name, options }: Remote, signal = options.signal): Promise<Source> {
  const header = response.headers.get('content-length');
  const encoded = response.headers.get('content-encoding') !== null; // then the length is the packed one
  const expected = header !== null && /^\d+$/.test(header) && !encoded ? Number(header) : undefined;
  const chunks: Uint8Array[] = [];
  const length = await eachChunk(response, name, signal, (chunk, at) => {
    if (at + chunk.length > MAX_WHOLE) {
      throw new VggError('VGG_NETWORK', `${name}: expected Range requests for a file above ${MAX_WHOLE} bytes, and the server has none`);
    }
    chunks.push(chunk);
    options.onProgress?.({ stage: 'download', loaded: at + chunk.length, item: name, ...(expected !== undefined && { total: expected }) });
  });
  if (expected !== undefined && length < expected) {
    throw new VggError('VGG_INTEGRITY', `${name}: expected ${expected} bytes, received ${length}; the connection was cut`);
  }
  const out = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks.splice(0)) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return bytesSource(out, name);
}

async function eachChunk(
  response: Response,
  name: string,
  signal: AbortSignal | undefined,
  take: (chunk: Uint8Array, at: number) => void,
): Promise<number> {
  const reader = response.body?.getReader();
  if (!reader) return 0;
  let at = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      throwIfAborted(signal, name);
      if (done) return at;
      take(value, at);
      at += value.length;
    }
  } catch (error) {
    reader.cancel().catch(() => {}); // the connection is given up either way
    throwIfAborted(signal, name);
    if (error instanceof VggError) throw error;
    throw new VggError('VGG_NETWORK', `${name}: the connection broke after ${at} bytes (${fetchFailure(error)}); try again`, {
      cause: error,
    });
  }
}

function baseName(url: URL): string {
  const last = url.pathname.split('/').pop() ?? '';
  try {
    return decodeURIComponent(last) || url.host;
  } catch {
    return last || url.host;
  }
}
