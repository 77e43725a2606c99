import { throwIfAborted, VggError } from '@vgg/errors';
import type { WeightFile } from '@vgg/loaders';
import { type Dataset, type DatasetInput, openDataset } from '../data/dataset.js';
import { batchesOf } from '../data/loader.js';
import { given } from '../given.js';
import { stratifiedSplit } from '../head/train/split.js';
import type { SourceInput } from '../io/io.js';
import { network as makeNetwork, type NetworkOptions } from '../network/architecture.js';
import type { Network, PlanInput } from '../network/plan.js';
import { AUGMENTATIONS, type AugmentOptions } from '../pictures/augment.js';
import type { Picture } from '../pictures/picture.js';
import { type Preprocessing, type PreprocessingName, parsePreprocessing } from '../pictures/preprocessing.js';
import { channelStatistics } from '../pictures/statistics.js';
import { type FetchOptions, fetchOptionsOf } from '../weights/download.js';
import { METADATA } from '../weights/metadata.js';
import { openNetworkWeights } from '../weights/open-weights.js';
import { weightSpecs } from '../weights/specs.js';
import { checkTraining } from './check-options.js';
import { type InitializeOptions, initialWeights } from './initialize.js';
import type { Asker } from './memory.js';
import { type RunOptions, runTraining } from './run.js';
import { ofClasses, TrainedNetwork } from './trained.js';
import { papersChoice, transplant } from './transplant.js';
import { classifierOf, type Start, sized, type Top, tuned } from './tune.js';

/** What {@link trainNetwork} takes beside how to learn, and how weights are fetched. */
export interface TrainNetworkOptions extends Omit<RunOptions, 'augment'>, Omit<FetchOptions, 'signal' | 'onProgress' | 'onWarning'> {
  /** Pictures of the same classes that are not learnt from, or the part (0 to 1) of every class to set aside by the seed. */
  validation?: DatasetInput | number;
  /** The side that pictures are squashed to, in pixels. Default: the network's own. */
  size?: number;
  /** How pictures are prepared. Default: as the weights want it; without weights, by mean and deviation of the training pictures. */
  preprocessing?: Preprocessing | PreprocessingName;
  /** Without weights: how they begin. Default: He's. */
  initialize?: InitializeOptions;
  /**
   * Without weights: those of a shallower network, whose first four convolutions and dense layers the new one begins with, as the paper's columns
   * B, D and E begin with A's ({@link transplant}); the last dense layer only where it has as many classes.
   */
  transplant?: SourceInput;
  /** Without weights: what the network has otherwise than its architecture says, such as `dense`, `globalPool` or `dropout`. */
  network?: NetworkOptions;
  /**
   * What is done to training pictures: `cifar` pads a picture of the network's size by an eighth, crops it and mirrors every other one; `cutout`
   * also hides a square of three eighths of its side; `paper` draws the scale (S in [256, 512] for a size of 224), crops, mirrors and shifts the
   * colours. Default: nothing.
   */
  augment?: AugmentOptions | keyof typeof AUGMENTATIONS;
  /**
   * With weights: what stands on the convolutions. `new` (the default): the network is cut behind a pool, and a linear classifier is fitted on the
   * mean of its map. `pretrained`: the network's own dense layers stay, with their dropout, and only the last of them is fitted anew; where the
   * weights name the data's classes in the same order, that one stays too, and the training goes on.
   */
  top?: Top;
  /** With weights and a new top: the pool at which the network is cut. Default: the deepest that the weights hold. */
  layer?: string;
  /** Batch normalisation keeps its running statistics, and normalises by them. Default: true with weights, else false. */
  freezeStatistics?: boolean;
}

/** What a network begins as: an architecture whose weights are drawn, or weights that are there already. */
export type TrainNetworkStart =
  | { readonly arch: string | PlanInput; readonly weights?: undefined }
  | { readonly weights: SourceInput; readonly arch?: string | PlanInput };

/** Pictures whose channels are measured for a new network's preprocessing. */
const MEASURED = 5000;

/**
 * See {@link trainNetwork} of entry.ts, which loads this.
 *
 * @param asker for the words of errors about the memory
 */
export async function trainNetwork(
  start: TrainNetworkStart,
  data: DatasetInput,
  options: TrainNetworkOptions = {},
  asker: Asker = 'train',
): Promise<TrainedNetwork> {
  checkTraining(start, options);
  throwIfAborted(options.signal, 'train');
  const { train, validation } = await openBoth(data, options);
  if (train.classes.length < 2)
    throw new VggError(
      'VGG_DATASET',
      `train: expected at least two classes, received ${train.classes.length} (${train.classes.join(', ')})`,
    );
  const task = start.weights === undefined ? await fresh(start.arch, train, options) : await tuned(start, train, validation, options);
  try {
    const { network, preprocessing } = task;
    const about = { [METADATA.preprocessing]: JSON.stringify(preprocessing), [METADATA.classes]: JSON.stringify(train.classes) };
    const { augment, ...rest } = options;
    const { optimizer } = task;
    const run = {
      // What knows something keeps the statistics by which it knows it.
      freezeStatistics: start.weights !== undefined,
      ...given(rest),
      ...(optimizer && { optimizer }),
      ...(augment !== undefined && { augment: augmentationOf(augment, network.size) }),
    };
    const result = await runTraining({ ...task, train, validation, about, asker }, run);
    return new TrainedNetwork({ ...result, classes: train.classes, preprocessing, about });
  } finally {
    await task.release?.();
  }
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
  const first = { seed, ...initialize };
  const preprocessing = options.preprocessing
    ? sized(parsePreprocessing(options.preprocessing), network)
    : await measured(train, network, options);
  const { file, release } = options.transplant
    ? await transplanted(options.transplant, network, first, options)
    : { file: initialWeights(network, first) };
  return { network, preprocessing, values: (name) => file.read(name, signal ? { signal } : {}), ...(release && { release }) };
}

/** First weights with the paper's choice of layers of a shallower network. */
async function transplanted(
  weights: SourceInput,
  network: Network,
  first: InitializeOptions,
  options: TrainNetworkOptions,
): Promise<{ file: WeightFile; release: () => Promise<void> }> {
  const old = await openNetworkWeights(undefined, { weights, ...fetchOptionsOf(options) }, true);
  try {
    const classifier = old.network.classes === network.classes ? undefined : classifierOf(old.network)?.name;
    const layers = papersChoice(weightSpecs(old.network)).filter((name) => name !== classifier);
    const { file } = transplant(old.file, network, { ...first, arch: old.network.plan, layers });
    return { file, release: () => old.file.close() };
  } catch (error) {
    await old.file.close();
    throw error;
  }
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

/** One of the usual augmentations, for pictures of this size. */
function augmentationOf(given: NonNullable<TrainNetworkOptions['augment']>, size: number): AugmentOptions {
  // Where the scale is drawn, only a window brings the picture to the network's size.
  if (typeof given === 'object') return given.scale !== undefined && given.crop === undefined ? { ...given, crop: size } : given;
  const { crop, ...rest } = AUGMENTATIONS[given];
  const scaled = (pixels: number) => Math.round((pixels * size) / crop);
  return {
    ...rest,
    crop: size,
    ...('pad' in rest && { pad: scaled(rest.pad) }),
    ...('cutout' in rest && { cutout: scaled(rest.cutout) }),
    ...('scale' in rest && { scale: [scaled(rest.scale[0]), scaled(rest.scale[1])] }),
  };
}
