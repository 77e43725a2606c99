import { dispose, engine, memory, setBackend, type Tensor, type TensorContainer } from '@tensorflow/tfjs-core';
import { isVggError, messageOf, throwIfAborted, VggError } from '@vgg/errors';
import { absent, type BackendWish, planBackends, resolveWish, type Step } from './choose.js';
import { type Core, type CoreOptions, openCore } from './core.js';
import { currentEnvironment, type Environment } from './environment.js';
import type { MemoryMode } from './kernels/wasm/conv3x3-memory.js';
import type { ThreadPool } from './kernels/wasm/threads/pool.js';
import { wantedMemory } from './memory.js';
import { type AdapterReport, type BackendName, type BackendReport, probeBackend, probeBackends } from './probe.js';
import { selfTest } from './self-test.js';
import { wantedThreads } from './threads.js';

/** What a {@link Backend} is, as plain data. */
export interface BackendInfo {
  name: BackendName;
  /** Threads that compute now, the calling one among them; fewer when some were lost. */
  threads: number;
  /** wasm: why so many, and how to have more. */
  threadsReason?: string;
  /** wasm: how much memory this opener's convolutions may take to be fast. */
  memory?: MemoryMode;
  /** wasm: who chose it. */
  memoryReason?: string;
  simd: 'none' | 'fixed' | 'relaxed';
  /** Why this backend, and why not those before it. */
  reason: string;
  /** Every backend that was looked at, in order, with what was found. */
  steps: Step[];
  /** What choosing it costs, where that is much: plain JavaScript, a software adapter. */
  warning?: string;
  adapter?: AdapterReport;
  /** Whether the adapter is a program on the CPU. */
  software?: boolean;
  /** webgpu: a tensor that is read or written by one operation may be no larger than `maxBindingBytes`. */
  limits?: { maxBindingBytes: number; maxBufferBytes: number };
  sharedMemory: boolean;
  /** wasm: which of our own kernels serve in the place of tfjs's, in words. */
  kernels?: string;
  /** wasm: the build of our own kernels; `relaxed` has fused multiply-add, and is taken where engine and processor have it. */
  build?: 'fixed' | 'relaxed';
  /** wasm, where turbo was wished for at the start of the backend: whether it is on, and why. */
  turbo?: { on: boolean; why: string };
}

/** What a backend holds. */
export interface BackendMemory {
  /** Tensors and their bytes, over all backends of the process (tfjs counts them together). */
  tensors: number;
  bytes: number;
  /** wasm: the size of its heap, which grows and never shrinks; webgpu: the bytes of the buffers it keeps. */
  heapBytes?: number;
}

/** A started backend of tfjs. Backends are started once in a process and shared by all who open them. */
export interface Backend {
  readonly name: BackendName;
  readonly info: BackendInfo;
  /**
   * Runs a synchronous function with this backend as tfjs's active one, and puts the former one back.
   *
   * @throws VggError `VGG_OPTION` when the function returns a promise: what runs after its first `await` would run elsewhere
   */
  run<T>(fn: () => T): T;
  /**
   * @throws VggError `VGG_BACKEND` or `VGG_MEMORY` when the device was lost or raised an error since this handle's last check,
   * so that its results are void
   */
  check(): void;
  /** Waits until the device has done all that was asked of it, then checks. */
  settle(): Promise<void>;
  /** A tensor's values, checked: never the zeros that tfjs gives after a device error. */
  read(tensor: Tensor): Promise<Float32Array>;
  memory(): BackendMemory;
}

export interface OpenBackendOptions extends CoreOptions {
  /**
   * wasm: the most threads that compute for this opener, 1 to 64. Default: `VGG_THREADS`, in a page `?threads=`, else the number of
   * cores, 8 at most. All openers share the same ones. A page must be isolated, else it has one (`info.threadsReason` says how).
   */
  threads?: number;
  /**
   * wasm: how much memory the filters of this opener's 3x3 convolutions may take: `fast` keeps 7 numbers for each weight, `balanced` 4 where
   * maps are small, `small` none of large filters. Default: `VGG_MEMORY`, in a page `?memory=`, else `fast`. What another opener of the same
   * filters keeps stays as it is.
   */
  memory?: MemoryMode;
  signal?: AbortSignal;
  /** Stands in for what the engine offers; for tests. */
  environment?: Environment;
}

/**
 * Starts a backend. `auto` takes the first of webgpu (a graphics adapter whose numbers pass a small test), wasm and cpu, and
 * `info.steps` says why the others were not taken; a backend asked for by name is that one or an error.
 *
 * @throws VggError `VGG_BACKEND` when a named backend is not there, with the reason and what to do
 * @throws VggError `VGG_OPTION` when the wish names no backend, `threads` is no whole number from 1 to 64, or `memory` is no mode
 * @example
 * const backend = await openBackend('auto');
 * backend.info.reason; // 'WASM with relaxed SIMD (webgpu: the optional package webgpu is not installed ...)'
 */
export async function openBackend(wish: BackendWish = 'auto', options: OpenBackendOptions = {}): Promise<Backend> {
  throwIfAborted(options.signal, 'openBackend');
  const environment = options.environment ?? currentEnvironment();
  const resolved = resolveWish(wish, environment);
  wantedThreads(options.threads, environment);
  wantedMemory(options.memory, environment);
  const backend = resolved === 'auto' ? await openBest(environment, options) : await openNamed(resolved, wish, environment, options);
  throwIfAborted(options.signal, 'openBackend');
  return backend;
}

async function openNamed(name: BackendName, wish: BackendWish, environment: Environment, options: OpenBackendOptions): Promise<Backend> {
  const report = await probeBackend(name, environment);
  if (!report.available) throw absent(name, report.reason);
  const by = wish === 'auto' ? `asked for by ${environment.wishFrom}` : 'asked for by name';
  const core = await openCore(report, environment, options);
  return handle(core, report, `${report.reason}, ${by}`, [], await openThreads(core, report, environment, options), environment, options);
}

async function openBest(environment: Environment, options: OpenBackendOptions): Promise<Backend> {
  const { candidates, passedOver } = planBackends(await probeBackends(environment));
  const steps = [...passedOver];
  for (const report of candidates) {
    try {
      const core = await openCore(report, environment, options);
      const before = steps.map((step) => `${step.name}: ${step.reason}`).join('; ');
      const threads = await openThreads(core, report, environment, options);
      const backend = handle(core, report, before ? `${report.reason} (${before})` : report.reason, steps, threads, environment, options);
      if (report.name === 'webgpu') await selfTest(backend);
      return backend;
    } catch (error) {
      if (isVggError(error, 'VGG_ABORTED')) throw error;
      steps.push({ name: report.name, reason: messageOf(error) });
    }
  }
  const all = steps.map((step) => `${step.name}: ${step.reason}`).join('; ');
  throw new VggError('VGG_BACKEND', `openBackend: expected one of webgpu, wasm and cpu and none starts (${all})`);
}

/** What one opener may use of a core's threads. */
interface Threads {
  most: number;
  why?: string;
}

/** Starts threads until there are as many as this opener wants. */
async function openThreads(core: Core, report: BackendReport, environment: Environment, options: OpenBackendOptions): Promise<Threads> {
  if (!core.pool) return { most: 1 };
  if (!core.sharedMemory || report.simd === 'none') return { most: 1, why: report.threads?.reason };
  const { threads: most, why } = wantedThreads(options.threads, environment);
  await core.pool.grow(most);
  return { most, why };
}

/** One opener's view of a shared core: its own reason, and its own place in the list of faults. */
function handle(
  core: Core,
  report: BackendReport,
  reason: string,
  passedOver: Step[],
  { most, why }: Threads,
  environment: Environment,
  { maxBindingBytes = Number.POSITIVE_INFINITY, memory: asked }: OpenBackendOptions,
): Backend {
  const { name, pool } = core;
  const chosen = core.memory && wantedMemory(asked, environment);
  const threads = () => Math.min(most, pool?.threads ?? 1);
  const readFaults = core.faults.reader(name);
  const check = () => {
    core.collect();
    readFaults();
  };
  return {
    name,
    info: {
      name,
      get threads() {
        return threads();
      },
      get threadsReason() {
        return threads() < most ? `${threads()} of the ${most} wished for could be had` : why;
      },
      ...(chosen && { memory: chosen.memory, memoryReason: chosen.why }),
      simd: report.simd ?? 'none',
      reason,
      steps: [...passedOver, { name, reason: `taken: ${report.reason}` }],
      ...warningOf(report),
      ...(report.adapter && { adapter: report.adapter, software: report.software === true }),
      // A device that runs already keeps its own limit; what is planned on it heeds this opener's.
      ...(core.limits && { limits: { ...core.limits, maxBindingBytes: Math.min(core.limits.maxBindingBytes, maxBindingBytes) } }),
      sharedMemory: core.sharedMemory,
      ...(core.kernels && { kernels: core.kernels }),
      ...(core.build && { build: core.build }),
      ...(core.turbo && { turbo: core.turbo }),
    },
    run: (fn) => {
      const result = withThreads(pool, most, () => withMemory(core.memory, chosen?.memory, () => runOn(name, fn)));
      try {
        // On wasm a failed operator is known at once.
        check();
      } catch (error) {
        dispose(result as TensorContainer);
        throw error;
      }
      return result;
    },
    check,
    settle: async () => {
      await core.settle();
      check();
    },
    read: async (tensor) => {
      check();
      const data = await tensor.data<'float32'>();
      await core.settle();
      check();
      return data;
    },
    memory: () => {
      const { numTensors, numBytes } = runOn(name, () => memory());
      const heapBytes = core.heapBytes?.();
      return { tensors: numTensors, bytes: numBytes, ...(heapBytes !== undefined && { heapBytes }) };
    },
  };
}

/** Runs a function with at most so many threads. */
function withThreads<T>(pool: ThreadPool | undefined, most: number, fn: () => T): T {
  if (!pool) return fn();
  const { limit } = pool;
  pool.limit = most;
  try {
    return fn();
  } finally {
    pool.limit = limit;
  }
}

/** Runs a function whose convolutions take so much memory. */
function withMemory<T>(setting: { mode: MemoryMode } | undefined, mode: MemoryMode | undefined, fn: () => T): T {
  if (!setting || !mode) return fn();
  const former = setting.mode;
  setting.mode = mode;
  try {
    return fn();
  } finally {
    setting.mode = former;
  }
}

function runOn<T>(name: BackendName, fn: () => T): T {
  const former = engine().backendName;
  // For a backend that has been started, setBackend has done all its work before it returns.
  if (former !== name) void setBackend(name);
  try {
    const result = fn();
    if (result instanceof Promise) {
      throw new VggError(
        'VGG_OPTION',
        'Backend.run: expected a function that returns its result, received one that returns a promise; await outside of run',
      );
    }
    return result;
  } finally {
    if (former && former !== name && engine().registry[former]) void setBackend(former);
  }
}

function warningOf(report: BackendReport): { warning?: string } {
  if (report.name === 'cpu') return { warning: `the cpu backend is slow: ${report.reason}` };
  if (report.software) return { warning: `webgpu runs on ${report.reason}` };
  if (report.name === 'wasm' && report.simd === 'none') return { warning: report.reason };
  return {};
}
