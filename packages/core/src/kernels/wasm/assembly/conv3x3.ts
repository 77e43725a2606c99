// The module of our kernels, on the memory it imports. It brings no data and no stack of its own.

export { writeCoefficients, writeParameterGradients, writeStatistics } from './batch-norm';
export { rowBytes } from './direct';
export { packFilter } from './filter';
export {
  addSlotsItem,
  filterGradientBytes,
  filterGradientItem,
  filterGradientStripBytes,
  filterGradientStripItem,
  gradientBytes,
  slotBytes,
  transformGradientItem,
} from './filter-gradient';
export { multiplyPanel } from './gemm';
export { convolveRowsItem, convolveStripItem, convolveWindowsItem, multiplyItem, transformFilterItem, transformInputItem } from './jobs';
export {
  multiplyBlockItem,
  poolRowsItem,
  responsePixelsItem,
  scalePixelsItem,
  settleBlocksItem,
  streamBlockItem,
} from './layer-jobs';
export { sumPixelsItem } from './masked';
export { responseBytes, writeFactors } from './normalise';
export { adamStepItem, sgdStepItem, sumSquaresItem } from './optimizer';
export { productBytes } from './product';
export { responseGradientBytes } from './response-gradient';
export {
  batchGradientItem,
  batchSumsItem,
  crossEntropyItem,
  dropValuesItem,
  maximumGradientItem,
  meanGradientItem,
  passPositiveItem,
  responseGradientItem,
} from './training-jobs';
export { writeConstants } from './transforms';
export {
  filterGradientTwosItem,
  multiplyTwosItem,
  transformTwosGradientItem,
  transformTwosItem,
  twosBytes,
  twosGradientBytes,
  twosInputBytes,
} from './twos';
export { windowBytes } from './windows';
export { inputBytes, panelBytes, stripBytes } from './winograd';
