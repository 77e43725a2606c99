import { VggError } from '@vgg/errors';
import type { GraphLayer } from '../../graph.js';
import { shortestDecimal } from '../../numbers.js';
import type { Reorder } from '../../reorder.js';
import type { TensorToWrite, WriteRequest } from '../../writer.js';
import type { Message, Value } from './message.js';

/** A blob to write: its shape, and the tensor that it is made of, or the one value that it has. */
export interface BlobToWrite {
  readonly shape: readonly number[];
  readonly values: { readonly tensor: TensorToWrite; readonly order?: Reorder } | { readonly constant: number };
}

export interface LayerToWrite {
  readonly message: Message;
  /** In the text, where that is not the same. */
  readonly text?: Message;
  readonly blobs: readonly BlobToWrite[];
}

const WHO = 'caffemodel';
/** What VGGs are run on where the network does not say. */
const DEFAULT_SIDE = 224;

/** One picture's map on its way through the network. */
interface Flow {
  /** The blob that the next layer takes. */
  blob: string;
  channels: number;
  height: number;
  width: number;
}

type Plain = string | number | boolean | readonly Plain[] | { readonly [field: string]: Plain };

/**
 * The layers of a network as Caffe has them, of the newer form, with the input's size first.
 * @throws VggError `VGG_OPTION` for a layer that Caffe has not, `VGG_SHAPE` where weights do not fit it, `VGG_WEIGHTS_MISSING`
 */
export function deployLayers({ graph, tensors }: WriteRequest): LayerToWrite[] {
  if (!graph) throw refused('the layers of the network', 'none');
  const weights = new Weights(tensors);
  const [channels, height, width] = inputOf(graph, tensors);
  const flow: Flow = { blob: 'data', channels, height, width };
  const input = { name: 'data', type: 'Input', top: 'data', input_param: { shape: { dim: [1, channels, height, width] } } };
  const out: LayerToWrite[] = [{ message: tree(input), blobs: [] }];
  const names = new Set(['data']);
  for (const [i, layer] of graph.layers.entries()) {
    if (names.has(layer.name)) throw refused('each name once, none of them "data"', `"${layer.name}" twice`);
    names.add(layer.name);
    // A dense layer flattens what it takes.
    if (layer.kind === 'flatten' && graph.layers[i + 1]?.kind === 'dense') continue;
    out.push(...caffeLayers(layer, flow, weights));
  }
  weights.checkAllTaken();
  return out;
}

function inputOf(graph: NonNullable<WriteRequest['graph']>, tensors: WriteRequest['tensors']): [number, number, number] {
  const { channels, height, width } = graph.input ?? {};
  const first = graph.layers.find(({ kind }) => kind === 'conv');
  const weight = tensors.find(({ name }) => name === `${first?.name}.weight`);
  const inputs = first?.kind === 'conv' ? (first.in ?? (weight?.shape[2] ?? 3) * first.groups) : 3;
  return [channels ?? inputs, height ?? DEFAULT_SIDE, width ?? DEFAULT_SIDE];
}

/** The tensors, each of which one layer takes. */
class Weights {
  private readonly left: Map<string, TensorToWrite>;
  constructor(tensors: readonly TensorToWrite[]) {
    this.left = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    if (this.left.size < tensors.length) throw refused('each tensor once', 'one twice');
  }

  take(name: string, shape: readonly number[]): TensorToWrite {
    const tensor = this.left.get(name);
    if (!tensor) throw new VggError('VGG_WEIGHTS_MISSING', `${WHO}: expected tensor "${name}", received none of that name`);
    if (tensor.shape.join() !== shape.join()) {
      throw new VggError('VGG_SHAPE', `${WHO}: expected "${name}" of shape [${shape}], received [${tensor.shape}]`);
    }
    this.left.delete(name);
    return tensor;
  }

  /** Of a vector, as it is. */
  vector(name: string, length: number): BlobToWrite {
    return { shape: [length], values: { tensor: this.take(name, [length]) } };
  }

  checkAllTaken(): void {
    const [name] = this.left.keys();
    if (name !== undefined) throw refused('tensors of the layers', `"${name}", which no layer has`);
  }
}

/** One layer's own, which moves the flow on; a batch normalisation is two. */
function caffeLayers(layer: GraphLayer, flow: Flow, weights: Weights): LayerToWrite[] {
  const { name } = layer;
  const bottom = flow.blob;
  /** With an output of its own, or in place of what it takes. */
  const apart = (type: string, params: { [field: string]: Plain } = {}, blobs: BlobToWrite[] = []): LayerToWrite => {
    flow.blob = name;
    return { message: tree({ name, type, bottom, top: name, ...params }), blobs };
  };
  const inPlace = (type: string, params: { [field: string]: Plain } = {}): LayerToWrite => ({
    message: tree({ name, type, bottom, top: bottom, ...params }),
    blobs: [],
  });
  switch (layer.kind) {
    case 'conv': {
      const { kernel, stride, dilation, groups, out, bias } = layer;
      if (layer.padding === 'reflect') throw refused('zero padding, which is all that Caffe has', `reflect padding in ${name}`);
      const pad = kernel.map((size) => (layer.pad === 'same' ? samePad(name, size, stride, dilation) : layer.pad));
      const [kh, kw] = kernel;
      const inputs = flow.channels / groups;
      const filters: BlobToWrite = {
        shape: [out, inputs, kh, kw],
        values: {
          tensor: weights.take(`${name}.weight`, [kh, kw, inputs, out]),
          order: { sizes: [out, inputs, kh, kw], strides: [1, out, kw * inputs * out, inputs * out] },
        },
      };
      const side = (size: number, axis: 0 | 1) => Math.floor((size + 2 * pad[axis]! - dilation * (kernel[axis] - 1) - 1) / stride) + 1;
      move(flow, name, out, side(flow.height, 0), side(flow.width, 1));
      const param = {
        num_output: out,
        ...(!bias && { bias_term: false }),
        ...(pad[0] === pad[1] ? pad[0] !== 0 && { pad: pad[0]! } : { pad_h: pad[0]!, pad_w: pad[1]! }),
        ...(kh === kw ? { kernel_size: kh } : { kernel_h: kh, kernel_w: kw }),
        ...(groups !== 1 && { group: groups }),
        ...(stride !== 1 && { stride }),
        ...(dilation !== 1 && { dilation }),
      };
      return [apart('Convolution', { convolution_param: param }, [filters, ...(bias ? [weights.vector(`${name}.bias`, out)] : [])])];
    }
    case 'dense': {
      const { out, bias } = layer;
      const { channels, height, width } = flow;
      const inputs = channels * height * width;
      if (layer.in !== undefined && layer.in !== inputs) {
        throw new VggError(
          'VGG_SHAPE',
          `${WHO}: expected ${layer.in} inputs of ${name}, received ${height}x${width}x${channels}; give the size of the network's input`,
        );
      }
      const matrix: BlobToWrite = {
        shape: [out, inputs],
        values: {
          tensor: weights.take(`${name}.weight`, [inputs, out]),
          order: { sizes: [out, channels, height * width], strides: [1, out, channels * out] },
        },
      };
      move(flow, name, out, 1, 1);
      const param = { num_output: out, ...(!bias && { bias_term: false }) };
      return [apart('InnerProduct', { inner_product_param: param }, [matrix, ...(bias ? [weights.vector(`${name}.bias`, out)] : [])])];
    }
    case 'batchnorm': {
      const vector = (part: string) => weights.vector(`${name}.${part}`, flow.channels);
      const one: BlobToWrite = { shape: [1], values: { constant: 1 } };
      const norm = apart('BatchNorm', { batch_norm_param: { eps: layer.epsilon } }, [vector('mean'), vector('variance'), one]);
      const scaleName = name.startsWith('bn') ? `scale${name.slice(2)}` : `${name}_scale`;
      const scale = { name: scaleName, type: 'Scale', bottom: name, top: name, scale_param: { bias_term: true } };
      return [norm, { message: tree(scale), blobs: [vector('scale'), vector('offset')] }];
    }
    case 'lrn': {
      const size = 2 * layer.radius + 1;
      return [apart('LRN', { lrn_param: { local_size: size, alpha: layer.alpha * size, beta: layer.beta, k: layer.bias } })];
    }
    case 'pool': {
      const { isWhole, ...param } = poolingParam(layer, flow);
      const { round_mode: _, ...plain } = param;
      const [pool, text] = [param, plain].map((pooling_param) => apart('Pooling', { pooling_param }));
      // OpenCV takes no text with a round_mode, nor do the Caffes from before 2018.
      return [isWhole ? { ...pool!, text: text!.message } : pool!];
    }
    case 'mean':
      move(flow, name, flow.channels, 1, 1);
      return [apart('Pooling', { pooling_param: { pool: 'AVE', global_pooling: true } })];
    case 'relu':
      return [inPlace('ReLU')];
    case 'dropout':
      return [inPlace('Dropout', { dropout_param: { dropout_ratio: layer.rate } })];
    case 'softmax':
      return [apart('Softmax')];
    case 'flatten':
      return [apart('Flatten')];
    case 'other':
      throw refused('layers that a VGG has', `${name}, a ${layer.type}`);
  }
}

/** `isWhole` where windows fill the map, so that there is nothing to round. */
function poolingParam(layer: GraphLayer & { kind: 'pool' }, flow: Flow): { [field: string]: Plain; isWhole: boolean } {
  const { name, size, stride } = layer;
  if (layer.pool === 'l2') throw refused('max or average pooling', `the l2 pool ${name}, which Caffe has not`);
  let { pad, rounding } = layer;
  if (pad === 'same') {
    // Twice two cells: all that is added is behind the end, as with rounding up. Stride 1: as much before as behind, which only max passes over.
    const isUp = size === 2 && stride === 2;
    if (!isUp && !(stride === 1 && size % 2 === 1 && layer.pool === 'max')) {
      throw refused('a pool whose padding Caffe can express', `${name} with "same" padding, ${size}x${size} at stride ${stride}`);
    }
    pad = isUp ? 0 : (size - 1) / 2;
    rounding = isUp ? 'ceil' : rounding;
  }
  const padded = pad;
  const stepsOver = (length: number) => (length + 2 * padded - size) / stride;
  const isWhole = [flow.height, flow.width].every((length) => Number.isInteger(stepsOver(length)));
  const side = (length: number) => {
    const steps = stepsOver(length);
    const cells = (rounding === 'ceil' ? Math.ceil(steps) : Math.floor(steps)) + 1;
    // Caffe drops a last window that would begin beyond the picture.
    return padded > 0 && (cells - 1) * stride >= length + padded ? cells - 1 : cells;
  };
  move(flow, name, flow.channels, side(flow.height), side(flow.width));
  return {
    isWhole,
    pool: layer.pool === 'max' ? 'MAX' : 'AVE',
    kernel_size: size,
    stride,
    ...(pad !== 0 && { pad }),
    ...(rounding === 'floor' && { round_mode: 'FLOOR' }),
  };
}

/** Padding that keeps the size; at other strides "same" adds more behind than before, which Caffe cannot. */
function samePad(name: string, size: number, stride: number, dilation: number): number {
  const reach = dilation * (size - 1);
  if (stride === 1 && reach % 2 === 0) return reach / 2;
  throw refused('padding that Caffe can express', `${name} with "same" padding, window ${size} at stride ${stride}`);
}

function move(flow: Flow, name: string, channels: number, height: number, width: number): void {
  if (height < 1 || width < 1)
    throw new VggError('VGG_SHAPE', `${WHO}: expected an input large enough for ${name}, received a smaller one`);
  Object.assign(flow, { channels, height, width });
}

/** A tree of these fields, in their order. */
export function tree(fields: { readonly [field: string]: Plain }): Message {
  return {
    line: 0,
    fields: new Map(Object.entries(fields).map(([name, value]) => [name, (Array.isArray(value) ? value : [value]).map(leaf)])),
  };
}

function leaf(value: Plain): Value {
  if (typeof value === 'object') return tree(value as { readonly [field: string]: Plain });
  return { line: 0, text: typeof value === 'number' && !Number.isInteger(value) ? `${shortestDecimal(value)}` : `${value}` };
}

/** The error for what Caffe cannot hold. */
export function refused(expected: string, received: string): VggError {
  return new VggError('VGG_OPTION', `${WHO}: expected ${expected}, received ${received}; write another format, such as safetensors`);
}
