import { messageOf } from '@vgg/errors';
import type { WasmRuntime } from '../runtime.js';
import { aligned } from '../workspace.js';
import { Crew, MOST_WORKERS, type PoolKernel, type Task } from './crew.js';
import { controlBytes, type ItemKernel, type ModuleMessage } from './layout.js';
import type { WorkerFactory } from './spawn.js';

export type { PoolKernel, Task } from './crew.js';

/** The most threads of a pool. */
const MOST_THREADS = 64;
/** How often lost workers are replaced: when they are lost again and again, the reason does not go away. */
const MOST_REPLACEMENTS = 4;
/** So that several which are lost at once are replaced at once. */
const REPLACE_AFTER_MS = 50;
const LINE = 64;

/** Options of {@link ThreadPool}. */
export interface PoolOptions {
  /** Makes the workers, where a page's Content-Security-Policy refuses scripts of `blob:` addresses. */
  workerFactory?: WorkerFactory;
  /** Receives a sentence when there are fewer threads than wished for, at the start or later. Default: `console.warn`. */
  onWarning?: (message: string) => void;
  /**
   * Milliseconds after which a worker that does not start, or does not finish an item, is given up. Default: 10 s; for an item 2 s in
   * a page's own thread, which cannot sleep and so stands still meanwhile.
   */
  patience?: number;
}

/**
 * Threads on one heap: workers with their own instances of our modules on the same memory. Workers that are lost are replaced, a few
 * times; then the pool goes on with fewer.
 */
export class ThreadPool {
  /** The most threads that {@link threads} says, for callers that want fewer than there are. */
  limit = MOST_THREADS;
  private readonly modules: ModuleMessage[] = [];
  private readonly kernels: ItemKernel[] = [];
  private crew: Crew | undefined;
  private closed = false;
  private growing: Promise<void> = Promise.resolve();
  /** The most threads that anyone has asked for. */
  private wanted = 1;
  private replacements = 0;
  /** Whether the next start is to replace lost workers. */
  private replacing = false;
  /** Why workers never became ready. */
  private failures: string[] = [];

  constructor(
    private readonly runtime: WasmRuntime,
    private readonly options: PoolOptions = {},
  ) {}

  /** Threads that compute now, the calling one among them. */
  get threads(): number {
    return Math.min(this.limit, 1 + (this.crew?.ready(this.kernels.length) ?? 0));
  }

  /**
   * Starts workers until so many threads compute; never ends any. Resolves when they are ready, or it is clear that they will not be.
   * Does nothing where the memory is not shared, or workers were lost too often.
   */
  grow(threads: number): Promise<void> {
    this.wanted = Math.max(this.wanted, Math.min(threads, MOST_THREADS));
    // One after the other, or two callers would start the same workers twice.
    this.growing = this.growing.then(() => this.startWorkers());
    return this.growing;
  }

  private async startWorkers(): Promise<void> {
    this.replacing = false;
    if (this.closed || !this.runtime.shared || this.replacements > MOST_REPLACEMENTS) return;
    const count = this.wanted - 1 - (this.crew?.size ?? 0);
    if (count <= 0) return;
    try {
      this.crew ??= this.makeCrew();
      await this.crew.start(count, this.modules);
    } catch (error) {
      this.warn(`wasm: a worker cannot be started (${messageOf(error)})`);
    }
    this.tellFailures();
  }

  private tellFailures(): void {
    const [why] = this.failures.splice(0);
    if (why !== undefined) this.warn(`wasm: a thread was lost (${why})`);
  }

  private makeCrew(): Crew {
    const { patience, workerFactory } = this.options;
    const mayWait = callerMayWait();
    return new Crew({
      memory: this.runtime.memory,
      control: aligned(this.runtime.malloc(controlBytes(MOST_WORKERS) + LINE)),
      workerFactory,
      mayWait,
      answerPatience: patience ?? 10_000,
      itemPatience: patience ?? (mayWait ? 10_000 : 2_000),
      onLost: (why, { served, all }) => {
        if (all) this.crew = undefined;
        if (served) this.replace(why);
        else this.failures.push(why);
      },
    });
  }

  /** Starts others in the place of lost workers, unless that was done too often. */
  private replace(why: string): void {
    if (this.replacing || this.replacements > MOST_REPLACEMENTS) return;
    this.replacements++;
    if (this.replacements <= MOST_REPLACEMENTS) {
      this.replacing = true;
      this.growing = this.growing.then(() => new Promise((resolve) => setTimeout(resolve, REPLACE_AFTER_MS)));
      void this.grow(this.wanted);
    } else this.warn(`wasm: threads were lost ${this.replacements} times (${why})`);
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
    await this.crew?.load(message);
    this.tellFailures();
    return Object.fromEntries(made) as Record<Name, PoolKernel>;
  }

  /** Runs all items of a task and returns when they are done. An exception of the kernel in this thread is thrown on. */
  run(kernel: PoolKernel, task: Task): void {
    const { threads, items } = task;
    const known = this.kernels.length;
    if (Math.min(threads, items) > 1 && this.crew?.ready(known) && this.crew.run(kernel, task, known)) return;
    // Items write the same whoever runs them, and however often.
    for (let item = 0; item < items; item++) kernel.call(task.job, task.work, item);
  }

  /** Ends all workers. Jobs run on the calling thread from then on. */
  close(): void {
    this.closed = true;
    this.crew?.close();
    this.crew = undefined;
  }

  private warn(what: string): void {
    const { onWarning = (message: string) => console.warn(message) } = this.options;
    const left = 1 + (this.crew?.size ?? 0);
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
