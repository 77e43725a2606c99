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
