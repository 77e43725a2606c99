import * as tf from '@tensorflow/tfjs-core';
import { type Backend, openBackend } from '@vgg/core';
import { VggError } from '@vgg/errors';
import { carriedClasses } from '../classes/carried.js';
import { classNames } from '../classes/classes.js';
import { parseClasses } from '../classes/parse-classes.js';
import type { Dataset } from '../data/dataset.js';
import { type TrainHeadOptions, trainHead } from '../head/train/train-head.js';
import type { SourceInput } from '../io/io.js';
import { fittingMemory } from '../load.js';
import { Model } from '../model.js';
import { network as makeNetwork } from '../network/architecture.js';
import { resolveLayer } from '../network/layers.js';
import type { Layer, Network, PlanInput } from '../network/plan.js';
import type { Preprocessing } from '../pictures/preprocessing.js';
import type { Pooling } from '../run/embedding.js';
import { fetchOptionsOf } from '../weights/download.js';
import { type OpenedWeights, openNetworkWeights } from '../weights/open-weights.js';
import { weightSpecs } from '../weights/specs.js';
import { tensorNames, WeightStore } from '../weights/store.js';
import type { OptimizerOptions, ParameterGroup } from './optimizer.js';
import { OPTIMIZER, type RunTask } from './run.js';
import type { TrainNetworkOptions } from './train-network.js';

export const TOPS = ['new', 'pretrained'] as const;
/** What stands on the convolutions of a network that begins with weights. */
export type Top = (typeof TOPS)[number];

/** What a run begins with. */
export interface Start extends Pick<RunTask, 'network' | 'preprocessing' | 'values' | 'release'> {
  optimizer?: OptimizerOptions;
}

/** A dense layer by its canonical names, and the mean square of the features that it stands on. */
interface Classifier {
  readonly values: ReadonlyMap<string, Float32Array>;
  readonly square: number;
}

/** A network, or a part of one, that knows something already; where its classifier is not of the data's classes, with a fitted one. */
export async function tuned(
  { weights, arch }: { weights: SourceInput; arch?: string | PlanInput },
  train: Dataset,
  validation: Dataset | undefined,
  options: TrainNetworkOptions,
): Promise<Start> {
  const { signal, onProgress, onWarning, preprocessing, top = 'new', threads, memory, size } = options;
  const common = { ...(signal && { signal }), ...(onProgress && { onProgress }), ...(onWarning && { onWarning }) };
  const starting = { ...common, ...(threads !== undefined && { threads }), ...(memory && { memory }) };
  let backend = await openBackend(options.backend ?? 'auto', starting);
  const opening = { weights, ...fetchOptionsOf(options), ...(preprocessing && { preprocessing }) };
  const opened = await openNetworkWeights(arch, opening, top === 'pretrained');
  const store = new WeightStore(opened.file, opened.mapping);
  try {
    const isKnown = top === 'pretrained' && (await namesClasses(opened, train.classes, common));
    const count = train.classes.length;
    const { network, layer, pooling } =
      top === 'new' ? newTop(modelOn(backend, opened, store), options.layer, count, size) : ownTop(opened, store, isKnown, count, size);
    const { name } = classifierOf(network)!;
    const resumed = isKnown ? undefined : await resumedRate(options, `${name}.weight`);
    let classifier: Classifier | undefined;
    if (!isKnown && resumed === undefined) {
      const fitting = fittingMemory(opened.network, [layer], backend.info, { ...(memory && { memory }), ...(onWarning && { onWarning }) });
      if (fitting && fitting !== backend.info.memory) backend = await openBackend(backend.name, { ...starting, memory: fitting });
      const fit = { ...common, layer, pooling, seed: options.seed ?? 0, size, ...(validation && { validation }) };
      classifier = await fitted(modelOn(backend, opened, store), name, train, fit);
    }
    const rate = resumed ?? (classifier && gentleRate(options.optimizer, classifier));
    return {
      network,
      preprocessing: size === undefined ? opened.preprocessing : sized(opened.preprocessing, network),
      values: async (name) => classifier?.values.get(name) ?? held(store, opened.network, backend, name),
      ...(rate !== undefined && { optimizer: withGroup(options.optimizer, { match: `${name}.weight`, rate }) }),
      release: () => store.dispose(),
    };
  } catch (error) {
    await store.dispose();
    throw error;
  }
}

/** The weights as a model, which is let go of with the store. */
function modelOn(backend: Backend, { network, preprocessing, name, file, mapping }: OpenedWeights, store: WeightStore): Model {
  const weights = { name, format: file.format, unknown: mapping.unknown };
  return new Model({ network, backend, store, preprocessing, weights, classNames: async () => undefined });
}

/** What a run begins with, and the features that its classifier is fitted on. */
interface Cut {
  readonly network: Network;
  readonly layer: string;
  readonly pooling: Pooling;
}

/** The network up to a pool, with the mean of its map and one dense layer behind it. @throws VggError `VGG_LAYER` for another kind of layer */
function newTop(model: Model, given: string | undefined, classes: number, size: number | undefined): Cut {
  const { plan, layers, name } = model.network;
  const layer = resolveLayer(model.network, given ?? model.deepest);
  const block = Number(/^pool(\d+)$/.exec(layer)?.[1]);
  if (!plan.pools.includes(block)) {
    const pools = layers.filter(({ kind }) => kind === 'pool').map((pool) => pool.name);
    throw new VggError(
      'VGG_LAYER',
      `train: expected one of the pools ${pools.join(', ')} as the layer to cut ${name} behind, received "${layer}"`,
    );
  }
  const network = makeNetwork({
    ...plan,
    name: `${name}_${layer}`,
    blocks: plan.blocks.slice(0, block),
    pools: plan.pools.filter((number) => number <= block),
    top: true,
    convolutionalTop: false,
    globalPool: true,
    dense: [],
    classes,
    size: size ?? plan.size,
  });
  return { network, layer, pooling: 'average' };
}

/**
 * The network with its own dense layers, the last of them for so many classes.
 *
 * @throws VggError `VGG_WEIGHTS_MISSING` for weights that lack what it keeps, `VGG_SHAPE` for pictures of a size that its dense layers do not take
 */
function ownTop({ network, name }: OpenedWeights, store: WeightStore, isKnown: boolean, classes: number, size = network.size): Cut {
  const [lack] = network.top
    ? store.missing(isKnown ? network.layers : network.layers.filter((each) => each !== classifierOf(network)))
    : [];
  if (!network.top || lack) {
    throw new VggError(
      'VGG_WEIGHTS_MISSING',
      `train: expected weights with the dense layers of ${network.name} for top pretrained, received ${name} without ${lack?.name ?? 'them'}; pass complete weights, or leave top out`,
    );
  }
  const tuned = makeNetwork({ ...network.plan, convolutionalTop: false, classes, size });
  const inputsOf = ({ layers }: Network) => weightSpecs({ layers }).find(({ kind }) => kind === 'dense')?.shape[0];
  const [own, now] = [network, tuned].map(inputsOf);
  if (own !== now) {
    throw new VggError(
      'VGG_SHAPE',
      `train: expected pictures of ${network.size} pixels for the dense layers of ${network.name}, whose first takes ${own} values, received size ${size}, which gives it ${now}; leave size out, or top pretrained`,
    );
  }
  const at = network.layers.indexOf(classifierOf(network)!);
  const before = network.layers.slice(0, at).findLast(({ kind }) => kind !== 'dropout' && kind !== 'flatten');
  return { network: tuned, layer: before!.name, pooling: 'none' };
}

/** The dense layer that gives the scores; a convolution where the dense layers are run so. Undefined where the network has none. */
export function classifierOf({ layers }: Network): Layer | undefined {
  return layers.findLast(({ name }) => /^fc\d+$/.test(name));
}

/** Whether the network's classes are these, in this order, by their names or ImageNet's ids. */
async function namesClasses(
  { file, network, name, set }: OpenedWeights,
  classes: readonly string[],
  options: { signal?: AbortSignal; onWarning?: (message: string) => void },
): Promise<boolean> {
  if (!network.top || network.classes !== classes.length) return false;
  const carried = carriedClasses(file.metadata);
  const names = carried === undefined ? await classNames(undefined, network.classes, set, options) : parseClasses(carried, name);
  return names?.length === classes.length && names.every(({ label, wnid }, i) => label === classes[i] || wnid === classes[i]);
}

/** Fits the classifier that the network begins with. */
async function fitted(model: Model, name: string, train: Dataset, options: TrainHeadOptions): Promise<Classifier> {
  using head = await trainHead(model, train, options);
  const [dense] = head.denseLayers();
  const values = [
    [`${name}.weight`, dense!.weight],
    [`${name}.bias`, dense!.bias],
  ] as const;
  return { values: new Map(values), square: head.featureSquare };
}

/**
 * The classifier stands on features as they are, some of them in the hundreds: steps that suit a filter would throw it about. Its rate is what
 * that of a classifier on features of mean square 1 comes to.
 */
function gentleRate({ algorithm = 'sgd' }: OptimizerOptions = OPTIMIZER, { square }: Classifier): number {
  return Math.min(1, algorithm === 'sgd' ? 1 / square : 1 / Math.sqrt(square));
}

function withGroup(optimizer: OptimizerOptions = OPTIMIZER, group: ParameterGroup): OptimizerOptions {
  return { ...optimizer, groups: [...(optimizer.groups ?? []), group] };
}

/** The classifier's rate in the checkpoint that a run goes on from, whose classifier need not be fitted again. */
async function resumedRate({ checkpoints, resume, signal }: TrainNetworkOptions, match: string): Promise<number | undefined> {
  const found = resume ? await checkpoints?.newest(signal ? { signal } : {}) : undefined;
  if (!found) return undefined;
  await found.close();
  const { groups = [] } = (found.run.options.optimizer ?? {}) as OptimizerOptions;
  return groups.findLast((group) => group.match === match)?.rate;
}

/**
 * Values that the store has read, or reads now, so that a file is read once. Dense weights are taken over as they lie on the backend. Filters are
 * copied: what is kept of them transformed goes with the store.
 */
async function held(store: WeightStore, { layers }: Network, backend: Backend, name: string): Promise<Float32Array | tf.Tensor> {
  const layer = layers.find((each) => tensorNames(each).includes(name))!;
  const { weight, others } = await store.get(layer, backend);
  const part = others.get(name.slice(layer.name.length + 1));
  if (layer.name.startsWith('fc')) return backend.run(() => (part ? part.clone() : tf.concat(weight)));
  return (await backend.read(part ?? weight[0]!)).slice();
}

/** A network's own pictures are of its size. */
export function sized(preprocessing: Preprocessing, { size }: Network): Preprocessing {
  const { crop: _, ...rest } = preprocessing;
  return { ...rest, resize: { mode: 'squash', size, filter: preprocessing.resize.filter ?? 'bilinear' } };
}
