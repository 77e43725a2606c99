import { stat } from 'node:fs/promises';
import type { DatasetInput } from '../data/dataset.js';
import type { Skipped } from '../data/photographs.js';
import { given } from '../given.js';
import type { NetworkOptions } from '../network/architecture.js';
import { AUGMENTATIONS } from '../pictures/augment.js';
import { parsePreprocessing } from '../pictures/preprocessing.js';
import { trainingCurves } from '../report/curves.js';
import { trainingReport } from '../report/training-report.js';
import { CheckpointFolder } from '../train/checkpoint-folder.js';
import { INITIALIZERS } from '../train/initialize.js';
import type { OptimizerOptions, ParameterGroup } from '../train/optimizer.js';
import { RUN_DEFAULTS } from '../train/run.js';
import type { ScheduleOptions } from '../train/schedule.js';
import { type TrainNetworkOptions, trainNetwork } from '../train/train-network.js';
import { TOPS } from '../train/tune.js';
import { VERSION } from '../version.js';
import { archOf } from './arch.js';
import type { Context, Flags, Result, Values } from './command.js';
import { EXIT, UsageError } from './exit.js';
import { failedText, failure } from './pictures.js';
import { writeText } from './report-file.js';
import { scores } from './scores.js';
import { brief, bytes, facts, plural } from './text.js';

/** What only the training of networks has; `vgg train` takes them with `--from-scratch` and `--unfreeze`. */
export const NETWORK_FLAGS = {
  'from-scratch': { type: 'boolean', about: 'train a new network of --arch, from its first layer on' },
  unfreeze: { type: 'string', value: 'L', about: 'train the layers from this one on too, such as conv5, and write a network' },
  top: {
    type: 'choice',
    choices: TOPS,
    about:
      'unfreeze: a new classifier behind a pool, or the dense layers of the weights, the last of them kept where its classes are those of the pictures',
    defaultText: 'new',
  },
  'batch-norm': {
    type: 'choice',
    choices: ['train', 'frozen'],
    about: 'network: whether the running statistics of batch normalisation follow the pictures',
    defaultText: 'train from scratch, else frozen',
  },
  optimizer: { type: 'choice', choices: ['sgd', 'adam', 'adamw'], about: 'network: how its weights change', defaultText: 'sgd' },
  momentum: { type: 'number', value: 'M', least: 0, about: 'network: of sgd', default: 0.9 },
  nesterov: { type: 'boolean', about: "network: sgd with Nesterov's momentum" },
  'weight-decay': {
    type: 'number',
    value: 'D',
    least: 0,
    about: 'network: L2; decoupled with adamw',
    defaultText: '0.0005; adam 0, adamw 0.01',
  },
  schedule: {
    type: 'choice',
    choices: ['constant', 'step', 'cosine', 'plateau'],
    about: "network: how the learning rate falls; plateau is the paper's, a tenth when accuracy stalls",
    defaultText: 'constant',
  },
  'step-epochs': {
    type: 'integer',
    value: 'N',
    least: 1,
    about: 'network: epochs to a tenth with --schedule step',
    defaultText: 'a third of --epochs',
  },
  warmup: { type: 'number', value: 'EPOCHS', least: 0, about: 'network: epochs in which the rate rises', default: 0 },
  smoothing: { type: 'number', value: 'S', least: 0, most: 1, about: 'network: label smoothing', default: RUN_DEFAULTS.smoothing },
  'layer-rates': {
    type: 'list',
    value: 'L=F',
    about: 'network: multiples of the learning rate, such as conv4=0.1,conv5=0.3; the first that a name matches counts',
  },
  clip: { type: 'number', value: 'NORM', least: 0, about: 'network: scale gradients to this norm at most', defaultText: 'none' },
  augment: {
    type: 'choice',
    choices: ['none', 'cifar', 'cutout', 'paper'],
    about:
      'network: random variants of the pictures: cifar pads by an eighth, crops and flips; cutout hides a square too; paper draws the scale, crops, flips and shifts colours',
    default: 'none',
  },
  scale: {
    type: 'list',
    value: 'S',
    about: 'network: with --augment paper, pixels of the shorter side before the window: one S, or the least and the most',
    defaultText: '256,512 for a network of 224',
  },
  dense: {
    type: 'list',
    value: 'N,N',
    about: 'from scratch: widths of the hidden dense layers, or none',
    defaultText: "the architecture's own",
  },
  'global-pool': { type: 'boolean', about: 'from scratch: the mean of the last map in front of the dense layers' },
  dropout: {
    type: 'number',
    value: 'P',
    least: 0,
    about: 'from scratch: part of the hidden dense units dropped',
    defaultText: "the architecture's own",
  },
  init: { type: 'choice', choices: INITIALIZERS, about: 'from scratch: how the weights begin', default: 'he-normal' },
  transplant: {
    type: 'string',
    value: 'FILE',
    about:
      "from scratch: begin with the first four convolutions and the dense layers of these weights, as the paper's deeper columns do with A's",
  },
  patience: {
    type: 'integer',
    value: 'N',
    least: 1,
    about: 'network: epochs without a better accuracy before it stops',
    defaultText: 'never',
  },
  checkpoints: { type: 'string', value: 'DIR', about: 'network: keep the run there, epoch by epoch; Ctrl-C writes one too' },
  'checkpoint-every': { type: 'integer', value: 'STEPS', least: 1, about: 'network: within epochs too', defaultText: 'at their ends' },
  resume: { type: 'boolean', about: 'network: go on from the newest checkpoint, to the same weights as if it had never stopped' },
  'max-memory': {
    type: 'integer',
    value: 'MB',
    least: 1,
    about: 'network: what it may take, of the 4295 MB that a wasm heap can have; larger batches are worked off in portions',
    default: 3221,
  },
  recompute: {
    type: 'choice',
    choices: ['always', 'never'],
    about: 'network: keep few maps and compute the others anew on the way back, in less memory and about a tenth more time',
    defaultText: 'where a batch that batch normalisation sees, or one picture, fits only so',
  },
} as const satisfies Flags;

/** The flags of `vgg train` that both kinds of training have. */
interface CommonValues {
  readonly arch?: string | undefined;
  readonly weights?: string | undefined;
  readonly out?: string | undefined;
  readonly layer?: string | undefined;
  readonly size?: number | undefined;
  readonly epochs?: number | undefined;
  readonly lr?: number | undefined;
  readonly batch: number;
  readonly report?: string | undefined;
  readonly curves?: string | undefined;
  readonly offline: boolean;
  readonly preprocessing?: string | undefined;
}

/** Trains a network and writes it, its curves and a report; `skipped` are the files that are no pictures. */
export async function trainNetworkCommand(
  folder: string,
  data: DatasetInput,
  validation: DatasetInput | number | undefined,
  skipped: readonly Skipped[],
  values: CommonValues & Values<typeof NETWORK_FLAGS>,
  context: Context,
): Promise<Result> {
  const { options, signal, onProgress, warn } = context;
  const { out, report, curves, checkpoints } = values;
  const start = performance.now();
  const arch = await archOf(values.arch);
  const fresh = values['from-scratch'];
  const settings: TrainNetworkOptions = {
    ...settingsOf(values, options.seed),
    ...(validation !== undefined && { validation }),
    ...(options.backend && { backend: options.backend }),
    ...(options.threads !== undefined && { threads: options.threads }),
    ...(options.memory && { memory: options.memory }),
    ...(values.offline && { offline: true }),
    ...(checkpoints !== undefined && { checkpoints: await CheckpointFolder.open(checkpoints, { onWarning: warn }) }),
    onEpoch: (entry) => warn(`epoch ${entry.epoch}: ${scores(entry)}, rate ${brief(entry.rate, 3)}, ${entry.seconds.toFixed(0)} s`),
    onProgress,
    onWarning: warn,
    signal,
  };
  const weights = values.weights ?? (typeof arch === 'string' ? arch : undefined);
  if (!fresh && weights === undefined) throw new UsageError('vgg train --unfreeze: expected --weights, received none');
  using trained = await trainNetwork(
    fresh ? { arch: arch! } : { weights: weights!, ...(values.weights !== undefined && arch !== undefined && { arch }) },
    data,
    settings,
    'vgg train',
  );
  if (out !== undefined) await trained.save(out, { signal });
  const { classes, history, best, network, stopped } = trained;
  const failed = trained.failed.map(({ name, error }) => failure(name, error));
  const seconds = (performance.now() - start) / 1000;
  if (curves !== undefined) await writeText(curves, trainingCurves(history, { best: best.epoch }), signal);
  if (report !== undefined) {
    const run = {
      title: `${network.name} on ${plural(classes.length, 'class', 'classes')}`,
      classes,
      history,
      best,
      about: [
        ['network', network.name],
        ['folder', folder],
        ['weights', fresh ? 'new' : weights],
        ['file', out],
      ] as const,
      options: { ...settingsOf(values, options.seed) },
      seed: options.seed,
      seconds,
      versions: { vgg: VERSION, node: process.version },
    };
    await writeText(report, trainingReport(run), signal);
  }
  const size = out === undefined ? 0 : (await stat(out)).size;
  return {
    json: { classes, epochs: history, best, head: out ?? null, network: network.name, stopped, skipped, failed, seconds },
    text: () =>
      [
        facts([
          ['network', network.name],
          ['classes', classes.join(', ')],
          ['kept', `epoch ${best.epoch}: ${scores(best)}`],
          ['stopped', stopped],
          ['report', report],
          ['curves', curves],
          ['file', out === undefined ? 'not kept; use --out' : `${out}, ${bytes(size)}`],
          ['time', `${seconds.toFixed(1)} s`],
        ]),
        ...(failed.length > 0 ? ['', failedText(failed)] : []),
      ].join('\n'),
    exit: failed.length > 0 ? EXIT.partial : EXIT.done,
  };
}

function settingsOf(values: CommonValues & Values<typeof NETWORK_FLAGS>, seed: number): TrainNetworkOptions {
  const {
    optimizer: algorithm = 'sgd',
    momentum,
    nesterov,
    clip,
    epochs,
    batch,
    lr,
    smoothing,
    patience,
    size,
    layer,
    unfreeze,
    top,
  } = values;
  const { 'weight-decay': decay = DECAYS[algorithm], 'max-memory': megabytes, 'checkpoint-every': checkpointEvery, resume } = values;
  const optimizer: OptimizerOptions = {
    algorithm,
    ...(algorithm === 'sgd' && { momentum, nesterov }),
    ...(decay !== undefined && { weightDecay: decay }),
    ...(clip !== undefined && { clipNorm: clip }),
    ...(values['layer-rates'] && { groups: values['layer-rates'].map(groupOf) }),
  };
  return {
    optimizer,
    schedule: scheduleOf(values),
    ...{ batch, smoothing, seed, resume, maxMemoryBytes: megabytes * 1e6 },
    freezeStatistics: (values['batch-norm'] ?? (values['from-scratch'] ? 'train' : 'frozen')) === 'frozen',
    ...(values['from-scratch'] && { initialize: { initializer: values.init }, network: networkOf(values) }),
    ...given({
      epochs,
      rate: lr,
      patience,
      size,
      layer,
      unfreeze,
      top,
      transplant: values.transplant,
      recompute: values.recompute && values.recompute === 'always',
      checkpointEvery,
      augment: augmentOf(values),
    }),
    ...(values.preprocessing !== undefined && { preprocessing: parsePreprocessing(values.preprocessing) }),
  };
}

/** One of --layer-rates: layers, or parameters of theirs, and what their rate is multiplied by. */
function groupOf(text: string): ParameterGroup {
  const [, name, factor] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  const rate = Number(factor);
  if (name === undefined || !(rate >= 0 && rate < Infinity))
    throw new UsageError(`vgg train --layer-rates: expected layers and factors such as conv4=0.1,conv5=0.3, received "${text}"`);
  // A block has several layers, a layer several parameters.
  const match = /^conv\d+$/.test(name) ? `${name}_*` : /[.*]/.test(name) ? name : `${name}.*`;
  return { match, rate };
}

/** Where the scale is said, the rest of the paper's way with it. */
function augmentOf({ augment, scale }: Values<typeof NETWORK_FLAGS>): TrainNetworkOptions['augment'] {
  if (scale === undefined) return augment === 'none' ? undefined : augment;
  if (augment !== 'paper') throw new UsageError(`vgg train --scale: expected --augment paper, received ${augment ?? 'none'}`);
  const sides = scale.map(Number);
  const [least, most = least] = sides;
  if (sides.length > 2 || !sides.every((side) => Number.isInteger(side) && side > 0) || most! < least!)
    throw new UsageError(`vgg train --scale: expected pixels such as 256, or 256,512, received "${scale.join(',')}"`);
  const { crop: _, ...paper } = AUGMENTATIONS.paper;
  return { ...paper, scale: sides.length === 1 ? least! : [least!, most!] };
}

const DECAYS = { sgd: 5e-4, adam: undefined, adamw: undefined } as const;

function scheduleOf(values: Values<typeof NETWORK_FLAGS>): ScheduleOptions {
  const { schedule: kind = 'constant', warmup, 'step-epochs': length } = values;
  const rise = warmup > 0 ? { warmup: { length: warmup } } : {};
  if (kind === 'step') return { kind, ...(length !== undefined && { length }), ...rise };
  if (kind === 'cosine') return { kind, by: 'step', ...rise };
  return { kind, ...rise };
}

/** What the network has otherwise than its architecture says. */
function networkOf({ dense, dropout, 'global-pool': globalPool }: Values<typeof NETWORK_FLAGS>): NetworkOptions {
  const widths = dense?.length === 1 && dense[0] === 'none' ? [] : dense?.map(Number);
  const wrong = widths?.findIndex((width) => !(Number.isInteger(width) && width > 0)) ?? -1;
  if (wrong >= 0) throw new UsageError(`vgg train --dense: expected widths such as 512,512, or none, received "${dense![wrong]}"`);
  return { ...(widths && { dense: widths }), ...(dropout !== undefined && { dropout }), ...(globalPool && { globalPool }) };
}
