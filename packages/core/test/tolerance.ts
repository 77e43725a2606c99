/**
 * How far a float32 kernel, forward or backward, may be from the float64 reference: this part of the largest value. Winograd
 * convolutions reach 4e-6 over thirteen layers, and GPUs fuse and reorder sums; relative to each single value there is no bound,
 * since sums cancel.
 */
export const TOLERANCE = 1e-4;

/** The step of central differences of the float64 reference: their own error is of the order of its square. */
export const STEP = 1e-4;
