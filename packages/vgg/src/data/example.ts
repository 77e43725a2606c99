import { VggError } from '@vgg/errors';
import type { ImageInput } from '../pictures/images.js';
import { byName, type Skipped } from './photographs.js';

/** A picture and its class. */
export interface Example {
  readonly image: ImageInput;
  /** Its class's place in `classes`. */
  readonly label: number;
  /** For messages and lists of failures: `ants/ant1.jpg`. */
  readonly name: string;
}

/** Pictures in classes; classes are in the order of their names, or of the numbers that a file gives them. */
export interface Dataset {
  readonly classes: readonly string[];
  readonly examples: readonly Example[];
  /** Files that are no photographs, folders without any, and why. */
  readonly skipped: readonly Skipped[];
}

/** A picture whose class is known by its name. */
export interface Named {
  readonly image: ImageInput;
  readonly name: string;
}

/**
 * Classes in the order of their names, and the pictures of each in the order of theirs, or in that of their lists: a canvas or a buffer has no
 * name to sort by.
 */
export function assemble(
  pictures: ReadonlyMap<string, readonly Named[]>,
  skipped: readonly Skipped[],
  { keepOrder = false }: { keepOrder?: boolean } = {},
): Dataset {
  const classes = [...pictures.keys()].sort(byName);
  const examples = classes.flatMap((name, label) => {
    const own = [...pictures.get(name)!];
    if (!keepOrder) own.sort((a, b) => byName(a.name, b.name));
    return own.map((picture) => ({ ...picture, label }));
  });
  return { classes, examples, skipped };
}

export function isDataset(input: object): input is Dataset {
  const { classes, examples } = input as Partial<Dataset>;
  return Array.isArray(classes) && Array.isArray(examples) && examples.every((example) => typeof example?.label === 'number');
}

/** A dataset that someone else made. @throws VggError `VGG_DATASET` if its labels do not fit its classes */
export function checked(dataset: Dataset): Dataset {
  const { classes, examples } = dataset;
  if (new Set(classes).size !== classes.length)
    throw new VggError('VGG_DATASET', 'dataset: expected each class name once, received one twice');
  const wrong = examples.find(({ label }) => !(Number.isInteger(label) && label >= 0 && label < classes.length));
  if (wrong) {
    throw new VggError(
      'VGG_DATASET',
      `dataset: expected labels from 0 to ${classes.length - 1}, received ${wrong.label} for ${wrong.name}`,
    );
  }
  if (examples.length === 0) throw new VggError('VGG_DATASET', 'dataset: expected pictures, received none');
  return { classes, examples, skipped: dataset.skipped ?? [] };
}

/**
 * Several parts as one dataset, in their order: batches of CIFAR, shards. Parts with the same classes keep their numbers, those of others
 * are told apart by their names.
 */
export function joined(parts: readonly Dataset[]): Dataset {
  const [first, ...rest] = parts as [Dataset, ...Dataset[]];
  if (rest.length === 0) return first;
  const isSame = rest.every(
    ({ classes }) => classes.length === first.classes.length && classes.every((name, i) => name === first.classes[i]),
  );
  const classes = isSame ? first.classes : [...new Set(parts.flatMap((part) => part.classes))].sort(byNumberOrName);
  const places = new Map(classes.map((name, i) => [name, i]));
  const examples = parts.flatMap((part) =>
    part.examples.map((example) => ({ ...example, label: places.get(part.classes[example.label]!)! })),
  );
  return { classes, examples, skipped: parts.flatMap(({ skipped }) => skipped) };
}

/** Class names that are numbers come by their value, others as {@link byName}. */
export function byNumberOrName(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  return a.trim() !== '' && b.trim() !== '' && Number.isFinite(x) && Number.isFinite(y) ? x - y || byName(a, b) : byName(a, b);
}
