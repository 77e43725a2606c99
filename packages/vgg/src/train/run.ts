import {
  type Backend,
  type BackendInfo,
  type BackendWish,
  currentEnvironment,
  type MemoryMode,
  openBackend,
  wantedMemory,
} from '@vgg/core';
import { isVggError, type OnProgress, throwIfAborted, VggError } from '@vgg/errors';
import type { Dataset } from '../data/dataset.js';
import { type Batch, batchCount, batchesOf } from '../data/loader.js';
import { PictureCache } from '../data/picture-cache.js';
import { given } from '../given.js';
import type { Failed } from '../head/train/features.js';
import { type Pace, pace } from '../head/train/pace.js';
import type { Network } from '../network/plan.js';
import type { AugmentOptions } from '../pictures/augment.js';
import type { Prepared } from '../pictures/preprocess.js';
import type { Preprocessing } from '../pictures/preprocessing.js';
import { percent } from '../text/percent.js';
import { METADATA } from '../weights/metadata.js';
import { BestWeights, setValues } from './best-weights.js';
import type { Checkpoint } from './checkpoint.js';
import type { CheckpointFolder } from './checkpoint-folder.js';
import type { JsonObject } from './checkpoint-run.js';
import { scoreDataset } from './evaluate.js';
import { portionsOf, trainingInput } from './feed.js';
import type { EpochEntry, StepEntry } from './history.js';
import { type Asker, describeRecomputing, describeTrainingPlan, halved, planTraining, type TrainingPlan } from './memory.js';
import { checkGroups, type OptimizerOptions } from './optimizer.js';
import { RunProgress } from './progress.js';
import { type ScheduleOptions, scheduleFor } from './schedule.js';
import { layersOf, Trainable, type Values } from './trainable.js';

/** How a network learns. */
export interface RunOptions {
  /** Passes over the training pictures. Default: 10. */
  epochs?: number;
  /** Pictures between two steps of the optimiser. Default: 32. */
  batch?: number;
  /** Pictures at a time, where a batch does not fit the memory at once: their gradients are added up. Default: as many as fit. */
  portion?: number;
  /** Default: SGD with momentum 0.9 and an L2 decay of 5e-4, as in the paper. */
  optimizer?: OptimizerOptions;
  /** The learning rate that the schedule begins with. Default: 0.01, the paper's; for Adam and AdamW 0.001. */
  rate?: number;
  /** Default: the rate stays. */
  schedule?: ScheduleOptions;
  /** Of the labels, from 0 (the default) to 1. */
  smoothing?: number;
  /** What is done to training pictures. Default: nothing. */
  augment?: AugmentOptions;
  /** Stop after so many epochs without a better accuracy: of the validation, or without one of the training. Default: never. */
  patience?: number;
  /** Decides the order of the pictures, their augmentation and the dropout. Default: 0. */
  seed?: number;
  /** The first layer that learns, or a block of layers: `conv5`. Default: all do. */
  unfreeze?: string;
  /** Batch normalisation keeps its running statistics. Default: false. */
  freezeStatistics?: boolean;
  /** End with the weights of the best epoch, not of the last. Default: true. */
  restoreBest?: boolean;
  /** Where the run is kept, epoch by epoch, so that it survives. */
  checkpoints?: CheckpointFolder;
  /** Steps between checkpoints within an epoch. Default: none. */
  checkpointEvery?: number;
  /** Go on from the newest checkpoint of the folder, if there is one. Default: false. */
  resume?: boolean;
  backend?: BackendWish;
  threads?: number;
  /** Default: `fast`, or where not even one picture fits with it, what fits. */
  memory?: MemoryMode;
  /** Bytes that weights, maps and gradients may take. Default: 3 GiB. */
  maxMemoryBytes?: number;
  /**
   * Keep few maps, and compute the others anew on the way back: to the same bits, in less memory and about a tenth more time. Default: where that
   * lets a batch fit whole whose statistics batch normalisation goes by, or where not even one picture fits otherwise.
   */
  recompute?: boolean;
  onEpoch?: (entry: EpochEntry) => void | Promise<void>;
  /** Told of every step of the optimiser. */
  onStep?: (entry: StepEntry) => void;
  onProgress?: OnProgress;
  onWarning?: (message: string) => void;
  signal?: AbortSignal;
}

/** What is to be trained, and on what. */
export interface RunTask {
  readonly network: Network;
  readonly preprocessing: Preprocessing;
  readonly values: Values;
  /** Lets go of what the values come from, once they are there; may be called again. */
  readonly release?: () => Promise<void>;
  readonly train: Dataset;
  readonly validation?: Dataset | undefined;
  /** More that a checkpoint says of its weights, by the keys of METADATA. */
  readonly about: Readonly<Record<string, string>>;
  /** For the words of errors about the memory. */
  readonly asker: Asker;
}

/** How a run ended. */
export interface RunResult {
  /** With the weights of the best epoch, unless those of the last were asked for. */
  readonly trainable: Trainable;
  readonly backend: Backend;
  readonly history: readonly EpochEntry[];
  readonly best: EpochEntry;
  /** The pictures of both datasets that could not be read, each once. */
  readonly failed: readonly Failed[];
  /** Why it ended before its last epoch. */
  readonly stopped?: string;
}

export const RUN_DEFAULTS = { epochs: 10, batch: 32, seed: 0, smoothing: 0 } as const;
/** The paper's, but for the batch and the rate. */
export const OPTIMIZER: OptimizerOptions = { algorithm: 'sgd', momentum: 0.9, weightDecay: 5e-4 };

/**
 * Trains a network. The order of the pictures, their augmentation and the dropout depend on nothing but the seed, the epoch and their place,
 * so a run that goes on from a checkpoint ends with the same bits as one that was never stopped.
 *
 * @throws VggError `VGG_TRAINING` when the loss is no number any more; `VGG_MEMORY`, `VGG_OPTION`, `VGG_LAYER`, `VGG_SHAPE`, `VGG_DATASET`,
 *   `VGG_OUTPUT`, and `VGG_ABORTED` after a last checkpoint
 */
export async function runTraining(task: RunTask, options: RunOptions): Promise<RunResult> {
  const { checkpoints, signal, threads, memory, backend: wish = 'auto', unfreeze, freezeStatistics } = options;
  const starting = {
    ...(options.onWarning && { onWarning: options.onWarning }),
    ...(threads !== undefined && { threads }),
    ...(signal && { signal }),
  };
  let backend = await openBackend(wish, { ...starting, ...(memory && { memory }) });
  const { portion, memory: fitting, cuts } = planOf(task, backend.info, options);
  if (fitting && fitting !== backend.info.memory) backend = await openBackend(backend.name, { ...starting, memory: fitting });
  const found = options.resume ? await checkpoints?.newest(signal ? { signal } : {}) : undefined;
  try {
    if (found) {
      checkSame(found, task);
      await task.release?.();
    }
    const trainable = await Trainable.open(backend, task.network, found ? (name) => found.readWeight(name) : task.values, {
      ...(unfreeze !== undefined && { unfreeze }),
      ...(freezeStatistics !== undefined && { freezeStatistics }),
      ...(signal && { signal }),
      cuts,
    });
    await task.release?.();
    const run = new Run(task, options, trainable, backend, portion);
    try {
      checkGroups(options.optimizer ?? OPTIMIZER, [...trainable.parameters.keys()]);
      if (found) await run.progress.restore(found, backend);
      return await run.finish();
    } catch (error) {
      trainable.dispose();
      throw error;
    } finally {
      run.dispose();
    }
  } finally {
    await found?.close();
  }
}

/** What the weights are of. @throws VggError `VGG_OPTION` where a checkpoint is of another network or of other classes */
function checkSame({ name, network, about }: Checkpoint, task: RunTask): void {
  const classes = METADATA.classes;
  const pairs = [
    ['network', network.name, task.network.name, JSON.stringify(network.plan) === JSON.stringify(task.network.plan)],
    ['classes', about.get(classes), task.about[classes], about.get(classes) === task.about[classes]],
  ] as const;
  for (const [what, before, now, isSame] of pairs) {
    if (isSame) continue;
    const other = before === now ? 'another plan' : `${now} instead of ${before}`;
    throw new VggError(
      'VGG_OPTION',
      `train: expected the ${what} that ${name} was trained with, received ${other}; leave resume out to begin anew`,
    );
  }
}

const isAdam = ({ algorithm }: OptimizerOptions): boolean => algorithm === 'adam' || algorithm === 'adamw';

/** How many pictures are learnt from at a time, and in which memory mode: the one of the backend, or where nobody asked for it the next smaller. */
function planOf({ network, asker }: RunTask, info: BackendInfo, options: RunOptions): Pick<TrainingPlan, 'portion' | 'memory' | 'cuts'> {
  const { batch = RUN_DEFAULTS.batch, portion, optimizer = OPTIMIZER, onWarning = console.warn } = options;
  const { maxMemoryBytes, recompute, freezeStatistics, unfreeze } = options;
  const { memory, threads } = info;
  const { asked } = wantedMemory(options.memory, currentEnvironment());
  const what = { height: network.size, width: network.size, ...layersOf(network, unfreeze), kept: isAdam(optimizer) ? 2 : 1, threads };
  if (portion !== undefined) {
    // What was asked for is not doubted.
    const wish = { batch: Math.min(batch, portion), memory, maxMemoryBytes: Number.POSITIVE_INFINITY, recompute: recompute ?? false };
    return planTraining(network, { ...what, ...wish });
  }
  const limits = { memory, asked, maxMemoryBytes, recompute, freezeStatistics, who: asker };
  const plan = planTraining(network, { ...what, ...limits, batch });
  if (plan.memory !== memory)
    onWarning(`train: not even one picture fits with memory ${memory}, so memory ${plan.memory} is taken, which is slower`);
  if (plan.cuts.length > 0 && !recompute) onWarning(`train: ${describeRecomputing(plan)}`);
  if (plan.portion < batch) onWarning(`train: ${describeTrainingPlan(plan, batch)}`);
  return plan;
}

class Run {
  readonly progress: RunProgress;
  readonly #best: BestWeights;
  /** Of both datasets, for the epochs to come. */
  readonly #cache = new PictureCache();
  readonly #stepsPerEpoch: number;

  constructor(
    readonly task: RunTask,
    readonly options: RunOptions,
    readonly trainable: Trainable,
    readonly backend: Backend,
    portion: number,
  ) {
    this.#best = new BestWeights(new Map([...trainable.parameters, ...trainable.statistics]), backend);
    const { batch, seed, smoothing } = { ...RUN_DEFAULTS, ...given(options) };
    const { epochs = RUN_DEFAULTS.epochs, optimizer = OPTIMIZER, augment, unfreeze, freezeStatistics, patience } = options;
    const schedule = scheduleFor(options.schedule ?? { kind: 'constant' }, epochs);
    const rate = options.rate ?? (isAdam(optimizer) ? 0.001 : 0.01);
    const kept = { batch, optimizer, rate, schedule, smoothing, augment, seed, unfreeze, freezeStatistics, patience };
    const { preprocessing, train } = task;
    this.#stepsPerEpoch = batchCount(train.examples.length, { batch });
    // What is undefined is left out, as JSON leaves it.
    const plain = JSON.parse(JSON.stringify({ ...kept, preprocessing, images: train.examples.length })) as JsonObject;
    const stop = { better: 'more', ...(patience !== undefined && { patience }) } as const;
    this.progress = new RunProgress({ optimizer, rate, schedule, stop, seed, options: plain }, portion);
  }

  dispose(): void {
    this.progress.optimizer.dispose();
  }

  async finish(): Promise<RunResult> {
    const { progress, options } = this;
    const { epochs = RUN_DEFAULTS.epochs, signal } = options;
    // Asked first: a run that had stopped has nothing left to do when it is resumed.
    let stopped = this.#stopped();
    while (progress.epoch < epochs && !stopped) {
      throwIfAborted(signal, 'train');
      await this.#epoch();
      stopped = this.#stopped();
    }
    if (options.restoreBest ?? true) await this.#restoreBest();
    return {
      trainable: this.trainable,
      backend: this.backend,
      history: progress.history,
      best: progress.best!,
      failed: [...progress.failed.values()].map(({ name, code, message }) => ({ name, error: new VggError(code, message) })),
      ...(stopped && { stopped }),
    };
  }

  #stopped(): string | undefined {
    const { stop, schedule } = this.progress;
    if (stop.shouldStop) return `no better accuracy in ${this.options.patience} epochs`;
    return schedule.finished ? 'no better accuracy after the last drop of the rate' : undefined;
  }

  async #epoch(): Promise<void> {
    const { progress, options, task } = this;
    const { batch, seed } = { ...RUN_DEFAULTS, ...given(options) };
    const { signal, onProgress, augment, checkpointEvery } = options;
    const total = task.train.examples.length;
    const paced = pace(signal, 'train');
    let last = performance.now();
    const pictures = batchesOf<Prepared>(task.train, {
      batch,
      seed,
      epoch: progress.epoch,
      from: progress.step,
      cache: this.#cache,
      prepare: (picture, context) => trainingInput(picture, task.preprocessing, augment, context),
      ...(signal && { signal }),
    });
    try {
      for await (const each of pictures) {
        this.#note('train', each.failed);
        await this.#step(each, this.#rate(progress.step), paced);
        const now = performance.now();
        progress.sums.seconds += (now - last) / 1000;
        last = now;
        const { loss, correct, count } = progress.sums;
        onProgress?.({
          stage: 'train',
          loaded: Math.min(progress.step * batch, total),
          total,
          item: `epoch ${progress.epoch + 1}, loss ${(loss / count).toFixed(4)}, accuracy ${percent(correct / count)}`,
        });
        if (checkpointEvery && progress.step % checkpointEvery === 0 && progress.step < this.#stepsPerEpoch) await this.#save(false);
      }
      if (progress.sums.count === 0) throw new VggError('VGG_DATASET', 'train: expected pictures that can be read, received none');
      await this.#endEpoch(last);
    } catch (error) {
      // Between two steps, or in the validation: what was learnt is kept.
      if (isVggError(error, 'VGG_ABORTED') && progress.step > 0) await this.#save(false);
      throw error;
    }
  }

  /** Of a step of this epoch. */
  #rate(step: number): number {
    return this.progress.schedule.rate({ epoch: this.progress.epoch, step, stepsPerEpoch: this.#stepsPerEpoch });
  }

  /** One step of the optimiser. */
  async #step(batch: Batch<Prepared>, rate: number, paced: Pace): Promise<void> {
    const { progress, trainable, options } = this;
    const count = batch.items.length;
    if (count > 0) {
      const { loss, correct } = await this.#learn(batch, paced);
      if (!Number.isFinite(loss)) {
        trainable.drop();
        throw new VggError(
          'VGG_TRAINING',
          `train: the loss is no number any more in epoch ${progress.epoch + 1}, step ${progress.step + 1}; use a smaller learning rate than ${rate}, or clip the gradients`,
        );
      }
      trainable.step(progress.optimizer, rate);
      progress.sums.loss += loss;
      progress.sums.correct += correct;
      progress.sums.count += count;
      const step = { epoch: progress.epoch + 1, step: progress.steps + 1, rate, images: count };
      options.onStep?.({ ...step, loss: loss / count, accuracy: correct / count });
    }
    progress.step++;
    progress.steps++;
  }

  /** Adds up a batch's gradients, in smaller portions where those do not fit the memory. */
  async #learn(batch: Batch<Prepared>, paced: Pace): Promise<{ loss: number; correct: number }> {
    const { progress, trainable, options } = this;
    const { smoothing = 0, onWarning = console.warn } = options;
    const count = batch.items.length;
    while (true) {
      let [loss, correct, part] = [0, 0, 0];
      try {
        for (const { x, shape, labels } of portionsOf(batch, progress.portion)) {
          // Kernels on wasm and cpu come back at once: a page would see nothing of the progress.
          await paced();
          const share = labels.length / count;
          const key = [progress.settings.seed, progress.steps, part++];
          const outcome = await trainable.learn({ x, shape, labels, share, key: key.map((word) => word >>> 0), smoothing });
          loss += outcome.loss * labels.length;
          correct += outcome.correct;
        }
        return { loss, correct };
      } catch (error) {
        trainable.drop();
        progress.portion = halved('train', Math.min(progress.portion, count), error, onWarning);
      }
    }
  }

  async #endEpoch(start: number): Promise<void> {
    const { progress, options, task } = this;
    const { signal, onProgress } = options;
    const { portion, sums } = progress;
    const scoring = { portion, cache: this.#cache, signal, onProgress };
    const scored = task.validation && (await scoreDataset(this.trainable, task.validation, task.preprocessing, scoring));
    if (scored) this.#note('validation', scored.failed);
    const entry: EpochEntry = {
      epoch: progress.epoch + 1,
      step: progress.steps,
      rate: this.#rate(progress.step - 1),
      loss: sums.loss / sums.count,
      accuracy: sums.correct / sums.count,
      ...(scored && { valLoss: scored.loss, valAccuracy: scored.accuracy }),
      seconds: sums.seconds + (performance.now() - start) / 1000,
    };
    progress.history.push(entry);
    progress.epoch++;
    progress.step = 0;
    progress.sums = { loss: 0, correct: 0, count: 0, seconds: 0 };
    const isBest = progress.stop.observe(entry.epoch, entry.valAccuracy ?? entry.accuracy);
    progress.schedule.observe(entry.valAccuracy ?? entry.accuracy);
    if (isBest) {
      progress.best = entry;
      await this.#best.keep();
    }
    await this.#save(isBest);
    await options.onEpoch?.(entry);
  }

  async #save(isBest: boolean): Promise<void> {
    const { checkpoints } = this.options;
    // An abort ends the run, and not this.
    await checkpoints?.save(this.progress.checkpoint(this.trainable, this.backend, this.task.about), { isBest });
  }

  async #restoreBest(): Promise<void> {
    const { progress, trainable, backend } = this;
    if (progress.best?.epoch === progress.history.at(-1)?.epoch) return;
    if (this.#best.size > 0) return this.#best.restore();
    // Of a run that was resumed behind its best epoch.
    const found = await this.options.checkpoints?.best();
    try {
      for (const [name, variable] of [...trainable.parameters, ...trainable.statistics]) {
        if (!found) return;
        setValues(variable, await found.readWeight(name), backend);
      }
    } finally {
      await found?.close();
    }
  }

  /** Pictures that cannot be read are said once, not in every epoch. */
  #note(dataset: 'train' | 'validation', pictures: Batch['failed']): void {
    const { failed } = this.progress;
    const { examples } = this.task[dataset]!;
    for (const { name, index, error } of pictures) {
      const place = `${dataset} ${index}`;
      if (failed.has(place)) continue;
      const { image } = examples[index]!;
      const path = typeof image === 'string' ? image : name;
      failed.set(place, { place, name: path, code: error.code, message: error.message });
      (this.options.onWarning ?? console.warn)(`train: ${error.message}; it is left out`);
    }
  }
}
