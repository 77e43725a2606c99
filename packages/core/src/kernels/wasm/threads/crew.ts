import { messageOf } from '@vgg/errors';
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
  seenOf,
  signalOf,
  WORK,
} from './layout.js';
import { spawn, type Thread, type WorkerFactory } from './spawn.js';

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

export interface CrewOptions {
  memory: WebAssembly.Memory;
  /** Where the control block is to lie, of `controlBytes(MOST_WORKERS)` bytes. */
  control: number;
  workerFactory?: WorkerFactory | undefined;
  /** Milliseconds that a worker may take to answer a message, and those for an item. */
  answerPatience: number;
  itemPatience: number;
  /** Whether the caller may sleep in Atomics.wait. */
  mayWait: boolean;
  /** A worker is gone, or, with `all`, every one. `served`: it had been ready for work before. */
  onLost(why: string, loss: { served: boolean; all: boolean }): void;
}

interface Member {
  readonly index: number;
  readonly thread: Thread;
  /** Kernels it knows. */
  kernels: number;
  /** Messages it has not answered. */
  pending: number;
  /** Ends the wait for its next answer. */
  settle: (() => void) | undefined;
  /** The last signal that it was known to have looked at, and since when it has looked at no other although there are some. */
  seen: number;
  silentSince: number | undefined;
}

/** Workers that a crew can ever have: a place in the control block is not used twice. */
export const MOST_WORKERS = 128;

/** How long the caller looks for the others to finish before it sleeps, where it may. */
const SPIN_MS = 0.05;
const NAP_MS = 100;

/**
 * Workers and the control block through which they get their work. A job's items are claimed by an atomic counter, by the caller as
 * well, so a worker that is late, or missing, costs time and nothing else.
 *
 * A job ends when the caller finds no more items, closes it, and no worker is busy. A worker says that it is busy before it looks
 * whether a job is open, so none can be at work behind a closed job. One that does not finish must never see another open job, who
 * knows with what it is at work: the whole crew ends then, and its control block is never used again.
 */
export class Crew {
  private members: Member[] = [];
  private started = 0;
  private over = false;
  private readonly words: Int32Array;

  constructor(private readonly options: CrewOptions) {
    // A view of shared memory stays good when the memory grows.
    this.words = new Int32Array(options.memory.buffer, options.control, controlBytes(MOST_WORKERS) / 4).fill(0);
  }

  /** Workers, ready or not. */
  get size(): number {
    return this.members.length;
  }

  /** Those that know so many kernels. */
  ready(kernels: number): number {
    return kernels === 0 ? 0 : this.members.filter((member) => member.kernels === kernels).length;
  }

  /**
   * Starts workers, as far as there are places, and resolves when each is ready or lost. They get the modules one after the other.
   *
   * @throws what the factory throws
   */
  async start(count: number, modules: readonly ModuleMessage[]): Promise<void> {
    const { memory, control } = this.options;
    const fresh: Member[] = [];
    let failure: unknown;
    try {
      for (; count > 0 && this.started < MOST_WORKERS; count--) fresh.push(this.startOne());
    } catch (error) {
      failure = error;
    }
    await Promise.all(
      fresh.map(async (member) => {
        const start: StartMessage = { memory, control: control / 4, words: this.words.length, worker: member.index };
        await Promise.all([start, ...modules].map((message) => this.send(member, message)));
      }),
    );
    if (failure !== undefined) throw failure;
  }

  private startOne(): Member {
    const index = this.started++;
    const thread = spawn(
      {
        onMessage: (message) => {
          const { kernels, error } = message as ReadyMessage;
          if (error !== undefined) return this.lose(member, error);
          member.kernels = kernels;
          if (--member.pending === 0) member.settle?.();
        },
        onDeath: (why, ended) => this.lose(member, why, ended),
      },
      this.options.workerFactory,
    );
    const member: Member = { index, thread, kernels: 0, pending: 0, settle: undefined, seen: 0, silentSince: undefined };
    this.members.push(member);
    return member;
  }

  /** Sends all workers a module, and resolves when each has it or is lost. */
  async load(module: ModuleMessage): Promise<void> {
    await Promise.all(this.members.map((member) => this.send(member, module)));
  }

  /** Sends a message and waits until the worker has dealt with all it was sent, or is given up. */
  private send(member: Member, message: StartMessage | ModuleMessage): Promise<void> {
    const { index, thread } = member;
    const patience = this.options.answerPatience;
    const before = member.settle;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.lose(member, `no answer within ${patience} ms`), patience);
      member.settle = () => {
        clearTimeout(timer);
        member.settle = undefined;
        thread.hold(false);
        before?.();
        resolve();
      };
      thread.hold(true);
      member.pending++;
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
   * Runs the items of a task with the help of workers that know so many kernels, and returns when all are done. False: some are not.
   * An exception of the kernel in this thread is thrown on.
   */
  run({ index, call }: PoolKernel, { job, items, work, stride, threads }: Task, kernels: number): boolean {
    const helpers = this.members
      .filter((member) => member.kernels === kernels && this.isAlive(member))
      .slice(0, Math.min(threads, items) - 1);
    // One that was given up has come to itself just then, and all have gone with it.
    if (this.over) return false;
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
    return whole && words[FAILED] === 0;
  }

  /** Whether a worker still looks at its signals; one that has not for long is given up. Late ones look in the end, and lose nothing. */
  private isAlive(member: Member): boolean {
    const seen = Atomics.load(this.words, seenOf(member.index));
    const isAnswered = seen !== member.seen || seen === Atomics.load(this.words, signalOf(member.index));
    member.seen = seen;
    if (isAnswered) member.silentSince = undefined;
    else {
      const now = performance.now();
      member.silentSince ??= now;
      if (now - member.silentSince > this.options.answerPatience) {
        this.lose(member, `no sign of life for ${this.options.answerPatience} ms`);
        return false;
      }
    }
    return true;
  }

  /** Waits until no worker is busy; false when one had to be given up. */
  private join(): boolean {
    const { words } = this;
    const { mayWait, itemPatience } = this.options;
    for (const member of [...this.members]) {
      const busy = busyOf(member.index);
      const start = performance.now();
      while (Atomics.load(words, busy) === 1) {
        const waited = performance.now() - start;
        if (waited > itemPatience) {
          this.lose(member, `no result within ${itemPatience} ms`);
          return false;
        }
        if (mayWait && waited > SPIN_MS) Atomics.wait(words, busy, 1, Math.min(NAP_MS, itemPatience));
        else for (let look = 0; look < 100 && Atomics.load(words, busy) === 1; look++);
      }
    }
    return true;
  }

  /** Ends all workers. */
  close(): void {
    this.over = true;
    const { members } = this;
    this.members = [];
    for (const member of members) {
      member.thread.terminate();
      member.settle?.();
    }
    // The control block is not freed: a worker reads it until the engine has ended it, which can take seconds.
  }

  private wake(index: number): void {
    Atomics.add(this.words, signalOf(index), 1);
    Atomics.notify(this.words, signalOf(index));
  }

  /** Goes on without a worker. `ended`: it is surely not at work any more. */
  private lose(member: Member, why: string, ended = false): void {
    if (this.over || !this.members.includes(member)) return;
    this.members = this.members.filter((other) => other !== member);
    member.thread.terminate();
    // Should it be alive, it finds a message that is never dealt with, and takes no part again.
    Atomics.add(this.words, mailOf(member.index), 1);
    const all = !ended && Atomics.load(this.words, busyOf(member.index)) === 1;
    const served = member.kernels > 0;
    if (all) this.close();
    this.options.onLost(why, { served, all });
    member.settle?.();
  }
}
