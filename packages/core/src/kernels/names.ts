/** Where registered, a `FusedConv2D` for a filter that is used once, so that preparing it must cost little. */
export const ONE_OFF_CONVOLUTION = 'VggOneOffFusedConv2D';
