import type { TargetKind } from '../head/targets.js';
import { percent } from '../text/percent.js';

/** What the loss and the score of an epoch are, by what a picture has: one class, labels or a number. */
export interface Measures {
  readonly loss: string;
  readonly score: string;
  readonly isPart: boolean;
  /** The losses in a sentence. */
  readonly about: string;
}

const CROSS_ENTROPIES = 'Losses are mean cross-entropies (natural logarithm)';
const OF_CLASSES: Measures = { loss: 'loss', score: 'accuracy', isPart: true, about: CROSS_ENTROPIES };
const MEASURES: Readonly<Record<TargetKind, Measures>> = {
  labels: { loss: 'loss', score: 'accuracy of decisions', isPart: true, about: `${CROSS_ENTROPIES} of all decisions` },
  number: {
    loss: 'squared error',
    score: 'R²',
    isPart: false,
    about: 'Errors are mean squares; R² is the part of the variance that is explained,',
  },
};

export const measuresOf = (targets: TargetKind | undefined): Measures => (targets ? MEASURES[targets] : OF_CLASSES);

/** A score as a text. */
export const scoreText = ({ isPart }: Measures, score: number): string => (isPart ? percent(score) : score.toFixed(4));

export const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
