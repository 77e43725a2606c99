/** How a head stood after one pass over its training examples; every number is computed from the parameters of that moment. */
export interface HistoryEntry {
  /** 1, 2, 3 ... For the lbfgs solver an epoch is one of its steps. */
  readonly epoch: number;
  /** Mean cross-entropy of all training examples (natural logarithm), without dropout and without penalty. */
  readonly loss: number;
  /** Part of the training examples that are classified rightly. */
  readonly accuracy: number;
  /** The same of the validation examples, where there are any. */
  readonly valLoss?: number;
  readonly valAccuracy?: number;
}
