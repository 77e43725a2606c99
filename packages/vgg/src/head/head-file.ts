import { isVggError, messageOf, VggError } from '@vgg/errors';
import { type NamedValues, openWeights, safetensors, type WeightFile, writeSafetensors } from '@vgg/loaders';
import { io } from '#io';
import type { SourceInput } from '../io/io.js';
import { parsePreprocessing } from '../pictures/preprocessing.js';
import { VERSION } from '../version.js';
import type { Base } from './train/features.js';
import type { HistoryEntry } from './train/history.js';
import { DISTANCES, type NeighbourRule, VOTES } from './train/knn.js';
import type { Net } from './train/net.js';
import type { LabelledRows } from './train/rows.js';
import type { ScoreSolver } from './train/scores.js';
import { targetKind } from './train/settings.js';
import type { Standard } from './train/standardize.js';

/** How a head was trained, for people and for training it again. */
export interface Training {
  readonly solver: 'lbfgs' | 'adam' | ScoreSolver | 'knn' | 'multi-label' | 'regression';
  readonly seed: number;
  /** Pictures that were trained on. */
  readonly images: number;
  /** The L2 strength, with the solvers that have one: all but adam, nearest-mean and knn. */
  readonly l2?: number;
  /** Without a validation set the L2 strength was chosen on this many training pictures, held out for it. */
  readonly heldOut?: { readonly images: number; readonly valLoss: number; readonly valAccuracy: number };
  /** The factor that made probabilities of scores, with svm, ridge and nearest-mean. */
  readonly temperature?: number;
  /** Examples of each class, with nearest-mean: more of them move the means exactly. */
  readonly counts?: readonly number[];
  /** How the nearest examples vote, with knn. */
  readonly neighbours?: NeighbourRule;
  readonly learningRate?: number;
  readonly weightDecay?: number;
  readonly dropout?: number;
  readonly batchSize?: number;
}

/** What a head file says of itself. */
export interface HeadInfo {
  readonly classes: readonly string[];
  /** What the features must be computed with. */
  readonly base: Base;
  /** Features of each picture. */
  readonly dimensions: number;
  /** Units of the hidden layers; none for the linear head. */
  readonly hidden: readonly number[];
  readonly history: readonly HistoryEntry[];
  /** The epoch that was kept. */
  readonly best: HistoryEntry;
  readonly training: Training;
  /** Examples whose features it keeps, if it does: `extendHead` fits them anew with others, and a k-NN head compares with them. */
  readonly kept?: number;
  /** The version of this package that wrote the file. */
  readonly version: string;
}

/** A head as it is stored: what it says of itself, and its numbers. */
export interface StoredHead {
  readonly info: HeadInfo;
  readonly standard: Standard;
  /** Empty for a k-NN head, which has no parameters. */
  readonly net: Net;
  /** Training examples with their class numbers. */
  readonly kept?: LabelledRows;
}

/** Raised when a reader of this version could no longer read the file: 2 for heads with kept features, or whose outputs are no softmax. */
const FORMAT_VERSIONS = { plain: '1', more: '2' } as const;
/** A stranger's file must not ask for more: a head of 25088 features with two hidden layers of 4096 units is half of it. */
const MOST_NUMBERS = 2 ** 28;
const MOST_CLASSES = 100_000;
const MOST_LAYERS = 16;

const KEYS = {
  version: 'vgg.head',
  package: 'vgg.version',
  classes: 'vgg.classes',
  layer: 'vgg.layer',
  pooling: 'vgg.pooling',
  normalize: 'vgg.normalize',
  size: 'vgg.size',
  orientation: 'vgg.orientation',
  preprocessing: 'vgg.preprocessing',
  network: 'vgg.network',
  weights: 'vgg.weights',
  fingerprint: 'vgg.fingerprint',
  history: 'vgg.history',
  best: 'vgg.best',
  training: 'vgg.training',
} as const;

const KEPT = { vectors: 'features.vectors', labels: 'features.labels', targets: 'features.targets' } as const;

/**
 * A head as a safetensors file: `mean` and `deviation` [dimensions], `dense1.weight` [in, out], `dense1.bias` [out], `dense2.weight` ...,
 * all float32, and as metadata (text, or JSON) what {@link HeadInfo} lists. softmax(... relu(((x - mean) / deviation) dense1 ...)) is all
 * that another program has to compute. Kept features are `features.vectors` [examples, dimensions] as they are and `features.labels`
 * [examples], class numbers, with `features.targets` [examples, classes] where there are several labels or a number; a k-NN head has them
 * instead of dense layers. A multi-label head has a sigmoid in place of the softmax, a regression head nothing.
 */
export function writeHead({ info, standard, net, kept }: StoredHead): AsyncGenerator<Uint8Array> {
  const { base } = info;
  const tensor = (name: string, shape: number[], values: () => Float32Array): NamedValues => ({
    name,
    shape,
    values: async () => values(),
  });
  const tensors = [
    tensor('mean', [info.dimensions], () => standard.mean),
    tensor('deviation', [info.dimensions], () => standard.deviation),
    ...net.flatMap(({ inputs, outputs, weights, bias }, l) => [
      tensor(`dense${l + 1}.weight`, [inputs, outputs], () => transpose(weights, outputs, inputs)),
      tensor(`dense${l + 1}.bias`, [outputs], () => bias),
    ]),
    ...(kept
      ? [
          tensor(KEPT.vectors, [kept.count, kept.dimensions], () => kept.vectors),
          tensor(KEPT.labels, [kept.count], () => Float32Array.from(kept.labels)),
          ...(kept.targets ? [tensor(KEPT.targets, [kept.count, info.classes.length], () => kept.targets!)] : []),
        ]
      : []),
  ];
  const metadata: Record<string, string> = {
    [KEYS.version]: kept || targetKind(info.training.solver) ? FORMAT_VERSIONS.more : FORMAT_VERSIONS.plain,
    [KEYS.package]: VERSION,
    [KEYS.classes]: JSON.stringify(info.classes),
    [KEYS.layer]: base.layer,
    [KEYS.pooling]: base.pooling,
    [KEYS.normalize]: String(base.normalize),
    ...(base.size === undefined ? {} : { [KEYS.size]: String(base.size) }),
    [KEYS.orientation]: String(base.orientation),
    [KEYS.preprocessing]: JSON.stringify(base.preprocessing),
    [KEYS.network]: base.network,
    [KEYS.weights]: base.weights,
    [KEYS.fingerprint]: base.fingerprint,
    [KEYS.history]: JSON.stringify(info.history),
    [KEYS.best]: JSON.stringify(info.best),
    [KEYS.training]: JSON.stringify(info.training),
  };
  return writeSafetensors(tensors, metadata);
}

/**
 * Reads a head file whole.
 *
 * @throws VggError `VGG_FORMAT` for another kind of file, `VGG_INTEGRITY` for a cut one, `VGG_HEAD` for one whose parts do not fit together
 */
export async function readHead(source: SourceInput, options: { signal?: AbortSignal } = {}): Promise<StoredHead> {
  return withFile(source, options, async (file, who) => {
    const info = readInfo(file, who);
    const read = async (name: string) => {
      const values = await file.read(name, options);
      if (!values.every(Number.isFinite)) throw new VggError('VGG_HEAD', `${who}: expected finite numbers in "${name}", received others`);
      return values;
    };
    const standard = { mean: await read('mean'), deviation: await read('deviation') };
    if (!standard.deviation.every((size) => size > 0)) {
      throw new VggError('VGG_HEAD', `${who}: expected deviations above 0, received one that is not`);
    }
    const sizes = info.training.neighbours ? [] : [info.dimensions, ...info.hidden, info.classes.length];
    const net: Net[number][] = [];
    for (let l = 0; l + 1 < sizes.length; l++) {
      const [inputs, outputs] = [sizes[l]!, sizes[l + 1]!];
      const weights = transpose(await read(`dense${l + 1}.weight`), inputs, outputs);
      net.push({ inputs, outputs, weights, bias: await read(`dense${l + 1}.bias`) });
    }
    if (info.kept === undefined) return { info, standard, net };
    const labels = Int32Array.from(await read(KEPT.labels));
    if (!labels.every((label) => label >= 0 && label < info.classes.length)) {
      throw new VggError('VGG_HEAD', `${who}: expected labels from 0 to ${info.classes.length - 1} in "${KEPT.labels}", received others`);
    }
    const targets = targetKind(info.training.solver) && { targets: await read(KEPT.targets) };
    const kept = { ...targets, vectors: await read(KEPT.vectors), labels, count: info.kept, dimensions: info.dimensions };
    return { info, standard, net, kept };
  });
}

/**
 * What a head file needs and knows, without its numbers and without a model.
 *
 * @throws VggError as {@link readHead}
 * @example
 * const { classes, base } = await inspectHead('bees.safetensors');
 * base.layer; // 'pool3'
 */
export async function inspectHead(source: SourceInput, options: { signal?: AbortSignal } = {}): Promise<HeadInfo> {
  return withFile(source, options, async (file, who) => readInfo(file, who));
}

async function withFile<T>(
  source: SourceInput,
  options: { signal?: AbortSignal },
  use: (file: WeightFile, who: string) => Promise<T>,
): Promise<T> {
  const opened = await io.openSource(source, options);
  const file = await openWeights(opened, { ...options, formats: [safetensors] }).catch((error: unknown) => {
    throw isVggError(error, 'VGG_FORMAT') ? notHead(error) : error;
  });
  try {
    return await use(file, opened.name);
  } finally {
    await file.close();
  }
}

/** A file of another kind, in the words of one who wanted a head. */
const notHead = (error: VggError): VggError =>
  new VggError('VGG_FORMAT', error.message.replace(/expected a weight file( \([^)]*\))?/, 'expected a head file'), { cause: error });

function readInfo(file: WeightFile, who: string): HeadInfo {
  const version = file.metadata.get(KEYS.version);
  if (version === undefined)
    throw new VggError('VGG_FORMAT', `${who}: expected a head file, received safetensors without "${KEYS.version}"; are these weights?`);
  if (!Object.values<string>(FORMAT_VERSIONS).includes(version)) {
    throw new VggError(
      'VGG_FORMAT',
      `${who}: expected a head file of format ${Object.values(FORMAT_VERSIONS).join(' or ')}, received ${short(version)}; a newer vgg wrote it`,
    );
  }
  const text = (key: string) => {
    const value = file.metadata.get(key);
    if (value === undefined) throw new VggError('VGG_HEAD', `${who}: expected "${key}" in its metadata, received none`);
    return value;
  };
  const json = (key: string): unknown => {
    try {
      return JSON.parse(text(key));
    } catch (error) {
      throw isVggError(error) ? error : wrong(who, key, 'JSON', text(key));
    }
  };
  const classes = json(KEYS.classes);
  if (
    !Array.isArray(classes) ||
    classes.length < 1 ||
    classes.length > MOST_CLASSES ||
    !classes.every((name) => typeof name === 'string')
  ) {
    throw wrong(who, KEYS.classes, 'a list of class names', text(KEYS.classes));
  }
  if (new Set(classes).size !== classes.length) throw wrong(who, KEYS.classes, 'each class name once', text(KEYS.classes));
  const history = json(KEYS.history);
  if (!Array.isArray(history)) throw wrong(who, KEYS.history, 'a list of epochs', text(KEYS.history));
  const training = json(KEYS.training);
  if (typeof training !== 'object' || training === null || Array.isArray(training))
    throw wrong(who, KEYS.training, 'an object', text(KEYS.training));
  const rule = (training as Partial<Training>).neighbours;
  if (rule !== undefined && !isRule(rule)) throw wrong(who, KEYS.training, 'how many neighbours vote, and how', JSON.stringify(rule));
  const hasTargets = targetKind((training as Training).solver) !== undefined;
  const { sizes, kept } = layerSizes(file, who, classes.length, rule !== undefined, hasTargets);
  return {
    classes,
    base: readBase(file, who, text),
    dimensions: sizes[0]!,
    hidden: sizes.slice(1, -1),
    ...(kept !== undefined && { kept }),
    history: history.map((entry) => readEntry(entry, who)),
    best: readEntry(json(KEYS.best), who),
    training: training as Training,
    version: text(KEYS.package),
  };
}

function readBase(file: WeightFile, who: string, text: (key: string) => string): Base {
  const pooling = text(KEYS.pooling);
  if (pooling !== 'average' && pooling !== 'max' && pooling !== 'none') throw wrong(who, KEYS.pooling, 'average, max or none', pooling);
  const flag = (key: string) => {
    const value = text(key);
    if (value !== 'true' && value !== 'false') throw wrong(who, key, 'true or false', value);
    return value === 'true';
  };
  const size = file.metadata.has(KEYS.size) ? Number(text(KEYS.size)) : undefined;
  if (size !== undefined && !(Number.isInteger(size) && size > 0 && size <= 2 ** 16))
    throw wrong(who, KEYS.size, 'a number of pixels', text(KEYS.size));
  let preprocessing: Base['preprocessing'];
  try {
    preprocessing = parsePreprocessing(JSON.parse(text(KEYS.preprocessing)));
  } catch (error) {
    throw new VggError('VGG_HEAD', `${who}: its preprocessing cannot be used (${messageOf(error)})`, { cause: error });
  }
  return {
    layer: text(KEYS.layer),
    pooling,
    normalize: flag(KEYS.normalize),
    ...(size === undefined ? {} : { size }),
    orientation: flag(KEYS.orientation),
    preprocessing,
    network: text(KEYS.network),
    weights: text(KEYS.weights),
    fingerprint: text(KEYS.fingerprint),
  };
}

function isRule(value: unknown): value is NeighbourRule {
  const { k, distance, votes } = (value ?? {}) as Partial<NeighbourRule>;
  return Number.isInteger(k) && k! > 0 && DISTANCES.includes(distance!) && VOTES.includes(votes!);
}

/** [dimensions, hidden ..., classes], from shapes that must follow one another; of a k-NN head [dimensions, classes]. */
function layerSizes(
  file: WeightFile,
  who: string,
  classes: number,
  isNeighbours: boolean,
  hasTargets: boolean,
): { sizes: number[]; kept?: number } {
  const shape = (name: string) => file.tensors.get(name)?.shape;
  const expected = new Set(['mean', 'deviation']);
  const sizes = [...(shape('mean') ?? [])];
  if (sizes.length !== 1 || !sameShape(shape('deviation'), sizes))
    throw misfit(who, 'mean and deviation of one length', [shape('mean'), shape('deviation')]);
  for (let l = 1; shape(`dense${l}.weight`) && l <= MOST_LAYERS; l++) {
    const weight = shape(`dense${l}.weight`)!;
    const bias = shape(`dense${l}.bias`);
    if (weight.length !== 2 || weight[0] !== sizes.at(-1) || !sameShape(bias, [weight[1]!])) {
      throw misfit(who, `dense${l} to be [${sizes.at(-1)}, units] with a bias of that many`, [weight, bias]);
    }
    sizes.push(weight[1]!);
    expected.add(`dense${l}.weight`).add(`dense${l}.bias`);
  }
  if (isNeighbours && sizes.length === 1) sizes.push(classes);
  const vectors = shape(KEPT.vectors);
  if (vectors || isNeighbours) {
    if (vectors?.length !== 2 || !(vectors[0]! > 0) || vectors[1] !== sizes[0] || !sameShape(shape(KEPT.labels), [vectors[0]!]))
      throw misfit(who, `kept features [examples, ${sizes[0]}] with a label each`, [vectors, shape(KEPT.labels)]);
    expected.add(KEPT.vectors).add(KEPT.labels);
    if (hasTargets) {
      if (!sameShape(shape(KEPT.targets), [vectors[0]!, classes]))
        throw misfit(who, `kept targets [${vectors[0]}, ${classes}]`, [shape(KEPT.targets)]);
      expected.add(KEPT.targets);
    }
  }
  if (sizes.length < 2 || sizes.at(-1) !== classes) throw misfit(who, `a last dense layer for ${classes} classes`, [sizes]);
  const stray = [...file.tensors.keys()].find((name) => !expected.has(name));
  if (stray !== undefined) throw misfit(who, 'only mean, deviation, dense layers and kept features', [[short(stray)]]);
  const numbers = [...file.tensors.values()].reduce((sum, tensor) => sum + tensor.shape.reduce((a, b) => a * b, 1), 0);
  if (numbers > MOST_NUMBERS) throw misfit(who, `at most ${MOST_NUMBERS} numbers`, [[numbers]]);
  if (sizes.some((size) => size < 1)) throw misfit(who, 'layers that are not empty', [sizes]);
  return { sizes, ...(vectors && { kept: vectors[0]! }) };
}

function readEntry(value: unknown, who: string): HistoryEntry {
  const entry = (value ?? {}) as Record<string, unknown>;
  const numbers = ['epoch', 'loss', 'accuracy'].map((key) => entry[key]);
  const optional = ['valLoss', 'valAccuracy'].map((key) => entry[key]).filter((number) => number !== undefined);
  if (![...numbers, ...optional].every((number) => typeof number === 'number'))
    throw wrong(who, KEYS.history, 'numbers in each epoch', JSON.stringify(value));
  const [epoch, loss, accuracy] = numbers as number[];
  const kept = { epoch: epoch!, loss: loss!, accuracy: accuracy! };
  if (optional.length < 2) return kept;
  return { ...kept, valLoss: entry.valLoss as number, valAccuracy: entry.valAccuracy as number };
}

const sameShape = (a: readonly number[] | undefined, b: readonly number[]) => a?.length === b.length && a.every((side, i) => side === b[i]);
const short = (text: string) => (text.length > 60 ? `${text.slice(0, 60)}...` : text);

function wrong(who: string, key: string, expected: string, received: string): VggError {
  return new VggError('VGG_HEAD', `${who}: expected ${expected} as "${key}" in its metadata, received ${short(received)}`);
}

function misfit(who: string, expected: string, shapes: readonly (readonly (number | string)[] | undefined)[]): VggError {
  return new VggError(
    'VGG_HEAD',
    `${who}: expected ${expected}, received ${shapes.map((shape) => (shape ? `[${shape.join(', ')}]` : 'none')).join(' and ')}`,
  );
}

/** [rows, columns] to [columns, rows]. */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = values[i * columns + j]!;
  return out;
}
