/** Where registered, a `FusedConv2D` for a filter that is used once, so that preparing it must cost little. */
export const ONE_OFF_CONVOLUTION = 'VggOneOffFusedConv2D';

/** Where registered, a pool as tfjs's `AvgPool` takes it, of the root of the mean square. */
export const L2_POOL = 'VggL2Pool';

/** Where registered, a `FusedConv2D` with a max pool of 2 x 2 and stride 2 behind it, which leaves out an odd last row and column. */
export const CONV_MAX_POOL = 'VggFusedConv2DMaxPool';
