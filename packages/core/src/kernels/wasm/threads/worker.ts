// What runs in a thread of the pool; the build puts it into the package as text (see scripts/inline.ts), so it stands alone.
// Between jobs it sleeps in Atomics.wait, where no message reaches it: a waiting message is announced in the control block.

import {
  busyOf,
  FAILED,
  ITEMS,
  type ItemKernel,
  JOB,
  KERNEL,
  type ModuleMessage,
  mailOf,
  NEXT,
  OPEN,
  PLACE,
  PLACES,
  type ReadyMessage,
  STRIDE,
  type StartMessage,
  seenOf,
  signalOf,
  WORK,
} from './layout.js';

interface Port {
  onmessage: ((event: { data: StartMessage | ModuleMessage }) => void) | null;
  postMessage(message: ReadyMessage): void;
}

/** How long a worker looks for the next job before it sleeps: the layers of a network follow each other within this time. */
const SPIN_MS = 0.05;

const scope = globalThis as unknown as Port & {
  process?: { getBuiltinModule?(name: 'node:worker_threads'): { parentPort: Port | null } };
};
const port = scope.process?.getBuiltinModule?.('node:worker_threads').parentPort ?? scope;
const kernels: ItemKernel[] = [];
let start: StartMessage | undefined;
let words = new Int32Array(0);

port.onmessage = ({ data }) => {
  let error: string | undefined;
  if ('memory' in data) {
    start = data;
    words = new Int32Array(data.memory.buffer, data.control * 4, data.words);
  } else {
    try {
      const { exports } = new WebAssembly.Instance(data.module, { env: { memory: start!.memory } });
      for (const name of data.names) kernels.push(exports[name] as ItemKernel);
    } catch (reason) {
      error = String(reason);
    }
  }
  Atomics.sub(words, mailOf(start!.worker), 1);
  port.postMessage(error === undefined ? { kernels: kernels.length } : { kernels: kernels.length, error });
  serve(start!.worker);
};

/** Takes part in jobs until there is a message. */
function serve(worker: number): void {
  const signal = signalOf(worker);
  const busy = busyOf(worker);
  while (true) {
    const seen = Atomics.load(words, signal);
    Atomics.store(words, seenOf(worker), seen);
    // First this, then the look at the job: the caller closes the job, then waits for all that are busy.
    Atomics.store(words, busy, 1);
    const mail = Atomics.load(words, mailOf(worker)) > 0;
    if (!mail && Atomics.load(words, OPEN) === 1) takePart();
    Atomics.store(words, busy, 0);
    Atomics.notify(words, busy);
    if (mail) return;
    const until = performance.now() + SPIN_MS;
    let same = true;
    while (same && performance.now() < until) {
      for (let look = 0; look < 100 && same; look++) same = Atomics.load(words, signal) === seen;
    }
    if (same) Atomics.wait(words, signal, seen);
  }
}

function takePart(): void {
  const place = Atomics.add(words, PLACE, 1);
  if (place >= words[PLACES]) return;
  const kernel = kernels[words[KERNEL]];
  const job = words[JOB];
  const items = words[ITEMS];
  const work = words[WORK] + place * words[STRIDE];
  try {
    for (let item = Atomics.add(words, NEXT, 1); item < items; item = Atomics.add(words, NEXT, 1)) kernel(job, work, item);
  } catch {
    // The caller does the job again, alone, and so comes upon the reason itself.
    Atomics.add(words, FAILED, 1);
  }
}
