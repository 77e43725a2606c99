import { VggError } from '@vgg/errors';
import { canonicalTensors, type Part, type WeightFile, weightFile } from '@vgg/loaders';
import { type Pace, pace } from '../head/train/pace.js';
import type { Network } from '../network/plan.js';
import { standardNormal } from '../normal.js';
import { random } from '../random.js';
import { derivedSeed } from '../seed.js';
import { weightSpecs } from '../weights/specs.js';

/**
 * How filters and dense weights begin, with `in` and `out` for the inputs and outputs of one unit (kernel x kernel x channels):
 * - `normal`: deviation 0.01, as the paper trains its column A;
 * - `glorot-normal`, `glorot-uniform`: variance 2 / (in + out) (Glorot and Bengio 2010);
 * - `he-normal`, `he-uniform`: variance 2 / in, or 2 / out with `fan: 'out'` (He et al. 2015).
 */
export type Initializer = 'normal' | 'glorot-normal' | 'glorot-uniform' | 'he-normal' | 'he-uniform';
export const INITIALIZERS: readonly Initializer[] = ['normal', 'glorot-normal', 'glorot-uniform', 'he-normal', 'he-uniform'];

export interface InitializeOptions {
  /** Default `he-normal`, by which a network with ReLUs learns at any depth; the paper's `normal` does not start its deeper columns. */
  initializer?: Initializer;
  /** Of `normal`; default 0.01. */
  deviation?: number;
  /** Of He's: `in` (the default) keeps the variance of activations, `out` that of gradients. */
  fan?: 'in' | 'out';
  /** Of all biases; default 0. AlexNet begins many at 1, others at 0.1. */
  bias?: number;
  /** Default 0. */
  seed?: number;
}

/** A tensor of a network: `conv1_1.weight`, what it is to its layer, and its canonical shape. */
export interface InitialTensor {
  readonly name: string;
  readonly part: Part;
  readonly shape: readonly number[];
}

/**
 * A weight file that holds nothing: the first values of each tensor are drawn when they are read, from the seed and the tensor's name, so
 * that they do not depend on which others are read, or on the depth of the network. Batch normalisation begins with scale 1, offset 0,
 * mean 0 and variance 1.
 *
 * @throws VggError `VGG_OPTION`; `VGG_ABORTED` while a tensor is read
 * @example
 * const file = initialWeights(network('vgg16_bn', { classes: 3 }), { seed: 1 });
 * await file.read('conv1_1.weight'); // Float32Array(1728), deviation 0.27
 */
export function initialWeights(network: Network, options: InitializeOptions = {}): WeightFile {
  checkInitialize(options);
  const all = weightSpecs(network).flatMap((spec) => canonicalTensors(spec));
  return weightFile({
    format: 'random',
    who: network.name,
    tensors: all.map((tensor) => ({
      info: { name: tensor.name, shape: tensor.shape, dtype: 'float32', present: true },
      async *stream({ signal }) {
        yield await initialValues(tensor, options, signal);
      },
    })),
  });
}

/** The first values of one tensor, as {@link initialWeights} has them. @throws VggError `VGG_OPTION`, `VGG_ABORTED` */
export async function initialValues(
  { name, part, shape }: InitialTensor,
  options: InitializeOptions = {},
  signal?: AbortSignal,
): Promise<Float32Array> {
  checkInitialize(options);
  const { initializer = 'he-normal', deviation = 0.01, fan = 'in', bias = 0, seed = 0 } = options;
  const count = shape.reduce((product, side) => product * side, 1);
  if (part === 'bias') return new Float32Array(count).fill(bias);
  if (part !== 'weight') return new Float32Array(count).fill(part === 'scale' || part === 'variance' ? 1 : 0);
  const outputs = shape.at(-1)!;
  const ins = count / outputs;
  // A filter [kh, kw, in, out] sends each of its inputs to kh * kw * out sums.
  const outs = count / shape.at(-2)!;
  const variance = initializer.startsWith('glorot') ? 2 / (ins + outs) : 2 / (fan === 'in' ? ins : outs);
  const ownSeed = derivedSeed(seed, name);
  const wait = pace(signal, 'initialize');
  if (initializer.endsWith('uniform')) return uniformValues(count, Math.sqrt(3 * variance), ownSeed, wait);
  return normalValues(count, initializer === 'normal' ? deviation : Math.sqrt(variance), ownSeed, wait);
}

/** Values drawn between two looks at the clock. */
const STRETCH = 1 << 16;

/** Normally distributed values around 0. */
export async function normalValues(count: number, deviation: number, seed: number, wait: Pace): Promise<Float32Array> {
  const draw = standardNormal(random(seed));
  return drawn(count, () => deviation * draw(), wait);
}

/** Values uniform in [-limit, limit): their variance is limit^2 / 3. */
async function uniformValues(count: number, limit: number, seed: number, wait: Pace): Promise<Float32Array> {
  const { uniform } = random(seed);
  return drawn(count, () => limit * (2 * uniform() - 1), wait);
}

async function drawn(count: number, draw: () => number, wait: Pace): Promise<Float32Array> {
  const values = new Float32Array(count);
  for (let from = 0; from < count; from += STRETCH) {
    await wait();
    for (let i = from; i < Math.min(count, from + STRETCH); i++) values[i] = draw();
  }
  return values;
}

function checkInitialize({ initializer = 'he-normal', deviation = 0.01, fan = 'in', bias = 0, seed = 0 }: InitializeOptions): void {
  if (!INITIALIZERS.includes(initializer)) throw wrong('initializer', `one of ${INITIALIZERS.join(', ')}`, initializer);
  if (!(Number.isFinite(deviation) && deviation > 0)) throw wrong('deviation', 'a number above 0', deviation);
  if (fan !== 'in' && fan !== 'out') throw wrong('fan', "'in' or 'out'", fan);
  if (!Number.isFinite(bias)) throw wrong('bias', 'a finite number', bias);
  if (!Number.isSafeInteger(seed)) throw wrong('seed', 'a whole number', seed);
}

function wrong(name: string, expected: string, received: unknown): VggError {
  return new VggError('VGG_OPTION', `initialize: expected ${expected} as ${name}, received ${String(received)}`);
}
