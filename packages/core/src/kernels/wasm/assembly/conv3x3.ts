// The module of our kernels, on the memory it imports. It brings no data and no stack of its own.

export { rowBytes } from './direct';
export { packFilter } from './filter';
export { filterGradientBytes, filterGradientItem, gradientBytes, transformGradientItem } from './filter-gradient';
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
export { maskPixelsItem, sumPixelsItem } from './masked';
export { responseBytes, writeFactors } from './normalise';
export { productBytes } from './product';
export { writeConstants } from './transforms';
export { windowBytes } from './windows';
export { inputBytes, panelBytes, stripBytes } from './winograd';
