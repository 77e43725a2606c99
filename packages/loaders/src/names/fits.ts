import { product } from '../numbers.js';
import type { FoundLayer, WeightSpec } from '../spec.js';
import type { Index } from './layers.js';

/** Whether a file's layer has as many values as the table's, in some order of the axes. */
export function fitsSpec({ tensors }: Pick<Index, 'tensors'>, { kind, parts }: FoundLayer, spec: WeightSpec): boolean {
  if (kind !== spec.kind) return false;
  const shape = tensors.get(parts.get(kind === 'batchnorm' ? 'mean' : 'weight') ?? '')?.shape;
  if (shape === undefined) return true; // a part alone, as of an interrupted download
  if (kind === 'conv') return String(shape.toSorted()) === String(spec.shape.toSorted());
  return product(shape) === product(spec.shape);
}
