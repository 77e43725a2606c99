import type { Backend } from '@vgg/core';
import { VggError } from '@vgg/errors';
import type { Checkpoint, CheckpointState } from './checkpoint.js';
import type { FailedPicture, JsonObject } from './checkpoint-run.js';
import { namedValues, readTensors } from './checkpoint-tensors.js';
import { EarlyStop, type EarlyStopOptions } from './early-stop.js';
import type { EpochEntry } from './history.js';
import { makeOptimizer, type Optimizer, type OptimizerOptions } from './optimizer.js';
import { makeSchedule, type Schedule, type ScheduleOptions } from './schedule.js';
import type { Trainable } from './trainable.js';

/** What a run is made of, apart from the network: plain data, which a checkpoint holds. */
export interface RunSettings {
  readonly optimizer: OptimizerOptions;
  readonly rate: number;
  readonly schedule: ScheduleOptions;
  readonly stop: EarlyStopOptions;
  readonly seed: number;
  /** All that the weights depend on, by the names of the options. */
  readonly options: JsonObject;
}

/** Sums over the epoch that runs. */
interface Sums {
  loss: number;
  correct: number;
  count: number;
  seconds: number;
}

/** Where a run stands. */
export class RunProgress {
  /** Epochs that are done, and the steps taken of the one that runs. */
  epoch = 0;
  step = 0;
  /** Steps since the run began. */
  steps = 0;
  sums: Sums = { loss: 0, correct: 0, count: 0, seconds: 0 };
  history: EpochEntry[] = [];
  best: EpochEntry | undefined;
  /** The pictures that could not be read, by their places. */
  readonly failed = new Map<string, FailedPicture>();
  /** Pictures at a time. */
  portion: number;
  readonly optimizer: Optimizer;
  schedule: Schedule;
  stop: EarlyStop;

  constructor(
    readonly settings: RunSettings,
    portion: number,
  ) {
    this.portion = portion;
    this.optimizer = makeOptimizer(settings.optimizer);
    this.schedule = makeSchedule(settings.schedule, settings.rate);
    this.stop = new EarlyStop(settings.stop);
  }

  /**
   * Goes on where a checkpoint was written.
   *
   * @throws VggError `VGG_OPTION` where the options are others than the run began with, `VGG_INTEGRITY`
   */
  async restore({ name, run, optimizer, readOptimizer }: Checkpoint, backend: Backend): Promise<void> {
    const { settings } = this;
    const [other] = differences(run.options, settings.options);
    if (other !== undefined) {
      const [before, now] = [run.options, settings.options].map((options) => JSON.stringify(options[other]) ?? 'none');
      throw new VggError(
        'VGG_OPTION',
        `train: expected the options that ${name} was trained with, received ${other} ${now} instead of ${before}; leave resume out to begin anew`,
      );
    }
    const tensors = await readTensors(optimizer, readOptimizer, backend);
    try {
      backend.run(() => this.optimizer.restore({ steps: run.optimizerSteps, tensors }));
    } finally {
      for (const tensor of tensors.values()) tensor.dispose();
    }
    this.epoch = run.epoch;
    this.step = run.step;
    this.steps = run.steps;
    this.sums = { ...run.sums };
    this.portion = run.portion;
    this.history = [...run.history];
    this.best = run.best;
    for (const each of run.failed ?? []) this.failed.set(each.place, each);
    this.schedule = makeSchedule(settings.schedule, settings.rate, run.schedule);
    this.stop = new EarlyStop(settings.stop, run.earlyStop);
  }

  /** The run as a checkpoint holds it; nothing may change until that is written. */
  checkpoint({ network, tensors }: Trainable, backend: Backend, about: Readonly<Record<string, string>>): CheckpointState {
    const { steps: optimizerSteps, tensors: kept } = this.optimizer.state();
    const { epoch, step, steps, sums, portion, history, best, failed, settings } = this;
    return {
      network,
      run: {
        options: settings.options,
        ...{ epoch, step, steps, portion, optimizerSteps },
        sums: { ...sums },
        seed: settings.seed,
        // All that is random is a function of the seed and the place.
        random: {},
        schedule: this.schedule.state(),
        earlyStop: this.stop.state,
        history: [...history],
        ...(best && { best }),
        ...(failed.size > 0 && { failed: [...failed.values()] }),
      },
      weights: namedValues(tensors, backend),
      optimizer: namedValues(kept, backend),
      about,
    };
  }
}

/** The names of the options whose values differ, as JSON. */
function differences(before: JsonObject, now: JsonObject): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names].filter((name) => JSON.stringify(before[name]) !== JSON.stringify(now[name]));
}
