import { VggError } from '@vgg/errors';
import { checkNames, checkNumber, checkWord, wrongOption } from './options.js';
import { Plateau, type PlateauState } from './plateau.js';

/** How the learning rate changes; plain data, which a checkpoint can hold. All lengths are in epochs, and go by those of the run where they are not given. */
export type ScheduleOptions = ScheduleKind & {
  /** Whether the rate changes between epochs only, or at each step: lengths may then be parts of an epoch. Default: `epoch`. */
  readonly by?: 'epoch' | 'step';
  /**
   * In front of it all: the rate rises in a line from a part of itself (`from`, 0.1 by default); the rest begins when that is over. Default of
   * `length`: a tenth of the run's epochs, rounded up.
   */
  readonly warmup?: { readonly length?: number; readonly from?: number };
};

type ScheduleKind =
  /** The rate stays. */
  | { readonly kind: 'constant' }
  /** Times `gamma` (0.1 by default) after every `length` epochs; default a third of the run's epochs behind the warm-up, rounded up. */
  | { readonly kind: 'step'; readonly length?: number; readonly gamma?: number }
  /** Times `gamma` (0.1 by default) at each of these epochs. */
  | { readonly kind: 'multi-step'; readonly at: readonly number[]; readonly gamma?: number }
  /**
   * Half a cosine from the rate to `floor` (0 by default, a rate itself) in `length` epochs, by default all of the run's behind the warm-up; there it
   * stays. Loshchilov and Hutter 2017.
   */
  | { readonly kind: 'cosine'; readonly length?: number; readonly floor?: number }
  /**
   * The paper's: times `gamma` (0.1 by default) when the validation accuracy has not risen by more than `minDelta` (0) for more than `patience` (2)
   * epochs in a row, at most `most` (3) times; where that would happen once more, the run is finished.
   */
  | ({ readonly kind: 'plateau' } & Partial<Record<'gamma' | 'patience' | 'minDelta' | 'most', number>>);

/** A place in a run: the whole epochs that are done, and the steps taken of the one that runs. */
interface Position {
  readonly epoch: number;
  readonly step: number;
  readonly stepsPerEpoch: number;
}

/** What a schedule has seen; empty but for a plateau. */
export type ScheduleState = Partial<PlateauState>;

/** The learning rate of each step. */
export interface Schedule {
  /** The rate of the step that comes at this place. */
  rate(position: Position): number;
  /** To be told the validation accuracy after each epoch; only a plateau heeds it. */
  observe(accuracy: number): void;
  /** Whether a plateau has come after the last drop, so that nothing more is to be gained. */
  readonly finished: boolean;
  state(): ScheduleState;
}

/**
 * The same schedule with the lengths that it leaves to the run.
 *
 * @param epochs of the run
 * @example
 * scheduleFor({ kind: 'cosine', warmup: {} }, 50); // { kind: 'cosine', length: 45, warmup: { length: 5 } }
 */
export function scheduleFor(options: ScheduleOptions, epochs: number): ScheduleOptions {
  const { warmup } = options;
  const rise = warmup && { ...warmup, length: warmup.length ?? Math.ceil(epochs / 10) };
  const all = { ...options, ...(rise && { warmup: rise }) };
  if ((all.kind !== 'cosine' && all.kind !== 'step') || all.length !== undefined) return all;
  // A warm-up that is all of the run leaves nothing to divide.
  const rest = Math.max(epochs - (rise?.length ?? 0), 0) || 1;
  const { kind, length: _, ...more } = all;
  return { kind, length: kind === 'cosine' ? rest : Math.ceil(rest / 3), ...more };
}

/**
 * A learning rate over a run. The rates are those of PyTorch's schedulers of these names; all but the plateau's depend on the place alone.
 *
 * @param options with all lengths, see {@link scheduleFor}
 * @param base the rate that it begins with, behind the warm-up
 * @param state what {@link Schedule.state} gave, to go on from
 * @throws VggError `VGG_OPTION`; `VGG_INTEGRITY` for a state that is none
 * @example
 * const schedule = makeSchedule({ kind: 'step', length: 30 }, 0.1);
 * schedule.rate({ epoch: 30, step: 0, stepsPerEpoch: 100 }); // 0.01
 */
export function makeSchedule(options: ScheduleOptions, base: number, state: ScheduleState = {}): Schedule {
  check(options, base);
  if (options.kind !== 'plateau' && Object.keys(state).length > 0) {
    throw new VggError('VGG_INTEGRITY', `schedule: expected no state of the kind ${options.kind}, received ${JSON.stringify(state)}`);
  }
  const { by = 'epoch', warmup } = options;
  const plateau = options.kind === 'plateau' ? new Plateau({ ...PLATEAU_DEFAULTS, ...settings(options) }, state) : undefined;
  const rateAfter = (place: number) => (plateau ? base * plateau.factor : rateAt(options, base, place));
  return {
    rate({ epoch, step, stepsPerEpoch }) {
      const place = by === 'epoch' ? epoch : epoch + step / stepsPerEpoch;
      if (!warmup) return rateAfter(place);
      const { length = 0, from = WARMUP_FROM } = warmup;
      return place < length ? base * (from + ((1 - from) * place) / length) : rateAfter(place - length);
    },
    observe: (accuracy) => plateau?.observe(accuracy),
    get finished() {
      return plateau?.state.finished === true;
    },
    state: () => plateau?.state ?? {},
  };
}

const GAMMA = 0.1;
const WARMUP_FROM = 0.1;
const PLATEAU_DEFAULTS = { gamma: GAMMA, patience: 2, minDelta: 0, most: 3 } as const;

/** The rate of a kind that depends on the place alone, `place` epochs behind the warm-up. */
function rateAt(options: ScheduleOptions, base: number, place: number): number {
  if (options.kind === 'step') return base * (options.gamma ?? GAMMA) ** Math.floor(place / options.length!);
  if (options.kind === 'multi-step') return base * (options.gamma ?? GAMMA) ** options.at.filter((epoch) => epoch <= place).length;
  if (options.kind === 'cosine') {
    const { length, floor = 0 } = options;
    return floor + ((base - floor) * (1 + Math.cos(Math.PI * Math.min(1, place / length!)))) / 2;
  }
  return base;
}

/** A plateau's own options, those that are given. */
function settings({ gamma, patience, minDelta, most }: Extract<ScheduleOptions, { kind: 'plateau' }>) {
  const given = Object.entries({ gamma, patience, minDelta, most }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Partial<typeof PLATEAU_DEFAULTS>;
}

const OWN: Record<ScheduleOptions['kind'], readonly string[]> = {
  constant: [],
  step: ['length', 'gamma'],
  'multi-step': ['at', 'gamma'],
  cosine: ['length', 'floor'],
  plateau: ['gamma', 'patience', 'minDelta', 'most'],
};

function check(options: ScheduleOptions, base: number): void {
  const who = 'train: schedule';
  checkNumber(who, 'the learning rate', base, { above: 0 });
  checkWord(who, 'kind', options.kind, Object.keys(OWN));
  checkNames(who, options, ['kind', 'by', 'warmup', ...OWN[options.kind]]);
  const { by, warmup } = options;
  if (by !== undefined) checkWord(who, 'by', by, ['epoch', 'step']);
  if (warmup !== undefined) {
    checkNames(who, warmup, ['length', 'from']);
    checkNumber(who, 'warmup.length', warmup.length, { above: 0 });
    if (warmup.from !== undefined) checkNumber(who, 'warmup.from', warmup.from, { least: 0, most: 1 });
  }
  const one = (name: string, value: number | undefined, bounds: Parameters<typeof checkNumber>[3]) => {
    if (value !== undefined) checkNumber(who, name, value, bounds);
  };
  if ('gamma' in options) one('gamma', options.gamma, { above: 0, most: 1 });
  if (options.kind === 'step' || options.kind === 'cosine') checkNumber(who, 'length', options.length, { above: 0 });
  if (options.kind === 'cosine') one('floor', options.floor, { least: 0, most: base });
  if (options.kind === 'multi-step') {
    if (!Array.isArray(options.at)) throw wrongOption(who, 'at', 'a list of epochs', options.at);
    options.at.forEach((epoch, i) => {
      checkNumber(who, `at[${i}]`, epoch, { least: 0 });
    });
  }
  if (options.kind === 'plateau') {
    one('patience', options.patience, { least: 0, whole: true });
    one('minDelta', options.minDelta, { least: 0 });
    one('most', options.most, { least: 0, whole: true });
  }
}
