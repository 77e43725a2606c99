import type { OnProgress, VggError } from '@vgg/errors';
import type { Network } from '../network/plan.js';
import type { ImageInputs } from '../pictures/images.js';
import type { Preprocessing } from '../pictures/preprocessing.js';

/** How a map becomes a vector: its mean or maximum over the cells, or all of it flattened (H, W, C). */
export type Pooling = 'average' | 'max' | 'none';

export interface EmbedOptions {
  /** The tap, by paper name or alias; default the deepest pool that the weights reach. */
  layer?: string;
  /** Default `average`. */
  pooling?: Pooling;
  /** Divide each vector by its Euclidean length; default false. */
  normalize?: boolean;
  /** Squash pictures to size x size instead of the weights' own size rules. */
  size?: number;
  /** Turn pictures as their EXIF orientation says; default false. */
  orientation?: boolean;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** One picture's vector, or why there is none. `index` is the picture's place in the input. */
export type Embedded =
  | { readonly index: number; readonly name: string; readonly vector: Float32Array }
  | { readonly index: number; readonly name: string; readonly error: VggError };

/** What a head needs of the model that it stands on. */
export interface Embedder {
  readonly network: Network;
  readonly preprocessing: Preprocessing;
  /** What the weights call themselves, for messages. */
  readonly weightsName: string;
  /** A digest of the network and its weights up to a tap (read now if they were not yet): equal for equal features, whatever file they came from. */
  fingerprint(layer: string, options?: { signal?: AbortSignal }): Promise<string>;
  /** The deepest pool (or else layer) that the weights reach: the default tap. */
  readonly deepest: string;
  /** The tap's paper name. */
  resolve(layer: string): string;
  /** Vectors of many pictures, in order, micro-batched; a picture that cannot be read gives an `error` in its place. */
  embedAll(images: ImageInputs, options?: EmbedOptions): AsyncGenerator<Embedded>;
}
