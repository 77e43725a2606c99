import { VggError } from '@vgg/errors';
import type { RawImage } from '../../pictures/raw.js';
import { type Feature, numberOf, textOf } from './example.js';

/** The picture and class of an Example. */
export interface LabelledPicture {
  /** Encoded bytes or raw pixels. */
  readonly image: Uint8Array | RawImage;
  readonly label: number | undefined;
  readonly text: string | undefined;
}

// In the order in which they are looked for: TensorFlow's usual names, then those of tutorials.
const IMAGES = ['image/encoded', 'image', 'image_raw', 'data'];
const LABELS = ['image/class/label', 'label'];
const TEXTS = ['image/class/text', 'label/text', 'class', 'label'];

type Features = ReadonlyMap<string, Feature>;

/**
 * What an Example shows. Raw pixels are rows of RGB, grey or RGBA bytes of `image/height` x `image/width` (or `height` x `width`); where
 * there are none, those of a square RGB picture, as of 32 x 32 in 3072 bytes.
 *
 * @throws VggError `VGG_FORMAT` if there is no picture in it
 */
export function pictureOf(features: Features, who: string): LabelledPicture {
  const first = <T>(names: readonly string[], read: (feature: Feature | undefined) => T | undefined) => {
    for (const name of names) {
      const found = read(features.get(name));
      if (found !== undefined) return { name, found };
    }
    return undefined;
  };
  const image = first(IMAGES, (feature) => feature?.bytesList?.[0]);
  if (!image) {
    const held = [...features.keys()]
      .slice(0, 8)
      .map((name) => name.slice(0, 40))
      .join(', ');
    throw new VggError(
      'VGG_FORMAT',
      `${who}: expected an Example with a picture (${IMAGES.join(', ')}), received the features ${held || 'none'}`,
    );
  }
  const raw = image.name === 'image/encoded' ? undefined : rawImage(image.found, features);
  return { image: raw ?? image.found, label: first(LABELS, numberOf)?.found, text: first(TEXTS, textOf)?.found };
}

function rawImage(data: Uint8Array, features: Features): RawImage | undefined {
  const size = (side: string) => numberOf(features.get(`image/${side}`)) ?? numberOf(features.get(side));
  const [height, width] = [size('height'), size('width')];
  if (height !== undefined && width !== undefined) {
    for (const channels of [3, 1, 4] as const)
      if (data.length === height * width * channels && data.length > 0) return { data, width, height, channels };
    return undefined;
  }
  const side = Math.sqrt(data.length / 3);
  return Number.isInteger(side) && side > 0 ? { data, width: side, height: side, channels: 3 } : undefined;
}
