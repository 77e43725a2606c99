import { VggError } from '@vgg/errors';
import { countOf } from '../../dtype.js';
import type { GraphLayer } from '../../graph.js';
import { singleType, type TensorToWrite, type WriteRequest } from '../../writer.js';
import { bytesField } from '../protobuf/encode.js';
import { type Attributes, addNode, claim, type State, take, vector, weight } from './builder.js';
import { valueBytes } from './encode.js';
import { int64Payload, type Payload } from './payload.js';
import { GRAPH } from './schema.js';

/** The network's input. */
const INPUT = 'input';
/** The axis of the channels, and of the classes behind a flatten. */
const CHANNELS = 1;

/** A graph ready to be written: its nodes and values as bytes, the weights to come. */
export interface Assembled {
  readonly nodes: readonly Uint8Array[];
  readonly payloads: readonly Payload[];
  readonly values: readonly Uint8Array[];
}

type LayerOf<K extends GraphLayer['kind']> = Extract<GraphLayer, { kind: K }>;

/**
 * The nodes and initialisers of a network.
 * @throws VggError `VGG_OPTION` for a dtype or layer that ONNX has no like of and for tensors of no layer, `VGG_WEIGHTS_MISSING` for a layer's that is
 * not there, `VGG_SHAPE` for one of another shape
 */
export function assemble(request: WriteRequest): Assembled {
  const { graph, tensors } = request;
  const dtype = singleType(request, ['float32', 'float16', 'int8'], 'onnx');
  const layers = graph?.layers ?? [];
  if (!graph || !layers.some(({ kind }) => kind !== 'dropout')) {
    throw new VggError('VGG_OPTION', 'onnx: expected the layers of the network, received none; name the architecture or the plan');
  }
  const [first] = layers.filter(({ kind }) => kind !== 'relu' && kind !== 'dropout' && kind !== 'softmax');
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const state: State = {
    nodes: [],
    payloads: [],
    names: new Set([INPUT]),
    tensors: byName,
    dtype,
    at: INPUT,
    channels: graph.input?.channels ?? (first && inputsOf(first, byName)),
    flat: first?.kind === 'dense',
    fixed: false,
  };
  const input = { channels: state.channels ?? 'channels', flat: state.flat };
  for (const layer of layers) addLayer(state, layer);
  if (state.tensors.size > 0) {
    const [name] = state.tensors.keys();
    throw new VggError('VGG_OPTION', `onnx: expected only tensors of the network's layers, received "${name}"; no layer takes it`);
  }
  const side = (key: 'height' | 'width') => (state.fixed ? graph.input?.[key] : undefined) ?? key;
  const channels = state.channels ?? 'classes';
  const values = [
    bytesField(GRAPH.input, valueBytes(INPUT, ['batch', input.channels, ...(input.flat ? [] : [side('height'), side('width')])])),
    bytesField(GRAPH.output, valueBytes(state.at, ['batch', channels, ...(state.flat ? [] : ['rows', 'columns'])])),
  ];
  return { nodes: state.nodes.map((node) => bytesField(GRAPH.node, node)), payloads: state.payloads, values };
}

/** The channels of the input, as the first layer with weights tells them. */
function inputsOf(layer: GraphLayer, tensors: ReadonlyMap<string, TensorToWrite>): number | undefined {
  if (layer.kind === 'batchnorm') return layer.channels;
  if (layer.kind !== 'conv' && layer.kind !== 'dense') return undefined;
  const shape = tensors.get(`${layer.name}.weight`)?.shape;
  return layer.in ?? (shape && shape[shape.length - 2]! * (layer.kind === 'conv' ? layer.groups : 1));
}

type Adders = { readonly [K in Exclude<GraphLayer['kind'], 'other'>]: (state: State, layer: LayerOf<K>) => void };

const ADDERS: Adders = {
  conv: addConv,
  dense: addDense,
  batchnorm: addBatchNorm,
  pool: addPool,
  lrn: addLrn,
  relu: (state, { name }) => addNode(state, 'Relu', name),
  softmax: (state, { name }) => addNode(state, 'Softmax', name, { attributes: { axis: { int: CHANNELS } } }),
  flatten: (state, { name }) => addFlatten(state, name),
  mean(state, { name }) {
    addNode(state, 'GlobalAveragePool', `${name}_map`, { node: name });
    addFlatten(state, name, `${name}_flatten`);
  },
  dropout() {},
};

const OF_MAPS: ReadonlySet<string> = new Set(['conv', 'pool', 'lrn', 'mean']);

function addLayer(state: State, layer: GraphLayer): void {
  if (layer.kind === 'other' || (state.flat && OF_MAPS.has(layer.kind))) {
    const what = layer.kind === 'other' ? layer.type : `${layer.kind} behind a flatten`;
    throw new VggError('VGG_OPTION', `onnx: expected layers of a VGG, received ${what} ("${layer.name}")`);
  }
  (ADDERS[layer.kind] as (state: State, layer: GraphLayer) => void)(state, layer);
}

/** ONNX's alpha is over the mean of the squares, ours over their sum. */
function addLrn(state: State, { name, radius, bias, alpha, beta }: LayerOf<'lrn'>): void {
  const size = 2 * radius + 1;
  const attributes = { size: { int: size }, alpha: { float: alpha * size }, beta: { float: beta }, bias: { float: bias } };
  addNode(state, 'LRN', name, { attributes });
}

function addConv(state: State, layer: LayerOf<'conv'>): void {
  const { name, out, kernel, stride, padding, dilation, groups, bias } = layer;
  const [height, width] = kernel;
  const tensor = take(state, `${name}.weight`, layer.in === undefined ? undefined : ((height * width * layer.in) / groups) * out);
  const channels = countOf(tensor.shape, name) / (height * width * out);
  if (!Number.isInteger(channels) || tensor.shape.at(-1) !== out) {
    throw new VggError('VGG_SHAPE', `onnx: expected "${tensor.name}" as [${kernel}, in, ${out}], received [${tensor.shape}]`);
  }
  // [kh, kw, in, out] to [out, in, kh, kw].
  const strides = [1, out, width * channels * out, channels * out];
  const inputs = [weight(state, tensor, [out, channels, height, width], strides)];
  if (bias) inputs.push(vector(state, `${name}.bias`, out));
  const pads = padsOf(layer);
  if (padding === 'reflect' && pads?.some((cells) => cells > 0)) {
    const sizes = `${name}.pads`;
    claim(state, sizes);
    state.payloads.push(int64Payload(sizes, [0, 0, pads[0]!, pads[1]!, 0, 0, pads[2]!, pads[3]!]));
    addNode(state, 'Pad', `${name}_pad`, { more: [sizes], attributes: { mode: 'reflect' } });
  } else if (padding === 'reflect' && !pads) {
    throw new VggError('VGG_OPTION', `onnx: expected reflected borders of a known width, received "same" at stride ${stride} ("${name}")`);
  }
  const border: Attributes = !pads ? { auto_pad: 'SAME_UPPER' } : { pads: { ints: padding === 'reflect' ? [0, 0, 0, 0] : pads } };
  addNode(state, 'Conv', name, {
    more: inputs,
    attributes: {
      kernel_shape: { ints: kernel },
      strides: { ints: [stride, stride] },
      dilations: { ints: [dilation, dilation] },
      group: { int: groups },
      ...border,
    },
  });
  state.channels = out;
}

/** Above, left, below, right; undefined where they depend on the size of the map. */
function padsOf({ pad, kernel, stride, dilation }: LayerOf<'conv'>): readonly number[] | undefined {
  if (pad !== 'same') return [pad, pad, pad, pad];
  if (stride !== 1) return undefined;
  const [height, width] = kernel.map((size) => dilation * (size - 1)) as [number, number];
  return [Math.floor(height / 2), Math.floor(width / 2), Math.ceil(height / 2), Math.ceil(width / 2)];
}

function addDense(state: State, { name, out, bias, in: inputs }: LayerOf<'dense'>): void {
  const tensor = take(state, `${name}.weight`, inputs === undefined ? undefined : inputs * out);
  const rows = countOf(tensor.shape, name) / out;
  if (tensor.shape.at(-1) !== out || !Number.isInteger(rows)) {
    throw new VggError('VGG_SHAPE', `onnx: expected "${tensor.name}" as [in, ${out}], received [${tensor.shape}]`);
  }
  addFlatten(state, `${name}_flatten`);
  // The rows of a flattened map are in the order H, W, C, where ONNX's Flatten gives C, H, W; of a vector they are one cell.
  const { channels } = state;
  if (channels === undefined) {
    throw new VggError('VGG_OPTION', `onnx: expected the channels of the network's input, which is flattened, received none ("${name}")`);
  }
  const cells = rows / channels;
  if (!Number.isInteger(cells)) {
    throw new VggError('VGG_SHAPE', `onnx: expected "${tensor.name}" to take maps of ${channels} channels, received ${rows} rows`);
  }
  if (cells > 1) state.fixed = true;
  const order = [out, channels, cells];
  const names = [weight(state, tensor, [out, rows], [1, out, channels * out], order)];
  if (bias) names.push(vector(state, `${name}.bias`, out));
  addNode(state, 'Gemm', name, { more: names, attributes: { transB: { int: 1 } } });
  state.channels = out;
}

function addFlatten(state: State, name: string, node = name): void {
  if (state.flat) return;
  addNode(state, 'Flatten', name, { node });
  state.flat = true;
}

function addBatchNorm(state: State, { name, epsilon, channels }: LayerOf<'batchnorm'>): void {
  const more = ['scale', 'offset', 'mean', 'variance'].map((part) => vector(state, `${name}.${part}`, channels ?? state.channels));
  addNode(state, 'BatchNormalization', name, { more, attributes: { epsilon: { float: epsilon } } });
}

function addPool(state: State, { name, pool, size, stride, pad, rounding }: LayerOf<'pool'>): void {
  const attributes: Attributes = {
    kernel_shape: { ints: [size, size] },
    strides: { ints: [stride, stride] },
    ...(pad === 'same' ? { auto_pad: 'SAME_UPPER' } : { pads: { ints: [pad, pad, pad, pad] } }),
    ...(rounding === 'ceil' && { ceil_mode: { int: 1 } }),
  };
  if (pool !== 'l2') {
    addNode(state, pool === 'max' ? 'MaxPool' : 'AveragePool', name, { attributes });
    return;
  }
  addNode(state, 'Mul', `${name}_square`, { inputs: [state.at, state.at] });
  addNode(state, 'AveragePool', `${name}_mean`, { attributes });
  addNode(state, 'Sqrt', name);
}
