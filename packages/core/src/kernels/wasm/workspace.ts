import type { TensorInfo } from '@tensorflow/tfjs-core';
import { VggError } from '@vgg/errors';
import type { WasmRuntime } from './runtime.js';

/** Blocks begin at a cache line; the allocator's answer is a multiple of 8. */
export const LINE = 64;

/** The memory that our kernels on one heap work in: one block, grown as needed, whose content lives until the next call. */
export class Workspace {
  private block = 0;
  private bytes = 0;

  constructor(readonly runtime: WasmRuntime) {}

  /**
   * At least so many bytes, aligned to 64.
   * @throws VggError `VGG_MEMORY` when the heap is full; nothing is kept then
   */
  scratch(bytes: number): number {
    if (this.bytes < bytes) {
      this.dispose();
      this.block = this.runtime.malloc(bytes + LINE);
      this.bytes = bytes;
    }
    return aligned(this.block);
  }

  /**
   * A new tensor. The allocator of tfjs answers 0, or a place past the end, when the heap is full.
   * @throws VggError `VGG_MEMORY`
   */
  makeOutput(who: string, shape: number[]): TensorInfo {
    const { backend, memory } = this.runtime;
    const output = backend.makeOutput(shape, 'float32');
    const pointer = this.pointer(output);
    const bytes = shape.reduce((product, size) => product * size, 4);
    if (pointer !== 0 && pointer + bytes <= memory.buffer.byteLength) return output;
    backend.disposeData(output.dataId, true);
    throw new VggError(
      'VGG_MEMORY',
      `${who}: expected room for an output of ${bytes} bytes and the heap is full; use smaller batches or pictures`,
    );
  }

  /**
   * Several new tensors: all or none.
   * @throws VggError `VGG_MEMORY`
   */
  makeOutputs(who: string, shapes: readonly number[][]): TensorInfo[] {
    const made: TensorInfo[] = [];
    try {
      for (const shape of shapes) made.push(this.makeOutput(who, shape));
      return made;
    } catch (error) {
      for (const { dataId } of made) this.runtime.backend.disposeData(dataId, true);
      throw error;
    }
  }

  /** Where a tensor's values lie. */
  pointer({ dataId }: TensorInfo): number {
    return this.runtime.backend.getMemoryOffset(dataId) >>> 0;
  }

  /** Writes 32-bit fields, such as a description for a kernel. */
  write(at: number, fields: readonly number[]): void {
    new Uint32Array(this.runtime.memory.buffer, at, fields.length).set(fields);
  }

  floats(at: number, length: number): Float32Array {
    return new Float32Array(this.runtime.memory.buffer, at, length);
  }

  dispose(): void {
    if (this.bytes > 0) this.runtime.free(this.block);
    this.bytes = 0;
  }
}

/** The next multiple of a cache line. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / LINE) * LINE;
}
