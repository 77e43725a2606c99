import { type Backend, type BackendName, openBackend } from '@vgg/core';
import { type OnProgress, throwIfAborted } from '@vgg/errors';
import type { Layer, Network } from '../network/plan.js';
import { forward, steps } from '../run/forward.js';
import { place } from '../run/placement.js';
import type { OpenedWeights } from '../weights/open-weights.js';
import { WeightStore } from '../weights/store.js';
import { preparedPicture, STANDARD_SIDE } from './standard-picture.js';

/** How far two weight sets are apart at one layer. */
export interface TapError {
  readonly layer: string;
  /** The largest absolute difference over the largest magnitude of the first set's map. */
  readonly relative: number;
  /** Of the angle between both maps as vectors; 1 where they are the same. */
  readonly cosine: number;
}

export interface ActivationOptions {
  backend?: BackendName | 'auto';
  /** Only the layers up to this one. */
  upTo?: string;
  signal?: AbortSignal;
  onProgress?: OnProgress;
}

/**
 * Runs two weight sets on the {@link standardPicture}, each with its own preprocessing, layer by layer side by side, so that of the
 * weights one layer at a time is in memory.
 *
 * @returns the side of the picture, and every ReLU, pool and soft-max that both reach, in order
 * @throws VggError `VGG_BACKEND`, `VGG_SHAPE`, `VGG_ABORTED`
 */
export async function compareActivations(
  a: OpenedWeights,
  b: OpenedWeights,
  options: ActivationOptions = {},
): Promise<{ side: number; taps: TapError[] }> {
  const backend = await openBackend(options.backend ?? 'auto', options.signal ? { signal: options.signal } : {});
  const [first, second] = [reached(a, options.upTo), reached(b, options.upTo)];
  const side = sideFor(a.network, first, sideFor(b.network, second, STANDARD_SIDE));
  const names = commonTaps(first, second);
  const taps: TapError[] = [];
  const [left, right] = [maps(a, first, side, backend, options), maps(b, second, side, backend, options)];
  for (const [i, layer] of names.entries()) {
    const [one, two] = [await until(left, layer), await until(right, layer)];
    if (one.length !== two.length) break; // from here on they are of other shapes
    taps.push({ layer, ...distance(one, two) });
    options.onProgress?.({ stage: 'compare', loaded: i + 1, total: names.length, item: layer });
  }
  await Promise.all([left.return(undefined), right.return(undefined)]);
  return { side, taps };
}

/** The layers whose weights are there, up to the one that is asked for. */
function reached({ file, mapping, network }: OpenedWeights, upTo: string | undefined): Layer[] {
  const layers = new WeightStore(file, mapping).reach(network.layers);
  const end = layers.findIndex(({ name }) => name === upTo);
  return end < 0 ? layers : layers.slice(0, end + 1);
}

/** Dense layers, and maps that shrink at every convolution, want the size that they were made for. */
function sideFor({ size, plan }: Network, layers: readonly Layer[], otherwise: number): number {
  const isFixed = plan.padding === 'valid' || layers.some(({ kind, name }) => kind === 'dense' || name.startsWith('fc'));
  return isFixed ? size : otherwise;
}

function commonTaps(a: readonly Layer[], b: readonly Layer[]): string[] {
  const others = new Set(b.map(({ name }) => name));
  return a
    .filter(({ kind, name }) => (kind === 'relu' || kind === 'pool' || kind === 'softmax') && others.has(name))
    .map(({ name }) => name);
}

type Maps = AsyncGenerator<{ layer: string; data: Float32Array }, undefined, undefined>;

/** The next map of this name; both sets have it. */
async function until(maps: Maps, layer: string): Promise<Float32Array> {
  for (;;) {
    const { value } = await maps.next();
    if (!value || value.layer === layer) return value?.data ?? new Float32Array();
  }
}

/** Every step's output in turn; a layer's weights are read for it and given back. */
async function* maps(opened: OpenedWeights, layers: readonly Layer[], side: number, backend: Backend, options: ActivationOptions): Maps {
  const { network, mapping, preprocessing } = opened;
  const file = { ...opened.file, close: async () => {} };
  // A pool would join the layer before it, whose own output is to be seen.
  const kept = layers.flatMap(({ kind, name }) => (kind === 'relu' ? [name] : []));
  const plan = steps(layers, new Set(kept), place(network, layers, 1, side, side, backend.info));
  const flatten = plan.find(({ layer: { kind } }) => kind === 'flatten' || kind === 'mean');
  let data = preparedPicture(side, network.channels, preprocessing);
  let shape = [1, side, side, network.channels];
  for (const step of plan) {
    throwIfAborted(options.signal, 'compare');
    const store = new WeightStore(file, mapping);
    try {
      // A pass begins with a map: behind the flattening, vectors are maps of one cell and are flattened again; the mean of one cell is the cell.
      const [n = 1, c = 1] = shape;
      const input = shape.length === 4 ? (shape as [number, number, number, number]) : ([n, 1, 1, c] as [number, number, number, number]);
      const own = shape.length === 4 || !flatten ? [step] : [flatten, step];
      const found = await forward(own, data, input, new Set([step.output]), {
        backend: async (name) => (name === backend.name ? backend : openBackend(name)),
        weights: (layer, on) => store.get(layer, on),
        ...(options.signal && { signal: options.signal }),
      });
      ({ data, shape } = found.get(step.output)!);
    } finally {
      await store.dispose();
    }
    yield { layer: step.output, data };
  }
  return undefined;
}

function distance(a: Float32Array, b: Float32Array): { relative: number; cosine: number } {
  let [dot, aa, bb, largest, most] = [0, 0, 0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    dot += x * y;
    aa += x * x;
    bb += y * y;
    largest = Math.max(largest, Math.abs(x));
    most = Math.max(most, Math.abs(x - y));
  }
  const isSame = most === 0;
  return { relative: isSame ? 0 : most / (largest || 1), cosine: isSame ? 1 : Math.min(1, dot / (Math.sqrt(aa) * Math.sqrt(bb) || 1)) };
}
