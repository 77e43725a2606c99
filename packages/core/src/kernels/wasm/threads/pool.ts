import { messageOf } from '@vgg/errors';
import type { WasmRuntime } from '../runtime.js';
import {
  busyOf,
  controlBytes,
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
  signalOf,
  WORK,
} from './layout.js';
import { spawn, type Thread, type WorkerFactory } from './spawn.js';

/** The most threads of a pool. */
const MOST_THREADS = 64;
const LINE = 64;

/** How long the caller looks for the others to finish before it sleeps, where it may. */
const SPIN_MS = 0.05;
const NAP_MS = 100;

/** Options of {@link ThreadPool}. */
export interface PoolOptions {
  /** Makes the workers, where a page's Content-Security-Policy refuses scripts of `blob:` addresses. */
  workerFactory?: WorkerFactory;
  /** Receives a sentence when there are fewer threads than wished for, at the start or later. Default: `console.warn`. */
  onWarning?: (message: string) => void;
  /** Milliseconds after which a worker that does not start, or does not finish an item, is given up. Default: 10 s. */
  patience?: number;
}

/** A job: `items` calls of a kernel, each with its number. */
export interface Task {
  /** What the kernel gets as its first argument: a pointer, as a rule. */
  job: number;
  items: number;
  /** Private memory: `threads` times `stride` bytes. */
  work: number;
  stride: number;
  /** The most threads that may take part, the calling one among them: what there is private memory for. */
  threads: number;
}

/** A kernel that the workers know too. */
export interface PoolKernel {
  readonly index: number;
  readonly call: ItemKernel;
}

interface Member {
  readonly index: number;
  readonly thread: Thread;
  /** Kernels it knows. */
  kernels: number;
  /** Ends the wait for its next answer. */
  settle: (() => void) | undefined;
}

/**
 * Threads on one heap: workers with their own instances of our modules on the same memory. A job's items are claimed by an atomic
 * counter, by the caller as well, so a worker that is late, or missing, costs time and nothing else.
 *
 * A job ends when the caller finds no more items, closes it, and no worker is busy. A worker says that it is busy before it looks
 * whether a job is open, so none can be at work behind a closed job.
 */
export class ThreadPool {
  /** The most threads that {@link threads} says, for callers that want fewer than there are. */
  limit = MOST_THREADS;
  private readonly modules: ModuleMessage[] = [];
  private readonly kernels: ItemKernel[] = [];
  private members: Member[] = [];
  /** Workers ever started: a place in the control block is not used twice. */
  private started = 0;
  private block = 0;
  private words = new Int32Array(0);
  private closed = false;
  private growing: Promise<void> = Promise.resolve();
  private readonly patience: number;
  private readonly mayWait = callerMayWait();

  constructor(
    private readonly runtime: WasmRuntime,
    private readonly options: PoolOptions = {},
  ) {
    this.patience = options.patience ?? 10_000;
  }

  /** Threads that compute now, the calling one among them. */
  get threads(): number {
    return Math.min(this.limit, 1 + this.ready().length);
  }

  /**
   * Starts workers until so many threads compute; never ends any. Resolves when they are ready, or it is clear that they will not be.
   * Does nothing where the memory is not shared.
   */
  grow(threads: number): Promise<void> {
    // One after the other, or two callers would start the same workers twice.
    this.growing = this.growing.then(() => this.startWorkers(Math.min(threads, MOST_THREADS) - 1 - this.members.length));
    return this.growing;
  }

  private async startWorkers(count: number): Promise<void> {
    const { memory, shared } = this.runtime;
    if (this.closed || !shared || count <= 0) return;
    if (this.block === 0) {
      this.block = this.runtime.malloc(controlBytes(MOST_THREADS) + LINE);
      const at = Math.ceil(this.block / LINE) * LINE;
      // A view of shared memory stays good when the memory grows.
      this.words = new Int32Array(memory.buffer, at, controlBytes(MOST_THREADS) / 4).fill(0);
    }
    const control = this.words.byteOffset / 4;
    const fresh: Member[] = [];
    for (; count > 0 && this.started < MOST_THREADS; count--) {
      const member = this.start(this.started++);
      if (!member) return;
      fresh.push(member);
    }
    await Promise.all(
      fresh.map(async (member) => {
        const start: StartMessage = { memory, control, words: this.words.length, worker: member.index };
        await Promise.all([start, ...this.modules].map((message) => this.send(member, message)));
      }),
    );
  }

  private start(index: number): Member | undefined {
    try {
      const thread = spawn(
        {
          onMessage: (message) => {
            const { kernels, error } = message as ReadyMessage;
            if (error !== undefined) return this.lose(member, error);
            member.kernels = kernels;
            if (kernels === this.kernels.length) member.settle?.();
          },
          onDeath: (why, ended) => this.lose(member, why, ended),
        },
        this.options.workerFactory,
      );
      const member: Member = { index, thread, kernels: 0, settle: undefined };
      this.members.push(member);
      return member;
    } catch (error) {
      this.warn(`wasm: a worker cannot be started (${messageOf(error)})`);
      return undefined;
    }
  }

  /** Sends a message and waits until the worker has dealt with all it was sent, or is given up. */
  private send(member: Member, message: StartMessage | ModuleMessage): Promise<void> {
    const { index, thread } = member;
    const before = member.settle;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.lose(member, `no answer within ${this.patience} ms`), this.patience);
      member.settle = () => {
        clearTimeout(timer);
        member.settle = undefined;
        thread.hold(false);
        before?.();
        resolve();
      };
      thread.hold(true);
      Atomics.add(this.words, mailOf(index), 1);
      try {
        thread.post(message);
        this.wake(index);
      } catch (error) {
        this.lose(member, messageOf(error));
      }
    });
  }

  /**
   * Makes exports of a module kernels of this pool: on the caller's own instance, and on one of each worker.
   * The module imports `env.memory`, and the exports are `(job, work, item) => void`.
   */
  async load<Name extends string>(
    module: WebAssembly.Module,
    exports: Record<Name, ItemKernel>,
    names: readonly Name[],
  ): Promise<Record<Name, PoolKernel>> {
    await this.growing;
    const made = names.map((name) => [name, { index: this.kernels.push(exports[name]) - 1, call: exports[name] }] as const);
    const message = { module, names };
    this.modules.push(message);
    await Promise.all(this.members.map((member) => this.send(member, message)));
    return Object.fromEntries(made) as Record<Name, PoolKernel>;
  }

  /** Runs all items of a task and returns when they are done. An exception of the kernel in this thread is thrown on. */
  run({ index, call }: PoolKernel, task: Task): void {
    const { job, items, work, stride } = task;
    const alone = (): void => {
      for (let item = 0; item < items; item++) call(job, work, item);
    };
    const helpers = this.ready().slice(0, Math.min(task.threads, items) - 1);
    if (helpers.length === 0) {
      alone();
      return;
    }
    const { words } = this;
    words[KERNEL] = index;
    words[JOB] = job;
    words[ITEMS] = items;
    words[WORK] = work;
    words[STRIDE] = stride;
    words[PLACES] = helpers.length + 1;
    words[NEXT] = 0;
    words[PLACE] = 1;
    words[FAILED] = 0;
    Atomics.store(words, OPEN, 1);
    for (const helper of helpers) this.wake(helper.index);
    let whole: boolean;
    try {
      for (let item = Atomics.add(words, NEXT, 1); item < items; item = Atomics.add(words, NEXT, 1)) call(job, work, item);
    } finally {
      Atomics.store(words, NEXT, items);
      Atomics.store(words, OPEN, 0);
      whole = this.join();
    }
    // Items write the same whoever runs them, and however often.
    if (!whole || words[FAILED] > 0) alone();
  }

  /** Waits until no worker is busy; false when one had to be given up. */
  private join(): boolean {
    const { words } = this;
    let whole = true;
    for (const member of [...this.members]) {
      const busy = busyOf(member.index);
      const start = performance.now();
      while (Atomics.load(words, busy) === 1) {
        const waited = performance.now() - start;
        if (waited > this.patience) {
          this.lose(member, `no result within ${this.patience} ms`);
          whole = false;
          break;
        }
        if (this.mayWait && waited > SPIN_MS) Atomics.wait(words, busy, 1, Math.min(NAP_MS, this.patience));
        else for (let look = 0; look < 100 && Atomics.load(words, busy) === 1; look++);
      }
    }
    return whole;
  }

  /** Ends all workers. Jobs run on the calling thread from then on. */
  close(): void {
    this.closed = true;
    for (const member of this.members) {
      member.thread.terminate();
      member.settle?.();
    }
    this.members = [];
    // The control block is not freed: a worker reads it until the engine has ended it, which can take seconds.
  }

  private ready(): Member[] {
    return this.members.filter(({ kernels }) => kernels > 0 && kernels === this.kernels.length);
  }

  private wake(index: number): void {
    Atomics.add(this.words, signalOf(index), 1);
    Atomics.notify(this.words, signalOf(index));
  }

  /** Goes on without a worker. `ended`: it is surely not at work any more. */
  private lose(member: Member, why: string, ended = false): void {
    if (!this.members.includes(member)) return;
    this.members = this.members.filter((other) => other !== member);
    member.thread.terminate();
    // Should it be alive, it finds a message that is never dealt with, and takes no part again.
    Atomics.add(this.words, mailOf(member.index), 1);
    // One that is at work, who knows with what, must never see another open job.
    if (!ended && Atomics.load(this.words, busyOf(member.index)) === 1) this.close();
    member.settle?.();
    this.warn(`wasm: a thread was lost (${why})`);
  }

  private warn(what: string): void {
    const { onWarning = (message: string) => console.warn(message) } = this.options;
    const left = 1 + this.members.length;
    onWarning(`${what}; going on with ${left === 1 ? 'one thread' : `${left} threads`}`);
  }
}

/** Whether this thread may sleep in Atomics.wait; a page's own thread may not, and says so with an exception. */
function callerMayWait(): boolean {
  if (typeof SharedArrayBuffer === 'undefined') return false;
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
}
