import type { VggError } from '@vgg/errors';
import type { Dataset } from '../example.js';
import type { ExampleInput } from './example.js';

export interface DatasetExamplesOptions {
  /**
   * `encoded` (the default) keeps each picture's file: `image/encoded`, `image/format`, `image/height`, `image/width`, `image/filename`,
   * `image/class/label` and `image/class/text`, the names that TensorFlow's own data sets have. `raw` has `label` and `data`, the
   * size x size x 3 bytes of the pixels, and needs no decoder when it is read.
   */
  form?: 'encoded' | 'raw';
  /** raw: pixels of a side, to which pictures are squashed by the bicubic filter; default 32. */
  size?: number;
  /** The places of the examples to take, in this order; default all. */
  order?: ArrayLike<number>;
  /** Pictures read at the same time; default 8. */
  concurrency?: number;
  /** Told of a picture that cannot be read, and is left out; without it the first one is thrown. */
  onFailed?: (name: string, error: VggError) => void;
  signal?: AbortSignal;
}

/**
 * The pictures of a dataset as TensorFlow's Examples, to be written to a TFRecord file. Labels are the places of the classes, from 0.
 *
 * @throws VggError `VGG_INPUT` for raw pixels in the encoded form, and as decoding a picture; `VGG_OPTION`, `VGG_ABORTED`
 * @example
 * const dataset = await openDataset('photos');
 * await writeTfRecords('photos.tfrecord', datasetExamples(dataset, { form: 'raw', size: 32 })); // 244
 */
export async function* datasetExamples(
  dataset: Dataset,
  options: DatasetExamplesOptions = {},
): AsyncGenerator<ExampleInput, void, undefined> {
  const { examplesOf } = await import('./examples-of.js');
  yield* examplesOf(dataset, options);
}
