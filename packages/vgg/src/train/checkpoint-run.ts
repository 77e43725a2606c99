import { VggError, type VggErrorCode } from '@vgg/errors';
import { network } from '../network/architecture.js';
import type { Network, PlanInput } from '../network/plan.js';
import type { RandomState } from '../random.js';
import type { EarlyStopState } from './early-stop.js';
import type { EpochEntry } from './history.js';
import type { ScheduleState } from './schedule.js';

/** Plain data, as JSON has it. */
type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** All of a run but its tensors; plain data. */
export interface RunState {
  /** The options of the run, to be compared with those of its resumption. */
  readonly options: JsonObject;
  /** Epochs that are done, and the steps taken of the one that runs. */
  readonly epoch: number;
  readonly step: number;
  /** Steps since the run began. */
  readonly steps: number;
  /** Over the epoch that runs. */
  readonly sums: { readonly loss: number; readonly correct: number; readonly count: number; readonly seconds: number };
  /** Pictures at a time. */
  readonly portion: number;
  /** Decides the order of the examples, with `epoch` and `step`. */
  readonly seed: number;
  /** Streams of random numbers, by what draws from them. */
  readonly random: Readonly<Record<string, RandomState>>;
  /** The steps of the optimiser, see its `state()`. */
  readonly optimizerSteps: Readonly<Record<string, number>>;
  readonly schedule: ScheduleState;
  readonly earlyStop: EarlyStopState;
  readonly history: readonly EpochEntry[];
  /** The entry of the best epoch so far. */
  readonly best?: EpochEntry;
  /** The pictures that could not be read, each once. */
  readonly failed?: readonly FailedPicture[];
}

/** A picture that could not be read, as plain data. */
export interface FailedPicture {
  /** Its place in one of the datasets, such as `train 17`. */
  readonly place: string;
  readonly name: string;
  readonly code: VggErrorCode;
  readonly message: string;
}

/**
 * The run in a checkpoint's metadata.
 * @throws VggError `VGG_FORMAT` where it is none
 */
export function parseRun(text: string, who: string): RunState {
  const run = record(parse(text, who), who, 'an object');
  const count = (name: string, value: unknown) => {
    if (Number.isSafeInteger(value) && (value as number) >= 0) return;
    throw wrong(who, `a whole number as ${name}`, value);
  };
  for (const name of ['epoch', 'step', 'steps', 'portion']) count(name, run[name]);
  const sums = record(run.sums, who, 'an object as sums');
  for (const name of ['loss', 'correct', 'count', 'seconds'])
    if (!Number.isFinite(sums[name])) throw wrong(who, `a number as sums.${name}`, sums[name]);
  if (!Number.isSafeInteger(run.seed)) throw wrong(who, 'a whole number as seed', run.seed);
  for (const name of ['options', 'schedule', 'earlyStop']) record(run[name], who, `an object as ${name}`);
  for (const [name, state] of Object.entries(record(run.random, who, 'an object as random'))) {
    const isState =
      Array.isArray(state) && state.length === 4 && state.every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32);
    if (!isState) throw wrong(who, `four 32-bit words as random.${name}`, state);
  }
  for (const [name, steps] of Object.entries(record(run.optimizerSteps, who, 'an object as optimizerSteps'))) count(name, steps);
  if (!Array.isArray(run.history)) throw wrong(who, 'a list as history', run.history);
  for (const entry of run.history) checkEntry(entry, who);
  if (run.best !== undefined) checkEntry(run.best, who);
  if (run.failed !== undefined && !Array.isArray(run.failed)) throw wrong(who, 'a list as failed', run.failed);
  for (const each of (run.failed ?? []) as unknown[]) {
    const picture = record(each, who, 'an object for each picture that failed');
    for (const name of ['place', 'name', 'code', 'message'])
      if (typeof picture[name] !== 'string') throw wrong(who, `a text as failed ${name}`, picture[name]);
  }
  return run as unknown as RunState;
}

/** The network of a checkpoint's plan. @throws VggError `VGG_FORMAT` where it is none */
export function parsePlan(text: string, who: string): Network {
  const plan = record(parse(text, who), who, 'a plan');
  try {
    return network(plan as unknown as PlanInput);
  } catch (cause) {
    throw new VggError('VGG_FORMAT', `${who}: expected the plan of a network in the checkpoint, received ${short(text)}`, { cause });
  }
}

const NEEDED = ['epoch', 'step', 'rate', 'loss', 'accuracy', 'seconds'];
const OPTIONAL = ['valLoss', 'valAccuracy'];

function checkEntry(value: unknown, who: string): void {
  const entry = record(value, who, 'an object for each epoch of the history');
  const numbers = [...NEEDED, ...OPTIONAL.filter((name) => entry[name] !== undefined)].map((name) => entry[name]);
  if (!numbers.every(Number.isFinite)) throw wrong(who, `numbers for ${NEEDED.join(', ')} of each epoch`, value);
}

function parse(text: string, who: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new VggError('VGG_FORMAT', `${who}: expected JSON in the checkpoint's metadata, received ${short(text)}`);
  }
}

function record(value: unknown, who: string, expected: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw wrong(who, expected, value);
}

function wrong(who: string, expected: string, received: unknown): VggError {
  return new VggError(
    'VGG_FORMAT',
    `${who}: expected ${expected} in the checkpoint, received ${short(JSON.stringify(received) ?? 'nothing')}`,
  );
}

const short = (text: string) => (text.length > 60 ? `${text.slice(0, 60)}...` : text);
