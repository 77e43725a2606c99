/** Where registered, a `FusedConv2D` for a filter that is used once, so that preparing it must cost little. */
export const ONE_OFF_CONVOLUTION = 'VggOneOffFusedConv2D';

/** Where registered, a pool as tfjs's `AvgPool` takes it, of the root of the mean square. */
export const L2_POOL = 'VggL2Pool';

/**
 * Where registered, the gradients of a 3x3 convolution of stride 1: as tfjs's `Conv2DBackpropInput` and `Conv2DBackpropFilter`, and with a
 * further input `y`, the convolution's result behind a ReLU: `dy` counts as 0 where `y` is not positive.
 */
export const INPUT_GRADIENT = 'VggConv2dInputGradient';
export const FILTER_GRADIENT = 'VggConv2dFilterGradient';

/** Where registered, `dy` and 0 where `y` is not positive. */
export const RELU_GRADIENT = 'VggReluGradient';

/** Where registered, the sums of `dy` over all but its last axis, without the places where `y`, if there is one, is not positive. */
export const CHANNEL_SUMS = 'VggChannelSums';
