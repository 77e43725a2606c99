import { VggError } from '@vgg/errors';
import { canonicalise, canonicalTensors, type StoredTensor, streamCanonical, type WeightFile, weightFile } from '@vgg/loaders';
import type { Network, PlanInput } from '../network/plan.js';
import { didYouMean } from '../text/suggest.js';
import { networkOf } from '../weights/match-network.js';
import { weightSpecs } from '../weights/specs.js';
import { type InitializeOptions, initialWeights } from './initialize.js';

/** Convolutions that the paper takes over from column A. */
const FIRST_CONVOLUTIONS = 4;

export interface TransplantOptions extends InitializeOptions {
  /**
   * Names of the layers to copy. By default the paper's choice: the first four convolutions of the old network (of A these are conv1_1,
   * conv2_1, conv3_1 and conv3_2) and its dense layers. Batch normalisation goes with its convolution.
   */
  layers?: readonly string[];
  /** What the old weights are of, where they do not tell. */
  arch?: string | PlanInput;
}

/** A network's first weights, partly those of another. */
export interface Transplanted {
  /** All of the network's weights, by canonical name; it reads from `from`, which must stay open. */
  readonly file: WeightFile;
  /** Layers whose values are those of the old weights, bit for bit. */
  readonly copied: readonly string[];
  /** Layers whose values are drawn from the seed, by the options' initialiser. */
  readonly initialized: readonly string[];
}

/**
 * Initialises a deep network with layers of a shallower one that is trained already, as section 3.1 of the paper does: layers of the same
 * name are copied, the others initialised (the paper's `initializer: 'normal'`; by default He's). All layers are trained afterwards.
 *
 * @param from weights of the old network, in any format and naming that can be read; float32 values are copied as they are
 * @throws VggError `VGG_LAYER` for a layer that one of the two does not have, `VGG_SHAPE` where its weights are of another shape (fc8 for
 * other classes: pass `layers` without it), `VGG_WEIGHTS_MISSING` for one that `from` names and does not hold, `VGG_OPTION`,
 * `VGG_ARCHITECTURE`, `VGG_FORMAT`
 * @example
 * // A is trained; B, D and E begin with its layers.
 * const a = await openWeights(source);
 * const { file, copied } = transplant(a, network('vgg16'), { initializer: 'normal' });
 * copied; // ['conv1_1', 'conv2_1', 'conv3_1', 'conv3_2', 'fc6', 'fc7', 'fc8']
 */
export function transplant(from: WeightFile, network: Network, options: TransplantOptions = {}): Transplanted {
  const { arch, layers, ...initialize } = options;
  const old = networkOf(from, { arch, set: undefined, options: {}, name: from.name ?? from.format });
  const oldSpecs = weightSpecs(old);
  const specs = weightSpecs(network);
  const wanted = layers ?? papersChoice(oldSpecs);
  for (const name of wanted) {
    for (const [owner, known] of [[old.name, oldSpecs] as const, [network.name, specs] as const]) {
      if (known.some((spec) => spec.name === name)) continue;
      const names = known.map((spec) => spec.name);
      throw new VggError(
        'VGG_LAYER',
        `transplant: expected a layer with weights that both networks have, received ${name}, which ${owner} lacks${didYouMean(name, names)}`,
      );
    }
  }
  const copied = specs.filter(({ name }) => isCopied(name, wanted) && oldSpecs.some((spec) => spec.name === name));
  for (const { name, shape } of copied) {
    const own = oldSpecs.find((spec) => spec.name === name)!.shape;
    if (own.join() !== shape.join())
      throw new VggError(
        'VGG_SHAPE',
        `transplant: expected ${name} to be [${shape}] as in ${network.name}, received [${own}] of ${old.name}; pass layers without ${name}`,
      );
  }
  const mapping = canonicalise(from, oldSpecs);
  const fresh = initialWeights(network, initialize);
  const kept = new Set(copied.flatMap((spec) => canonicalTensors(spec)).map(({ name }) => name));
  const absent = [...kept].find((name) => !mapping.tensors.get(name)?.present);
  if (absent !== undefined)
    throw new VggError(
      'VGG_WEIGHTS_MISSING',
      `transplant: expected ${absent} in ${from.name ?? 'the old weights'}, which do not hold it; pass layers that they hold`,
    );
  const tensors = [...fresh.tensors.values()].map(
    (info): StoredTensor => ({
      info,
      stream: (read) => (kept.has(info.name) ? streamCanonical(from, mapping, info.name, read) : fresh.stream(info.name, read)),
    }),
  );
  const names = new Set(copied.map(({ name }) => name));
  return {
    file: weightFile({ format: 'transplant', who: network.name, tensors }),
    copied: [...names],
    initialized: specs.map(({ name }) => name).filter((name) => !names.has(name)),
  };
}

/** The layers that the paper takes over: the first convolutions and the dense layers. */
export function papersChoice(specs: ReturnType<typeof weightSpecs>): string[] {
  const convolutions = specs.filter(({ kind }) => kind === 'conv').slice(0, FIRST_CONVOLUTIONS);
  return [...convolutions, ...specs.filter(({ kind }) => kind === 'dense')].map(({ name }) => name);
}

/** Whether a layer is wanted, or is the batch normalisation `bn1_1` of `conv1_1`, which is. */
const isCopied = (name: string, wanted: readonly string[]): boolean =>
  wanted.includes(name) || (name.startsWith('bn') && wanted.includes(name.replace(/^bn/, 'conv')));
