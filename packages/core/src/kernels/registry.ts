import type { BackendName } from '../probe.js';

/** Which kernel serves one operation, forward and backward, on each backend. */
export interface KernelRow {
  op: string;
  forward: Readonly<Record<BackendName, string>>;
  gradient: Readonly<Record<BackendName, string>>;
}

/** The same kernel of tfjs on all three. */
const stock = (name: string) => ({ webgpu: name, wasm: name, cpu: name });

/**
 * The kernels behind the operations. Names without a prefix are tfjs's own; `vgg:` are ours. Ours take the place of tfjs's under tfjs's
 * name, and everything they do not take goes on to tfjs's.
 */
export const KERNELS: readonly KernelRow[] = [
  {
    op: 'conv2d 3x3',
    forward: { ...stock('FusedConv2D'), wasm: 'vgg:conv3x3 (Winograd)' },
    gradient: {
      webgpu: 'FusedConv2D, Conv2DBackpropFilter, Sum',
      wasm: 'vgg:conv3x3 (Winograd), vgg:filterGradient3x3 (Winograd), vgg:channelSums',
      cpu: 'FusedConv2D, Conv2DBackpropFilter, Sum',
    },
  },
  {
    op: 'conv2d 3x3 with a max pool of 2x2 behind it',
    forward: { ...stock('FusedConv2D, MaxPool'), wasm: 'vgg:conv3x3 (Winograd)' },
    gradient: {
      webgpu: 'vgg:maxPoolGrad (WGSL), FusedConv2D, Conv2DBackpropFilter, Sum',
      wasm: 'vgg:maxPoolGradient, vgg:conv3x3 (Winograd), vgg:filterGradient, vgg:channelSums',
      cpu: 'MaxPoolGrad, FusedConv2D, Conv2DBackpropFilter, Sum',
    },
  },
  {
    op: 'conv2d 1x1, or of a filter as large as the map',
    forward: { ...stock('FusedConv2D'), wasm: 'vgg:product' },
    gradient: { ...stock('BatchMatMul, Sum'), wasm: 'vgg:product, vgg:channelSums' },
  },
  {
    op: 'conv2d without padding, other',
    forward: { ...stock('FusedConv2D'), wasm: 'vgg:product' },
    gradient: {
      ...stock('FusedConv2D, Conv2DBackpropFilter, Sum'),
      wasm: 'vgg:product or FusedConv2D, vgg:filterGradient, vgg:channelSums',
    },
  },
  {
    op: 'conv2d other',
    forward: stock('FusedConv2D'),
    gradient: { ...stock('FusedConv2D, Conv2DBackpropFilter, Sum'), wasm: 'FusedConv2D, vgg:filterGradient, vgg:channelSums' },
  },
  {
    op: 'pool max',
    forward: { ...stock('MaxPool'), wasm: 'vgg:pool' },
    gradient: { webgpu: 'vgg:maxPoolGrad (WGSL)', wasm: 'vgg:poolGradient', cpu: 'MaxPoolGrad' },
  },
  {
    op: 'pool average',
    forward: { ...stock('AvgPool'), wasm: 'vgg:pool' },
    gradient: { ...stock('AvgPoolGrad'), wasm: 'vgg:poolGradient' },
  },
  {
    op: 'pool l2',
    forward: { ...stock('Square, AvgPool, Sqrt'), wasm: 'vgg:pool' },
    gradient: { ...stock('RealDiv, AvgPoolGrad, Multiply'), wasm: 'RealDiv, vgg:poolGradient, Multiply' },
  },
  { op: 'pool l2 hanning', forward: stock('DepthwiseConv2dNative'), gradient: stock('DepthwiseConv2dNative') },
  {
    op: 'dense',
    forward: { ...stock('_FusedMatMul'), wasm: 'vgg:product' },
    gradient: { ...stock('BatchMatMul, Sum'), wasm: 'vgg:product, vgg:channelSums' },
  },
  {
    op: 'batchNorm',
    forward: { ...stock('FusedBatchNorm'), wasm: 'vgg:batchNormalisation' },
    gradient: { ...stock('Multiply, Sum'), wasm: 'Multiply, vgg:batchNormParameterGradients' },
  },
  {
    op: 'batchNormTraining',
    forward: { ...stock('Mean, Square, Rsqrt, Multiply'), wasm: 'vgg:batchNormTraining' },
    gradient: { ...stock('Step, Multiply, Sum, Rsqrt'), wasm: 'vgg:batchNormParameterGradients, vgg:batchNormInputGradient' },
  },
  {
    op: 'lrn',
    forward: { ...stock('LRN'), wasm: 'vgg:localResponse' },
    gradient: { ...stock('LRNGrad'), wasm: 'vgg:localResponseGradient' },
  },
  { op: 'relu', forward: stock('Relu'), gradient: { ...stock('Step, Multiply'), wasm: 'vgg:reluGradient' } },
  {
    op: 'dropout',
    forward: { ...stock('Multiply'), wasm: 'vgg:dropout' },
    gradient: { ...stock('Multiply'), wasm: 'vgg:dropout' },
  },
  { op: 'softmax', forward: stock('Softmax'), gradient: stock('Multiply, Sum') },
  {
    op: 'softmaxCrossEntropy',
    forward: { ...stock('OneHot, Cast, Max, Sub, Exp, Sum, Log'), wasm: 'OneHot, Cast, vgg:softmaxCrossEntropy' },
    gradient: { ...stock('Softmax, Sub, RealDiv, Multiply'), wasm: 'Multiply' },
  },
  {
    op: 'sigmoidCrossEntropy',
    forward: { ...stock('Relu, Abs, Exp, Log1p, Multiply, Mean'), wasm: 'vgg:sigmoidCrossEntropy' },
    gradient: { ...stock('Sigmoid, Sub, RealDiv, Multiply'), wasm: 'Multiply' },
  },
  { op: 'globalPool average', forward: stock('Mean'), gradient: stock('Multiply') },
  {
    op: 'globalPool max',
    forward: { ...stock('MaxPool'), wasm: 'vgg:pool' },
    gradient: { webgpu: 'vgg:maxPoolGrad (WGSL)', wasm: 'vgg:poolGradient', cpu: 'MaxPoolGrad' },
  },
  { op: 'l2Normalize', forward: stock('Square, Sum, Sqrt, RealDiv'), gradient: stock('Multiply, Sum, RealDiv') },
];
