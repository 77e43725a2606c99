import { VggError } from '@vgg/errors';
import { checkNumber } from './options.js';

/** Options of {@link EarlyStop}. */
export interface EarlyStopOptions {
  /** Whether less is better (a loss) or more (an accuracy). */
  readonly better: 'less' | 'more';
  /** Epochs in a row without a better value after which a run stops. Default: it never does. */
  readonly patience?: number;
  /** A value is better by more than this. Default: 0. */
  readonly minDelta?: number;
}

/** What was seen. */
export interface EarlyStopState {
  readonly best?: number;
  /** The epoch of the best value. */
  readonly epoch?: number;
  readonly waited: number;
}

/**
 * Tells which epoch is the best so far, and when to wait no longer.
 *
 * @example
 * const stop = new EarlyStop({ better: 'more', patience: 2 });
 * stop.observe(1, 0.7); // true: the best so far
 * stop.observe(2, 0.6); // false
 * stop.shouldStop; // false
 */
export class EarlyStop {
  #state: EarlyStopState;

  /**
   * @param state what {@link state} gave, to go on from
   * @throws VggError `VGG_OPTION`; `VGG_INTEGRITY` for a state that is none
   */
  constructor(
    private readonly options: EarlyStopOptions,
    state: EarlyStopState = { waited: 0 },
  ) {
    const { patience, minDelta } = options;
    if (patience !== undefined) checkNumber('earlyStop', 'patience', patience, { least: 1, whole: true });
    if (minDelta !== undefined) checkNumber('earlyStop', 'minDelta', minDelta, { least: 0 });
    const { best, epoch, waited } = state;
    const isFresh = best === undefined && epoch === undefined;
    const isState = Number.isInteger(waited) && (isFresh || (typeof best === 'number' && Number.isInteger(epoch)));
    if (!isState) throw new VggError('VGG_INTEGRITY', `earlyStop: expected a best value with its epoch, received ${JSON.stringify(state)}`);
    this.#state = state;
  }

  /** Plain data. */
  get state(): EarlyStopState {
    return this.#state;
  }

  /** To be told the value of each epoch; whether it is the best so far. A value that is no number never is. */
  observe(epoch: number, value: number): boolean {
    const { better, minDelta = 0 } = this.options;
    const { best, waited } = this.#state;
    const isBetter =
      !Number.isNaN(value) && (best === undefined || (better === 'more' ? value > best + minDelta : value < best - minDelta));
    this.#state = isBetter ? { best: value, epoch, waited: 0 } : { ...this.#state, waited: waited + 1 };
    return isBetter;
  }

  /** Whether the patience is over. */
  get shouldStop(): boolean {
    return this.options.patience !== undefined && this.#state.waited >= this.options.patience;
  }
}
