import { VggError } from '@vgg/errors';
import {
  canonicalTensors,
  type MappedTensor,
  type ReadOptions,
  readCanonical,
  streamCanonical,
  type TensorInfo,
  type WeightFile,
} from '@vgg/loaders';
import { network as makeNetwork } from '../network/architecture.js';
import type { Layer } from '../network/plan.js';
import type { Preprocessing } from '../pictures/preprocessing.js';
import { METADATA } from './metadata.js';
import type { OpenedWeights } from './open-weights.js';
import { weightSpecs } from './specs.js';

/** What is taken into the weights of the convolutions, so that it need not be computed any more. */
export interface FoldOptions {
  /** Each batch normalisation into the convolution before it: the outputs are the same but for rounding. */
  batchNorm?: boolean;
  /**
   * The channel order, scale, mean and deviation into the first convolution: the network then takes RGB from 0 to 255. The outputs are
   * the same but for rounding where no border is seen; what is added beyond a border was the mean colour and is black now (the paddings
   * `reflect` and `valid` add nothing).
   */
  preprocessing?: boolean;
}

/** y = x * factor + offset for each channel. */
interface Affine {
  readonly factor: Float64Array;
  readonly offset: Float64Array;
}

/**
 * The same weights with batch normalisation, preprocessing or both folded into them, as a file of its own with canonical names: each
 * tensor is computed when it is read, in float64, and rounded to float32.
 *
 * @throws VggError `VGG_OPTION` if the preprocessing is for three channels and the network is not
 * @example
 * const folded = foldWeights(opened, { batchNorm: true, preprocessing: true });
 * folded.network.batchNorm; // false
 */
export function foldWeights(opened: OpenedWeights, options: FoldOptions = {}): OpenedWeights {
  const batchNorm = options.batchNorm === true && opened.network.batchNorm;
  const preprocessing = options.preprocessing === true && !isRaw(opened.preprocessing);
  if (!batchNorm && !preprocessing) return opened;
  if (preprocessing && opened.network.channels !== 3) {
    throw new VggError(
      'VGG_OPTION',
      `${opened.name}: expected three channels to fold the preprocessing of colour pictures into, received ${opened.network.channels}`,
    );
  }
  const { plan } = opened.network;
  const { network } = batchNorm ? { network: makeNetwork(plan, { batchNorm: false }) } : opened;
  const prepared = preprocessing ? withoutValues(opened.preprocessing) : opened.preprocessing;
  const file = foldedFile(opened, { batchNorm, preprocessing });
  const tensors = new Map(
    weightSpecs(network)
      .flatMap(canonicalTensors)
      .flatMap(({ name, shape }): [string, MappedTensor][] => {
        const info = file.tensors.get(name);
        return info ? [[name, { name, shape, tensor: name, present: info.present, ...(info.absence && { absence: info.absence }) }]] : [];
      }),
  );
  const needed = weightSpecs(network).flatMap(canonicalTensors);
  const missing = needed.filter(({ name }) => !tensors.get(name)?.present).map(({ name }) => name);
  const metadata = new Map(file.metadata)
    .set(METADATA.plan, JSON.stringify(network.plan))
    .set(METADATA.preprocessing, JSON.stringify(prepared));
  return {
    ...opened,
    file: { ...file, metadata },
    network,
    preprocessing: prepared,
    mapping: { ...opened.mapping, naming: 'canonical', tensors, missing },
  };
}

/** RGB from 0 to 255 already. */
function isRaw({ channelOrder, scale, mean, std }: Preprocessing): boolean {
  return channelOrder === 'rgb' && scale === 1 && mean.every((value) => value === 0) && std.every((value) => value === 1);
}

/** The picture still has to come to its size. */
function withoutValues({ name, resize, crop }: Preprocessing): Preprocessing {
  const values = { channelOrder: 'rgb', scale: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  return { name: `${name}_folded`, resize, ...(crop === undefined ? {} : { crop }), ...values };
}

function foldedFile(opened: OpenedWeights, { batchNorm, preprocessing }: Required<FoldOptions>): WeightFile {
  const { file, mapping, network } = opened;
  const { layers } = network;
  const first = preprocessing ? layers.find(({ kind }) => kind === 'conv')?.name : undefined;
  /** The normalisation of each convolution that has one. */
  const norms = new Map<string, Layer & { kind: 'batchnorm' }>();
  if (batchNorm) {
    for (const [i, layer] of layers.entries()) if (layer.kind === 'batchnorm') norms.set(layers[i - 1]!.name, layer);
  }
  const read = (name: string, options: ReadOptions) => readCanonical(file, mapping, name, options);
  const isFolded = (layer: string) => layer === first || norms.has(layer);

  /** What a tensor of a folded convolution is made of. */
  const sources = (layer: string, part: string): string[] => {
    const norm = norms.get(layer)?.name;
    const parts = part === 'weight' ? ['scale', 'variance'] : ['scale', 'offset', 'mean', 'variance'];
    return [
      `${layer}.${part}`,
      ...(part === 'bias' && layer === first ? [`${layer}.weight`] : []),
      ...(norm === undefined ? [] : parts.map((each) => `${norm}.${each}`)),
    ];
  };

  const normOf = async (layer: string, options: ReadOptions): Promise<Affine | undefined> => {
    const norm = norms.get(layer);
    if (!norm) return undefined;
    const part = (name: string) => read(`${norm.name}.${name}`, options);
    const [scale, offset, mean, variance] = [await part('scale'), await part('offset'), await part('mean'), await part('variance')];
    const factor = Float64Array.from(scale, (value, i) => value / Math.sqrt(variance[i]! + norm.epsilon));
    return { factor, offset: Float64Array.from(offset, (value, i) => value - mean[i]! * factor[i]!) };
  };

  const weight = async (layer: string, options: ReadOptions): Promise<Float32Array> => {
    const values = await read(`${layer}.weight`, options);
    const outputs = values.length === 0 ? 1 : mapping.tensors.get(`${layer}.weight`)!.shape.at(-1)!;
    const norm = (await normOf(layer, options))?.factor;
    const colours = layer === first ? inputAffine(opened.preprocessing) : undefined;
    const out = new Float32Array(values.length); // the values may be the file's own memory
    for (let row = 0; row < values.length / outputs; row++) {
      const channel = row % 3;
      // The file's row of the channel that comes in here.
      const from = colours ? row - channel + colours.from[channel]! : row;
      const factor = colours ? colours.factor[channel]! : 1;
      for (let o = 0; o < outputs; o++) out[row * outputs + o] = values[from * outputs + o]! * factor * (norm ? norm[o]! : 1);
    }
    return out;
  };

  const bias = async (layer: string, options: ReadOptions): Promise<Float32Array> => {
    const sums = Float64Array.from(await read(`${layer}.bias`, options));
    if (layer === first) {
      const { offset, from } = inputAffine(opened.preprocessing);
      const values = await read(`${layer}.weight`, options);
      for (let i = 0; i < values.length; i++) {
        // In the file's order of channels.
        const channel = Math.floor(i / sums.length) % 3;
        sums[i % sums.length]! += values[i]! * offset[from[channel]!]!;
      }
    }
    const norm = await normOf(layer, options);
    return Float32Array.from(sums, (value, o) => (norm ? value * norm.factor[o]! + norm.offset[o]! : value));
  };

  const tensors = new Map<string, TensorInfo>();
  const folded = new Set([...norms.values()].map(({ name }) => name));
  for (const [name, { shape }] of mapping.tensors) {
    const [layer, part] = splitName(name);
    if (folded.has(layer)) continue;
    const parts = isFolded(layer) ? sources(layer, part).map((source) => mapping.tensors.get(source)) : [mapping.tensors.get(name)];
    const hole = parts.find((mapped) => !mapped?.present);
    const present = parts.every((mapped) => mapped?.present);
    tensors.set(name, {
      name,
      shape,
      dtype: 'float32',
      present,
      ...(!present && { absence: hole?.absence ?? 'a part of it is not there' }),
    });
  }

  const readFolded = (name: string, options: ReadOptions = {}): Promise<Float32Array> => {
    const [layer, part] = splitName(name);
    if (!isFolded(layer)) return read(name, options);
    return part === 'weight' ? weight(layer, options) : bias(layer, options);
  };
  return {
    format: file.format,
    metadata: file.metadata,
    tensors,
    read: readFolded,
    async *stream(name, options = {}) {
      if (isFolded(splitName(name)[0])) yield await readFolded(name, options);
      else yield* streamCanonical(file, mapping, name, options);
    },
    close: () => file.close(),
  };
}

function splitName(name: string): [layer: string, part: string] {
  const cut = name.lastIndexOf('.');
  return [name.slice(0, cut), name.slice(cut + 1)];
}

/** (value * scale - mean) / std by R, G and B, and the file's channel that each of them is. */
function inputAffine({ channelOrder, scale, mean, std }: Preprocessing): Affine & { from: readonly number[] } {
  const from = channelOrder === 'bgr' ? [2, 1, 0] : [0, 1, 2];
  return {
    from,
    factor: Float64Array.from(from, (channel) => scale / std[channel]!),
    offset: Float64Array.from(from, (channel) => -mean[channel]! / std[channel]!),
  };
}
