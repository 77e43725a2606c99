import { VggError } from '@vgg/errors';

/** A run of rows of a matrix: `rows` of them from `start`. */
export interface RowBlock {
  start: number;
  rows: number;
}

/**
 * Cuts a float32 matrix `[rows, columns]` into blocks of whole rows, each of at most `maxBindingBytes`, as even as they can be.
 *
 * @throws VggError `VGG_MEMORY` when a single row is larger
 * @example
 * splitRows(25088, 4096, 128 * 2 ** 20).length; // 4: fc6, 392 MiB, on a device that binds 128 MiB
 */
export function splitRows(rows: number, columns: number, maxBindingBytes: number): RowBlock[] {
  const most = Math.floor(maxBindingBytes / (4 * columns));
  if (most < 1) {
    throw new VggError(
      'VGG_MEMORY',
      `splitRows: expected room for a row of ${4 * columns} bytes, received a limit of ${maxBindingBytes}; run this layer on wasm`,
    );
  }
  const count = Math.max(1, Math.ceil(rows / most));
  return Array.from({ length: count }, (_, i) => {
    const start = Math.floor((i * rows) / count);
    return { start, rows: Math.floor(((i + 1) * rows) / count) - start };
  });
}
