import source from './worker.ts?script';

/** The part of a Web Worker, or of a Worker of `node:worker_threads`, that is used. */
export interface WorkerLike {
  postMessage(message: unknown): void;
  terminate(): unknown;
  addEventListener?(type: 'message' | 'error', listener: (event: never) => void): void;
  on?(type: 'message' | 'error' | 'exit', listener: (value: never) => void): unknown;
  ref?(): void;
  unref?(): void;
}

/** Makes a worker that runs the pool's script, of which `source` is the text, as a classic script or a module. */
export type WorkerFactory = (source: string) => WorkerLike;

/** A running worker, alike in Node and in a page. */
export interface Thread {
  post(message: unknown): void;
  /** Whether a program waits for it that has nothing else to do. Idle workers never keep a process alive. */
  hold(on: boolean): void;
  terminate(): void;
}

export interface ThreadEvents {
  onMessage(message: unknown): void;
  /** It has failed, and not because of `terminate`. `ended`: nothing of it runs any more. */
  onDeath(why: string, ended: boolean): void;
}

/** Starts the pool's script in a thread of its own. */
export function spawn({ onMessage, onDeath }: ThreadEvents, factory: WorkerFactory = defaultFactory): Thread {
  const worker = factory(source);
  let over = false;
  const fail = (why: string, ended: boolean): void => {
    if (over) return;
    over = true;
    onDeath(why, ended);
  };
  if (worker.on) {
    worker.on('message', onMessage);
    worker.on('error', (error: Error) => fail(error.message, false));
    worker.on('exit', (code: number) => fail(`it ended with code ${code}`, true));
  } else {
    worker.addEventListener?.('message', ({ data }: MessageEvent) => onMessage(data));
    worker.addEventListener?.('error', (event: ErrorEvent) =>
      fail(event.message || 'its script did not load: does the Content-Security-Policy allow worker-src blob:?', false),
    );
  }
  worker.unref?.();
  return {
    post: (message) => worker.postMessage(message),
    hold: (on) => (on ? worker.ref?.() : worker.unref?.()),
    terminate() {
      over = true;
      void worker.terminate();
    },
  };
}

interface Platform {
  process?: { getBuiltinModule?(name: 'node:worker_threads'): { Worker: new (source: string, options: object) => WorkerLike } };
  document?: unknown;
}

/** From the text itself: no file to be found by address, so every bundler and engine can do it. */
const defaultFactory: WorkerFactory = (text) => {
  const platform = globalThis as unknown as Platform;
  const node = platform.document === undefined ? platform.process?.getBuiltinModule?.('node:worker_threads') : undefined;
  // Without the program's own options: a loader of its own, say, is not for this script.
  if (node) return new node.Worker(text, { eval: true, execArgv: [], name: 'vgg' });
  const url = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  try {
    return new Worker(url, { name: 'vgg' }) as WorkerLike;
  } finally {
    // The address is resolved when the worker is made.
    URL.revokeObjectURL(url);
  }
};
