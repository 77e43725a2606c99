import { isVggError, VggError } from '@vgg/errors';
import { load } from '../load.js';
import type { Model } from '../model.js';
import type { PlanInput } from '../network/plan.js';
import { PREPROCESSINGS, parsePreprocessing } from '../pictures/preprocessing.js';
import { ARCH_HELP, archOf } from './arch.js';
import type { Context, Flag, Flags } from './command.js';
import { plural } from './text.js';

/** Of every command that takes weights. */
export const OFFLINE_FLAG = {
  type: 'boolean',
  about: 'fetch nothing: use the files at hand and the cache',
} as const satisfies Flag;

/** How pictures are prepared, where the weights say it wrongly or not at all. */
export const PREPROCESSING_FLAG = {
  type: 'string',
  value: 'NAME|JSON',
  about: `how pictures are prepared: ${Object.keys(PREPROCESSINGS).join(', ')}, or the JSON of one's own`,
  defaultText: 'what the weights say',
} as const satisfies Flag;

/** Options of every command that runs a network. */
export const MODEL_FLAGS = {
  weights: {
    type: 'string',
    value: 'FILE|URL|NAME',
    about: 'a weight file, or a published set (vgg weights lists them)',
    defaultText: 'the published set, fetched once',
  },
  arch: { type: 'string', value: 'ARCH', about: ARCH_HELP, defaultText: 'what the weights are of, else vgg16' },
  preprocessing: PREPROCESSING_FLAG,
  offline: OFFLINE_FLAG,
} as const satisfies Flags;

/** `--size` of every command that prepares pictures. */
export const SIZE_FLAG = {
  type: 'integer',
  value: 'N',
  least: 1,
  most: 16384,
  about: 'squash pictures to N x N',
  defaultText: "the weights' own size rules",
} as const satisfies Flag;

/** `--pool` of every command that makes features; each has a default of its own. */
export const POOL_FLAG = {
  type: 'choice',
  choices: ['average', 'max', 'none'],
  about: 'mean or maximum over the cells of a map, or the whole map',
} as const satisfies Flag;

/** The architecture where neither the command line nor the weights name one. */
export const ARCH_DEFAULT = 'vgg16';

interface OpenModelOptions {
  weights?: string;
  arch?: string;
  preprocessing?: string;
  offline?: boolean;
  /** Taps whose weights are read at once. */
  layers?: readonly string[];
  /** A file of class names. */
  classes?: string;
  /** Where no weights are named, the published set with the dense layers is wanted. */
  classifies?: boolean;
}

/** Loads the model that `--weights`, `--arch` and the options of every command ask for; the caller disposes of it. */
export async function openModel(
  { weights, arch, preprocessing, offline, layers, classes, classifies = false }: OpenModelOptions,
  { options, signal, onProgress, warn }: Context,
): Promise<Model> {
  const named: string | PlanInput | undefined = (await archOf(arch)) ?? (weights === undefined ? ARCH_DEFAULT : undefined);
  const model = await load(named, {
    weights,
    layers: classifies && weights === undefined ? ['logits'] : layers,
    classes,
    preprocessing: preprocessing === undefined ? undefined : parsePreprocessing(preprocessing),
    backend: options.backend,
    threads: options.threads,
    memory: options.memory,
    offline: offline || undefined,
    signal,
    onProgress,
    onWarning: warn,
  }).catch((error: unknown) => {
    if (weights === undefined && isVggError(error, 'VGG_NETWORK')) {
      const more = /--weights/.test(error.message) ? '' : '; pass --weights FILE to use weights that are here';
      throw new VggError(error.code, `${error.message}${more}`, { cause: error });
    }
    throw error;
  });
  const { backend } = model;
  if (backend.warning) warn(backend.warning);
  if (options.threads !== undefined && backend.threads !== options.threads) {
    warn(`--threads ${options.threads}: the ${backend.name} backend runs on ${plural(backend.threads, 'thread')} here`);
  }
  return model;
}

/** The tap to work on, said on standard error where the command line leaves it open. */
export function layerOf(model: Model, layer: string | undefined, { warn }: Context): string {
  if (layer !== undefined) return model.resolve(layer);
  const { deepest } = model;
  warn(`without --layer: using ${deepest}, the deepest that ${model.weightsName} reaches`);
  return deepest;
}
