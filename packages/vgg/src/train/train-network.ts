import { throwIfAborted, VggError } from '@vgg/errors';
import { readCanonical } from '@vgg/loaders';
import { type Dataset, type DatasetInput, openDataset } from '../data/dataset.js';
import { batchesOf } from '../data/loader.js';
import { stratifiedSplit } from '../head/train/split.js';
import { type TrainHeadOptions, trainHead } from '../head/train/train-head.js';
import type { SourceInput } from '../io/io.js';
import { load } from '../load.js';
import type { Model } from '../model.js';
import { network as makeNetwork, type NetworkOptions } from '../network/architecture.js';
import { resolveLayer } from '../network/layers.js';
import type { Network, PlanInput } from '../network/plan.js';
import { AUGMENTATIONS, type AugmentOptions } from '../pictures/augment.js';
import type { Picture } from '../pictures/picture.js';
import { type Preprocessing, type PreprocessingName, parsePreprocessing } from '../pictures/preprocessing.js';
import { channelStatistics } from '../pictures/statistics.js';
import { METADATA } from '../weights/metadata.js';
import { type OpenedWeights, openNetworkWeights } from '../weights/open-weights.js';
import { type InitializeOptions, initialWeights } from './initialize.js';
import type { OptimizerOptions } from './optimizer.js';
import { OPTIMIZER, type RunOptions, type RunTask, runTraining } from './run.js';
import { ofClasses, TrainedNetwork } from './trained.js';

/** What {@link trainNetwork} takes beside how to learn. */
export interface TrainNetworkOptions extends Omit<RunOptions, 'augment'> {
  /** Pictures of the same classes that are not learnt from, or the part (0 to 1) of every class to set aside by the seed. */
  validation?: DatasetInput | number;
  /** The side that pictures are squashed to, in pixels. Default: the network's own. */
  size?: number;
  /** How pictures are prepared. Default: as the weights want it; without weights, by mean and deviation of the training pictures. */
  preprocessing?: Preprocessing | PreprocessingName;
  /** Without weights: how they begin. Default: He's. */
  initialize?: InitializeOptions;
  /** Without weights: what the network has otherwise than its architecture says, such as `dense`, `globalPool` or `dropout`. */
  network?: NetworkOptions;
  /**
   * What is done to training pictures: `cifar` pads a picture of the network's size by an eighth, crops it and mirrors every other one; `paper`
   * draws the scale (S in [256, 512] for a size of 224), crops, mirrors and shifts the colours. Default: nothing.
   */
  augment?: AugmentOptions | keyof typeof AUGMENTATIONS;
  /** With weights: the pool at which the network is cut and the new classifier put on. Default: the deepest that the weights hold. */
  layer?: string;
}

/** What a network begins as: an architecture whose weights are drawn, or weights that are there already. */
export type TrainNetworkStart =
  | { readonly arch: string | PlanInput; readonly weights?: undefined }
  | { readonly weights: SourceInput; readonly arch?: string | PlanInput };

/** Pictures whose channels are measured for a new network's preprocessing. */
const MEASURED = 5000;

/** See {@link trainNetwork} of entry.ts, which loads this. */
export async function trainNetwork(
  start: TrainNetworkStart,
  data: DatasetInput,
  options: TrainNetworkOptions = {},
): Promise<TrainedNetwork> {
  const { signal } = options;
  throwIfAborted(signal, 'train');
  const { train, validation } = await openBoth(data, options);
  if (train.classes.length < 2)
    throw new VggError(
      'VGG_DATASET',
      `train: expected at least two classes, received ${train.classes.length} (${train.classes.join(', ')})`,
    );
  const task = start.weights === undefined ? await fresh(start.arch, train, options) : await tuned(start, train, validation, options);
  try {
    const { network, preprocessing, values } = task;
    const about = { [METADATA.preprocessing]: JSON.stringify(preprocessing), [METADATA.classes]: JSON.stringify(train.classes) };
    const { augment, ...rest } = options;
    const { optimizer } = task;
    const run = {
      ...rest,
      ...(optimizer && { optimizer }),
      ...(augment !== undefined && { augment: augmentationOf(augment, network.size) }),
    };
    const result = await runTraining({ network, preprocessing, values, train, validation, about }, run);
    return new TrainedNetwork({ ...result, classes: train.classes, preprocessing, about });
  } finally {
    await task.close?.();
  }
}

interface Start extends Pick<RunTask, 'network' | 'preprocessing' | 'values'> {
  optimizer?: OptimizerOptions;
  close?: () => Promise<void>;
}

async function openBoth(
  data: DatasetInput,
  { validation, seed = 0, signal }: TrainNetworkOptions,
): Promise<{ train: Dataset; validation: Dataset | undefined }> {
  const opening = signal ? { signal } : {};
  const train = await openDataset(data, opening);
  if (validation === undefined) return { train, validation };
  if (typeof validation !== 'number')
    return { train, validation: ofClasses(await openDataset(validation, opening), train.classes, 'train: validation') };
  const split = stratifiedSplit(
    train.examples.map(({ label }) => label),
    train.classes.length,
    validation,
    seed,
  );
  const part = (places: Int32Array): Dataset => ({ ...train, examples: Array.from(places, (place) => train.examples[place]!) });
  return { train: part(split.fitted), validation: part(split.held) };
}

/** A network that knows nothing yet. */
async function fresh(arch: string | PlanInput, train: Dataset, options: TrainNetworkOptions): Promise<Start> {
  const { size, seed = 0, initialize, signal } = options;
  const network = makeNetwork(arch, { ...options.network, classes: train.classes.length, ...(size !== undefined && { size }) });
  const file = initialWeights(network, { seed, ...initialize });
  const preprocessing = options.preprocessing
    ? sized(parsePreprocessing(options.preprocessing), network)
    : await measured(train, network, options);
  return { network, preprocessing, values: (name) => file.read(name, signal ? { signal } : {}) };
}

/** A network's own pictures are of its size. */
function sized(preprocessing: Preprocessing, { size }: Network): Preprocessing {
  const { crop: _, ...rest } = preprocessing;
  return { ...rest, resize: { mode: 'squash', size, filter: preprocessing.resize.filter ?? 'bilinear' } };
}

/** By the mean and deviation of the channels of the training pictures, or of some of them. */
async function measured(train: Dataset, { size }: Network, { seed = 0, signal, onProgress }: TrainNetworkOptions): Promise<Preprocessing> {
  const total = Math.min(MEASURED, train.examples.length);
  async function* pictures(): AsyncGenerator<Picture> {
    let loaded = 0;
    for await (const { items } of batchesOf(train, { batch: 64, seed, ...(signal && { signal }) })) {
      for (const picture of items) {
        if (loaded >= total) return;
        yield picture;
        onProgress?.({ stage: 'measure', loaded: ++loaded, total });
      }
    }
  }
  const { mean, std } = await channelStatistics(pictures());
  const rounded = (values: readonly number[]) => values.map((value) => Number(value.toFixed(4))) as [number, number, number];
  return parsePreprocessing({
    name: 'trained',
    resize: { mode: 'squash', size, filter: 'bilinear' },
    channelOrder: 'rgb',
    scale: 1 / 255,
    mean: rounded(mean),
    // A channel that never varies is left as it is.
    std: rounded(std).map((value) => value || 1),
  });
}

/** A part of a network that knows something, with a classifier fitted on top. */
async function tuned(
  { weights, arch }: { weights: SourceInput; arch?: string | PlanInput },
  train: Dataset,
  validation: Dataset | undefined,
  options: TrainNetworkOptions,
): Promise<Start> {
  const { signal, onProgress, onWarning, backend, threads, memory, seed = 0 } = options;
  const common = { ...(signal && { signal }), ...(onProgress && { onProgress }), ...(onWarning && { onWarning }) };
  using model = await load(arch, {
    weights,
    ...common,
    ...(options.preprocessing && { preprocessing: options.preprocessing }),
    ...(backend && { backend }),
    ...(threads !== undefined && { threads }),
    ...(memory && { memory }),
  });
  const layer = resolveLayer(model.network, options.layer ?? model.deepest);
  const cut = cutAt(model.network, layer, train.classes.length, options.size);
  const { preprocessing } = model;
  const whole = options.size === undefined ? preprocessing : sized(preprocessing, cut);
  const { dense, square } = await fitted(model, layer, train, validation, { ...common, size: options.size, seed });
  const opened: OpenedWeights = await openNetworkWeights(arch, { weights, ...(signal && { signal }) }, false);
  return {
    network: cut,
    preprocessing: whole,
    values: async (name) => dense.get(name) ?? readCanonical(opened.file, opened.mapping, name, signal ? { signal } : {}),
    optimizer: gentle(options.optimizer, square),
    close: () => opened.file.close(),
  };
}

/**
 * The classifier stands on features as they are, some of them in the hundreds: steps that suit a filter would throw it about. Its rate is what
 * that of a classifier on features of mean square 1 comes to.
 */
function gentle(optimizer: OptimizerOptions = OPTIMIZER, square: number): OptimizerOptions {
  const { algorithm = 'sgd', groups = [] } = optimizer;
  const rate = algorithm === 'sgd' ? 1 / square : 1 / Math.sqrt(square);
  return { ...optimizer, groups: [...groups, { match: 'fc6.weight', rate: Math.min(1, rate) }] };
}

/** The network up to a pool, with the mean of its map and one dense layer behind it. @throws VggError `VGG_LAYER` for another kind of layer */
function cutAt({ plan, layers, name }: Network, layer: string, classes: number, size = plan.size): Network {
  const block = Number(/^pool(\d+)$/.exec(layer)?.[1]);
  if (!plan.pools.includes(block)) {
    const pools = layers.filter(({ kind }) => kind === 'pool').map((pool) => pool.name);
    throw new VggError(
      'VGG_LAYER',
      `train: expected one of the pools ${pools.join(', ')} as the layer to cut ${name} behind, received "${layer}"`,
    );
  }
  return makeNetwork({
    ...plan,
    name: `${name}_${layer}`,
    blocks: plan.blocks.slice(0, block),
    pools: plan.pools.filter((number) => number <= block),
    top: true,
    convolutionalTop: false,
    globalPool: true,
    dense: [],
    classes,
    size,
  });
}

/** The classifier that the network begins with, and the mean square of the features that it stands on. */
async function fitted(
  model: Model,
  layer: string,
  train: Dataset,
  validation: Dataset | undefined,
  options: TrainHeadOptions,
): Promise<{ dense: Map<string, Float32Array>; square: number }> {
  using head = await trainHead(model, train, { ...options, layer, pooling: 'average', ...(validation && { validation }) });
  const [dense] = head.denseLayers();
  const weights = [
    ['fc6.weight', dense!.weight],
    ['fc6.bias', dense!.bias],
  ] as const;
  return { dense: new Map(weights), square: head.featureSquare };
}

/** One of the usual augmentations, for pictures of this size. */
function augmentationOf(given: NonNullable<TrainNetworkOptions['augment']>, size: number): AugmentOptions {
  // Where the scale is drawn, only a window brings the picture to the network's size.
  if (typeof given === 'object') return given.scale !== undefined && given.crop === undefined ? { ...given, crop: size } : given;
  if (!Object.hasOwn(AUGMENTATIONS, given)) {
    const names = Object.keys(AUGMENTATIONS).join(', ');
    throw new VggError('VGG_OPTION', `train: expected ${names} or options of one's own as augment, received "${given}"`);
  }
  const { crop, ...rest } = AUGMENTATIONS[given];
  const scaled = (pixels: number) => Math.round((pixels * size) / crop);
  if (given === 'cifar') return { ...rest, crop: size, pad: scaled(AUGMENTATIONS.cifar.pad) };
  const [least, most] = AUGMENTATIONS.paper.scale;
  return { ...rest, crop: size, scale: [scaled(least), scaled(most)] };
}
