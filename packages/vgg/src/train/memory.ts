import { type MemoryMode, planConvolution } from '@vgg/core';
import { isVggError, VggError } from '@vgg/errors';
import { mapBytes, megabytes, weightBytes } from '../network/memory.js';
import type { Layer, Network } from '../network/plan.js';
import { type MapShape, outputShape } from '../network/shape.js';

/** What {@link planTraining} goes by. */
export interface TrainingPlanOptions {
  /** Pictures of a batch. */
  batch: number;
  /** Of the pictures, in pixels. */
  height: number;
  width: number;
  /** The layers in front that do not learn. */
  frozen: readonly Layer[];
  learning: readonly Layer[];
  /** Tensors that the optimiser keeps for each parameter: 1 with momentum, 2 with Adam. */
  kept: number;
  /** Default `fast`. */
  memory?: MemoryMode | undefined;
  threads?: number;
  /** Bytes that all of it may take; default 3 GiB, of the 4 that a wasm heap can have. */
  maxMemoryBytes?: number | undefined;
  /** Who asks, for errors. Default `train`. */
  who?: 'train' | 'bench';
}

/** How a batch is worked off, and what that takes, in bytes. */
export interface TrainingPlan {
  /** Pictures at a time; the gradients of such portions are added up. */
  readonly portion: number;
  /** Weights, gradients, what the optimiser keeps and transformed filters. */
  readonly fixed: number;
  /** The maps that one picture's gradient needs, and those on the way back. */
  readonly perPicture: number;
  readonly total: number;
}

const DEFAULT_LIMIT = 3 * 2 ** 30;
const REMEDIES = {
  train: 'use smaller pictures, unfreeze fewer layers, use memory small, or allow more (maxMemoryBytes)',
  bench: 'use smaller pictures, --part features, --memory small, or a larger --max-memory',
} as const;

/**
 * How many pictures of a batch can be learnt from at a time in the memory that is given. Batch normalisation normalises each portion by
 * its own statistics.
 *
 * @throws VggError `VGG_MEMORY` when not even one fits, `VGG_SHAPE` if the picture does not get through the network
 */
export function planTraining({ name, channels }: Pick<Network, 'name' | 'channels'>, options: TrainingPlanOptions): TrainingPlan {
  const { batch, height, width, frozen, learning, kept, memory = 'fast', threads = 1, maxMemoryBytes = DEFAULT_LIMIT } = options;
  const { who = 'train' } = options;
  let shape: MapShape = [height, width, channels];
  let [fixed, maps, largest] = [0, 0, 0];
  for (const layer of [...frozen, ...learning]) {
    const output = outputShape(layer, shape, name);
    const learns = learning.includes(layer);
    const weights = weightBytes(layer);
    // Beside themselves their gradient, and their values in the best epoch.
    fixed += weights * (learns ? 3 + kept : 1);
    if (layer.kind === 'conv' && layer.kernel === 3) {
      const sizes = { batchSize: 1, inChannels: layer.in, outHeight: output[0], outWidth: output[1], outChannels: layer.out };
      const planned = planConvolution(memory, sizes, threads);
      // One form for the way there, and one for the way back.
      fixed += planned.filter * (learns ? 2 : 1);
    }
    const own = mapBytes(output);
    largest = Math.max(largest, own, mapBytes(shape));
    if (learns && layer.kind !== 'relu' && layer.kind !== 'flatten') maps += own;
    shape = output;
  }
  const perPicture = maps + 3 * largest;
  const room = maxMemoryBytes - fixed;
  const most = Math.floor(room / perPicture);
  if (most < 1) {
    throw new VggError(
      'VGG_MEMORY',
      `${who}: expected one picture of ${height}x${width} to fit ${megabytes(maxMemoryBytes)}, and it takes ${megabytes(fixed)} for the weights and ${megabytes(perPicture)} for its maps; ${REMEDIES[who]}`,
    );
  }
  // Portions of about one size: 128 in portions of at most 100 are two of 64.
  const portion = Math.ceil(batch / Math.ceil(batch / Math.min(most, batch)));
  return { portion, fixed, perPicture, total: fixed + portion * perPicture };
}

/** What is said of a batch that is worked off in portions. */
export function describeTrainingPlan({ portion, fixed, perPicture, total }: TrainingPlan, batch: number): string {
  const whole = megabytes(fixed + batch * perPicture);
  return `a batch of ${batch} takes ${whole} (weights and gradients ${megabytes(fixed)}, maps ${megabytes(perPicture)} a picture); it is worked off in portions of ${portion}, ${megabytes(total)}`;
}

/** Half of a portion that did not fit after all, and a line that says so. @throws the error, where it is another or nothing is left to halve */
export function halved(who: string, portion: number, error: unknown, warn: (message: string) => void): number {
  if (!isVggError(error, 'VGG_MEMORY') || portion <= 1) throw error;
  const half = Math.ceil(portion / 2);
  warn(`${who}: ${portion} pictures at a time do not fit the memory; going on with ${half}`);
  return half;
}
