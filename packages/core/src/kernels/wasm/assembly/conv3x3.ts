// The module of our kernels, on the memory it imports. It brings no data and no stack of its own.

export { convolveRows, rowBytes } from './direct';
export { packFilter, transformFilter } from './filter';
export { multiplyPanel } from './gemm';
export { responseBytes, responsePixels, scalePixels, writeFactors } from './normalise';
export { poolRows } from './pool';
export { multiply, productBytes } from './product';
export { writeConstants } from './transforms';
export { convolveStrip, stripBytes } from './winograd';
