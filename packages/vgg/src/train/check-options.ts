import { VggError } from '@vgg/errors';
import { AUGMENTATIONS } from '../pictures/augment.js';
import { makeOptimizer } from './optimizer.js';
import { checkNames, checkNumber, checkWord, wrongOption } from './options.js';
import { makeSchedule, scheduleFor } from './schedule.js';
import type { TrainNetworkOptions, TrainNetworkStart } from './train-network.js';
import { TOPS } from './tune.js';

/** All of them, so that a mistyped one is told from them. */
const NAMES = {
  ...{
    validation: 0,
    size: 0,
    preprocessing: 0,
    initialize: 0,
    transplant: 0,
    network: 0,
    augment: 0,
    top: 0,
    layer: 0,
    freezeStatistics: 0,
  },
  ...{ epochs: 0, batch: 0, portion: 0, optimizer: 0, rate: 0, schedule: 0, smoothing: 0, patience: 0, seed: 0, unfreeze: 0 },
  ...{ restoreBest: 0, checkpoints: 0, checkpointEvery: 0, resume: 0, backend: 0, threads: 0, memory: 0, maxMemoryBytes: 0, recompute: 0 },
  ...{ mirrors: 0, headers: 0, fetch: 0, offline: 0, retries: 0, retryDelay: 0, stallTimeout: 0 },
  ...{ onEpoch: 0, onStep: 0, onProgress: 0, onWarning: 0, signal: 0 },
} as const satisfies Record<keyof TrainNetworkOptions, 0>;

const COUNT = { least: 1, whole: true };
/** What options that are numbers must be. */
const BOUNDS = {
  epochs: COUNT,
  batch: COUNT,
  portion: COUNT,
  size: COUNT,
  patience: COUNT,
  checkpointEvery: COUNT,
  seed: { whole: true },
  rate: { above: 0 },
  maxMemoryBytes: { above: 0 },
  smoothing: { least: 0, most: 1 },
} as const satisfies Partial<Record<keyof TrainNetworkOptions, object>>;

/** What only some networks have: what they must begin with. */
const FOR_WEIGHTS = ['unfreeze', 'layer', 'top'] as const;
const FOR_NEW = ['initialize', 'network', 'transplant'] as const;

/**
 * Looks at all that is asked for, before anything is read or computed.
 *
 * @throws VggError `VGG_INPUT` for no network to begin with; `VGG_OPTION` for an option that is unknown, not what it must be, or without effect
 */
export function checkTraining(start: TrainNetworkStart, options: TrainNetworkOptions): void {
  if (!isObject(start) || (start.arch === undefined && start.weights === undefined)) {
    const received = isObject(start) ? 'neither' : String(start);
    throw new VggError('VGG_INPUT', `train: expected { arch } or { weights } to begin with, received ${received}`);
  }
  checkNames('train: start', start, ['arch', 'weights']);
  if (!isObject(options)) throw wrongOption('train', 'options', 'an object', options);
  checkNames('train', options, Object.keys(NAMES));
  for (const [name, bounds] of Object.entries(BOUNDS)) {
    const value = options[name as keyof typeof BOUNDS];
    if (value !== undefined) checkNumber('train', name, value, bounds);
  }
  const { validation, augment, optimizer, schedule, top, layer, rate = 1, epochs = 1 } = options;
  if (typeof validation === 'number') checkNumber('train', 'validation', validation, { above: 0, below: 1 });
  if (augment !== undefined && !isObject(augment) && !Object.hasOwn(AUGMENTATIONS, augment))
    throw wrongOption('train', 'augment', `${Object.keys(AUGMENTATIONS).join(', ')} or options of one's own`, `"${augment}"`);
  if (optimizer !== undefined) {
    if (!isObject(optimizer)) throw wrongOption('train', 'optimizer', "an object such as { algorithm: 'adam' }", optimizer);
    makeOptimizer(optimizer).dispose();
  }
  if (schedule !== undefined) {
    if (!isObject(schedule)) throw wrongOption('train', 'schedule', "an object such as { kind: 'cosine' }", schedule);
    makeSchedule(scheduleFor(schedule, epochs), rate);
  }
  if (top !== undefined) checkWord('train', 'top', top, TOPS);
  checkUse(start, options);
  if (top === 'pretrained' && layer !== undefined)
    throw new VggError(
      'VGG_OPTION',
      `train: expected layer or top pretrained, received both; the network's own dense layers stand where they stood, so leave layer ${layer} out`,
    );
}

/** @throws VggError `VGG_OPTION` for an option that would be passed over */
function checkUse(start: TrainNetworkStart, options: TrainNetworkOptions): void {
  const isNew = start.weights === undefined;
  const vain = (isNew ? FOR_WEIGHTS : FOR_NEW).find((name) => options[name] !== undefined);
  if (vain === undefined) return;
  const [needed, there] = isNew ? ['weights', 'arch alone'] : ['arch alone', 'weights'];
  throw new VggError('VGG_OPTION', `train: expected ${needed} to begin with for ${vain}, received ${there}; leave ${vain} out`);
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
