import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';

/** tfjs's WASM heap as our own kernels see it. Views are never kept: the heap grows. */
export interface WasmRuntime {
  readonly backend: BackendWasm;
  readonly memory: WebAssembly.Memory;
  /** Whether the memory is a SharedArrayBuffer. */
  readonly shared: boolean;
  /** Bytes from the backend's own allocator, 8-byte aligned.
   * @throws VggError `VGG_MEMORY` when the heap is full (tfjs itself says nothing then) */
  malloc(bytes: number): number;
  free(pointer: number): void;
}
