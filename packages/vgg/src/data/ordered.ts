import { throwIfAborted, VggError } from '@vgg/errors';

export interface OrderedOptions {
  /** Pieces of work that are begun before the first of them is over. */
  concurrency: number;
  /** Results that are there, or worked on, before they are asked for. */
  ahead: number;
  signal?: AbortSignal;
}

/**
 * The results of some work for 0, 1, 2 ... to count - 1, in this order whatever time each takes. When the reader stops, or on an abort, what is
 * in work is told so by its signal and no more is begun.
 *
 * @throws VggError `VGG_ABORTED`; and the first failure in order
 */
export async function* ordered<T>(
  count: number,
  work: (index: number, signal: AbortSignal) => Promise<T>,
  { concurrency, ahead, signal }: OrderedOptions,
): AsyncGenerator<T, void, undefined> {
  for (const [name, value] of Object.entries({ concurrency, ahead }))
    if (!(Number.isInteger(value) && value > 0))
      throw new VggError('VGG_OPTION', `expected a whole number above 0 as ${name}, received ${value}`);
  // One for each piece: Node warns of a signal with more than ten listeners.
  const working = new Set<AbortController>();
  let isOver = false;
  const waiting: { done?: { result: T } | { error: unknown } }[] = [];
  let begun = 0;
  // One waker at a time, as in toPictures: a race against a lasting promise would hold on to what won.
  let wake = () => {};
  const end = () => {
    isOver = true;
    for (const controller of working) controller.abort(signal?.reason);
    wake();
  };
  const begin = async (index: number) => {
    const place: (typeof waiting)[number] = {};
    waiting.push(place);
    const controller = new AbortController();
    working.add(controller);
    try {
      place.done = { result: await work(index, controller.signal) };
    } catch (error) {
      place.done = { error };
    }
    working.delete(controller);
    pump();
    wake();
  };
  /** Goes on while the reader is busy with what it has. */
  const pump = () => {
    while (!isOver && begun < count && working.size < concurrency && waiting.length < ahead) void begin(begun++);
  };
  throwIfAborted(signal, 'reading a dataset');
  signal?.addEventListener('abort', end, { once: true });
  try {
    for (let given = 0; given < count; ) {
      throwIfAborted(signal, 'reading a dataset');
      pump();
      const done = waiting[0]?.done;
      if (done) {
        waiting.shift();
        given++;
        if ('error' in done) throw done.error;
        pump();
        yield done.result;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    signal?.removeEventListener('abort', end);
    end();
  }
}
