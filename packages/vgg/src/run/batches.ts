import type { BackendInfo } from '@vgg/core';
import { VggError } from '@vgg/errors';
import { io } from '#io';
import type { Layer, Network } from '../network/plan.js';
import { summarize } from '../network/summary.js';
import { type ImageInputs, type PictureItem, toPictures } from '../pictures/images.js';
import { type Prepared, prepare } from '../pictures/preprocess.js';
import type { Preprocessing } from '../pictures/preprocessing.js';

/** A picture made ready for the network. */
export interface PreparedItem {
  readonly index: number;
  readonly name: string;
  readonly prepared: Prepared;
}

/** A picture of a batch, or why there is none. */
export type BatchItem = PreparedItem | { readonly index: number; readonly name: string; readonly error: VggError };

/** What the pictures are for. */
export interface BatchPlan {
  readonly network: Network;
  /** The layers that will run. */
  readonly layers: readonly Layer[];
  readonly preprocessing: Preprocessing;
  readonly backend: BackendInfo;
}

export interface BatchOptions {
  size?: number;
  orientation?: boolean;
  signal?: AbortSignal;
}

/** Multiply-adds of a layer that pass quickly enough for an abort, which is seen between layers: about 50 ms on WASM. */
const MOST_MACS = 2e9;
const MOST_BYTES = 256 * 2 ** 20;
const MOST_PICTURES = 32;

/** Pictures decoded, prepared and grouped by size, a micro-batch at a time; failures travel in their place, so order is kept. */
export async function* batches(
  images: ImageInputs,
  plan: BatchPlan,
  { size, orientation, signal }: BatchOptions,
): AsyncGenerator<BatchItem[]> {
  let batch: BatchItem[] = [];
  let first: Prepared | undefined;
  let limit = 1;
  for await (const item of toPictures(images, io.decode, { orientation, signal })) {
    const next = prepareItem(item, plan, size);
    const prepared = 'prepared' in next ? next.prepared : undefined;
    const fits = !prepared || !first || (first.width === prepared.width && first.height === prepared.height);
    if (batch.length > 0 && (!fits || batch.length >= limit)) {
      yield batch;
      batch = [];
      first = undefined;
    }
    if (prepared && !first) {
      first = prepared;
      limit = microBatch(plan, prepared);
    }
    batch.push(next);
  }
  if (batch.length > 0) yield batch;
}

function prepareItem(item: PictureItem, { network, layers, preprocessing }: BatchPlan, side: number | undefined): BatchItem {
  const { index, name } = item;
  if (item.error) return { index, name, error: item.error };
  try {
    const prepared = prepare(item.picture, preprocessing, { size: side, minimum: minimumSide(network), name });
    const { size } = network;
    const isFlat = layers.some((layer) => layer.kind === 'flatten');
    if (isFlat && (prepared.width !== size || prepared.height !== size)) {
      const remedy = side === undefined ? `pass size: ${size}` : 'leave size out';
      throw new VggError(
        'VGG_SHAPE',
        `${name}: the dense layers of ${network.name} take ${size}x${size} pictures, received ${prepared.width}x${prepared.height}; ${remedy}, or load with convolutionalTop`,
      );
    }
    return { index, name, prepared };
  } catch (error) {
    if (error instanceof VggError) return { index, name, error };
    throw error;
  }
}

/** The smallest side whose last map still has a cell: every pool halves it. */
function minimumSide(network: Network): number {
  return network.layers.reduce((side, layer) => (layer.kind === 'pool' ? side * layer.stride : side), 1);
}

/** As many pictures as keep each layer short and its maps small. */
function microBatch({ network, layers, backend }: BatchPlan, { height, width }: Prepared): number {
  const { rows } = summarize({ ...network, layers }, { height, width });
  const macs = Math.max(...rows.map((row) => row.macs));
  const bytes = Math.max(...rows.map((row) => row.activationBytes));
  const room = Math.min(MOST_BYTES, backend.limits?.maxBindingBytes ?? Number.POSITIVE_INFINITY);
  return Math.max(1, Math.min(MOST_PICTURES, Math.floor(MOST_MACS / macs), Math.floor(room / bytes)));
}
