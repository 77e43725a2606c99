import type { HistoryEntry } from '../head/train/history.js';

/** How a network stood after one pass over its training examples. */
export interface EpochEntry extends HistoryEntry {
  /** Mean loss of the epoch's batches, each as it was when its turn came: with dropout, augmentation and label smoothing. */
  readonly loss: number;
  /** Part of the training examples that were classified rightly, when their turn came. */
  readonly accuracy: number;
  /** Steps of the optimiser since the run began. */
  readonly step: number;
  /** The learning rate of the epoch's last step. */
  readonly rate: number;
  /** How long the epoch took, its validation included. */
  readonly seconds: number;
}

/** How a network did on one batch. */
export interface StepEntry {
  /** The epoch that runs, from 1. */
  readonly epoch: number;
  /** Steps of the optimiser since the run began. */
  readonly step: number;
  readonly rate: number;
  /** Pictures of the batch; the last one of an epoch may have fewer. */
  readonly images: number;
  /** Their mean loss before the step, with dropout, augmentation and label smoothing. */
  readonly loss: number;
  readonly accuracy: number;
}
