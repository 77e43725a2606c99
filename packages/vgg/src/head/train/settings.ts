import { VggError } from '@vgg/errors';
import { given } from '../../given.js';
import type { Training } from '../head-file.js';
import type { TargetInput, TargetKind } from '../targets.js';
import type { FeatureOptions, FeatureSet } from './features.js';
import type { HistoryEntry } from './history.js';
import { DISTANCES, type Distance, VOTES, type Votes } from './knn.js';
import { SCORE_SOLVERS } from './scores.js';

export interface TrainHeadOptions extends FeatureOptions {
  /** Pictures or features of the same classes that are not trained on, or the part (0 to 1) of every class to set aside by the seed. */
  validation?: TargetInput | FeatureSet | number;
  /** Units of one hidden layer, or of several; none (the default) gives the linear softmax head. */
  hidden?: number | readonly number[];
  /**
   * `lbfgs` (the default of the linear head) is logistic regression at its optimum, the same whatever the seed; `adam` (of hidden layers)
   * takes mini-batch steps. Also linear: `svm` (one against the rest, squared hinge), `ridge` (least squares) and `nearest-mean`; one
   * factor, fitted on the validation, makes their scores probabilities. `knn` keeps the examples themselves, and the nearest of them vote.
   * `multi-label` gives each class a probability of its own, by logistic regression; `regression` tells a number, by least squares. Both linear.
   */
  solver?: Solver;
  /** knn: how many of the nearest examples vote, default 5. */
  k?: number;
  /** knn: `cosine` (the default) or `euclidean`. */
  distance?: Distance;
  /** knn: whether votes weigh one over their `distance` (the default) or are all the same, `uniform`. */
  votes?: Votes;
  /** Whether the head keeps the features of its training examples, so that `extendHead` can add classes and examples; `knn` always does. */
  keep?: boolean;
  /** All but adam, nearest-mean and knn: the strength of the L2 penalty, on the scale of the mean loss; default chosen on the validation, or on a part held out for it. */
  l2?: number;
  /** adam: passes over the examples, default 100; lbfgs: steps at most, default 200; the others: default 1000. */
  epochs?: number;
  /** adam; default 32. */
  batchSize?: number;
  /** adam; default 0.001. */
  learningRate?: number;
  /** adam: decoupled weight decay; default 0.01. */
  weightDecay?: number;
  /** adam with hidden layers: part of the hidden units dropped at each step; default 0.5. */
  dropout?: number;
  /** adam: epochs without a lower validation loss after which training stops; default 10. */
  patience?: number;
  /** Decides what is held out, and for adam the first weights, the order and the dropout; default 0. */
  seed?: number;
  /** Called after each epoch. */
  onEpoch?: (entry: HistoryEntry) => void | Promise<void>;
  /** Called with a sentence for what deserves a look but stops nothing; also in `head.warnings`. */
  onWarning?: (message: string) => void;
}

/** How a head is fitted. */
export type Solver = Training['solver'];
export const SOLVERS: readonly Solver[] = ['lbfgs', 'adam', ...SCORE_SOLVERS, 'knn', 'multi-label', 'regression'];

export const TRAIN_DEFAULTS = {
  epochs: { lbfgs: 200, adam: 100, svm: 1000, ridge: 1000, 'nearest-mean': 1, knn: 1, 'multi-label': 1000, regression: 1000 },
  batchSize: 32,
  learningRate: 1e-3,
  weightDecay: 1e-2,
  dropout: 0.5,
  patience: 10,
  seed: 0,
  k: 5,
  distance: 'cosine',
  votes: 'distance',
} as const;

/** What examples of a solver have besides one class. */
export function targetKind(solver: Solver): TargetKind | undefined {
  return solver === 'multi-label' ? 'labels' : solver === 'regression' ? 'number' : undefined;
}

/** What the number of an entry of a head's history counts; undefined for solvers that are done in one go. */
export function entryUnit(solver: Solver): 'epoch' | 'step' | undefined {
  if (solver === 'adam') return 'epoch';
  return solver === 'knn' || solver === 'nearest-mean' ? undefined : 'step';
}

export type Settings = ReturnType<typeof settingsOf>;

/** @throws VggError `VGG_OPTION` */
export function settingsOf(options: TrainHeadOptions) {
  const hidden = options.hidden === undefined ? [] : [options.hidden].flat();
  const solver = options.solver ?? (hidden.length > 0 ? 'adam' : 'lbfgs');
  if (!SOLVERS.includes(solver)) throw wrong('solver', `one of ${SOLVERS.join(', ')}`, solver);
  if (solver !== 'adam' && hidden.length > 0) throw wrong('solver', "'adam' for a head with hidden layers", solver);
  const { batchSize, learningRate, weightDecay, dropout, patience, seed, k, distance, votes } = { ...TRAIN_DEFAULTS, ...given(options) };
  const epochs = options.epochs ?? TRAIN_DEFAULTS.epochs[solver];
  for (const [name, value] of Object.entries({
    epochs,
    batchSize,
    patience,
    k,
    ...Object.fromEntries(hidden.map((units, i) => [`hidden[${i}]`, units])),
  })) {
    if (!(Number.isInteger(value) && value > 0)) throw wrong(name, 'a whole number above 0', value);
  }
  if (!(Number.isFinite(learningRate) && learningRate > 0)) throw wrong('learningRate', 'a number above 0', learningRate);
  for (const [name, value] of Object.entries({ weightDecay, l2: options.l2 ?? 0 })) {
    if (!(Number.isFinite(value) && value >= 0)) throw wrong(name, 'a number from 0', value);
  }
  if (!(dropout >= 0 && dropout < 1)) throw wrong('dropout', 'a number from 0 to below 1', dropout);
  if (!DISTANCES.includes(distance)) throw wrong('distance', DISTANCES.join(' or '), distance);
  if (!VOTES.includes(votes)) throw wrong('votes', VOTES.join(' or '), votes);
  if (!Number.isSafeInteger(seed)) throw wrong('seed', 'a whole number', seed);
  if (options.size !== undefined && !(Number.isInteger(options.size) && options.size > 0))
    throw wrong('size', 'a whole number of pixels', options.size);
  const neighbours = { k, distance, votes };
  return { hidden, solver, epochs, batchSize, learningRate, weightDecay, dropout, patience, seed, l2: options.l2, neighbours };
}

export function wrong(name: string, expected: string, received: unknown): VggError {
  return new VggError('VGG_OPTION', `trainHead: expected ${expected} as ${name}, received ${String(received)}`);
}
