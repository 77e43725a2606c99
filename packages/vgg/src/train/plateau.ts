import { VggError } from '@vgg/errors';

/** Options of {@link Plateau}. */
export interface PlateauOptions {
  /** What the rate is multiplied by at a drop. */
  readonly gamma: number;
  /** Epochs without a rise that are let pass. */
  readonly patience: number;
  /** A rise is by more than this. */
  readonly minDelta: number;
  /** Drops there are at most. */
  readonly most: number;
}

/** What a plateau has seen. */
export interface PlateauState {
  readonly best?: number;
  /** Epochs since, without a rise. */
  readonly waited: number;
  readonly drops: number;
  readonly finished: boolean;
}

const FRESH: PlateauState = { waited: 0, drops: 0, finished: false };

/** Drops a learning rate when the accuracy no longer rises, as the paper does (Simonyan and Zisserman 2015, section 3.1). */
export class Plateau {
  #state: PlateauState;

  /** @throws VggError `VGG_INTEGRITY` for a state that is none */
  constructor(
    private readonly options: PlateauOptions,
    state: Partial<PlateauState> = {},
  ) {
    this.#state = checked({ ...FRESH, ...state });
  }

  get state(): PlateauState {
    return this.#state;
  }

  /** What the rate is multiplied by now. */
  get factor(): number {
    return this.options.gamma ** this.#state.drops;
  }

  /** To be told the accuracy after each epoch. */
  observe(accuracy: number): void {
    const { patience, minDelta, most } = this.options;
    const { best, waited, drops, finished } = this.#state;
    if (best === undefined || accuracy > best + minDelta) this.#state = { best: accuracy, waited: 0, drops, finished };
    else if (waited < patience) this.#state = { best, waited: waited + 1, drops, finished };
    else this.#state = { best, waited: 0, drops: Math.min(drops + 1, most), finished: drops >= most };
  }
}

function checked(state: PlateauState): PlateauState {
  const { best, waited, drops, finished } = state;
  const isCount = (value: unknown) => Number.isInteger(value) && (value as number) >= 0;
  if ((best === undefined || Number.isFinite(best)) && isCount(waited) && isCount(drops) && typeof finished === 'boolean') return state;
  throw new VggError('VGG_INTEGRITY', `schedule: expected the state of a plateau, received ${JSON.stringify(state)}`);
}
