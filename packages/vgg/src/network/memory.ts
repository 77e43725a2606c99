import { MEMORY_MODES, type MemoryMode, planConvolution } from '@vgg/core';
import { VggError } from '@vgg/errors';
import type { Layer, Network } from './plan.js';
import { type MapShape, outputShape } from './shape.js';

export interface MemoryPlanOptions {
  /** Of the pictures, in pixels; default the network's own. */
  size?: number | { height?: number; width?: number };
  /** Pictures at a time; default 1. */
  batch?: number;
  /** Default `fast`. */
  memory?: MemoryMode;
  /** Threads, each of which has scratch memory of its own; default 1. */
  threads?: number;
  /** False for the features alone, without the dense layers; default what the network has. */
  top?: boolean;
}

/** What a network takes of the wasm backend's heap, in bytes. */
export interface MemoryPlan {
  /** The weights as float32. */
  readonly weights: number;
  /** What is kept of the filters beside them, transformed. */
  readonly filters: number;
  /** The input and output of the step that takes most; a map between a convolution and its pool is there only for who asks for it. */
  readonly activations: number;
  /** What that layer's kernel uses while it runs. */
  readonly scratch: number;
  readonly total: number;
}

/** The wasm heap has 32-bit addresses. */
export const HEAP_LIMIT = 2 ** 32;
/** Scratch memory of a matrix product. */
const PRODUCT_BYTES = 192 * 1024;

/**
 * What a forward pass of a network takes on the wasm backend, without running or loading anything.
 *
 * @throws VggError `VGG_SHAPE` if the picture does not get through the network
 * @example
 * planMemory(network('vgg16'), { top: false, memory: 'small' });
 * // { weights: 58858752, filters: 53484288, activations: 16056320, scratch: 2546048, total: 130945408 }
 */
export function planMemory(network: Network, options: MemoryPlanOptions = {}): MemoryPlan {
  const { size = {}, top = true } = options;
  const end = top ? -1 : network.layers.findIndex(({ name }) => name === 'flatten' || name.startsWith('fc'));
  const { height = network.size, width = network.size } = typeof size === 'number' ? { height: size, width: size } : size;
  return planLayers(network, end < 0 ? network.layers : network.layers.slice(0, end), [height, width, network.channels], options);
}

function planLayers(
  { name }: Network,
  layers: readonly Layer[],
  input: MapShape,
  { batch = 1, memory = 'fast', threads = 1 }: MemoryPlanOptions,
): MemoryPlan {
  let [weights, filters, activations, scratch] = [0, 0, 0, 0];
  let shape = input;
  /** The pool that the convolution before it computes. */
  let pooled: Layer | undefined;
  layers.forEach((layer, i) => {
    const output = outputShape(layer, shape, name);
    // What a step leaves: of a convolution and the pool that is computed with it, the pool's.
    let left = mapBytes(output);
    let own = layer.kind === 'conv' || layer.kind === 'dense' ? threads * PRODUCT_BYTES : 0;
    if (layer.kind === 'conv' && layer.kernel === 3) {
      const sizes = { batchSize: batch, inChannels: layer.in, outHeight: output[0], outWidth: output[1], outChannels: layer.out };
      const planned = planConvolution(memory, sizes, threads);
      filters += planned.filter;
      own = planned.scratch;
      pooled = planned.pools && layer.padding !== 'reflect' ? poolBehind(layers, i, output) : undefined;
      if (pooled) left = mapBytes(outputShape(pooled, output, name));
    }
    weights += weightBytes(layer);
    const maps = batch * (mapBytes(shape) + left + borderBytes(layer, shape));
    if (layer !== pooled && !isInPlace(layer, layers[i - 1]) && maps + own > activations + scratch) [activations, scratch] = [maps, own];
    shape = output;
  });
  return { weights, filters, activations, scratch, total: weights + filters + activations + scratch };
}

/** The max pool behind a convolution that its kernel computes too, unless somebody wants the map between them. */
function poolBehind(layers: readonly Layer[], at: number, [height, width]: MapShape): Layer | undefined {
  const pool = layers[layers[at + 1]?.kind === 'relu' ? at + 2 : at + 1];
  if (pool?.kind !== 'pool' || pool.pool !== 'max' || pool.size !== 2 || pool.stride !== 2) return undefined;
  const isEven = height % 2 === 0 && width % 2 === 0;
  return height > 1 && width > 1 && (isEven || pool.rounding !== 'ceil') ? pool : undefined;
}

/** Layers that give their input's own values, and ReLUs that the layer before them computes. */
function isInPlace({ kind }: Layer, before: Layer | undefined): boolean {
  if (kind === 'flatten' || kind === 'dropout') return true;
  return kind === 'relu' && (before?.kind === 'conv' || before?.kind === 'dense');
}

/** The copy of an input with its mirrored border. */
function borderBytes(layer: Layer, [height, width, channels]: MapShape): number {
  if (layer.kind !== 'conv' || layer.padding !== 'reflect' || layer.kernel === 1) return 0;
  return mapBytes([height + layer.kernel - 1, width + layer.kernel - 1, channels]);
}

/** Of a layer's weights and statistics as float32. */
export function weightBytes(layer: Layer): number {
  if (layer.kind === 'conv') return 4 * layer.out * (layer.kernel ** 2 * layer.in + 1);
  if (layer.kind === 'dense') return 4 * layer.out * (layer.in + 1);
  return layer.kind === 'batchnorm' ? 16 * layer.channels : 0;
}

/** Of a map as float32. */
export function mapBytes([height, width, channels]: MapShape): number {
  return 4 * height * width * channels;
}

/** What {@link chooseMemory} has to go by. */
export interface MemoryLimit extends Omit<MemoryPlanOptions, 'size'> {
  /** Bytes that the heap may have; at most, and by default, 4 GiB. */
  maxMemoryBytes?: number;
  /** Whether somebody asked for the mode: then it is that or an error. */
  asked: boolean;
}

/**
 * The mode in which a network fits the heap, for one picture of its own size: the one given, or where nobody asked for it the next smaller.
 *
 * @throws VggError `VGG_MEMORY` when none fits, with the plan; `VGG_OPTION` when the limit is no positive number
 */
export function chooseMemory(
  network: Network,
  { maxMemoryBytes = HEAP_LIMIT, asked, memory = 'fast', ...options }: MemoryLimit,
): MemoryMode {
  if (!(maxMemoryBytes > 0))
    throw new VggError('VGG_OPTION', `load: maxMemoryBytes: expected a number of bytes, received ${maxMemoryBytes}`);
  const limit = Math.min(maxMemoryBytes, HEAP_LIMIT);
  const modes = asked ? [memory] : MEMORY_MODES.slice(MEMORY_MODES.indexOf(memory));
  const fits = modes.find((mode) => planMemory(network, { ...options, memory: mode }).total <= limit);
  if (fits) return fits;
  const last = modes.at(-1)!;
  const remedy = last === 'small' ? 'use a smaller network, or webgpu' : 'use memory small, or leave memory out';
  throw new VggError(
    'VGG_MEMORY',
    `load: expected ${network.name} to fit ${megabytes(limit)} of WASM memory, and with memory ${last} it takes ${describePlan(planMemory(network, { ...options, memory: last }))}; ${remedy}`,
  );
}

/** `516 MB (weights 59 MB, filters 418 MB, activations 26 MB, scratch 8 MB)` */
export function describePlan({ weights, filters, activations, scratch, total }: MemoryPlan): string {
  const parts = Object.entries({ weights, filters, activations, scratch }).map(([name, count]) => `${name} ${megabytes(count)}`);
  return `${megabytes(total)} (${parts.join(', ')})`;
}

/** Millions of bytes, rounded up. */
export function megabytes(count: number): string {
  return `${Math.ceil(count / 1e6)} MB`;
}
