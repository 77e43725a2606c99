import type { OnProgress } from '@vgg/errors';
import type { Dataset } from '../data/dataset.js';
import { type Batch, batchesOf } from '../data/loader.js';
import type { PictureCache } from '../data/picture-cache.js';
import { pace } from '../head/train/pace.js';
import { softmaxInPlace } from '../head/train/softmax.js';
import { arrange, normalise } from '../pictures/preprocess.js';
import type { Preprocessing } from '../pictures/preprocessing.js';
import { portionsOf } from './feed.js';
import type { Trainable } from './trainable.js';

/** How a network does on pictures that it does not learn from. */
export interface Scored {
  /** Mean cross-entropy, without smoothing. */
  readonly loss: number;
  readonly accuracy: number;
  readonly images: number;
  /** Pictures that could not be read. */
  readonly failed: Batch['failed'];
}

/**
 * Scores pictures by the running statistics and without dropout or augmentation; nothing of the network changes.
 *
 * @throws VggError `VGG_SHAPE`, `VGG_ABORTED`
 */
export async function scoreDataset(
  trainable: Trainable,
  dataset: Dataset,
  preprocessing: Preprocessing,
  options: { portion: number; cache?: PictureCache; signal?: AbortSignal | undefined; onProgress?: OnProgress | undefined },
): Promise<Scored> {
  const { portion, cache, signal, onProgress } = options;
  let [loss, correct, images] = [0, 0, 0];
  const failed: Batch['failed'][number][] = [];
  const batches = batchesOf(dataset, {
    batch: portion,
    shuffle: false,
    prepare: (picture, { example }) => normalise(arrange(picture, preprocessing, { name: example.name }), preprocessing),
    ...(cache && { cache }),
    ...(signal && { signal }),
  });
  const paced = pace(signal, 'evaluate');
  for await (const batch of batches) {
    await paced();
    failed.push(...batch.failed);
    for (const { x, shape, labels } of portionsOf(batch, portion)) {
      const found = softmaxInPlace(await trainable.scores(x, shape), labels.length, trainable.network.classes, labels);
      loss += found.loss;
      correct += found.correct;
      images += labels.length;
    }
    onProgress?.({ stage: 'validate', loaded: images, total: dataset.examples.length });
  }
  return { loss: loss / images, accuracy: correct / images, images, failed };
}
