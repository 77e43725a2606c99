import { engine } from '@tensorflow/tfjs-core';
import { shareWork } from '@vgg/errors';
import { absent } from './choose.js';
import type { Environment } from './environment.js';
import { Faults } from './faults.js';
import type { MemoryMode } from './kernels/wasm/conv3x3-memory.js';
import type { Conv3x3Build } from './kernels/wasm/conv3x3-module.js';
import type { ThreadPool } from './kernels/wasm/threads/pool.js';
import type { WorkerFactory } from './kernels/wasm/threads/spawn.js';
import { startTurbo, type Turbo } from './kernels/wasm/turbo.js';
import type { BackendName, BackendReport } from './probe.js';

/** Options of the start itself; a backend that runs already is not changed by them. */
export interface CoreOptions {
  /** wasm: the bytes of tfjs-backend-wasm-simd.wasm, in place of those in the package. */
  wasmBinary?: ArrayBuffer | Uint8Array;
  /** wasm: an address to fetch them from. */
  wasmUrl?: string | URL;
  /** webgpu: bind no more than this at once although the adapter could. */
  maxBindingBytes?: number;
  /**
   * wasm, in Node 24 and later: about a quarter less time by an experimental flag of V8 that joins vectors of 128 bits, for all that this process compiles
   * from then on. Default: whether the environment variable `VGG_TURBO` is 1.
   */
  turbo?: boolean;
  /** wasm: makes the worker of a thread, where a page's Content-Security-Policy refuses the default, a script of a `blob:` address. */
  workerFactory?: WorkerFactory;
  /** wasm: receives a sentence when threads cannot be started or are lost. Default: `console.warn`. */
  onWarning?: (message: string) => void;
  signal?: AbortSignal;
}

/** A started backend, one in a process. */
export interface Core {
  name: BackendName;
  faults: Faults;
  sharedMemory: boolean;
  /** Which of our own kernels serve in the place of tfjs's, in words. */
  kernels?: string;
  /** wasm: the build of our own kernels. */
  build?: Conv3x3Build;
  limits?: { maxBindingBytes: number; maxBufferBytes: number };
  /** Brings faults that the backend keeps to itself into `faults`. */
  collect(): void;
  settle(): Promise<void>;
  heapBytes?(): number;
  /** wasm: the threads, shared by all who open it. */
  pool?: ThreadPool;
  /** wasm: whether the turbo that was wished for is on, and why. */
  turbo?: Turbo;
  /** wasm: the memory mode of what runs next; undefined where our convolutions do not run. */
  memory?: { mode: MemoryMode };
}

const cores = new Map<BackendName, Promise<Core>>();

/** The one running core of a name, started now if need be; a failed start is forgotten, and a lost device is replaced. */
export async function openCore(report: BackendReport, environment: Environment, options: CoreOptions): Promise<Core> {
  const { name } = report;
  const running = cores.get(name);
  const core = await shareWork(cores, name, () => START[name](report, environment, options), {
    signal: options.signal,
    who: 'openBackend',
  });
  if (!running || !core.faults.lost) return core;
  if (cores.get(name) === running) cores.delete(name);
  return openCore(report, environment, options);
}

const START: Record<BackendName, (report: BackendReport, environment: Environment, options: CoreOptions) => Promise<Core>> = {
  async webgpu(report, environment, options) {
    const gpu = await environment.gpu();
    if (typeof gpu === 'string') throw absent('webgpu', gpu);
    const { openDevice } = await import('./kernels/webgpu/device.js');
    const faults = new Faults();
    const device = await openDevice(gpu, faults.report, options);
    return {
      name: report.name,
      faults,
      sharedMemory: false,
      limits: { maxBindingBytes: device.limits.maxStorageBufferBindingSize, maxBufferBytes: device.limits.maxBufferSize },
      collect() {},
      settle: device.settle,
      heapBytes: device.bytes,
    };
  },

  async wasm(report, environment, options) {
    const { openWasm } = await import('./kernels/wasm/open.js');
    const turbo = (options.turbo ?? environment.turbo) ? startTurbo(report.simd ?? 'none') : undefined;
    const { wasmBinary, wasmUrl, signal, workerFactory, onWarning } = options;
    const { runtime, complaints, kernels, build, pool, memory } = await openWasm({
      simd: report.simd !== 'none',
      shared: report.sharedMemory === true,
      ...(wasmBinary && { wasmBinary }),
      ...(wasmUrl && { wasmUrl }),
      ...(signal && { signal }),
      workerFactory,
      onWarning,
      wide: turbo?.on,
    });
    const faults = new Faults();
    return {
      name: 'wasm',
      pool,
      memory,
      turbo,
      faults,
      sharedMemory: runtime.shared,
      kernels,
      build,
      collect() {
        for (const message of complaints.splice(0))
          faults.report({ kind: /out of memory|OOM|status 6/i.test(message) ? 'memory' : 'error', message });
      },
      settle: async () => {},
      heapBytes: () => runtime.memory.buffer.byteLength,
    };
  },

  async cpu() {
    await import('@tensorflow/tfjs-backend-cpu');
    // In Node tfjs greets on first use with an advertisement for its native package.
    const backend = engine().findBackend('cpu') as unknown as { firstUse?: boolean };
    backend.firstUse = false;
    return { name: 'cpu', faults: new Faults(), sharedMemory: false, collect() {}, settle: async () => {} };
  },
};
