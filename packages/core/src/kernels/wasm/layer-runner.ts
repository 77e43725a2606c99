import type { LayerExports, LayerItemName } from './layer-exports.js';
import type { WasmRuntime } from './runtime.js';
import type { PoolKernel, Task, ThreadPool } from './threads/pool.js';
import { Workspace } from './workspace.js';

/** The module of our kernels, and the threads that know it. */
export interface LayerModule {
  readonly kernels: LayerExports;
  readonly items: Record<LayerItemName, PoolKernel>;
  readonly pool: ThreadPool;
}

/** What a layer costs at the least. */
export interface Cost {
  /** That come from memory or go there. */
  bytes: number;
  multiplications?: number;
}

/** What one thread does in a microsecond, about. */
const BYTES_PER_MICROSECOND = 10_000;
const MULTIPLICATIONS_PER_MICROSECOND = 30_000;
/** A thread that sleeps takes up to 50 microseconds to begin: a layer of less is done by then. */
const LEAST_SHARED_MICROSECONDS = 60;
/** Items for each thread: with fewer, the last one working keeps the others waiting. */
const FEW = 4;

/** Runs layers on the threads of a pool, each with private memory of its own. */
export class LayerRunner {
  readonly workspace: Workspace;

  constructor(
    runtime: WasmRuntime,
    private readonly module: LayerModule,
  ) {
    this.workspace = new Workspace(runtime);
  }

  get kernels(): LayerExports {
    return this.module.kernels;
  }

  /** How many threads a layer is worth: all or one. */
  threadsFor({ bytes, multiplications = 0 }: Cost): number {
    const microseconds = Math.max(bytes / BYTES_PER_MICROSECOND, multiplications / MULTIPLICATIONS_PER_MICROSECOND);
    return microseconds < LEAST_SHARED_MICROSECONDS ? 1 : this.module.pool.threads;
  }

  /** Runs the items of a kernel; private memory lies one thread's behind the other's. */
  run(name: LayerItemName, task: Task): void {
    this.module.pool.run(this.module.items[name], task);
  }
}

/**
 * How many of `count` rows make an item, in multiples of `unit`: all for one thread, a few items a thread otherwise.
 *
 * @example itemSize(224, 2) // 28
 */
export function itemSize(count: number, threads: number, unit = 1): number {
  return threads === 1 ? count : Math.ceil(count / (FEW * threads) / unit) * unit;
}
