import { MEMORY_MODES, type MemoryMode, planConvolution, planFilterGradient } from '@vgg/core';
import { isVggError, VggError } from '@vgg/errors';
import { mapBytes, megabytes, weightBytes } from '../network/memory.js';
import type { Layer, Network } from '../network/plan.js';
import { type MapShape, outputShape } from '../network/shape.js';
import { cheapestParts, type LearningMap, onePart } from './parts.js';

/** Who may ask for a plan. */
export type Asker = 'train' | 'vgg train' | 'bench';

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
  /** Of the wasm backend; undefined elsewhere, where nothing is kept of filters. */
  memory?: MemoryMode | undefined;
  /** False where nobody asked for the mode: then a smaller one may take its place. Default: true. */
  asked?: boolean;
  threads?: number;
  /** Bytes that all of it may take; default 3 GiB, of the 4 that a wasm heap can have. */
  maxMemoryBytes?: number | undefined;
  /** Whether maps are computed anew on the way back. Default: where {@link planTraining} finds that it helps. */
  recompute?: boolean | undefined;
  /** Batch normalisation goes by its running statistics, so that portions see the same as their batch. Default: false. */
  freezeStatistics?: boolean | undefined;
  /** Who asks, for errors: `vgg train` is told of the options of the command line. Default `train`. */
  who?: Asker;
}

/** How a batch is worked off, and what that takes, in bytes. */
export interface TrainingPlan {
  /** Pictures at a time; the gradients of such portions are added up. */
  readonly portion: number;
  readonly memory: MemoryMode | undefined;
  /** The layers whose maps are kept where the others are computed anew on the way back; empty where all are kept. */
  readonly cuts: readonly string[];
  /** Weights, gradients, what the optimiser keeps and transformed filters. */
  readonly fixed: number;
  /** The gradients of a portion, beside those of the batch that they are added to; 0 for a batch in one. */
  readonly sums: number;
  /** The most that is held of one picture: its maps, and their gradients on the way back. */
  readonly perPicture: number;
  /** What the kernel that takes most uses while it runs on a portion. */
  readonly scratch: number;
  readonly total: number;
}

const DEFAULT_LIMIT = 3 * 2 ** 30;
/** What helps: less to do, a smaller memory mode, a larger limit. */
const REMEDIES = {
  train: ['use smaller pictures, unfreeze fewer layers', 'use memory small', 'allow more (maxMemoryBytes)'],
  'vgg train': ['use smaller pictures (--size), unfreeze fewer layers', '--memory small', 'a larger --max-memory'],
  bench: ['use smaller pictures, --part features', '--memory small', 'a larger --max-memory'],
} as const satisfies Record<Asker, readonly string[]>;

/**
 * How many pictures of a batch can be learnt from at a time in the memory that is given. Batch normalisation normalises each portion by
 * its own statistics. Maps are computed anew on the way back, for about a tenth more time, where a batch that it normalises fits whole with
 * that alone, or where not even one picture fits otherwise; elsewhere a smaller portion needs as little memory and takes no longer.
 *
 * @throws VggError `VGG_MEMORY` when not even one fits, `VGG_SHAPE` if the picture does not get through the network
 */
export function planTraining(network: Pick<Network, 'name' | 'channels'>, options: TrainingPlanOptions): TrainingPlan {
  const { batch, height, width, memory, asked = true, maxMemoryBytes = DEFAULT_LIMIT, who = 'train' } = options;
  const { learning, freezeStatistics = false, recompute } = options;
  const modes = asked || !memory ? [memory] : MEMORY_MODES.slice(MEMORY_MODES.indexOf(memory));
  const normalises = !freezeStatistics && learning.some(({ kind }) => kind === 'batchnorm');
  // From the best to the last; of at least so many pictures at a time.
  const ways =
    recompute !== undefined
      ? modes.map((mode) => ({ mode, anew: recompute, least: 1 }))
      : [
          ...modes.flatMap((mode) => [
            ...(normalises ? [false, true].map((anew) => ({ mode, anew, least: batch })) : []),
            { mode, anew: false, least: 1 },
          ]),
          ...modes.map((mode) => ({ mode, anew: true, least: 1 })),
        ];
  for (const { mode, anew, least } of ways) {
    const needs = needsOf(network, { ...options, memory: mode }, anew);
    // Portions of about one size: 128 in portions of at most 100 are two of 64.
    for (let parts = 1; parts <= batch / least; parts++) {
      const plan = planned(needs, batch, parts, mode);
      if (plan.total <= maxMemoryBytes) return plan;
    }
  }
  const { mode: last, anew } = ways.at(-1)!;
  const { fixed, sums, perPicture, scratch, total } = planned(needsOf(network, { ...options, memory: last }, anew), batch, batch, last);
  const [smaller, small, more] = REMEDIES[who];
  const remedy = last && last !== 'small' ? `${smaller}, ${small}, or ${more}` : `${smaller}, or ${more}`;
  throw new VggError(
    'VGG_MEMORY',
    `${who}: expected one picture of ${height}x${width} to fit ${megabytes(maxMemoryBytes)}, and${last ? ` with memory ${last}` : ''} it takes ${megabytes(total)} (weights, gradients and filters ${megabytes(fixed + sums)}, maps ${megabytes(perPicture)}, scratch ${megabytes(scratch)}); ${remedy}`,
  );
}

/** What a network takes in one memory mode. */
interface Needs {
  readonly cuts: readonly string[];
  readonly fixed: number;
  /** Of a batch in portions. */
  readonly sums: number;
  readonly perPicture: number;
  /** For so many pictures at a time. */
  scratch(portion: number): number;
}

function planned(needs: Needs, batch: number, parts: number, memory: MemoryMode | undefined): TrainingPlan {
  const { cuts, fixed, perPicture } = needs;
  const portion = Math.ceil(batch / parts);
  const scratch = needs.scratch(portion);
  const sums = portion < batch ? needs.sums : 0;
  return { portion, memory, cuts, fixed, sums, perPicture, scratch, total: fixed + sums + portion * perPicture + scratch };
}

/** `anew`: maps are computed anew on the way back. */
function needsOf({ name, channels }: Pick<Network, 'name' | 'channels'>, options: TrainingPlanOptions, anew: boolean): Needs {
  const { height, width, frozen, learning, kept, memory, threads = 1 } = options;
  let shape: MapShape = [height, width, channels];
  let [fixed, sums, passing] = [0, 0, 0];
  const maps: LearningMap[] = [];
  const scratches: ((portion: number) => number)[] = [];
  for (const layer of [...frozen, ...learning]) {
    const output = outputShape(layer, shape, name);
    const learns = learning.includes(layer);
    const weights = weightBytes(layer);
    // Beside themselves their gradient.
    fixed += weights * (learns ? 2 + kept : 1);
    if (learns) sums += weights;
    if (memory && layer.kind === 'conv' && layer.kernel === 3) {
      const same = layer.padding === 'zero';
      const there = { inChannels: layer.in, outHeight: output[0], outWidth: output[1], outChannels: layer.out, same };
      fixed += planConvolution(memory, { ...there, batchSize: 1 }, threads).filter;
      scratches.push((batchSize) => planConvolution(memory, { ...there, batchSize }, threads).scratch);
      if (learns) scratches.push((batchSize) => planFilterGradient({ ...there, batchSize }, threads));
      // Nobody asks for the gradient of what the first of them takes.
      if (learns && layer !== learning[0]) {
        const back = { inChannels: layer.out, outHeight: shape[0], outWidth: shape[1], outChannels: layer.in, same };
        fixed += planConvolution(memory, { ...back, batchSize: 1 }, threads).filter;
        scratches.push((batchSize) => planConvolution(memory, { ...back, batchSize }, threads).scratch);
      }
    }
    const [input, own] = [mapBytes(shape), mapBytes(output)];
    if (learns) maps.push({ layer, input, output: own });
    else passing = Math.max(passing, input + own);
    shape = output;
  }
  const { cuts, bytes } = anew ? cheapestParts(maps) : onePart(maps);
  const scratch = (portion: number) => Math.max(0, ...scratches.map((of) => of(portion)));
  return { cuts, fixed, sums, perPicture: Math.max(passing, (maps[0]?.input ?? 0) + bytes), scratch };
}

/** What is said of a batch that is worked off in portions. */
export function describeTrainingPlan({ portion, fixed, perPicture, scratch, total }: TrainingPlan, batch: number): string {
  const whole = megabytes(fixed + batch * perPicture + scratch);
  return `a batch of ${batch} takes ${whole} (weights, gradients and filters ${megabytes(fixed)}, maps ${megabytes(perPicture)} a picture); it is worked off in portions of ${portion}, ${megabytes(total)}`;
}

/** What is said where maps are computed anew though nobody asked for it. */
export function describeRecomputing({ portion, perPicture, total }: TrainingPlan): string {
  const pictures = portion === 1 ? 'one picture does' : `${portion} pictures at a time do`;
  return `${pictures} not fit with all maps, so most are computed anew on the way back, which is slower: maps ${megabytes(perPicture)} a picture, ${megabytes(total)} in all`;
}

/** Half of a portion that did not fit after all, and a line that says so. @throws the error, where it is another or nothing is left to halve */
export function halved(who: string, portion: number, error: unknown, warn: (message: string) => void): number {
  if (!isVggError(error, 'VGG_MEMORY') || portion <= 1) throw error;
  const half = Math.ceil(portion / 2);
  warn(`${who}: ${portion} pictures at a time do not fit the memory; going on with ${half}`);
  return half;
}
