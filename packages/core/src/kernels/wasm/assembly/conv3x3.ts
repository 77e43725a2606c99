// The module of conv3x3.ts: 3x3 convolutions of stride 1 on the memory it imports. It brings no data and no stack of its own.

export { rowBytes } from './direct';
export { packFilter } from './filter';
export { multiplyPanel } from './gemm';
export { convolveRowsItem, convolveStripItem, multiplyItem, transformFilterItem, transformInputItem } from './jobs';
export { writeConstants } from './transforms';
export { inputBytes, panelBytes, stripBytes } from './winograd';
