/** The stable codes of {@link VggError}; the command line turns them into exit codes. */
export type VggErrorCode =
  | 'VGG_ABORTED'
  | 'VGG_ARCHITECTURE'
  | 'VGG_BACKEND'
  | 'VGG_DATASET'
  | 'VGG_FORMAT'
  | 'VGG_HEAD'
  | 'VGG_INPUT'
  | 'VGG_INTEGRITY'
  | 'VGG_LAYER'
  | 'VGG_MEMORY'
  | 'VGG_NETWORK'
  | 'VGG_NOT_FOUND'
  | 'VGG_OPTION'
  | 'VGG_OUTPUT'
  | 'VGG_SHAPE'
  | 'VGG_TRAINING'
  | 'VGG_WEIGHTS_MISSING';

/**
 * The one error class of the package: a sentence that says who, what was expected, what was received and what to do,
 * with a stable {@link VggErrorCode}.
 *
 * @example
 * try { await load('vgg16', { weights: 'notes.txt' }); } catch (error) { error.code; } // 'VGG_FORMAT'
 */
export class VggError extends Error {
  readonly code: VggErrorCode;
  constructor(code: VggErrorCode, message: string, options?: ErrorOptions) {
    super(oneLine(message), options);
    this.name = 'VggError';
    this.code = code;
  }
}

/** Longest sentence: names come out of files that strangers wrote. */
const MAX_SENTENCE = 1000;

/** A sentence without line breaks and terminal codes, which a name or a server's answer may carry into it. */
function oneLine(message: string): string {
  const text = message.slice(0, MAX_SENTENCE + 1).replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
  return text.length > MAX_SENTENCE ? `${text.slice(0, MAX_SENTENCE)} ...` : text;
}

/** True for a {@link VggError}, from whichever copy of the package it came; with `code`, only for that one. */
export function isVggError(error: unknown, code?: VggErrorCode): error is VggError {
  const found = error instanceof Error && error.name === 'VggError' ? (error as VggError).code : undefined;
  return found !== undefined && (code === undefined || found === code);
}

/** The sentence of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why a fetch failed, in words: Node's own error says only "fetch failed", and what happened is in its cause. */
export function fetchFailure(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (cause as { code?: unknown } | null | undefined)?.code;
  const message = messageOf(cause);
  return typeof code === 'string' && !message.includes(code) ? `${message} (${code})`.trim() : message;
}

/** What a value is, for the end of a sentence: `null`, `number`, `Date`, `an object`. */
export function kindOf(value: unknown): string {
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  return value.constructor?.name || 'an object';
}

/** Throws `VGG_ABORTED`, with the signal's reason as its cause, once the signal is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined, who: string): void {
  if (signal?.aborted) throw new VggError('VGG_ABORTED', `${who}: stopped by its AbortSignal`, { cause: signal.reason });
}

/**
 * The work's result, or `VGG_ABORTED` as soon as the signal is aborted, without waiting for what cannot be stopped; a result that
 * comes too late goes to `discard`.
 */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined, who: string, discard?: (late: T) => unknown): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const stop = () => {
      reject(new VggError('VGG_ABORTED', `${who}: stopped by its AbortSignal`, { cause: signal.reason }));
      work.then(discard, () => {});
    };
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/**
 * Work that several callers wait for at the same time, by key: begun by the first of them, with its own signal, and kept in `running`. When
 * that one is aborted the others are not: the next begins the work again. A failure is forgotten.
 */
export async function shareWork<K, T>(
  running: Map<K, Promise<T>>,
  key: K,
  start: () => Promise<T>,
  { signal, who }: { signal: AbortSignal | undefined; who: string },
): Promise<T> {
  for (;;) {
    const joined = running.get(key);
    if (!joined) {
      const work = start();
      running.set(key, work);
      work.catch(() => {
        if (running.get(key) === work) running.delete(key);
      });
      return work;
    }
    try {
      return await abortable(joined, signal, who);
    } catch (error) {
      if (signal?.aborted || !isVggError(error, 'VGG_ABORTED')) throw error;
    }
  }
}

/** One turn of the event loop, so that a page stays alive and an abort comes through. Timers are not used: a page in the background delays them by a second each. */
export function turn(): Promise<void> {
  if (typeof setImmediate === 'function') return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

/** Where a long call stands: `loaded` of `total` (bytes, pictures or epochs, as the stage says). */
export interface Progress {
  /** `download`, `verify`, `read`, `decode`, `extract`, `train` … */
  stage: string;
  loaded: number;
  /** Unknown totals are left out. */
  total?: number;
  /** The file or picture in hand. */
  item?: string;
}

/** Receives {@link Progress}; called often, so it should return quickly. */
export type OnProgress = (progress: Progress) => void;
