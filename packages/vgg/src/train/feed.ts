import { VggError } from '@vgg/errors';
import type { Batch, PictureContext } from '../data/loader.js';
import { type AugmentOptions, augment } from '../pictures/augment.js';
import type { Picture } from '../pictures/picture.js';
import { arrange, normalise, type Prepared } from '../pictures/preprocess.js';
import type { Preprocessing } from '../pictures/preprocessing.js';

/** Pictures of one size as a network takes them. */
export interface Pictures {
  /** [N, H, W, 3] */
  readonly x: Float32Array;
  readonly shape: readonly [number, number, number, number];
  readonly labels: Int32Array;
}

/** A training picture as the network sees it this time. Only where the scale is drawn does the augmentation itself bring it to size. */
export function trainingInput(
  picture: Picture,
  preprocessing: Preprocessing,
  options: AugmentOptions | undefined,
  { example, random }: Pick<PictureContext, 'example' | 'random'>,
): Prepared {
  const { name } = example;
  if (!options) return normalise(arrange(picture, preprocessing, { name }), preprocessing);
  const start = options.scale === undefined ? arrange(picture, preprocessing, { name }) : picture;
  return normalise(augment(start, options, random), preprocessing);
}

/** A batch in portions of at most so many pictures, each as one array. @throws VggError `VGG_SHAPE` for pictures of several sizes */
export function* portionsOf({ items, labels }: Pick<Batch<Prepared>, 'items' | 'labels'>, most: number): Generator<Pictures> {
  const [first] = items;
  if (!first) return;
  const { width, height } = first;
  const other = items.find((item) => item.width !== width || item.height !== height);
  if (other) {
    throw new VggError(
      'VGG_SHAPE',
      `train: expected pictures of one size, received ${height}x${width} and ${other.height}x${other.width}; pass a size to squash them to`,
    );
  }
  const length = height * width * 3;
  for (let from = 0; from < items.length; from += most) {
    const own = items.slice(from, from + most);
    const x = new Float32Array(own.length * length);
    own.forEach(({ data }, i) => {
      x.set(data, i * length);
    });
    yield { x, shape: [own.length, height, width, 3], labels: labels.slice(from, from + own.length) };
  }
}
