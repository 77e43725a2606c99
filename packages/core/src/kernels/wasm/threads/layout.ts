/**
 * The control block of a thread pool: 32-bit words in the shared heap. What different threads write lies 64 bytes apart, in lines of
 * its own, or each write would cost the others their copy of the line.
 */
const LINE = 16;

// Written by the caller, while no job is open.
/** 1 while a job's items may be claimed. */
export const OPEN = 0;
export const KERNEL = 1;
export const JOB = 2;
export const ITEMS = 3;
/** Private memory of the thread in place 0, and the bytes from one place to the next. */
export const WORK = 4;
export const STRIDE = 5;
/** Places there are: threads that may take part. */
export const PLACES = 6;

// Counted by all.
/** The next item that nobody has claimed. */
export const NEXT = LINE;
/** The next place; the caller has place 0. */
export const PLACE = 2 * LINE;
/** How many threads gave up on an item. */
export const FAILED = 3 * LINE;

const HEAD = 4 * LINE;
/** Changes when there is something for a worker to look at; the worker waits on it. */
export const signalOf = (worker: number): number => HEAD + 2 * LINE * worker;
/** Messages to a worker that it has not dealt with: it must go back to its event loop for them. */
export const mailOf = (worker: number): number => signalOf(worker) + 1;
/** 1 while a worker looks at a job or runs an item of it; the caller waits on it. */
export const busyOf = (worker: number): number => signalOf(worker) + LINE;
/** The last signal that a worker has looked at: one that does not change any more is gone, which no event tells a page. */
export const seenOf = (worker: number): number => busyOf(worker) + 1;

/** Bytes of the block with so many workers. */
export const controlBytes = (workers: number): number => (HEAD + 2 * LINE * workers) * 4;

/** What every kernel of a pool is: an item of a job, with private memory. */
export type ItemKernel = (job: number, work: number, item: number) => void;

/** A module for a worker, and which of its exports are the next kernels. */
export interface ModuleMessage {
  module: WebAssembly.Module;
  names: readonly string[];
}
/** The first message to a worker. */
export interface StartMessage {
  memory: WebAssembly.Memory;
  /** The control block's place in the memory, in words. */
  control: number;
  words: number;
  worker: number;
}
/** What a worker answers to each message: how many kernels it has now, or why not. */
export interface ReadyMessage {
  kernels: number;
  error?: string;
}
