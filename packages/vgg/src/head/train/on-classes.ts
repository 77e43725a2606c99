import { mapClasses } from '../head.js';
import { movedColumns } from '../targets.js';
import type { FeatureSet } from './features.js';

/** Classes of which there are examples, in their order. */
export function presentClasses({ classes, labels, targets, count }: FeatureSet): string[] {
  if (!targets) return classes.filter((_, c) => labels.includes(c));
  const width = classes.length;
  return classes.filter((_, c) => Array.from({ length: count }, (_, i) => targets[i * width + c]!).some((target) => target !== 0));
}

/**
 * The same rows with labels that are places among other classes; classes of theirs without examples need not be among them.
 *
 * @throws VggError `VGG_DATASET` for a class that is not among them
 */
export function onClasses(features: FeatureSet, classes: readonly string[], who: string): FeatureSet {
  const known = features.targetKind === 'number' ? features.classes : presentClasses(features);
  mapClasses(known, classes, who);
  const places = features.classes.map((name) => classes.indexOf(name));
  const { targets } = features;
  return {
    ...features,
    labels: features.labels.map((label) => Math.max(0, places[label]!)),
    ...(targets && { targets: movedColumns(targets, places, classes.length) }),
  };
}
