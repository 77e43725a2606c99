export { type Backend, type BackendInfo, type BackendMemory, type OpenBackendOptions, openBackend } from './backend.js';
export { type BackendWish, planBackends, type Step } from './choose.js';
export { type AdapterLike, currentEnvironment, type Environment, type GpuLike } from './environment.js';
export { registerGradients } from './gradients.js';
export { KERNELS, type KernelRow } from './kernels/registry.js';
export {
  type ConvolutionSizes,
  MEMORY_MODES,
  type MemoryMode,
  planConvolution,
  planFilterGradient,
} from './kernels/wasm/conv3x3-memory.js';
export { listenServed } from './kernels/wasm/served.js';
export type { WorkerFactory, WorkerLike } from './kernels/wasm/threads/spawn.js';
export { type MemoryChoice, wantedMemory } from './memory.js';
export { type BatchNormParameters, batchNorm } from './ops/batch-norm.js';
export {
  type BatchNormTrainingOptions,
  type BatchNormTrainingResult,
  type BatchStatistics,
  batchNormTraining,
  updateRunning,
} from './ops/batch-norm-training.js';
export { type Conv2dOptions, conv2d, conv2dPool } from './ops/conv2d.js';
export { type CrossEntropyOptions, sigmoidCrossEntropy, softmaxCrossEntropy } from './ops/cross-entropy.js';
export { type DenseOptions, dense } from './ops/dense.js';
export { chainGradients } from './ops/differentiable.js';
export { type DropoutOptions, dropout } from './ops/dropout.js';
export { globalPool } from './ops/global-pool.js';
export { l2Normalize } from './ops/l2-normalize.js';
export { LRN_DEFAULTS, type LrnOptions, lrn } from './ops/lrn.js';
export { adamStep, clipScale, type Moving, type StepOptions, sgdStep } from './ops/optimizer-steps.js';
export { type PoolOptions, pool } from './ops/pool.js';
export { relu } from './ops/relu.js';
export { bindingLimit } from './ops/shapes.js';
export { softmax } from './ops/softmax.js';
export { type RowBlock, splitRows } from './ops/split-rows.js';
export { measurePeak } from './peak.js';
export { type AdapterReport, BACKENDS, type BackendName, type BackendReport, probeBackend, probeBackends } from './probe.js';
