import type { BackendInfo } from '@vgg/core';
import { abortable, messageOf, type OnProgress, throwIfAborted, VggError } from '@vgg/errors';
import { type ImageInputs, isOneImage } from '../pictures/images.js';
import { VERSION } from '../version.js';
import { receiveError, sendError } from './errors.js';
import type { Method, SentImages, ToPage, ToWorker } from './messages.js';
import { failed, type Parcel, sendImage } from './send-image.js';
import { type StartWorker, startWorker } from './start.js';

/** What a call says besides its method. */
export interface CallParts {
  images?: ImageInputs;
  args?: readonly unknown[];
  options?: { signal?: AbortSignal | undefined; onProgress?: OnProgress | undefined };
  page?: { base: string; search: string };
}

/** A call whose answer is awaited. */
interface Waiting {
  settle: { resolve: (value: never) => void; reject: (error: unknown) => void } | undefined;
  readonly onProgress: OnProgress | undefined;
  /** How many pictures there are, which the worker cannot know. */
  readonly total: number | undefined;
  readonly source: Iterator<unknown> | AsyncIterator<unknown> | undefined;
  /** Pictures given so far. */
  given: number;
  exhausted: boolean;
  /** What the caller's own iterable threw, to be thrown as it is. */
  failure?: { readonly cause: unknown };
}

/** The page's end of a worker: calls its model's methods, and gives it the pictures it asks for. */
export class Connection {
  /** As the worker last said. */
  backend: BackendInfo | undefined;
  readonly #worker: Worker;
  readonly #onWarning: ((message: string) => void) | undefined;
  readonly #calls = new Map<number, Waiting>();
  readonly #started: Promise<void>;
  #count = 0;
  #end: VggError | undefined;
  #ready: { resolve: () => void; reject: (error: unknown) => void } | undefined;

  constructor(start: boolean | StartWorker, onWarning?: (message: string) => void) {
    const { worker, release } = startWorker(start);
    this.#worker = worker;
    this.#onWarning = onWarning;
    this.#started = new Promise<void>((resolve, reject) => (this.#ready = { resolve, reject })).finally(release);
    // It may be that nobody waits for it any more.
    this.#started.catch(() => {});
    worker.addEventListener('message', ({ data }: MessageEvent<ToPage>) => this.#receive(data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#fail(event.message || 'its script did not load; does the Content-Security-Policy allow it?');
    });
    worker.addEventListener('messageerror', () => this.#fail('a message of its could not be read'));
  }

  /** One call, one answer. */
  async call(method: Method, { images, args = [], options = {}, page }: CallParts): Promise<never> {
    const { signal, onProgress, ...rest } = options;
    throwIfAborted(signal, method);
    const id = ++this.#count;
    const waiting = this.#open(id, images, onProgress);
    try {
      await abortable(this.#post(id, waiting, { method, images, args, options: rest, ...(page && { page }) }), signal, method);
      return await abortable(this.#answer(waiting), signal, method);
    } finally {
      this.#close(id, waiting);
    }
  }

  /** One call, an answer for each picture. */
  async *items<T>(method: Method, { images, args = [], options = {} }: CallParts): AsyncGenerator<T> {
    const { signal, onProgress, ...rest } = options;
    const who = method.replace('All', '');
    throwIfAborted(signal, who);
    const id = ++this.#count;
    const waiting = this.#open(id, images, onProgress);
    try {
      await abortable(this.#post(id, waiting, { method, images, args, options: rest }), signal, who);
      for (;;) {
        const answer = this.#answer<IteratorResult<T>>(waiting);
        this.#send({ type: 'next', id });
        const { done, value } = await abortable(answer, signal, who);
        if (done) return;
        yield received(value);
      }
    } finally {
      this.#close(id, waiting);
    }
  }

  /** Ends the worker, and whatever it is doing. */
  end(why: VggError): void {
    if (this.#end) return;
    this.#end = why;
    this.#worker.terminate();
    this.#ready?.reject(why);
    for (const { settle } of this.#calls.values()) settle?.reject(why);
  }

  #fail(why: string): void {
    this.end(new VggError('VGG_BACKEND', `load: expected the worker to run and it failed (${why}); load again, or without worker`));
  }

  #open(id: number, images: ImageInputs | undefined, onProgress: OnProgress | undefined): Waiting {
    const many = images !== undefined && isMany(images);
    const waiting: Waiting = {
      settle: undefined,
      onProgress,
      total: Array.isArray(images) ? images.length : undefined,
      source: many ? iterate(images as Iterable<unknown> | AsyncIterable<unknown>) : undefined,
      given: 0,
      exhausted: !many,
    };
    this.#calls.set(id, waiting);
    return waiting;
  }

  async #post(
    id: number,
    waiting: Waiting,
    {
      images,
      ...call
    }: { method: Method; images: ImageInputs | undefined; args: readonly unknown[]; options: object; page?: CallParts['page'] },
  ): Promise<void> {
    const parcel = images === undefined || waiting.source ? undefined : await sendImage(images, 0);
    await this.#started;
    const sent: SentImages | undefined = waiting.source ? 'asked' : parcel?.image;
    this.#send({ type: 'call', id, images: sent, ...call }, parcel);
  }

  #answer<T = never>(waiting: Waiting): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#end) reject(this.#end);
      else waiting.settle = { resolve, reject };
    });
  }

  #close(id: number, { source, exhausted }: Waiting): void {
    // A call that has ended is unknown to the worker, which then does nothing.
    if (this.#calls.delete(id) && !this.#end) this.#worker.postMessage({ type: 'abort', id } satisfies ToWorker);
    // Not awaited: a source that hangs must not hold up the one who stopped it.
    if (!exhausted) void Promise.resolve(source?.return?.()).catch(() => {});
  }

  /** @throws VggError `VGG_OPTION` for what cannot be cloned, `VGG_INPUT` for such a picture */
  #send(message: ToWorker, parcel?: Parcel): void {
    if (this.#end) throw this.#end;
    try {
      this.#worker.postMessage(message, parcel?.transfer ?? []);
    } catch (cause) {
      const why = messageOf(cause);
      if (parcel && 'name' in parcel.image) {
        const sentence = `decode: ${parcel.image.name}: expected pixels that can be sent to the worker, and they cannot (${why})`;
        throw new VggError('VGG_INPUT', `${sentence}; load a picture of another site with crossOrigin`, { cause });
      }
      throw new VggError('VGG_OPTION', `model: an option cannot be sent to the worker (${why}); leave it out, or load without worker`, {
        cause,
      });
    }
  }

  #receive(message: ToPage): void {
    if (message.type === 'ready') this.#greet(message.version);
    else if (message.type === 'failed') this.#fail(message.message);
    else if (message.type === 'warning') this.#onWarning?.(message.message);
    else {
      if (message.type === 'result') this.backend = message.backend ?? this.backend;
      const waiting = this.#calls.get(message.id);
      if (waiting) this.#heed(message, waiting);
    }
  }

  #heed(message: Extract<ToPage, { id: number }>, waiting: Waiting): void {
    const { settle, failure, total, onProgress } = waiting;
    if (message.type === 'result') settle?.resolve(message.value as never);
    else if (message.type === 'error') settle?.reject(failure ? failure.cause : receiveError(message.error));
    else if (message.type === 'ask') void this.#give(message.id, waiting);
    else if (message.progress.stage === 'extract') onProgress?.({ ...message.progress, ...(total !== undefined && { total }) });
    else onProgress?.(message.progress);
  }

  #greet(version: string): void {
    if (version === VERSION) this.#ready?.resolve();
    else {
      const received = `received one of ${version}; build the worker's script again`;
      this.end(new VggError('VGG_OPTION', `load: expected a worker of vgg ${VERSION}, ${received}`));
    }
  }

  /** Answers the worker's question for the next picture. */
  async #give(id: number, waiting: Waiting): Promise<void> {
    try {
      const next = await waiting.source!.next();
      if (next.done) waiting.exhausted = true;
      const parcel = next.done ? undefined : await sendImage(next.value, waiting.given++);
      if (!this.#calls.has(id)) return;
      this.#sendImage(id, parcel);
    } catch (cause) {
      waiting.exhausted = true;
      waiting.failure = { cause };
      if (!this.#end) this.#send({ type: 'image', id, error: sendError(cause) });
    }
  }

  #sendImage(id: number, parcel: Parcel | undefined): void {
    try {
      this.#send({ type: 'image', id, ...(parcel && { image: parcel.image }) }, parcel);
    } catch (error) {
      const name = parcel && 'name' in parcel.image ? (parcel.image.name ?? 'the picture') : 'the picture';
      this.#send({ type: 'image', id, image: failed(error, name).image });
    }
  }
}

/** Whether pictures are given one by one; a batch tensor goes whole. */
function isMany(images: ImageInputs): images is Iterable<never> | AsyncIterable<never> {
  return !isOneImage(images) && typeof images === 'object' && (Symbol.iterator in images || Symbol.asyncIterator in images);
}

function iterate(images: Iterable<unknown> | AsyncIterable<unknown>): Iterator<unknown> | AsyncIterator<unknown> {
  return Symbol.asyncIterator in images ? images[Symbol.asyncIterator]() : images[Symbol.iterator]();
}

/** An item with its error, if it is one, as an error again. */
function received<T>(item: T): T {
  if (typeof item !== 'object' || item === null || !('error' in item)) return item;
  return { ...item, error: receiveError(item.error as Parameters<typeof receiveError>[0]) };
}
