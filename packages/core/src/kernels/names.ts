/** Where registered, a `FusedConv2D` for a filter that is used once, so that preparing it must cost little. */
export const ONE_OFF_CONVOLUTION = 'VggOneOffFusedConv2D';

/** Where registered, a pool as tfjs's `AvgPool` takes it, of the root of the mean square. */
export const L2_POOL = 'VggL2Pool';

/**
 * Where registered, steps of optimisers that change their parameters in place, and a sum of squares that does not depend on the number of
 * threads.
 */
export const SGD_STEP = 'VggSgdStep';
export const ADAM_STEP = 'VggAdamStep';
export const SUM_SQUARES = 'VggSumSquares';
