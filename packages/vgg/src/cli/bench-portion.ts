import type { MemoryMode } from '@vgg/core';
import { VggError } from '@vgg/errors';
import { describePlan, HEAP_LIMIT, megabytes, planMemory } from '../network/memory.js';
import type { Layer, Network } from '../network/plan.js';
import { describeTrainingPlan, planTraining } from '../train/memory.js';
import type { passes } from './bench-passes.js';

interface PortionOptions {
  readonly mode: keyof typeof passes;
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  /** Of the wasm backend; undefined elsewhere. */
  readonly memory: MemoryMode | undefined;
  readonly threads: number;
  /** Default: the wasm heap's 4 GiB; on other backends what they give. */
  readonly maxMemoryBytes: number | undefined;
  readonly warn: (message: string) => void;
}

/**
 * The pictures of a batch that are computed at a time, so that it fits the memory; a line says so where they are fewer.
 *
 * @throws VggError `VGG_MEMORY` when not even one fits
 */
export function planPortion(network: Network, layers: readonly Layer[], options: PortionOptions): number {
  const { mode, batch, height, width, memory, threads, warn } = options;
  const limit = options.maxMemoryBytes ?? (memory ? HEAP_LIMIT : Number.POSITIVE_INFINITY);
  if (limit === Number.POSITIVE_INFINITY) return batch;
  if (mode === 'forward-backward') {
    // The sum of two portions' gradients is a third of each for a moment.
    const sizes = { batch, height, width, memory, threads, kept: 1, maxMemoryBytes: limit, recompute: false };
    const plan = planTraining(network, { ...sizes, frozen: [], learning: layers.filter(({ kind }) => kind !== 'softmax'), who: 'bench' });
    if (plan.portion < batch) warn(`bench: ${describeTrainingPlan(plan, batch)}`);
    return plan.portion;
  }
  const planned = (portion: number) =>
    planMemory({ ...network, layers }, { size: { height, width }, batch: portion, ...(memory && { memory }), threads });
  let parts = 1;
  let portion = batch;
  // The more parts, the fewer pictures: of 32 these are 32, 16, 11, 8, 7 ... 1.
  while (planned(portion).total > limit) {
    if (portion === 1)
      throw new VggError(
        'VGG_MEMORY',
        `bench: expected one picture of ${height}x${width} to fit ${megabytes(limit)}, and ${network.name} takes ${describePlan(planned(1))}; use --memory small, --part features or a larger --max-memory`,
      );
    portion = Math.ceil(batch / ++parts);
  }
  if (portion < batch)
    warn(
      `bench: a batch of ${batch} takes ${describePlan(planned(batch))}; it is worked off in portions of ${portion}, ${megabytes(planned(portion).total)}`,
    );
  return portion;
}
