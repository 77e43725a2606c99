/** Where registered, a `FusedConv2D` for a filter that is used once, so that preparing it must cost little. */
export const ONE_OFF_CONVOLUTION = 'VggOneOffFusedConv2D';

/** Where registered, a pool as tfjs's `AvgPool` takes it, of the root of the mean square. */
export const L2_POOL = 'VggL2Pool';

/** Where registered, a `FusedConv2D` with a max pool of 2 x 2 and stride 2 behind it, which leaves out an odd last row and column. */
export const CONV_MAX_POOL = 'VggFusedConv2DMaxPool';

/** Where registered, `dy` where `y` is above 0, else 0: inputs `y`, `dy`. */
export const RELU_GRADIENT = 'VggReluGradient';

/** Where registered, batch normalisation by the batch's own statistics: `x`, `scale`, `offset` to the result, mean and variance. */
export const BATCH_NORM_TRAINING = 'VggBatchNormTraining';

/** Where registered, the gradients of its scale and offset: also `dy`, `mean` and `variance`. */
export const BATCH_NORM_PARAMETER_GRADIENTS = 'VggBatchNormParameterGradients';

/** Where registered, the gradient of its input, from those of scale and offset. */
export const BATCH_NORM_INPUT_GRADIENT = 'VggBatchNormInputGradient';

/** Where registered, `x` times a mask that is a function of a key: see `dropout`. */
export const DROPOUT = 'VggDropout';

/** Where registered, the mean loss of `logits` for `target` and its gradient. */
export const SOFTMAX_CROSS_ENTROPY = 'VggSoftmaxCrossEntropy';

/** The same with a probability of its own for each class. */
export const SIGMOID_CROSS_ENTROPY = 'VggSigmoidCrossEntropy';

/**
 * Where registered, steps of optimisers that change their parameters in place, and a sum of squares that does not depend on the number of
 * threads.
 */
export const SGD_STEP = 'VggSgdStep';
export const ADAM_STEP = 'VggAdamStep';
export const SUM_SQUARES = 'VggSumSquares';

/**
 * Where registered, the gradients of a 3x3 convolution of stride 1: as tfjs's `Conv2DBackpropInput` and `Conv2DBackpropFilter`, and with a
 * further input `y`, the convolution's result behind a ReLU: `dy` counts as 0 where `y` is not positive. The second gives a list, where
 * the attribute `sums` is true with the sums of `dy` over all but its last axis behind the gradient: the gradient of a bias.
 */
export const INPUT_GRADIENT = 'VggConv2dInputGradient';
export const FILTER_GRADIENT = 'VggConv2dFilterGradient';

/** Where registered, the sums of `dy` over all but its last axis, without the places where `y`, if there is one, is not positive. */
export const CHANNEL_SUMS = 'VggChannelSums';
