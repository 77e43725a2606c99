import { VggError } from '@vgg/errors';
import { type Dataset, type DatasetInput, openDataset } from '../data/dataset.js';
import type { OpenOptions } from '../io/io.js';
import { type ImageInput, nameOf } from '../pictures/images.js';

/** What is known of an example besides one class: several labels, or a number. */
export type TargetKind = 'labels' | 'number';

/** A picture with all its labels; none is an example of no class. */
export interface LabelledImage {
  readonly image: ImageInput;
  readonly labels: readonly string[];
}

/** A picture with the number that is to be told from it. */
export interface MeasuredImage {
  readonly image: ImageInput;
  readonly target: number;
}

/** Pictures with labels or numbers; in a dataset the names of classes say them: `sea;sunset`, `3.5`. */
export type TargetInput = DatasetInput | readonly LabelledImage[] | readonly MeasuredImage[];

/** A dataset with targets [examples, classes]: 1 or 0 for labels; or [examples, 1], numbers. */
export interface TargetDataset extends Dataset {
  readonly targets: Float32Array;
  readonly targetKind: TargetKind;
}

/** What the only output of a regression head is called. */
const VALUE = 'value';
const SEPARATOR = ';';

/**
 * Opens pictures with labels or numbers. In lists, folders and other datasets the class is a number, or labels with semicolons between; with
 * labels, a picture that several classes have is one example with all of them.
 *
 * @throws VggError `VGG_DATASET` for a target that is no number, an empty label, and what {@link openDataset} throws
 */
export async function openTargets(input: TargetInput, kind: TargetKind, options: OpenOptions = {}): Promise<TargetDataset> {
  if (isRecords(input)) return kind === 'labels' ? fromLabels(labelled(input), []) : fromNumbers(measured(input), []);
  const { classes, examples, skipped } = await openDataset(input as DatasetInput, options);
  if (kind === 'number') {
    const numbers = classes.map(Number);
    return fromNumbers(
      examples.map(({ image, label, name }) => ({ image, name, target: classes[label]!.trim() === '' ? Number.NaN : numbers[label]! })),
      skipped,
    );
  }
  const names = classes.map((name) => name.split(SEPARATOR).map((part) => part.trim()));
  const merged = new Map<ImageInput, NamedLabels>();
  for (const { image, label, name } of examples) {
    const before = merged.get(image);
    merged.set(image, { image, name: before?.name ?? name, labels: [...(before?.labels ?? []), ...names[label]!] });
  }
  return fromLabels([...merged.values()], skipped);
}

type NamedLabels = LabelledImage & { readonly name: string };
type NamedNumber = MeasuredImage & { readonly name: string };

function isRecords(input: unknown): input is readonly (LabelledImage & MeasuredImage)[] {
  return Array.isArray(input) && input.length > 0 && input.every((item) => typeof item === 'object' && item !== null && 'image' in item);
}

const nameAt = (image: ImageInput, i: number) => nameOf(image) ?? `pictures[${i}]`;

function labelled(records: readonly LabelledImage[]): NamedLabels[] {
  return records.map(({ image, labels }, i) => {
    const name = nameAt(image, i);
    if (!Array.isArray(labels))
      throw new VggError('VGG_DATASET', `dataset: expected a list of labels for ${name}, received ${typeof labels}`);
    return { image, labels, name };
  });
}

function measured(records: readonly MeasuredImage[]): NamedNumber[] {
  return records.map(({ image, target }, i) => ({ image, target, name: nameAt(image, i) }));
}

function fromLabels(examples: readonly NamedLabels[], skipped: Dataset['skipped']): TargetDataset {
  const odd = examples.find(({ labels }) => labels.some((label) => typeof label !== 'string' || label === ''));
  if (odd)
    throw new VggError(
      'VGG_DATASET',
      `dataset: expected labels that are not empty, received ${JSON.stringify(odd.labels)} for ${odd.name}`,
    );
  const classes = [...new Set(examples.flatMap(({ labels }) => labels))].sort((a, b) => (a < b ? -1 : 1));
  if (classes.length === 0) throw new VggError('VGG_DATASET', 'dataset: expected pictures with labels, received none that has any');
  const places = new Map(classes.map((name, c) => [name, c]));
  const targets = new Float32Array(examples.length * classes.length);
  examples.forEach(({ labels }, i) => {
    for (const label of labels) targets[i * classes.length + places.get(label)!] = 1;
  });
  // What is held out is drawn from each first label's examples.
  return {
    classes,
    examples: examples.map(({ image, name, labels }) => ({ image, name, label: places.get(labels[0] ?? '') ?? 0 })),
    skipped,
    targets,
    targetKind: 'labels',
  };
}

function fromNumbers(examples: readonly NamedNumber[], skipped: Dataset['skipped']): TargetDataset {
  const odd = examples.find(({ target }) => !Number.isFinite(target));
  if (odd) throw new VggError('VGG_DATASET', `dataset: expected a finite number for ${odd.name}, received another class or value`);
  return {
    classes: [VALUE],
    examples: examples.map(({ image, name }) => ({ image, name, label: 0 })),
    skipped,
    targets: Float32Array.from(examples, ({ target }) => target),
    targetKind: 'number',
  };
}

/** Targets of one number of classes as targets of more, column by column; columns that nothing goes to are 0, those whose place is below 0 are left out. */
export function movedColumns(targets: Float32Array, places: readonly number[], width: number): Float32Array {
  const own = places.length;
  const moved = new Float32Array((targets.length / own) * width);
  for (let i = 0; i * own < targets.length; i++)
    for (const [c, place] of places.entries()) if (place >= 0) moved[i * width + place] = targets[i * own + c]!;
  return moved;
}

/** One 1 for each class number: single labels as several. */
export function oneHot(labels: Int32Array, classes: number): Float32Array {
  const targets = new Float32Array(labels.length * classes);
  labels.forEach((label, i) => {
    targets[i * classes + label] = 1;
  });
  return targets;
}
