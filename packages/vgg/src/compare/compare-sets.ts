import { throwIfAborted } from '@vgg/errors';
import { canonicalTensors, readCanonical, type WeightSpec } from '@vgg/loaders';
import type { SourceInput } from '../io/io.js';
import type { Plan } from '../network/plan.js';
import type { Preprocessing } from '../pictures/preprocessing.js';
import { type OpenedWeights, openNetworkWeights } from '../weights/open-weights.js';
import { weightSpecs } from '../weights/specs.js';
import { type Cause, causeOf } from './cause.js';
import type { CompareOptions, Comparison, Difference } from './compare.js';
import { compareActivations, type TapError } from './compare-activations.js';

/** Maps that differ by no more than this part of their largest value are the same but for rounding. */
const DIVERGES = 1e-4;

/** What {@link compareWeights} does. */
export async function compareSets(a: SourceInput, b: SourceInput, options: CompareOptions): Promise<Comparison> {
  return withBoth(a, b, options, (first, second) => compareOpened(first, second, options));
}

/**
 * How far the maps of the second set are from those of the first on the standard picture: what float16 or int8 costs.
 * @throws VggError as {@link compareWeights}
 */
export async function measureErrors(a: SourceInput, b: SourceInput, options: CompareOptions = {}): Promise<TapError[]> {
  return withBoth(a, b, options, async (first, second) => (await compareActivations(first, second, options)).taps);
}

async function withBoth<T>(
  a: SourceInput,
  b: SourceInput,
  options: CompareOptions,
  use: (first: OpenedWeights, second: OpenedWeights) => Promise<T>,
): Promise<T> {
  const { arch, ...opening } = options;
  const first = await openNetworkWeights(arch, { ...opening, weights: a }, true);
  try {
    const second = await openNetworkWeights(arch, { ...opening, weights: b }, true);
    try {
      return await use(first, second);
    } finally {
      await second.file.close();
    }
  } finally {
    await first.file.close();
  }
}

async function compareOpened(a: OpenedWeights, b: OpenedWeights, options: CompareOptions): Promise<Comparison> {
  const { first: values, differing, tensors } = await compareValues(a, b, options);
  const { side, taps } = await compareActivations(a, b, options);
  const diverges = taps.find(({ relative }) => !(relative <= DIVERGES))?.layer ?? null;
  const prepared = diverges === null ? undefined : preparedOtherwise(a, b);
  // Values come first in the order of the layers, but what is done to the picture comes before all of them.
  const difference = values?.layer === inputLayer(a)?.name ? values : (prepared ?? values ?? computedOtherwise(a, b, diverges));
  return { ok: difference === null, firstDifference: difference, differing, tensors, diverges, side, taps };
}

const inputLayer = ({ network }: OpenedWeights) => network.layers.find(({ kind }) => kind === 'conv');

interface ValuesCompared {
  readonly first: Difference | null;
  readonly differing: readonly string[];
  readonly tensors: number;
}

/** The tensors whose values are not the same in both, and of the first in the order of the network why. */
async function compareValues(a: OpenedWeights, b: OpenedWeights, { signal, onProgress }: CompareOptions): Promise<ValuesCompared> {
  const { network } = a.network.layers.length >= b.network.layers.length ? a : b;
  const names = weightSpecs(network).flatMap((spec) => canonicalTensors(spec).map(({ name }) => ({ spec, tensor: name })));
  const reading = signal ? { signal } : {};
  const differing: string[] = [];
  let first: Difference | null = null;
  let tensors = 0;
  for (const [i, { spec, tensor }] of names.entries()) {
    throwIfAborted(signal, 'compare');
    onProgress?.({ stage: 'compare', loaded: i, total: names.length, item: tensor });
    const layer = spec.name;
    const [one, two] = [a, b].map(({ mapping }) => mapping.tensors.get(tensor));
    if (!one?.present && !two?.present) continue;
    tensors++;
    if (!one?.present || !two?.present) {
      differing.push(tensor);
      first ??= { layer, tensor, reason: `is only in the ${one?.present ? 'first' : 'second'}` };
      continue;
    }
    if (String(one.shape) !== String(two.shape)) {
      differing.push(tensor);
      first ??= { layer, tensor, reason: `has the shapes [${one.shape}] and [${two.shape}]` };
      continue;
    }
    const left = await readCanonical(a.file, a.mapping, tensor, reading);
    const right = await readCanonical(b.file, b.mapping, tensor, reading);
    const at = unequal(left, right);
    if (at < 0) continue;
    differing.push(tensor);
    first ??= differenceOf({ a, b, spec, tensor, left, right, at });
  }
  return { first, differing, tensors };
}

interface Unequal {
  readonly a: OpenedWeights;
  readonly b: OpenedWeights;
  readonly spec: WeightSpec;
  readonly tensor: string;
  readonly left: Float32Array;
  readonly right: Float32Array;
  /** The first value that differs. */
  readonly at: number;
}

/** Two tensors of one shape, and why their values differ. */
function differenceOf({ a, b, spec, tensor, left, right, at }: Unequal): Difference {
  const layer = spec.name;
  const odd = left.findIndex((value, i) => Number.isNaN(value) !== Number.isNaN(right[i]!));
  if (odd >= 0) {
    const [which, other] = Number.isNaN(left[odd]!) ? ['first', right] : ['second', left];
    return { layer, tensor, reason: `has no number as value ${odd} in the ${which}, where the other has ${shown(other[odd]!)}` };
  }
  let count = 0;
  let maxDifference = 0;
  for (let k = 0; k < left.length; k++) {
    if (left[k] === right[k] || Number.isNaN(left[k]!)) continue;
    count++;
    maxDifference = Math.max(maxDifference, Math.abs(left[k]! - right[k]!));
  }
  const isInput = layer === inputLayer(a)?.name;
  const why = tensor.endsWith('.weight') ? causeOf(spec, left, right, isInput) : isInput ? MEAN : undefined;
  if (why) return { layer, tensor, ...why, maxDifference };
  const networks = planDifferences(a, b);
  const others = networks ? `, and the networks differ in ${networks}` : '';
  const values = `${count} of ${left.length}, ${count > 1 ? 'the first of them ' : ''}${shown(left[at]!)} and ${shown(right[at]!)}`;
  return { layer, tensor, reason: `has other values: ${values}${others}`, maxDifference };
}

const shown = (value: number) => String(Number(value.toPrecision(5)));

const MEAN = { cause: 'mean', reason: 'alone differs, not the filters: a mean of the picture is worked into one of the sets' } as const;

/** -0 equals 0, and NaN equals NaN. */
function unequal(a: Float32Array, b: Float32Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i] && !Object.is(a[i], b[i])) return i;
  return -1;
}

/** The same values, and pictures brought to them in another way. */
function preparedOtherwise({ network, preprocessing: a }: OpenedWeights, { preprocessing: b }: OpenedWeights): Difference | undefined {
  const same = (key: 'channelOrder' | 'scale' | 'mean' | 'std') => JSON.stringify(a[key]) === JSON.stringify(b[key]);
  const cause: Cause | undefined = !same('channelOrder')
    ? 'bgr-rgb'
    : !same('scale') || !same('std')
      ? 'scale'
      : !same('mean')
        ? 'mean'
        : undefined;
  if (!cause) return undefined;
  const over = (std: readonly number[]) => (std.every((side) => side === 1) ? '' : ` over ${std.join(', ')}`);
  const of = ({ name, channelOrder, scale, mean, std }: Preprocessing) =>
    `${name} (${channelOrder.toUpperCase()} times ${Number(scale.toPrecision(4))} minus ${mean.join(', ')}${over(std)})`;
  return {
    layer: network.layers.find(({ kind }) => kind === 'conv')?.name ?? network.layers[0]!.name,
    cause,
    reason: `receives other pictures: the preprocessing of the first is ${of(a)}, of the second ${of(b)}`,
  };
}

function computedOtherwise(a: OpenedWeights, b: OpenedWeights, diverges: string | null): Difference | null {
  if (diverges === null) return null;
  const networks = planDifferences(a, b) || 'no key of their plans';
  return { layer: diverges, reason: `comes out otherwise: the networks differ in ${networks}` };
}

/** What the plans have otherwise, such as `pool "max" and "average"`; empty where nothing. */
function planDifferences({ network: { plan: a } }: OpenedWeights, { network: { plan: b } }: OpenedWeights): string {
  const keys = Object.keys(a) as (keyof Plan)[];
  const odd = keys.filter((key) => key !== 'name' && JSON.stringify(a[key]) !== JSON.stringify(b[key]));
  return odd.map((key) => `${key} ${JSON.stringify(a[key])} and ${JSON.stringify(b[key])}`).join(', ');
}

export type { TapError };
