import type { Floats } from './matrix.js';

/** What a batch of logits says of its labels. */
export interface Scored {
  /** Sum over the examples of -log p(label). */
  loss: number;
  /** Examples whose most probable class is their label (the first of equals). */
  correct: number;
}

/**
 * Turns logits [rows, classes] into probabilities in place (the largest logit is subtracted first, so nothing overflows) and sums the
 * cross-entropy of `labels`. The loss is taken from the logits, not from rounded probabilities, so it stays finite.
 */
export function softmaxInPlace(logits: Floats, rows: number, classes: number, labels?: ArrayLike<number>, labelsFrom = 0): Scored {
  let loss = 0;
  let correct = 0;
  for (let i = 0; i < rows; i++) {
    const from = i * classes;
    let best = 0;
    let largest = logits[from]!;
    for (let c = 1; c < classes; c++) {
      const value = logits[from + c]!;
      if (value > largest) {
        largest = value;
        best = c;
      }
    }
    const label = labels === undefined ? -1 : labels[labelsFrom + i]!;
    const own = label < 0 ? 0 : logits[from + label]! - largest;
    let total = 0;
    for (let c = 0; c < classes; c++) {
      const power = Math.exp(logits[from + c]! - largest);
      logits[from + c] = power;
      total += power;
    }
    for (let c = 0; c < classes; c++) logits[from + c]! /= total;
    if (label >= 0) {
      loss += Math.log(total) - own;
      if (best === label) correct++;
    }
  }
  return { loss, correct };
}
