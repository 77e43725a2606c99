import { VggError } from '@vgg/errors';
import { countOf } from '../../dtype.js';
import type { TensorToWrite } from '../../writer.js';
import { type AttributeValue, nodeBytes } from './encode.js';
import { type Payload, vectorPayload, type WeightType, weightPayloads } from './payload.js';
import { ELEMENT } from './schema.js';

/** Building a chain of nodes and the initialisers that they take. */

export type Attributes = Readonly<Record<string, AttributeValue>>;

/** What has been put together so far. */
export interface State {
  readonly nodes: Uint8Array[];
  readonly payloads: Payload[];
  readonly names: Set<string>;
  readonly tensors: Map<string, TensorToWrite>;
  readonly dtype: WeightType;
  /** The value that the next node works on. */
  at: string;
  /** Undefined where nothing tells. */
  channels: number | undefined;
  flat: boolean;
  /** The dense layer's inputs are those of a map of a fixed side. */
  fixed: boolean;
}

interface NodeOptions {
  /** Behind the value that the chain has come to; or all of them. */
  readonly more?: readonly string[];
  readonly inputs?: readonly string[];
  readonly attributes?: Attributes;
  /** The node's name where it is not that of its output. */
  readonly node?: string;
}

/** A node on the chain, and the value of this name that it gives. */
export function addNode(
  state: State,
  op: string,
  name: string,
  { more = [], inputs = [state.at, ...more], attributes = {}, node = name }: NodeOptions = {},
): void {
  claim(state, name);
  state.nodes.push(nodeBytes(op, node, inputs, name, attributes));
  state.at = name;
}

export function claim({ names }: State, name: string): void {
  if (name === '' || names.has(name)) {
    throw new VggError('VGG_OPTION', `onnx: expected each layer to have a name of its own, received ${JSON.stringify(name)} again`);
  }
  names.add(name);
}

/** A layer's tensor, which no other layer takes then. */
export function take(state: State, name: string, count: number | undefined): TensorToWrite {
  const tensor = state.tensors.get(name);
  if (!tensor) throw new VggError('VGG_WEIGHTS_MISSING', `onnx: expected the tensor "${name}" of the network, received none of that name`);
  const received = countOf(tensor.shape, name);
  if (count !== undefined && received !== count) {
    throw new VggError('VGG_SHAPE', `onnx: expected ${count} values for "${name}", received [${tensor.shape}]`);
  }
  state.tensors.delete(name);
  claim(state, name);
  return tensor;
}

export function vector(state: State, name: string, count: number | undefined): string {
  state.payloads.push(vectorPayload(take(state, name, count), name));
  return name;
}

/** Stored in the request's type; the value is float32, made of it by a node of its own where that is another. */
export function weight(state: State, tensor: TensorToWrite, shape: readonly number[], strides: readonly number[], sizes = shape): string {
  const { name } = tensor;
  const { dtype } = state;
  const scales = `${name}.scale`;
  if (dtype === 'int8') claim(state, scales);
  state.payloads.push(...weightPayloads(tensor, { name, shape, order: { sizes, strides }, dtype, scales }));
  if (dtype === 'float32') return name;
  const value = `${name}.float32`;
  claim(state, value);
  const node =
    dtype === 'float16'
      ? nodeBytes('Cast', value, [name], value, { to: { int: ELEMENT.float32 } })
      : nodeBytes('DequantizeLinear', value, [name, scales], value, { axis: { int: 0 } });
  state.nodes.push(node);
  return value;
}
