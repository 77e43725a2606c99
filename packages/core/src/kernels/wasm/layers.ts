import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { CHANNEL_SUMS, L2_POOL } from '../names.js';
import { type LayerModule, LayerRunner } from './layer-runner.js';
import { channelSums } from './masked.js';
import { batchNormalisation, localResponse } from './normalisations.js';
import { type KernelArguments, overrideKernels, registerOwn } from './override.js';
import { pool } from './pools.js';
import { productKernels } from './products.js';
import type { WasmRuntime } from './runtime.js';
import { gradientOverrides, trainingKernels } from './training.js';

/** A running {@link installLayers}. */
export interface Layers {
  /** What is served; everything else goes to the kernels of tfjs. */
  readonly coverage: string;
  /** Gives tfjs its kernels back and frees everything. `backend.dispose()` does it too. */
  uninstall(): void;
}

const COVERAGE =
  'BatchMatMul and _FusedMatMul; Conv2D and FusedConv2D without padding, of any window and stride; MaxPool and AvgPool; ' +
  'LRN with beta 1/2, 3/4 or 1; their gradients; FusedBatchNorm; batch normalisation in training, ReLU gradients, dropout and ' +
  'cross-entropies: float32, NHWC; Identity without a copy';

const installed = new WeakMap<BackendWasm, Layers>();

/**
 * Serves the other layers of a network on tfjs's wasm backend with our own kernels: matrix products, convolutions without padding,
 * pools and normalisations, and what training needs of them. They work on tfjs's tensors in place, keep nothing of them, and share what is long among threads; results
 * are the same to the bit whatever the number of threads is. Install them after the 3x3 convolutions, which are left to the kernel that
 * was there before.
 *
 * @param module our kernels on the same memory, as {@link installConv3x3} gives them
 * @throws VggError `VGG_BACKEND` when tfjs's kernels are not registered. The kernels themselves throw `VGG_MEMORY` when the heap is
 *   full, and keep nothing then
 */
export function installLayers(runtime: WasmRuntime, module: LayerModule): Layers {
  const { backend } = runtime;
  const running = installed.get(backend);
  if (running) return running;
  const runner = new LayerRunner(runtime, module);
  const restore = overrideKernels([
    ...productKernels(runner),
    { name: 'MaxPool', serve: (args) => pool(runner, 'max', args) },
    { name: 'AvgPool', serve: (args) => pool(runner, 'average', args) },
    { name: 'LRN', serve: (args) => localResponse(runner, 'LRN', args) },
    { name: 'Identity', serve: (args) => share(runtime, args), silent: true },
    { name: 'FusedBatchNorm', serve: (args) => batchNormalisation(runner, args) },
    ...gradientOverrides(runner),
  ]);
  const unregister = registerOwn([
    { name: L2_POOL, serve: (args) => pool(runner, 'l2', args) },
    { name: CHANNEL_SUMS, serve: (args) => channelSums(runner, args) },
    ...trainingKernels(runner),
  ]);

  const { dispose } = backend;
  const layers: Layers = {
    coverage: COVERAGE,
    uninstall() {
      if (!installed.delete(backend)) return;
      restore();
      unregister();
      backend.dispose = dispose;
      runner.workspace.dispose();
    },
  };
  backend.dispose = () => {
    layers.uninstall();
    dispose.call(backend);
  };
  installed.set(backend, layers);
  return layers;
}

/**
 * tfjs copies the data of a clone on wasm, though not on its other backends. The tape keeps clones of what gradients need: with copies a
 * training step would take twice the memory, and the turned filter that is kept for a filter's data would be made anew in every step.
 */
function share({ backend }: WasmRuntime, { inputs, backend: caller }: KernelArguments): TensorInfo | undefined {
  const { x } = inputs as { x: TensorInfo };
  if (caller !== backend || x.dtype === 'string') return undefined;
  backend.incRef(x.dataId);
  return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
}
