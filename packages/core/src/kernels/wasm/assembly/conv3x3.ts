// The module of conv3x3.ts: 3x3 convolutions of stride 1 on the memory it imports. It brings no data and no stack of its own.

export { convolveRows, rowBytes } from './direct';
export { packFilter, transformFilter } from './filter';
export { multiplyPanel } from './gemm';
export { writeConstants } from './transforms';
export { convolveStrip, stripBytes } from './winograd';
