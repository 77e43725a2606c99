import type { GraphLayer } from '../../graph.js';
import { torchTensor } from '../../names/torch.js';
import type { Part } from '../../spec.js';
import type { StoredTensor } from '../tensors.js';
import type { Constant } from './constants.js';
import type { Step } from './layers.js';

/** What programs call the parts of a batch normalisation, and what they are called here. */
const SUFFIXES: Readonly<Record<Part, readonly string[]>> = {
  weight: ['weight'],
  bias: ['bias'],
  scale: ['scale', 'weight'],
  offset: ['offset', 'bias'],
  mean: ['mean', 'running_mean'],
  variance: ['variance', 'running_var'],
};

/** What a layer is called where the file's names do not tell which belong together. */
const COUNTED: Readonly<Partial<Record<GraphLayer['kind'], string>>> = { conv: 'conv', dense: 'dense', batchnorm: 'bn' };

/**
 * Names layers and weights. Where the initialisers of each layer have one name and the parts' words behind it (`features.0.weight`,
 * `features.0.bias`), they keep it; else the layers are counted in the order they run: `conv0.weight`, `bn0.scale`, `dense0.weight`.
 */
export function nameSteps(steps: readonly Step[]): { layers: GraphLayer[]; tensors: StoredTensor[] } {
  const own = new Map<Step, string>();
  for (const step of steps) {
    const name = step.parts.size > 0 ? ownName(step.parts) : undefined;
    if (name !== undefined) own.set(step, name);
  }
  const weighted = steps.filter(({ parts }) => parts.size > 0);
  const keep = own.size === weighted.length && new Set(own.values()).size === own.size;
  const isTorch = keep && weighted.every(({ parts }) => [...parts.values()].every(({ from }) => torchTensor(from) !== undefined));
  const counts = new Map<string, number>();
  for (const step of keep ? [] : weighted) {
    const word = COUNTED[step.layer.kind] ?? step.layer.kind;
    const count = counts.get(word) ?? 0;
    counts.set(word, count + 1);
    own.set(step, `${word}${count}`);
  }
  const taken = new Set(own.values());
  const layers: GraphLayer[] = [];
  const tensors: StoredTensor[] = [];
  for (const step of steps) {
    const name = own.get(step) ?? unique(step.layer.name, taken);
    layers.push({ ...step.layer, name });
    for (const [part, { from, tensor }] of step.parts) {
      const stored = isTorch ? from : `${name}.${part}`;
      const { name: _, ...info } = tensor.info;
      tensors.push({ ...tensor, info: { name: stored, ...info, ...(stored !== from && { storedAs: from }) } });
    }
  }
  return { layers, tensors };
}

/** The layer's name in the names of its tensors, if they agree on one. */
function ownName(parts: ReadonlyMap<Part, Constant>): string | undefined {
  let common: string | undefined;
  for (const [part, { from }] of parts) {
    const suffix = SUFFIXES[part].find((word) => from.endsWith(`.${word}`));
    const name = suffix && from.slice(0, -suffix.length - 1);
    if (!name || (common !== undefined && name !== common)) return undefined;
    common = name;
  }
  return common;
}

/** This name, or with a number behind it where another has it. */
export function unique(name: string, taken: Set<string>): string {
  let free = name;
  if (taken.has(name)) free = `${name}_${taken.size}`;
  while (taken.has(free)) free += '_';
  taken.add(free);
  return free;
}
