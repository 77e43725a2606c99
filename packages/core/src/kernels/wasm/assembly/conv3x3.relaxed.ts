// The same module with fused multiply-add: the plugin enables relaxed SIMD for the name's sake.

export * from './conv3x3';
