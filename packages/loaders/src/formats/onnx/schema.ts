import type { DType } from '../../format.js';

/** Field numbers and element types of ONNX (github.com/onnx/onnx, onnx.proto). */

export const MODEL = { irVersion: 1, producerName: 2, producerVersion: 3, graph: 7, opsetImport: 8, metadata: 14 } as const;
export const OPSET = { domain: 1, version: 2 } as const;
export const ENTRY = { key: 1, value: 2 } as const;
export const GRAPH = { node: 1, name: 2, initializer: 5, input: 11, output: 12 } as const;
export const NODE = { input: 1, output: 2, name: 3, opType: 4, attribute: 5, domain: 7 } as const;
export const ATTRIBUTE = { name: 1, float: 2, int: 3, string: 4, tensor: 5, floats: 7, ints: 8, type: 20 } as const;
export const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, ints: 7 } as const;
export const TENSOR = {
  dims: 1,
  dataType: 2,
  floatData: 4,
  int32Data: 5,
  stringData: 6,
  int64Data: 7,
  name: 8,
  rawData: 9,
  doubleData: 10,
  uint64Data: 11,
  externalData: 13,
  dataLocation: 14,
} as const;
export const VALUE = { name: 1, type: 2 } as const;
export const TYPE = { tensor: 1 } as const;
export const TENSOR_TYPE = { elementType: 1, shape: 2 } as const;
export const SHAPE = { dim: 1 } as const;
export const DIM = { value: 1, param: 2 } as const;

export const ELEMENT = { float32: 1, int8: 3, int64: 7, float16: 10 } as const;

/** By TensorProto.DataType; text, complex numbers and those of 4 and 8 bits float are no weights of any VGG. */
export const DTYPES: ReadonlyMap<number, DType> = new Map([
  [1, 'float32'],
  [2, 'uint8'],
  [3, 'int8'],
  [4, 'uint16'],
  [5, 'int16'],
  [6, 'int32'],
  [7, 'int64'],
  [9, 'bool'],
  [10, 'float16'],
  [11, 'float64'],
  [12, 'uint32'],
  [13, 'uint64'],
  [16, 'bfloat16'],
]);

/** Which list of a TensorProto holds the values of a type where they are not in raw_data. */
export function typedList(dtype: DType): number {
  if (dtype === 'float32') return TENSOR.floatData;
  if (dtype === 'float64') return TENSOR.doubleData;
  if (dtype === 'int64') return TENSOR.int64Data;
  return dtype === 'uint32' || dtype === 'uint64' ? TENSOR.uint64Data : TENSOR.int32Data;
}

/** How files say that they were written here. */
export const PRODUCER = 'vgg';
