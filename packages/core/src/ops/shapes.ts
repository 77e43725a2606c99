import { backend, type Tensor } from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';

/** A shape as it is written in sentences: `[1, 224, 224, 3]`. */
export function written(shape: readonly (number | string)[]): string {
  return `[${shape.join(', ')}]`;
}

/**
 * Checks a tensor against a pattern: a number must be met, a letter stands for any size.
 *
 * @throws VggError `VGG_SHAPE`
 */
export function checkShape(who: string, what: string, tensor: Tensor, pattern: readonly (number | string)[]): void {
  const { shape, dtype } = tensor;
  const fits = shape.length === pattern.length && pattern.every((size, axis) => typeof size === 'string' || size === shape[axis]);
  if (!fits) throw new VggError('VGG_SHAPE', `${who}: expected ${what} ${written(pattern)}, received ${written(shape)}`);
  if (dtype !== 'float32') throw new VggError('VGG_SHAPE', `${who}: expected ${what} of float32, received ${dtype}`);
}

/**
 * Checks that each of these can be bound whole on the active backend. A WebGPU device refuses larger ones, and tfjs then answers
 * with zeros.
 *
 * @throws VggError `VGG_MEMORY`
 */
export function checkBinding(who: string, parts: Record<string, readonly number[]>): void {
  const limit = bindingLimit();
  if (limit === Number.POSITIVE_INFINITY) return;
  for (const [what, shape] of Object.entries(parts)) {
    const bytes = shape.reduce((product, size) => product * size, 4);
    if (bytes <= limit) continue;
    throw new VggError(
      'VGG_MEMORY',
      `${who}: expected ${what} of at most ${mebibytes(limit)} (the device's limit for one tensor), received ${written(shape)}, ${mebibytes(bytes)}; ` +
        'use a smaller batch or picture, split it, or run this layer on wasm',
    );
  }
}

/** Bytes of the largest tensor that one operation of the active backend may read or write. */
export function bindingLimit(): number {
  const { device } = backend() as { device?: { limits: { maxStorageBufferBindingSize: number; maxBufferSize: number } } };
  return device ? Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize) : Number.POSITIVE_INFINITY;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 20 ? 3 : 0)} MiB`;
}
