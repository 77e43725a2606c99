import type { TensorInfo, WeightFile } from '../format.js';
import { product } from '../numbers.js';
import type { FoundLayer, Part } from '../spec.js';
import { inNaturalOrder } from './natural.js';

/** As much of a file as its names and shapes need. */
export type Index = Pick<WeightFile, 'format' | 'name' | 'tensors' | 'graph'>;

/** What one tensor's name says. */
export interface Named {
  /** The file's name of the layer. */
  readonly layer: string;
  readonly part: Part;
  /** The paper's name of the layer, where the file's tells it. */
  readonly place?: string;
}

/** Whether filters are OIHW and dense weights [out, in]; undefined where only the shape of each tells. */
export type Layout = Readonly<Record<'conv' | 'dense', boolean | undefined>>;

/** Dense layers that a file may hold as convolutions: 7x7, and 1x1 behind it. */
const DENSE = /(?:^|[./])(?:fc\d+|predictions|classifier(?:\.\d+)?)$/;

/** Gathers tensors into layers, in the order in which the layers first appear. */
export function gatherLayers(tensors: Iterable<readonly [info: TensorInfo, named: Named]>): FoundLayer[] {
  const layers = new Map<string, { parts: Map<Part, string>; rank: number; place?: string }>();
  for (const [info, { layer: name, part, place }] of tensors) {
    const layer = layers.get(name) ?? { parts: new Map<Part, string>(), rank: 1, ...(place !== undefined && { place }) };
    layers.set(name, layer);
    layer.parts.set(part, info.name);
    if (part === 'weight') layer.rank = info.shape.length;
  }
  return [...layers].map(([name, { parts, rank, place }]) => ({
    name,
    ...ofKind(parts, rank, place ?? name),
    ...(place !== undefined && { place }),
  }));
}

/** PyTorch calls the scale and offset of a batch normalisation its weight and bias. */
function ofKind(parts: Map<Part, string>, rank: number, name: string): Pick<FoundLayer, 'kind' | 'parts'> {
  const isNorm = parts.has('mean') || parts.has('variance') || parts.has('scale');
  if (!isNorm) return { kind: rank === 4 && !DENSE.test(name) ? 'conv' : 'dense', parts };
  const ofNorm: Partial<Record<Part, Part>> = { weight: 'scale', bias: 'offset' };
  return { kind: 'batchnorm', parts: new Map([...parts].map(([part, tensor]) => [ofNorm[part] ?? part, tensor])) };
}

/**
 * The layers in the order of the network, where their names do not tell: that of the file's graph; else the file's own, if each layer
 * takes what the one before it gives; else by the numbers in the names (`conv2d_2` before `conv2d_10`), if that goes together better.
 */
export function networkOrder(layers: readonly FoundLayer[], file: Index, layout: Layout): readonly FoundLayer[] {
  const ranks = new Map(file.graph?.layers.map(({ name }, rank) => [name, rank]));
  if (layers.every(({ name }) => ranks.has(name))) return layers.toSorted((a, b) => ranks.get(a.name)! - ranks.get(b.name)!);
  if (breaks(layers, file, layout) === 0) return layers;
  const places = new Map(inNaturalOrder(layers.map(({ name }) => name)).map((name, place) => [name, place]));
  const byName = layers.toSorted((a, b) => places.get(a.name)! - places.get(b.name)!);
  return breaks(byName, file, layout) < breaks(layers, file, layout) ? byName : layers;
}

/** How often a layer does not take what the one before it gives. */
function breaks(layers: readonly FoundLayer[], { tensors }: Index, layout: Layout): number {
  let count = 0;
  let before: { kind: FoundLayer['kind']; out: number } | undefined;
  for (const { kind, parts } of layers) {
    const shape = tensors.get(parts.get('weight') ?? '')?.shape;
    if (kind === 'batchnorm' || shape === undefined || shape.length < 2) continue;
    const outputFirst = layout[kind];
    const out = outputFirst ? shape[0]! : shape.at(-1)!;
    const inputs = kind === 'conv' ? shape[outputFirst ? 1 : shape.length - 2]! : outputFirst ? shape[1]! : shape.at(-2)!;
    // The first dense layer takes a map of any side.
    const fits = before === undefined || (before.kind === 'conv' && kind === 'dense' ? inputs % before.out === 0 : inputs === before.out);
    if (!fits || (before?.kind === 'dense' && kind === 'conv')) count++;
    before = { kind, out };
  }
  return count;
}

/**
 * Whether a file's filters are OIHW, and its dense weights [out, in], by a vote of all layers of that kind: the bias is as long as the
 * outputs are many, a filter's window is small and square, and a dense layer takes as much as the one before it gives. Undefined where
 * the votes are equal, as for one square matrix.
 */
export function layoutByVote({ tensors }: Pick<Index, 'tensors'>, layers: readonly FoundLayer[]): Layout {
  const votes = { conv: 0, dense: 0 };
  let before: readonly number[] | undefined;
  for (const { kind, parts } of layers) {
    const shape = tensors.get(parts.get('weight') ?? '')?.shape;
    if (kind === 'batchnorm' || shape === undefined || shape.length < 2) continue;
    if (before && shape.length === 2) votes.dense += Number(shape[1] === before[0]) - Number(shape[0] === before[1]);
    before = shape.length === 2 ? shape : undefined;
    const bias = tensors.get(parts.get('bias') ?? '')?.shape;
    const outputs = bias && product(bias);
    if (outputs !== undefined) votes[kind] += Number(outputs === shape[0]) - Number(outputs === shape.at(-1));
    if (shape.length === 4) votes[kind] += Number(isWindow(shape[2]!, shape[3]!)) - Number(isWindow(shape[0]!, shape[1]!));
  }
  const result = (count: number) => (count === 0 ? undefined : count > 0);
  return { conv: result(votes.conv), dense: result(votes.dense) };
}

/** The largest window of the family is fc6's. */
const isWindow = (height: number, width: number) => height === width && height <= 7;
