import { getKernel, type KernelConfig, type KernelFunc, registerKernel, type TensorInfo, unregisterKernel } from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import { served } from './served.js';

/** What a kernel function of tfjs gets. */
export type KernelArguments = Parameters<KernelFunc>[0];

/** Computes the result where it can, in the place of tfjs's kernel of this name, which serves the rest. */
export interface Override {
  name: string;
  /** Not worth a word in a profile. */
  silent?: boolean;
  serve(args: KernelArguments): TensorInfo | undefined;
}

/**
 * Puts our kernels before those of tfjs's wasm backend. The answer takes them out again.
 *
 * @throws VggError `VGG_BACKEND` when tfjs has not registered one of them; nothing is changed then
 */
export function overrideKernels(overrides: readonly Override[]): () => void {
  const stock = overrides.map(({ name }) => {
    const config = getKernel(name, 'wasm');
    if (config) return config;
    throw new VggError(
      'VGG_BACKEND',
      `wasm: expected tfjs's ${name} on the wasm backend and it is not registered; import the backend first`,
    );
  });
  const ours = overrides.map(({ name, serve, silent }, i): KernelConfig => {
    const { kernelFunc } = stock[i];
    // A set-up function has run with the backend's own initialisation.
    return {
      ...stock[i],
      kernelFunc: (args) => {
        const result = serve(args);
        // The kernel that was there before may be one of ours too, and says so itself.
        if (result && !silent) served(name);
        return result ?? kernelFunc(args);
      },
    };
  });
  ours.forEach(swapKernel);
  return () => {
    stock.forEach((config, i) => {
      // Not when someone has put a kernel of their own before ours.
      if (getKernel(config.kernelName, 'wasm')?.kernelFunc === ours[i].kernelFunc) swapKernel(config);
    });
  };
}

/** A kernel under a name of ours. */
export interface OwnKernel extends Omit<Override, 'serve'> {
  serve(args: KernelArguments): TensorInfo | TensorInfo[] | undefined;
}

/**
 * Registers kernels under names of ours; what one does not take is an error, as there is nothing behind it. The answer takes them out.
 */
export function registerOwn(kernels: readonly OwnKernel[]): () => void {
  const configs = kernels.map(
    ({ name, serve, silent }): KernelConfig => ({
      kernelName: name,
      backendName: 'wasm',
      kernelFunc: (args) => {
        const result = serve(args);
        if (!result) {
          const shapes = Object.entries(args.inputs).map(([input, tensor]) => `${input} [${tensor?.shape.join(', ')}]`);
          throw new VggError('VGG_SHAPE', `${name}: expected float32 tensors that go together, received ${shapes.join(', ')}`);
        }
        if (!silent) served(name);
        return result;
      },
    }),
  );
  for (const config of configs) {
    if (getKernel(config.kernelName, 'wasm')) unregisterKernel(config.kernelName, 'wasm');
    registerKernel(config);
  }
  return () => {
    for (const config of configs) if (getKernel(config.kernelName, 'wasm') === config) unregisterKernel(config.kernelName, 'wasm');
  };
}

function swapKernel(config: KernelConfig): void {
  unregisterKernel(config.kernelName, config.backendName);
  registerKernel(config);
}
