import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { type DataId, getKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import { CONV_MAX_POOL, FILTER_GRADIENT, INPUT_GRADIENT } from '../names.js';
import { Conv3x3Engine, type ConvArguments } from './conv3x3-engine.js';
import { filterGradientOf, inputGradient } from './conv3x3-gradients.js';
import type { MemoryMode } from './conv3x3-memory.js';
import { type Conv3x3Build, type Conv3x3Exports, ITEM_KERNELS, type ItemKernelName, loadConv3x3 } from './conv3x3-module.js';
import { FilterGradient3x3 } from './filter-gradient-3x3.js';
import { type KernelArguments, type Override, overrideKernels, registerOwn } from './override.js';
import type { WasmRuntime } from './runtime.js';
import { served } from './served.js';
import { type PoolKernel, ThreadPool } from './threads/pool.js';

/** Options of {@link installConv3x3}. */
export interface Conv3x3Options {
  /** The build of the kernels; without it the faster one is found by measuring. */
  build?: Conv3x3Build;
  /** The engine joins vectors of 128 bits (see turbo.ts). It does nothing for the build without fused multiply-add. Default: false. */
  wide?: boolean;
  /** Threads on the runtime's memory. Default: the calling one alone. */
  pool?: ThreadPool;
}

/** A running {@link installConv3x3}. */
export interface Conv3x3 {
  /** What is served; everything else goes to the kernels of tfjs. */
  readonly coverage: string;
  readonly build: Conv3x3Build;
  /** The module and the threads that know it, which other layers run on too. */
  readonly kernels: Conv3x3Exports;
  readonly items: Record<ItemKernelName, PoolKernel>;
  readonly pool: ThreadPool;
  /** How much memory the filters of the next convolutions may take; `fast` at first. What is kept already stays. */
  mode: MemoryMode;
  /** Bytes of the heap that the transformed filters take now. */
  filterBytes(): number;
  /** Must be told when a filter has changed in place: what was made of it is made anew at its next use. */
  changed(dataId: DataId): void;
  /** Gives tfjs its kernels back and frees everything. `backend.dispose()` does it too. */
  uninstall(): void;
}

const COVERAGE =
  'Conv2D and FusedConv2D: 3x3, stride 1, dilation 1, any padding, NHWC float32, with or without bias, linear or relu, with or without a 2x2 max pool behind it, and their gradients';

const KERNELS = ['Conv2D', 'FusedConv2D'];

const installed = new WeakMap<BackendWasm, Promise<Conv3x3>>();

/**
 * Serves the 3x3 convolutions of tfjs's wasm backend with our own kernels: Winograd's minimal filtering with tiles of 6 and 4
 * (Lavin and Gray 2015, arXiv:1509.09308), a plain product for up to four input channels, and for large filters where memory is short ({@link Conv3x3.mode}). They work on
 * tfjs's tensors in place.
 *
 * A filter is transformed at its first use, and the transform is kept until the filter's data is disposed; a filter that
 * changes in place must be told of ({@link Conv3x3.changed}). Results are the same from run to run, and to the bit whatever the number of threads is; their error is below 1e-5 of the largest output as a rule. An input that is not finite
 * gives an output that is not finite, or 0 behind a ReLU where the true output is -Infinity; it can spread to the others of its tile.
 *
 * @throws VggError `VGG_BACKEND` when the engine has no SIMD, or not the wished-for build; `VGG_MEMORY` when the heap is full.
 *   The convolutions themselves throw `VGG_MEMORY` too, and keep nothing then
 */
export function installConv3x3(runtime: WasmRuntime, options: Conv3x3Options = {}): Promise<Conv3x3> {
  let running = installed.get(runtime.backend);
  if (!running) {
    running = install(runtime, options);
    installed.set(runtime.backend, running);
    running.catch(() => installed.delete(runtime.backend));
  }
  return running;
}

async function install(runtime: WasmRuntime, options: Conv3x3Options): Promise<Conv3x3> {
  const { build, kernels, module } = await loadConv3x3(runtime, options.build);
  const { pool = new ThreadPool(runtime) } = options;
  const items = await pool.load(module, kernels, ITEM_KERNELS);
  const engine = new Conv3x3Engine(runtime, kernels, pool, items, options.wide);
  const serve = (args: KernelArguments) => {
    const call = engine.accept(args as unknown as ConvArguments);
    return call && engine.run(call);
  };
  let filterGradients: FilterGradient3x3 | undefined;
  const serveInput = (args: KernelArguments) => {
    const call = engine.serves(args.backend) ? inputGradient(args) : undefined;
    return call && engine.run(call);
  };
  const serveFilter = (args: KernelArguments) => {
    const call = engine.serves(args.backend) ? filterGradientOf(args) : undefined;
    return call && filterGradients?.run(call);
  };
  const gradients: Override[] = [
    { name: 'Conv2DBackpropInput', serve: serveInput },
    { name: 'Conv2DBackpropFilter', serve: (args) => serveFilter(args)?.[0] },
  ];
  let restore: () => void;
  try {
    filterGradients = new FilterGradient3x3(runtime, kernels, pool, items);
    // tfjs has no filter gradient on wasm; where nobody has filled it in, ours is there under its own name alone.
    const known = gradients.filter(({ name }) => name !== 'Conv2DBackpropFilter' || getKernel(name, 'wasm'));
    restore = overrideKernels([...KERNELS.map((name) => ({ name, serve })), ...known]);
  } catch (error) {
    filterGradients?.dispose();
    engine.dispose();
    throw error;
  }
  const unregister = registerOwn([
    { name: INPUT_GRADIENT, serve: serveInput },
    { name: FILTER_GRADIENT, serve: serveFilter },
    { name: CONV_MAX_POOL, serve: (args) => convolveAndPool(engine, args), silent: true },
  ]);

  const { backend } = runtime;
  const { disposeData, dispose } = backend;
  backend.disposeData = (dataId: DataId, force?: boolean) => {
    const released = disposeData.call(backend, dataId, force);
    if (released) engine.forget(dataId);
    return released;
  };
  const uninstall = (): void => {
    if (!installed.delete(backend)) return;
    // What someone has put before ours still calls them; they fall back to tfjs's then, see `accept`.
    restore();
    unregister();
    backend.disposeData = disposeData;
    backend.dispose = dispose;
    engine.dispose();
    filterGradients?.dispose();
  };
  backend.dispose = () => {
    uninstall();
    dispose.call(backend);
  };
  return {
    coverage: COVERAGE,
    build,
    kernels,
    items,
    pool,
    get mode() {
      return engine.mode;
    },
    set mode(mode) {
      engine.mode = mode;
    },
    filterBytes: () => engine.filterBytes,
    changed: (dataId) => engine.changed(dataId),
    uninstall,
  };
}

/** Both at once, or one after the other; each says of itself that it has run. */
function convolveAndPool(engine: Conv3x3Engine, args: KernelArguments): TensorInfo {
  const call = engine.accept(args as unknown as ConvArguments, true);
  if (call) {
    served('FusedConv2D+MaxPool');
    return engine.run(call);
  }
  const backend = args.backend as BackendWasm;
  const run = (name: string, inputs: KernelArguments['inputs'], attrs: KernelArguments['attrs']) =>
    getKernel(name, 'wasm')!.kernelFunc({ inputs, backend, attrs }) as TensorInfo;
  const map = run('FusedConv2D', args.inputs, args.attrs);
  try {
    return run('MaxPool', { x: map }, { filterSize: [2, 2], strides: [2, 2], pad: 'valid' });
  } finally {
    backend.disposeData(map.dataId);
  }
}
