import { isVggError, messageOf, VggError } from '@vgg/errors';
import { io } from '#io';
import type { Picture } from '../pictures/picture.js';
import { type Random, random } from '../random.js';
import { derivedSeed } from '../seed.js';
import type { Dataset, Example } from './example.js';
import { epochOrder } from './order.js';
import { ordered } from './ordered.js';
import type { PictureCache } from './picture-cache.js';

/** Where a picture stands, for what is done with it. */
export interface PictureContext {
  readonly example: Example;
  /** Its place in the dataset. */
  readonly index: number;
  readonly epoch: number;
  /** For augmentation: the same numbers for this seed, epoch and example, whatever is decoded beside it. */
  readonly random: Random;
  readonly signal: AbortSignal;
}

export interface BatchesOptions<T = Picture> {
  /** Examples of a batch; the last one of an epoch may have fewer. */
  batch: number;
  /** Another order in each epoch; default true. */
  shuffle?: boolean;
  /** Of the order and of `random`; default 0. */
  seed?: number;
  /** Default 0. */
  epoch?: number;
  /** The batch to begin with, where a run goes on; default 0. */
  from?: number;
  /** Leave out a last batch that is not full; default false. */
  dropLast?: boolean;
  /** Batches that are made ready while one is in use; default 1. */
  prefetch?: number;
  /** Pictures decoded at the same time; default 8. */
  concurrency?: number;
  /** What becomes of a decoded picture; default nothing. */
  prepare?(picture: Picture, context: PictureContext): T | Promise<T>;
  /** Most pixels of a picture, as everywhere. */
  maxPixels?: number;
  /** Turn pictures as their EXIF orientation says; default false. */
  orientation?: boolean;
  /** Pictures are taken from it, and what is decoded is put there, for calls with the same `maxPixels` and `orientation`. */
  cache?: PictureCache;
  signal?: AbortSignal;
}

/** Decoded examples of an epoch. */
export interface Batch<T = Picture> {
  /** Its place in the epoch. */
  readonly index: number;
  /** What `prepare` made of the pictures that could be read. */
  readonly items: readonly T[];
  /** The class of each item. */
  readonly labels: Int32Array;
  /** The place of each item in the dataset. */
  readonly indices: Int32Array;
  /** The pictures that could not be read, and why. */
  readonly failed: readonly { readonly name: string; readonly index: number; readonly error: VggError }[];
}

/** How many batches an epoch has. */
export function batchCount(count: number, { batch, dropLast = false }: { batch: number; dropLast?: boolean }): number {
  return dropLast ? Math.floor(count / batch) : Math.ceil(count / batch);
}

/**
 * One epoch of a dataset in batches of decoded pictures. Some are decoded at the same time and some are ready before they are asked for; which
 * come in which batch, and their random numbers, depend only on the seed and the epoch. A picture that cannot be read leaves its batch
 * smaller.
 *
 * @throws VggError `VGG_OPTION`, `VGG_ABORTED`, and what `prepare` throws
 * @example
 * for await (const { items, labels } of batchesOf(dataset, { batch: 128, seed: 1, epoch: 3 })) console.log(items[0].width, labels.length); // 32 128
 */
export async function* batchesOf<T = Picture>(dataset: Dataset, options: BatchesOptions<T>): AsyncGenerator<Batch<T>, void, undefined> {
  const {
    batch,
    shuffle = true,
    seed = 0,
    epoch = 0,
    from = 0,
    dropLast = false,
    prefetch = 1,
    concurrency = 8,
    prepare,
    cache,
    signal,
  } = options;
  const { maxPixels, orientation } = options;
  check({ batch, concurrency }, 1);
  check({ epoch, from, prefetch }, 0);
  const { examples } = dataset;
  const order = shuffle ? epochOrder(examples.length, { seed, epoch }) : Int32Array.from(examples.keys());
  const total = Math.min(order.length, batchCount(order.length, { batch, dropLast }) * batch);
  const start = Math.min(from * batch, total);
  const rules = { ...(maxPixels !== undefined && { maxPixels }), ...(orientation !== undefined && { orientation }) };

  const read = async (place: number, stop: AbortSignal): Promise<Read<T>> => {
    const index = order[start + place]!;
    const example = examples[index]!;
    let picture: Picture;
    try {
      picture = cache?.get(example) ?? (await io.decode(example.image, { ...rules, name: example.name, signal: stop }));
      cache?.add(example, picture);
    } catch (error) {
      return { index, example, error: asVggError(error, example.name) };
    }
    if (!prepare) return { index, example, item: picture as T };
    const context = { example, index, epoch, random: random(derivedSeed(seed, epoch, index)), signal: stop };
    return { index, example, item: await prepare(picture, context) };
  };

  const all = ordered(total - start, read, { concurrency, ahead: Math.max(prefetch * batch, concurrency), ...(signal && { signal }) });
  let held: Read<T>[] = [];
  let next = from;
  for await (const one of all) {
    held.push(one);
    if (held.length < batch && start + held.length + (next - from) * batch < total) continue;
    yield batchFrom(held, next++);
    held = [];
  }
}

type Read<T> = { readonly index: number; readonly example: Example } & (
  | { readonly item: T; readonly error?: undefined }
  | { readonly error: VggError }
);

function batchFrom<T>(held: readonly Read<T>[], index: number): Batch<T> {
  const items: T[] = [];
  const labels: number[] = [];
  const indices: number[] = [];
  const failed: { name: string; index: number; error: VggError }[] = [];
  for (const one of held) {
    if (one.error) {
      failed.push({ name: one.example.name, index: one.index, error: one.error });
      continue;
    }
    items.push(one.item);
    labels.push(one.example.label);
    indices.push(one.index);
  }
  return { index, items, labels: Int32Array.from(labels), indices: Int32Array.from(indices), failed };
}

function asVggError(error: unknown, name: string): VggError {
  return isVggError(error) ? error : new VggError('VGG_INPUT', `decode: ${name}: ${messageOf(error)}`, { cause: error });
}

function check(options: Record<string, number>, least: number): void {
  for (const [name, value] of Object.entries(options)) {
    if (!(Number.isInteger(value) && value >= least))
      throw new VggError('VGG_OPTION', `batchesOf: expected a whole number of at least ${least} as ${name}, received ${value}`);
  }
}
