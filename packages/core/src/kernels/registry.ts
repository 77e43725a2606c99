import type { BackendName } from '../probe.js';

/** Which kernel serves one operation on each backend. */
export interface KernelRow {
  op: string;
  forward: Record<BackendName, string>;
  gradient: Record<BackendName, string>;
}
export const KERNELS: readonly KernelRow[] = [];
