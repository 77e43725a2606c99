// The same module with fused multiply-add: the build enables relaxed SIMD for files with this ending.

export * from './conv3x3';
