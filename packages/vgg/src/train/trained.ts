import type { Backend } from '@vgg/core';
import type { OnProgress } from '@vgg/errors';
import { writeSafetensors } from '@vgg/loaders';
import { io } from '#io';
import { type Dataset, type DatasetInput, openDataset } from '../data/dataset.js';
import { mapClasses } from '../head/head.js';
import type { Failed } from '../head/train/features.js';
import { collectBytes } from '../io/collect.js';
import type { WriteTarget } from '../io/io.js';
import type { Network } from '../network/plan.js';
import type { Preprocessing } from '../pictures/preprocessing.js';
import { METADATA } from '../weights/metadata.js';
import { namedValues } from './checkpoint-tensors.js';
import { type Scored, scoreDataset } from './evaluate.js';
import type { EpochEntry } from './history.js';
import { checkNumber } from './options.js';
import type { RunResult } from './run.js';
import type { Trainable } from './trainable.js';

interface TrainedParts extends RunResult {
  readonly classes: readonly string[];
  readonly preprocessing: Preprocessing;
  readonly about: Readonly<Record<string, string>>;
}

/**
 * A network that was trained by `trainNetwork`. Saved, it is a weight file like any other: `load`, `classify` and every command take it,
 * and it carries its architecture, its preprocessing and the names of its classes.
 */
export class TrainedNetwork {
  readonly classes: readonly string[];
  readonly preprocessing: Preprocessing;
  readonly history: readonly EpochEntry[];
  /** The best epoch, whose weights it has unless `restoreBest` was false. */
  readonly best: EpochEntry;
  /** The pictures of both datasets that could not be read and were left out, each once, by their paths or names. */
  readonly failed: readonly Failed[];
  /** Why training ended before its last epoch. */
  readonly stopped: string | undefined;
  readonly #trainable: Trainable;
  readonly #backend: Backend;
  readonly #about: Readonly<Record<string, string>>;

  constructor({ trainable, backend, classes, preprocessing, history, best, failed, stopped, about }: TrainedParts) {
    this.#trainable = trainable;
    this.#backend = backend;
    this.classes = classes;
    this.preprocessing = preprocessing;
    this.history = history;
    this.best = best;
    this.failed = failed;
    this.stopped = stopped;
    this.#about = about;
  }

  get network(): Network {
    return this.#trainable.network;
  }

  /**
   * Loss and accuracy on pictures whose classes are among its own.
   *
   * @throws VggError `VGG_DATASET` for a class that it does not know, `VGG_OPTION`, `VGG_SHAPE`, `VGG_ABORTED`
   */
  async evaluate(data: DatasetInput, options: { batch?: number; onProgress?: OnProgress; signal?: AbortSignal } = {}): Promise<Scored> {
    const { batch = 32, ...rest } = options;
    checkNumber('evaluate', 'batch', batch, { least: 1, whole: true });
    const dataset = ofClasses(await openDataset(data, options), this.classes, 'evaluate');
    return scoreDataset(this.#trainable, dataset, this.preprocessing, { ...rest, portion: batch });
  }

  /**
   * Writes the weights as safetensors, whole or not at all; in a page, offers them as a download of that name, or writes to a handle.
   *
   * @throws VggError `VGG_OUTPUT`, `VGG_ABORTED`
   */
  async save(target: WriteTarget, options: { signal?: AbortSignal } = {}): Promise<void> {
    await io.writeFile(target, this.#chunks(), options);
  }

  /** The same file as bytes, for `load(undefined, { weights: bytes })`. */
  async toBytes(): Promise<Uint8Array> {
    return collectBytes(this.#chunks());
  }

  /** Frees its tensors. */
  dispose(): void {
    this.#trainable.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #chunks(): AsyncGenerator<Uint8Array> {
    const { network, tensors } = this.#trainable;
    return writeSafetensors(namedValues(tensors, this.#backend), { ...this.#about, [METADATA.plan]: JSON.stringify(network.plan) });
  }
}

/** A dataset whose labels are the places of its classes among others. @throws VggError `VGG_DATASET` */
export function ofClasses(dataset: Dataset, classes: readonly string[], who: string): Dataset {
  const places = mapClasses(dataset.classes, classes, who);
  return { ...dataset, classes, examples: dataset.examples.map((example) => ({ ...example, label: places[example.label]! })) };
}
