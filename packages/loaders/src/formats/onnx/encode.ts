import { concat } from '../../bytes.js';
import { bytesField, floatField, numberField } from '../protobuf/encode.js';
import { ATTRIBUTE, ATTRIBUTE_TYPE, DIM, ELEMENT, ENTRY, NODE, SHAPE, TENSOR, TENSOR_TYPE, TYPE, VALUE } from './schema.js';

/** Parts of an ONNX model as bytes. */

/** An attribute's value; whole numbers are wrapped, to tell them from floats. */
export type AttributeValue = { readonly int: number } | { readonly float: number } | { readonly ints: readonly number[] } | string;

export function nodeBytes(
  op: string,
  name: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, AttributeValue>>,
): Uint8Array {
  return concat([
    ...inputs.map((input) => bytesField(NODE.input, input)),
    bytesField(NODE.output, output),
    bytesField(NODE.name, name),
    bytesField(NODE.opType, op),
    ...Object.entries(attributes).map(([key, value]) => bytesField(NODE.attribute, attributeBytes(key, value))),
  ]);
}

function attributeBytes(key: string, value: AttributeValue): Uint8Array {
  const { name, type, int, float, string, ints } = ATTRIBUTE;
  const [kind, ...fields] =
    typeof value === 'string'
      ? [ATTRIBUTE_TYPE.string, bytesField(string, value)]
      : 'int' in value
        ? [ATTRIBUTE_TYPE.int, numberField(int, value.int)]
        : 'float' in value
          ? [ATTRIBUTE_TYPE.float, floatField(float, value.float)]
          : [ATTRIBUTE_TYPE.ints, ...value.ints.map((each) => numberField(ints, each))];
  return concat([bytesField(name, key), ...(fields as Uint8Array[]), numberField(type, kind as number)]);
}

/** A graph's float input or output; a text stands for a size that is known only when the network runs. */
export function valueBytes(name: string, sizes: readonly (number | string)[]): Uint8Array {
  const dims = sizes.map((size) =>
    bytesField(SHAPE.dim, typeof size === 'number' ? numberField(DIM.value, size) : bytesField(DIM.param, size)),
  );
  const tensor = concat([numberField(TENSOR_TYPE.elementType, ELEMENT.float32), bytesField(TENSOR_TYPE.shape, concat(dims))]);
  return concat([bytesField(VALUE.name, name), bytesField(VALUE.type, bytesField(TYPE.tensor, tensor))]);
}

/** What stands before the bytes of a tensor in its message. */
export function tensorHead(name: string, shape: readonly number[], type: number): Uint8Array {
  return concat([
    ...shape.map((size) => numberField(TENSOR.dims, size)),
    numberField(TENSOR.dataType, type),
    bytesField(TENSOR.name, name),
  ]);
}

export const entryBytes = (key: string, value: string): Uint8Array => concat([bytesField(ENTRY.key, key), bytesField(ENTRY.value, value)]);
