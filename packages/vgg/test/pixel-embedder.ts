import { VggError } from '@vgg/errors';
import { network } from '../src/network/architecture.js';
import type { Network } from '../src/network/plan.js';
import { type ImageInput, type ImageInputs, toPictures } from '../src/pictures/images.js';
import { PREPROCESSINGS, type Preprocessing } from '../src/pictures/preprocessing.js';
import { fromRaw, isRawImage } from '../src/pictures/raw.js';
import type { Embedded, Embedder, EmbedOptions } from '../src/run/embedding.js';

const NETWORK: Network = { ...network({ blocks: [[4]], top: false }), name: 'pixels' };

/**
 * An embedder without a network: a raw picture's vector is the mean (or maximum) of each channel, or, without pooling, all its values.
 * `scale` stands for its weights: another scale is another base.
 */
export class PixelEmbedder implements Embedder {
  readonly network = NETWORK;
  readonly weightsName: string;
  readonly deepest = 'pixels';
  /** Pictures that were embedded so far. */
  embedded = 0;

  constructor(
    readonly scale = 1,
    readonly preprocessing: Preprocessing = PREPROCESSINGS.none,
  ) {
    this.weightsName = `scale-${scale}`;
  }

  resolve(layer: string): string {
    if (layer !== 'pixels' && layer !== 'raw') throw new VggError('VGG_LAYER', `pixels: there is no layer ${layer}`);
    return 'pixels';
  }

  async fingerprint(layer: string): Promise<string> {
    return `${this.resolve(layer)}-${this.scale}`;
  }

  async *embedAll(images: ImageInputs, options: EmbedOptions = {}): AsyncGenerator<Embedded> {
    const decode = async (image: unknown, { name = 'picture' }: { name?: string }) => {
      if (!isRawImage(image)) throw new VggError('VGG_INPUT', `${name}: expected raw pixels`);
      return fromRaw(image, name);
    };
    const signal = options.signal;
    for await (const { index, name, picture, error } of toPictures(images, decode, { ...(signal && { signal }) })) {
      this.embedded++;
      options.onProgress?.({ stage: 'extract', loaded: this.embedded });
      if (error) yield { index, name, error };
      else yield { index, name, vector: this.#vector(picture.data, options.pooling) };
    }
  }

  #vector(data: Uint8Array, pooling: EmbedOptions['pooling']): Float32Array {
    if (pooling === 'none') return Float32Array.from(data, (value) => value * this.scale);
    const vector = new Float32Array(3);
    for (let c = 0; c < 3; c++) {
      const own = data.filter((_, i) => i % 3 === c);
      vector[c] = this.scale * (pooling === 'max' ? Math.max(...own) : own.reduce((a, b) => a + b, 0) / own.length);
    }
    return vector;
  }
}

/** A picture of one colour with a little noise that `seed` decides. */
export function patch(red: number, green: number, blue: number, seed: number): ImageInput {
  const data = new Uint8Array(48);
  for (let i = 0; i < data.length; i++)
    data[i] = Math.max(0, Math.min(255, [red, green, blue][i % 3]! + ((seed * 7919 + i * 104729) % 41) - 20));
  return { data, width: 4, height: 4, channels: 3 };
}

/** `count` pictures of each of three colours; `from` makes others of the same kind. */
export function colours(count: number, from = 0): Record<string, ImageInput[]> {
  const several = (red: number, green: number, blue: number) => Array.from({ length: count }, (_, i) => patch(red, green, blue, from + i));
  return { red: several(200, 60, 60), green: several(60, 200, 60), blue: several(60, 60, 200) };
}
