import type { FileGraph, GraphLayer } from '../../graph.js';
import { type CaffeLayer, inputSize, normalisations, readLayers, runsInTest } from './layers.js';
import { choice, count, counts, flag, type Message, message, number, text, unexpected } from './message.js';

/** The shape of a layer's weight or mean as the binary file has it, where there is one. */
export type WeightShape = (tensor: string) => readonly number[] | undefined;

/** Layers that only look at what others made. */
const SINKS: ReadonlySet<string> = new Set(['Accuracy', 'Silence', 'HDF5Output']);

/** The layers of a network when it is used, in the order in which the file has them, which is the order in which Caffe runs them. */
export function fileGraph(net: Message, who: string, weightShape?: WeightShape): FileGraph {
  return graphOf(net, readLayers(net, who), who, weightShape);
}

/** The same where the layers have been read already. */
export function graphOf(net: Message, all: readonly CaffeLayer[], who: string, weightShape: WeightShape = () => undefined): FileGraph {
  const name = text(net, 'name', who);
  const input = inputSize(net, all, who);
  const used = all.filter(runsInTest);
  const merged = normalisations(used);
  const layers = used
    .filter((layer) => layer.bottoms.length > 0 && !SINKS.has(layer.type) && !merged.has(layer))
    .map((layer) => graphLayer(layer, weightShape));
  return { ...(name !== undefined && { name }), ...(input && { input }), layers };
}

function graphLayer(layer: CaffeLayer, weightShape: WeightShape): GraphLayer {
  const { name, type, message: whole, who } = layer;
  const known = ((): GraphLayer | undefined => {
    switch (type) {
      case 'Convolution':
        return convolution(layer, weightShape);
      case 'InnerProduct':
        return dense(layer, weightShape);
      case 'Pooling':
        return pooling(layer);
      case 'LRN':
        return normalisation(layer);
      case 'BatchNorm': {
        const channels = weightShape(`${name}.mean`)?.[0];
        const epsilon = number(message(whole, 'batch_norm_param', who), 'eps', who) ?? 1e-5;
        return { kind: 'batchnorm', name, ...(channels !== undefined && { channels }), epsilon };
      }
      case 'ReLU':
        return (number(message(whole, 'relu_param', who), 'negative_slope', who) ?? 0) === 0 ? { kind: 'relu', name } : undefined;
      case 'Dropout':
        return { kind: 'dropout', name, rate: number(message(whole, 'dropout_param', who), 'dropout_ratio', who) ?? 0.5 };
      case 'Softmax':
      case 'SoftmaxWithLoss':
        return { kind: 'softmax', name };
      case 'Flatten':
        return { kind: 'flatten', name };
      default:
        return undefined;
    }
  })();
  return known ?? { kind: 'other', name, type };
}

function convolution({ name, message: layer, who }: CaffeLayer, weightShape: WeightShape): GraphLayer | undefined {
  const param = message(layer, 'convolution_param', who);
  const kernel = twoAxes(param, who, 'kernel_size', 'kernel_h', 'kernel_w', 0);
  const stride = twoAxes(param, who, 'stride', 'stride_h', 'stride_w', 1);
  const pad = twoAxes(param, who, 'pad', 'pad_h', 'pad_w', 0);
  const dilation = counts(param, 'dilation', who);
  if (!kernel || !isEven(stride) || !isEven(pad) || !dilation.every((size) => size === dilation[0])) return undefined;
  if ((number(param, 'axis', who) ?? 1) !== 1) return undefined;
  const groups = positive(param, 'group', who, 1);
  const inputs = weightShape(`${name}.weight`)?.[1];
  if (kernel[0] === 0 || kernel[1] === 0 || stride[0] === 0) throw unexpected(who, param, 'a window and a stride of at least 1', '0');
  return {
    kind: 'conv',
    name,
    ...(inputs !== undefined && { in: inputs * groups }),
    out: positive(param, 'num_output', who),
    kernel,
    stride: stride[0],
    pad: pad[0],
    dilation: dilation[0] ?? 1,
    groups,
    bias: flag(param, 'bias_term', who, true),
  };
}

function dense({ name, message: layer, who }: CaffeLayer, weightShape: WeightShape): GraphLayer | undefined {
  const param = message(layer, 'inner_product_param', who);
  if ((number(param, 'axis', who) ?? 1) !== 1) return undefined;
  const inputs = weightShape(`${name}.weight`)?.[1];
  return {
    kind: 'dense',
    name,
    ...(inputs !== undefined && { in: inputs }),
    out: positive(param, 'num_output', who),
    bias: flag(param, 'bias_term', who, true),
  };
}

/** Caffe rounds up unless it is told, which old versions cannot be. */
function pooling({ name, message: layer, who }: CaffeLayer): GraphLayer | undefined {
  const param = message(layer, 'pooling_param', who);
  const method = choice(param, 'pool', who, ['MAX', 'AVE', 'STOCHASTIC']);
  if (flag(param, 'global_pooling', who, false)) return method === 'AVE' ? { kind: 'mean', name } : undefined;
  const size = twoAxes(param, who, 'kernel_size', 'kernel_h', 'kernel_w', 0);
  const stride = twoAxes(param, who, 'stride', 'stride_h', 'stride_w', 1);
  const pad = twoAxes(param, who, 'pad', 'pad_h', 'pad_w', 0);
  if (method === 'STOCHASTIC' || !isEven(size) || !isEven(stride) || !isEven(pad)) return undefined;
  if (size[0] === 0 || stride[0] === 0) throw unexpected(who, param, 'a window and a stride of at least 1', '0');
  return {
    kind: 'pool',
    name,
    pool: method === 'MAX' ? 'max' : 'average',
    size: size[0],
    stride: stride[0],
    pad: pad[0],
    rounding: choice(param, 'round_mode', who, ['CEIL', 'FLOOR']) === 'CEIL' ? 'ceil' : 'floor',
  };
}

/** Caffe divides alpha by the number of channels that are summed. */
function normalisation({ name, message: layer, who }: CaffeLayer): GraphLayer | undefined {
  const param = message(layer, 'lrn_param', who);
  const size = positive(param, 'local_size', who, 5);
  if (size % 2 === 0 || choice(param, 'norm_region', who, ['ACROSS_CHANNELS', 'WITHIN_CHANNEL']) !== 'ACROSS_CHANNELS') return undefined;
  return {
    kind: 'lrn',
    name,
    radius: (size - 1) / 2,
    bias: number(param, 'k', who) ?? 1,
    alpha: (number(param, 'alpha', who) ?? 1) / size,
    beta: number(param, 'beta', who) ?? 0.75,
  };
}

/** Height and width, given for both at once, one after the other, or by name; undefined where there are more than two. */
function twoAxes(of: Message, who: string, both: string, h: string, w: string, fallback: number): [number, number] | undefined {
  const list = counts(of, both, who);
  if (list.length > 2) return undefined;
  return [count(of, h, who) ?? list[0] ?? fallback, count(of, w, who) ?? list[1] ?? list[0] ?? fallback];
}

const isEven = (axes: [number, number] | undefined): axes is [number, number] => axes !== undefined && axes[0] === axes[1];

function positive(of: Message, field: string, who: string, fallback?: number): number {
  const value = count(of, field, who) ?? fallback;
  if (value === undefined || value === 0) throw unexpected(who, of, `"${field}" of at least 1`, value === undefined ? 'none' : '0');
  return value;
}
