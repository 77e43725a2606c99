import { VggError } from '@vgg/errors';
import { load } from '../load.js';
import type { Model } from '../model.js';
import type { ImageInputs } from '../pictures/images.js';
import { VERSION } from '../version.js';
import { receiveError, sendError } from './errors.js';
import type { Loaded, ToPage, ToWorker } from './messages.js';
import { receiveImage } from './receive-image.js';
import { transferables } from './transferables.js';

/** The part of a worker's global scope that is used. */
export interface Port {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: ToPage, transfer?: Transferable[]): void;
}

type CallMessage = Extract<ToWorker, { type: 'call' }>;
type ImageMessage = Extract<ToWorker, { type: 'image' }>;

/** A call that is being answered. */
interface Call {
  readonly controller: AbortController;
  /** Of a call that gives several items. */
  items?: AsyncGenerator<unknown>;
  /** Receives the page's next picture. */
  onImage?: (message: ImageMessage) => void;
}

/** Answers a page: loads the one model of this worker and calls its methods. */
export function serve(port: Port): void {
  const calls = new Map<number, Call>();
  let model: Model | undefined;
  const post = (message: ToPage, transfer: Transferable[] = []) => port.postMessage(message, transfer);

  /** The pictures of a call that the page gives one by one. */
  async function* asked(id: number, call: Call): AsyncGenerator<unknown> {
    for (;;) {
      const { image, error } = await new Promise<ImageMessage>((resolve) => {
        call.onImage = resolve;
        post({ type: 'ask', id });
      });
      if (error) throw receiveError(error);
      if (!image) return;
      yield await receiveImage(image);
    }
  }

  async function call({ id, method, images, args, options, page }: CallMessage): Promise<unknown> {
    const current = calls.get(id)!;
    const { signal } = current.controller;
    const onProgress = (progress: Extract<ToPage, { type: 'progress' }>['progress']) => post({ type: 'progress', id, progress });
    const told = { ...options, signal, onProgress };
    if (method === 'load') {
      if (page) settleIn(page);
      model = await load(args[0] as string | undefined, { ...told, onWarning: (message) => post({ type: 'warning', message }) });
      return describe(model);
    }
    if (!model) throw new VggError('VGG_OPTION', `${method}: expected a model in this worker, and none was loaded`);
    const inputs = images === undefined ? [] : [images === 'asked' ? asked(id, current) : await receiveImage(images)];
    const compute = model[method] as (...all: unknown[]) => unknown;
    return compute.call(model, ...(inputs as ImageInputs[]), ...args, told);
  }

  /** Sends what a promise gives; `over` says whether it is the last of the call. */
  async function answer(id: number, work: () => unknown, over: (value: unknown) => boolean): Promise<void> {
    try {
      const value = await work();
      if (over(value)) calls.delete(id);
      const backend = model && { ...model.backend };
      post({ type: 'result', id, value, backend }, transferables(value));
    } catch (error) {
      calls.delete(id);
      post({ type: 'error', id, error: sendError(error) });
    }
  }

  async function start(message: CallMessage): Promise<void> {
    const { id, method } = message;
    const current: Call = { controller: new AbortController() };
    calls.set(id, current);
    if (!method.endsWith('All'))
      return answer(
        id,
        () => call(message),
        () => true,
      );
    // The items are computed as they are asked for.
    current.items = (async function* () {
      yield* (await call(message)) as AsyncGenerator<unknown>;
    })();
  }

  port.onmessage = ({ data }) => {
    const current = calls.get(data.id);
    if (data.type === 'call') void start(data);
    else if (data.type === 'image') current?.onImage?.(data);
    else if (data.type === 'next') {
      const { items } = current ?? {};
      if (items)
        void answer(
          data.id,
          async () => sendable(await items.next()),
          (value) => (value as IteratorResult<unknown>).done === true,
        );
    } else if (current) {
      calls.delete(data.id);
      current.controller.abort();
      void current.items?.return(undefined).catch(() => {});
    }
  };
  post({ type: 'ready', version: VERSION });
}

function describe(model: Model): Loaded {
  const { network, preprocessing, weights, deepest } = model;
  return { network, preprocessing, weights, deepest, missing: model.missing(network.layers.at(-1)!.name) };
}

/** An item whose error, if it is one, can be cloned. */
function sendable(result: IteratorResult<unknown>): IteratorResult<unknown> {
  const { value, done } = result;
  if (done || typeof value !== 'object' || value === null || !('error' in value)) return result;
  return { done, value: { ...value, error: sendError(value.error) } };
}

/**
 * Makes the page's address this worker's: relative URLs and the settings of the URL (`?threads=`) then mean here what they mean there. A
 * worker made from a `blob:` address has none of its own.
 */
function settleIn({ base, search }: { base: string; search: string }): void {
  Object.defineProperty(globalThis, 'location', { value: { href: base, search }, configurable: true });
  const { fetch } = globalThis;
  globalThis.fetch = async (input, init) => fetch(typeof input === 'string' ? new URL(input, base) : input, init);
}
