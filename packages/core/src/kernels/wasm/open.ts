import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { engine, getKernel, registerBackend, registerKernel, removeBackend } from '@tensorflow/tfjs-core';
import { isVggError, messageOf } from '@vgg/errors';
import { ONE_OFF_CONVOLUTION } from '../names.js';
import { installConv3x3 } from './conv3x3.js';
import type { MemoryMode } from './conv3x3-memory.js';
import type { Conv3x3Build } from './conv3x3-module.js';
import { fillWasmKernels } from './fill.js';
import { type Instantiated, type InstantiateOptions, instantiate } from './instantiate.js';
import { installLayers } from './layers.js';
import { installOptimizerSteps } from './optimizer-steps.js';
import type { WasmRuntime } from './runtime.js';
import { type PoolOptions, ThreadPool } from './threads/pool.js';

/** An open backend and which of our own kernels serve on it, in words. */
export interface OpenedWasm extends Instantiated {
  kernels: string;
  build?: Conv3x3Build;
  /** The memory mode of the convolutions that run next; undefined where ours do not run. */
  memory?: { mode: MemoryMode };
  /** Threads on the heap; it ends with the backend. None are started yet. */
  pool: ThreadPool;
}

/**
 * Makes tfjs's `wasm` backend ours: instantiated by us, its faults filled, our own kernels put in.
 * A `wasm` backend that the program had started before is kept, since its tensors live in it.
 *
 * @throws VggError `VGG_BACKEND` when the binary does not start
 */
export async function openWasm(options: InstantiateOptions & PoolOptions & { wide?: boolean }): Promise<OpenedWasm> {
  const running = engine().registry.wasm as BackendWasm | undefined;
  const opened = running ? adopt(running) : await instantiateShared(options);
  if (!running) {
    // tfjs's own factory would look for a .wasm file by address; ours is ready, so tfjs starts it without a promise.
    if (engine().findBackendFactory('wasm')) removeBackend('wasm');
    registerBackend('wasm', () => opened.runtime.backend, 2);
    engine().findBackend('wasm');
  }
  fillWasmKernels();
  keepStockConvolution();
  const pool = openPool(opened.runtime, options);
  return { ...opened, pool, ...(await installKernels(opened.runtime, pool, options.wide)) };
}

function openPool(runtime: WasmRuntime, { workerFactory, onWarning, patience }: PoolOptions): ThreadPool {
  const pool = new ThreadPool(runtime, { workerFactory, onWarning, patience });
  const { backend } = runtime;
  const { dispose } = backend;
  backend.dispose = () => {
    pool.close();
    dispose.call(backend);
  };
  return pool;
}

/** tfjs's convolution under a name of ours: XNNPACK prepares a filter in a moment, and so suits one that is used once. */
function keepStockConvolution(): void {
  const stock = getKernel('FusedConv2D', 'wasm');
  if (getKernel(ONE_OFF_CONVOLUTION, 'wasm')) return;
  registerKernel({ kernelName: ONE_OFF_CONVOLUTION, backendName: 'wasm', kernelFunc: stock.kernelFunc });
}

/** Our own kernels, in the place of tfjs's; without SIMD there are none, and tfjs's serve. */
async function installKernels(
  runtime: WasmRuntime,
  pool: ThreadPool,
  wide?: boolean,
): Promise<Pick<OpenedWasm, 'kernels' | 'build' | 'memory'>> {
  try {
    const convolutions = await installConv3x3(runtime, { pool, wide });
    const layers = installLayers(runtime, convolutions);
    installOptimizerSteps(runtime, convolutions, convolutions.changed);
    const { build, coverage } = convolutions;
    return { kernels: `${coverage}; ${layers.coverage} (${build})`, build, memory: convolutions };
  } catch (error) {
    if (!isVggError(error, 'VGG_BACKEND')) throw error;
    return { kernels: `none: ${messageOf(error)}` };
  }
}

/** Shared where that was wished; an engine that refuses so large a shared memory gets an ordinary one. */
async function instantiateShared(options: InstantiateOptions): Promise<Instantiated> {
  if (!options.shared) return instantiate(options);
  try {
    return await instantiate(options);
  } catch (error) {
    if (!/memory/i.test(messageOf(error))) throw error;
    return instantiate({ ...options, shared: false });
  }
}

function adopt(backend: BackendWasm): Instantiated {
  const { asm, _malloc, _free } = backend.wasm as unknown as {
    asm: { memory: WebAssembly.Memory };
    _malloc(bytes: number): number;
    _free(pointer: number): void;
  };
  const shared = typeof SharedArrayBuffer !== 'undefined' && asm.memory.buffer instanceof SharedArrayBuffer;
  return { runtime: { backend, memory: asm.memory, shared, malloc: (bytes) => _malloc(bytes) >>> 0, free: _free }, complaints: [] };
}
