import { VggError } from '@vgg/errors';
import { didYouMean } from '../text/suggest.js';
import type { Dataset } from './example.js';

/** Which part of a dataset is wanted. */
export interface Selection {
  /** Only these classes; their labels are their places in this list. */
  classes?: readonly string[];
  /** At most so many pictures of each class, the first ones. */
  limit?: number;
}

/**
 * A part of a dataset; the pictures keep their order.
 * @throws VggError `VGG_DATASET` for a class that is not there, or named twice, `VGG_OPTION` for a limit below 1
 */
export function select(dataset: Dataset, { classes, limit }: Selection): Dataset {
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0))
    throw new VggError('VGG_OPTION', `dataset: expected a whole number above 0 as limit, received ${limit}`);
  if (classes === undefined && limit === undefined) return dataset;
  const chosen = classes ?? dataset.classes;
  if (chosen.length === 0 || new Set(chosen).size !== chosen.length)
    throw new VggError('VGG_DATASET', `dataset: expected some class names, each once, received ${JSON.stringify(chosen).slice(0, 200)}`);
  for (const name of chosen) {
    if (dataset.classes.includes(name)) continue;
    const held = dataset.classes.slice(0, 20).join(', ') + (dataset.classes.length > 20 ? ' ...' : '');
    throw new VggError(
      'VGG_DATASET',
      `dataset: expected a class of the dataset (${held}), received "${name}"${didYouMean(name, dataset.classes)}`,
    );
  }
  const places = dataset.classes.map((name) => chosen.indexOf(name));
  const counts = new Array<number>(chosen.length).fill(0);
  const examples = dataset.examples.flatMap((example) => {
    const label = places[example.label]!;
    if (label < 0 || counts[label]! >= (limit ?? Number.POSITIVE_INFINITY)) return [];
    counts[label]!++;
    return [{ ...example, label }];
  });
  const empty = counts.indexOf(0);
  if (classes && empty >= 0) throw new VggError('VGG_DATASET', `dataset: expected pictures of class "${chosen[empty]}", received none`);
  return { classes: [...chosen], examples, skipped: dataset.skipped };
}
