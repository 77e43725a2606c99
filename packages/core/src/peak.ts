import { fill, matMul, tidy } from '@tensorflow/tfjs-core';
import type { Backend } from './backend.js';

/** A product whose operands stay in the caches: 31 million operations, half a millisecond at 64 GFLOP/s. */
const [ROWS, DEPTH, COLUMNS] = [480, 256, 128];
const BUDGET_MS = 150;

/**
 * The most operations a second that a backend reaches here and now, in GFLOP/s (a multiply-accumulate is two): the fastest of many
 * products of small matrices. For backends that compute at once: wasm and cpu.
 *
 * @example
 * measurePeak(backend); // 58.3
 */
export function measurePeak(backend: Backend): number {
  return backend.run(() =>
    tidy(() => {
      const a = fill([ROWS, DEPTH], 0.5);
      const b = fill([DEPTH, COLUMNS], 0.5);
      let least = Number.POSITIVE_INFINITY;
      const stop = performance.now() + BUDGET_MS;
      do {
        const start = performance.now();
        matMul(a, b).dispose();
        least = Math.min(least, performance.now() - start);
      } while (performance.now() < stop);
      return (2 * ROWS * DEPTH * COLUMNS) / least / 1e6;
    }),
  );
}
