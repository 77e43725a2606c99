import { fetchFailure, isVggError, throwIfAborted } from '@vgg/errors';
import type { PartialFile } from '../io/io.js';
import type { FetchOptions, RemoteFile } from './download.js';

/** What came of one request: the last byte, a cut or busy line (worth another try), or an answer that another try will not change. */
export type Answer =
  | { readonly kind: 'whole' }
  | { readonly kind: 'cut'; readonly why: string; readonly after?: number }
  | { readonly kind: 'refused'; readonly why: string /** The bytes themselves are not the file's. */; readonly isWrong?: boolean };

export interface Attempt {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly file: RemoteFile & { readonly name: string };
  readonly partial: PartialFile;
  readonly isPage: boolean;
  readonly options: FetchOptions;
  take(bytes: Uint8Array, total: number | undefined): Promise<void>;
  /** Forgets what is kept; the validator is of what comes now. */
  restart(validator?: string): Promise<void>;
}

const STALL = 30_000;
/** Where a file's exact length is not published, what is told of it is right to this factor; more is another file, or has no end. */
const SLACK = 1.25;
const MAX_UNKNOWN = 2 ** 32;

/** One request for what is still missing (RFC 9110, sections 14.2 and 13.1.5), written to the partial file as it comes. */
export async function attempt(request: Attempt): Promise<Answer> {
  const { url, file, partial, options, restart } = request;
  const { signal, stallTimeout = STALL } = options;
  const line = new AbortController();
  const cut = () => line.abort();
  signal?.addEventListener('abort', cut);
  let timer = setTimeout(cut, stallTimeout);
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(cut, stallTimeout);
  };
  let response: Response | undefined;
  try {
    throwIfAborted(signal, file.name);
    response = await (options.fetch ?? fetch)(url, { headers: headersOf(request), signal: line.signal, cache: 'no-store' });
    alive();
    const answer = statusAnswer(response, partial.size);
    if (answer) return answer;
    if (response.status === 416) {
      const isWhole = partial.size === (file.bytes ?? totalOf(response));
      if (isWhole) return { kind: 'whole' };
      await restart();
      return { kind: 'cut', why: 'has fewer bytes than were kept' };
    }
    // Without a range the server begins anew: it has none, or the file changed.
    if (response.status !== 206) await restart(validatorOf(response, url));
    const total = totalOf(response);
    if (file.bytes !== undefined && total !== undefined && total !== file.bytes) {
      return { kind: 'refused', isWrong: true, why: `expected ${file.bytes} bytes, received a file of ${total}` };
    }
    return await receive(response, request, alive, file.bytes ?? total);
  } catch (error) {
    throwIfAborted(signal, file.name);
    // A disk that is full is no fault of the line.
    if (isVggError(error)) throw error;
    // A host without an address, or no way to it, stays so for longer than anyone waits.
    if (NO_NETWORK.has(codeOf(error) ?? '')) return { kind: 'refused', why: fetchFailure(error) };
    return { kind: 'cut', why: line.signal.aborted ? `sent nothing for ${stallTimeout / 1000} s` : fetchFailure(error) };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', cut);
    // Bytes that nobody wants must not go on coming.
    line.abort();
    await response?.body?.cancel().catch(() => {});
  }
}

async function receive(
  response: Response,
  { file, partial, take, options }: Attempt,
  alive: () => void,
  expected: number | undefined,
): Promise<Answer> {
  const most = expected ?? (file.about === undefined ? MAX_UNKNOWN : file.about * SLACK);
  const reader = response.body?.getReader();
  for (;;) {
    const { done, value } = reader ? await reader.read() : { done: true, value: undefined };
    throwIfAborted(options.signal, file.name);
    alive();
    if (done || value === undefined) break;
    if (partial.size + value.length > most) return { kind: 'refused', isWrong: true, why: `expected ${most} bytes, received more` };
    await take(value, expected);
    alive();
  }
  if (expected === undefined || partial.size === expected) return { kind: 'whole' };
  return { kind: 'cut', why: `the line was cut at ${partial.size} of ${expected} bytes` };
}

function headersOf({ url, headers, partial, isPage }: Attempt): Record<string, string> {
  // Compressed on the way, a range would be one of other bytes. (A page's browser sees to it, and does not let this be set.)
  const all: Record<string, string> = isPage ? { ...headers } : { ...headers, 'Accept-Encoding': 'identity' };
  if (partial.size === 0) return all;
  all.Range = `bytes=${partial.size}-`;
  // In a page this header would need the server's leave; there the hash alone tells that the file changed.
  const [from, validator] = partial.validator?.split('\n') ?? [];
  if (!isPage && from === url && validator) all['If-Range'] = validator;
  return all;
}

/** A strong ETag or else the date, with the address that it is of. */
function validatorOf(response: Response, url: string): string | undefined {
  const etag = response.headers.get('etag');
  const validator = etag !== null && !etag.startsWith('W/') ? etag : response.headers.get('last-modified');
  return validator === null ? undefined : `${url}\n${validator}`;
}

function statusAnswer(response: Response, kept: number): Answer | undefined {
  const { status } = response;
  if (status === 206) {
    const start = Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? Number.NaN);
    // A page sees this header only where the server allows it.
    const isHidden = !response.headers.has('content-range') && response.type === 'cors';
    return start === kept || isHidden
      ? undefined
      : { kind: 'refused', isWrong: true, why: `expected the bytes from ${kept}, received those from ${start}` };
  }
  if (status === 200 || (status === 416 && kept > 0)) return undefined;
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
    return { kind: 'cut', why: `HTTP status ${status}`, ...(seconds >= 0 ? { after: seconds * 1000 } : {}) };
  }
  return { kind: 'refused', why: `HTTP status ${status}` };
}

function totalOf(response: Response): number | undefined {
  const range = /^bytes (?:\d+-\d+|\*)\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  if (range) return Number(range[1]);
  const length = response.headers.get('content-length');
  const isPlain = response.status === 200 && !response.headers.has('content-encoding');
  return isPlain && length !== null && /^\d+$/.test(length) ? Number(length) : undefined;
}

const NO_NETWORK: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN']);

function codeOf(error: unknown): string | undefined {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { code } = cause as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
}
