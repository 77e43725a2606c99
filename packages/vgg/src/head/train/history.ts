/** How a head stood after one pass over its training examples; every number is computed from the parameters of that moment. */
export interface HistoryEntry {
  /**
   * 1, 2, 3 ... passes over the examples for adam, and steps of the solver for lbfgs, svm, ridge, multi-label and regression, whose history but for
   * lbfgs is their last step alone; 1 for knn and nearest-mean.
   */
  readonly epoch: number;
  /** Mean cross-entropy of all training examples (natural logarithm), without dropout and without penalty. For multi-label over all classes; for regression the mean squared error. */
  readonly loss: number;
  /** Part of the training examples that are classified rightly. For multi-label of all decisions at probability 0.5; for regression R2. */
  readonly accuracy: number;
  /** The same of the validation examples, where there are any. */
  readonly valLoss?: number;
  readonly valAccuracy?: number;
}
