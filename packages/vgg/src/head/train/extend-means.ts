import { VggError } from '@vgg/errors';
import type { StoredHead } from '../head-file.js';
import type { Net } from './net.js';
import type { LabelledRows } from './rows.js';
import { deviationOf, type Standard } from './standardize.js';

/** A nearest-mean head with more examples in it. */
export interface MovedMeans {
  readonly standard: Standard;
  readonly net: Net;
  readonly counts: number[];
}

/**
 * More examples for a nearest-mean head, some perhaps of new classes: means, deviations and the number of examples of each class say all
 * that it knows of the examples before (Chan, Golub and LeVeque 1983), so this is what training on all of them would have made, up to
 * rounding, with the temperature left as it was.
 *
 * @param classes of the new head, the old ones first
 * @throws VggError `VGG_HEAD` for a head that was made before examples were counted
 */
export function extendMeans({ info, standard, net }: StoredHead, more: LabelledRows, classes: number): MovedMeans {
  const { temperature, counts: before } = info.training;
  const old = info.classes.length;
  if (before?.length !== old || !(temperature! > 0)) {
    throw new VggError(
      'VGG_HEAD',
      'extendHead: expected a nearest-mean head with the numbers of its examples, received one without; train it again',
    );
  }
  const { dimensions } = more;
  const { weights } = net[0]!;
  const counts = [...before, ...new Array<number>(classes - old).fill(0)];
  for (const label of more.labels) counts[label]!++;
  const known = before.reduce((a, b) => a + b, 0);
  const total = known + more.count;

  const mean = new Float64Array(dimensions);
  const deviation = new Float64Array(dimensions);
  const means = new Float64Array(classes * dimensions);
  const sums = new Float64Array(classes);
  for (let k = 0; k < dimensions; k++) {
    const column = Float64Array.from({ length: more.count }, (_, i) => more.vectors[i * dimensions + k]!);
    const own = column.reduce((a, b) => a + b, 0) / more.count;
    const square = column.reduce((sum, value) => sum + (value - own) ** 2, 0);
    const [oldMean, oldDeviation] = [standard.mean[k]!, standard.deviation[k]!];
    // A feature that never varied has deviation 1, and every class mean on its mean.
    const varied = oldDeviation !== 1 || Array.from({ length: old }, (_, c) => weights[c * dimensions + k]!).some((weight) => weight !== 0);
    const oldSquare = varied ? known * oldDeviation ** 2 : 0;
    mean[k] = (known * oldMean + more.count * own) / total;
    deviation[k] = deviationOf((oldSquare + square + ((own - oldMean) ** 2 * known * more.count) / total) / total, mean[k]!);
    sums.fill(0);
    for (let i = 0; i < more.count; i++) sums[more.labels[i]!]! += column[i]!;
    for (let c = 0; c < classes; c++) {
      const raw = c < old ? (weights[c * dimensions + k]! / temperature!) * oldDeviation + oldMean : 0;
      const moved = ((before[c] ?? 0) * raw + sums[c]!) / counts[c]!;
      means[c * dimensions + k] = (moved - mean[k]!) / deviation[k]!;
    }
  }
  const bias = Float32Array.from({ length: classes }, (_, c) => {
    const own = means.subarray(c * dimensions, (c + 1) * dimensions);
    return (-temperature! * own.reduce((sum, value) => sum + value * value, 0)) / 2;
  });
  return {
    standard: { mean: Float32Array.from(mean), deviation: Float32Array.from(deviation) },
    net: [{ inputs: dimensions, outputs: classes, weights: Float32Array.from(means, (value) => value * temperature!), bias }],
    counts,
  };
}
