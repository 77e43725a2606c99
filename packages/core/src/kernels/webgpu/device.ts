import { engine, registerBackend, registerKernel, removeBackend, unregisterKernel } from '@tensorflow/tfjs-core';
import { messageOf, VggError } from '@vgg/errors';
import type { AdapterLike, GpuLike } from '../../environment.js';
import type { Fault } from '../../faults.js';
import { bestAdapter, featuresOf, limitsOf } from './adapter.js';
import { maxPoolGrad } from './max-pool-gradient.js';

/** How the device is asked for. */
export interface DeviceOptions {
  /** Bind no more than this at once although the adapter could: shows what a smaller device would do. */
  maxBindingBytes?: number;
}

/** A device of our own under tfjs's `webgpu` backend. */
export interface OpenedDevice {
  adapter: AdapterLike;
  limits: Record<string, number>;
  /** Hands over the commands that tfjs still keeps, and waits until the device has done them. */
  settle(): Promise<void>;
  /** Bytes of the buffers that the backend keeps, in use or ready for reuse. */
  bytes(): number;
}

/** tfjs collects commands in one encoder; these are its own names. */
interface Commands {
  commandEncoder: unknown;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/**
 * Makes tfjs's `webgpu` backend run on a device of ours, with all the limits and features of the adapter (tfjs's own asks for
 * few), whose errors and loss are heard: tfjs answers them with zeros. `report` may be called at any later time.
 *
 * @throws VggError `VGG_BACKEND` when there is no adapter or it gives no device
 */
export async function openDevice(gpu: GpuLike, report: (fault: Fault) => void, options: DeviceOptions = {}): Promise<OpenedDevice> {
  const adapter = await bestAdapter(gpu);
  if (!adapter)
    throw new VggError(
      'VGG_BACKEND',
      'webgpu: expected an adapter and navigator.gpu offers none; use another backend, or check the driver',
    );
  const requiredLimits = limitsOf(adapter);
  if (options.maxBindingBytes !== undefined) {
    requiredLimits.maxStorageBufferBindingSize = Math.min(requiredLimits.maxStorageBufferBindingSize, options.maxBindingBytes);
  }
  let device: GPUDevice;
  try {
    device = (await adapter.requestDevice({ label: 'vgg', requiredLimits, requiredFeatures: featuresOf(adapter) })) as GPUDevice;
  } catch (error) {
    throw new VggError('VGG_BACKEND', `webgpu: expected a device and the adapter refused: ${messageOf(error)}`, { cause: error });
  }
  listen(device, report);
  // Imported only now: tfjs's module looks for navigator.gpu while it loads.
  const { WebGPUBackend } = await import('@tensorflow/tfjs-backend-webgpu');
  if (engine().findBackendFactory('webgpu')) removeBackend('webgpu');
  const backend = new WebGPUBackend(device, adapter.info as GPUAdapterInfo);
  registerBackend('webgpu', () => backend, 3);
  engine().findBackend('webgpu');
  unregisterKernel('MaxPoolGrad', 'webgpu');
  registerKernel({ kernelName: 'MaxPoolGrad', backendName: 'webgpu', kernelFunc: maxPoolGrad });
  const commands = backend as unknown as Commands;
  return {
    adapter,
    limits: limitsOf(device),
    settle: async () => {
      if (commands.commandEncoder) {
        commands.endComputePassEncoder();
        commands.submitQueue();
      }
      // A lost device rejects here; its loss is reported by `lost`.
      await device.queue.onSubmittedWorkDone().catch(() => {});
      // A browser hands errors to their listeners in tasks of their own, which by now are in its queue.
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
    bytes: () => (backend.memory() as unknown as { numBytesAllocatedInGPU: number }).numBytesAllocatedInGPU,
  };
}

function listen(device: GPUDevice, report: (fault: Fault) => void): void {
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault(); // the browser's own console line
    const { error } = event as GPUUncapturedErrorEvent;
    const memory = error.constructor.name === 'GPUOutOfMemoryError';
    report({ kind: memory ? 'memory' : 'error', message: error.message.split('\n')[0] });
  });
  void device.lost.then((info) => {
    report({ kind: 'lost', message: info.message || (info.reason === 'destroyed' ? 'it was destroyed' : 'no reason was given') });
  });
}
