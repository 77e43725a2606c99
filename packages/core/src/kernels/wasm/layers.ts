import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { getKernel, type KernelConfig, registerKernel, type TensorInfo, unregisterKernel } from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { L2_POOL } from '../names.js';
import { type LayerModule, LayerRunner } from './layer-runner.js';
import { batchNormalisation, localResponse } from './normalisations.js';
import { type KernelArguments, overrideKernels } from './override.js';
import { pool } from './pools.js';
import { productKernels } from './products.js';
import type { WasmRuntime } from './runtime.js';
import { gradientOverrides, registerTraining } from './training.js';

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
  'cross-entropies: float32, NHWC';

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
    { name: 'LRN', serve: (args) => localResponse(runner, args) },
    { name: 'FusedBatchNorm', serve: (args) => batchNormalisation(runner, args) },
    ...gradientOverrides(runner),
  ]);
  const root: KernelConfig = { kernelName: L2_POOL, backendName: 'wasm', kernelFunc: (args) => rootPool(runner, args) };
  if (getKernel(L2_POOL, 'wasm')) unregisterKernel(L2_POOL, 'wasm');
  registerKernel(root);
  const removeTraining = registerTraining(runner);

  const { dispose } = backend;
  const layers: Layers = {
    coverage: COVERAGE,
    uninstall() {
      if (!installed.delete(backend)) return;
      restore();
      removeTraining();
      if (getKernel(L2_POOL, 'wasm') === root) unregisterKernel(L2_POOL, 'wasm');
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

/** There is no kernel of tfjs to fall back to: the operation asks for windows that ours takes. */
function rootPool(runner: LayerRunner, args: KernelArguments): TensorInfo {
  const result = pool(runner, 'l2', args);
  if (result) return result;
  throw new VggError('VGG_SHAPE', `${L2_POOL}: expected float32 maps [N, H, W, C] and windows that each lie on the map at least in part`);
}
