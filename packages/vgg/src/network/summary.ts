import type { Layer, Network } from './plan.js';
import { type MapShape, outputShape } from './shape.js';

/** One layer of a {@link Summary}, for one picture. */
export interface SummaryRow {
  readonly name: string;
  readonly kind: Layer['kind'];
  /** Height, width and channels; 1, 1, n after `flatten`. */
  readonly output: MapShape;
  /** Trained values, biases included; batch normalisation trains a scale and an offset per channel. */
  readonly parameters: number;
  /** Of these, biases and offsets. */
  readonly biases: number;
  /** Multiply-accumulates of convolutions and dense layers, borders counted as if they were inside; biases are not counted. */
  readonly macs: number;
  /** Side of the square of input pixels that one output cell sees. */
  readonly receptiveField: number;
  /** Input pixels between neighbouring cells. */
  readonly stride: number;
  /** The output as float32. */
  readonly activationBytes: number;
}

/** What a network costs, derived from its layers. */
export interface Summary {
  readonly name: string;
  readonly input: MapShape;
  readonly rows: readonly SummaryRow[];
  readonly parameters: number;
  readonly biases: number;
  readonly macs: number;
  /** The same without the dense layers (or the convolutions that stand for them). */
  readonly features: { readonly parameters: number; readonly macs: number };
  /** Means and variances that batch normalisation keeps beside its parameters. */
  readonly statistics: number;
  /** Weights as float32. */
  readonly parameterBytes: number;
  /** Sum over all layers; a forward pass needs only two neighbours at a time. */
  readonly activationBytes: number;
}

/**
 * Shapes, parameters, multiply-accumulates, receptive fields and strides, layer by layer.
 *
 * @param size of the picture in pixels; default the network's own size
 * @throws VggError `VGG_SHAPE` if the picture does not get through the network
 * @example
 * summarize(network('vgg16')).parameters; // 138357544
 * summarize(network('vgg16', { top: false }), { height: 225, width: 225 }).rows.at(-1)!.output; // [7, 7, 512]
 */
export function summarize(network: Network, size: { height?: number; width?: number } = {}): Summary {
  const input: MapShape = [size.height ?? network.size, size.width ?? network.size, network.channels];
  const rows: SummaryRow[] = [];
  let shape = input;
  let sees = 1;
  let stride = 1;
  for (const layer of network.layers) {
    const output = outputShape(layer, shape, network.name);
    // A cell that sees n cells, s pixels apart and r pixels wide, sees r + (n - 1) s pixels.
    sees += (reach(layer, shape) - 1) * stride;
    if (layer.kind === 'pool') stride *= layer.stride;
    const biases = layer.kind === 'conv' || layer.kind === 'dense' ? layer.out : layer.kind === 'batchnorm' ? layer.channels : 0;
    rows.push({
      name: layer.name,
      kind: layer.kind,
      output,
      parameters: weights(layer) + biases,
      biases,
      macs: layer.kind === 'conv' || layer.kind === 'dense' ? weights(layer) * output[0] * output[1] : 0,
      receptiveField: sees,
      stride,
      activationBytes: output[0] * output[1] * output[2] * 4,
    });
    shape = output;
  }
  const sum = (key: 'parameters' | 'biases' | 'macs' | 'activationBytes', of: readonly SummaryRow[] = rows) =>
    of.reduce((total, row) => total + row[key], 0);
  const features = rows.filter((row) => !row.name.startsWith('fc'));
  const parameters = sum('parameters');
  const statistics = 2 * network.layers.reduce((total, layer) => total + (layer.kind === 'batchnorm' ? layer.channels : 0), 0);
  return {
    name: network.name,
    input,
    rows,
    parameters,
    biases: sum('biases'),
    macs: sum('macs'),
    features: { parameters: sum('parameters', features), macs: sum('macs', features) },
    statistics,
    parameterBytes: (parameters + statistics) * 4,
    activationBytes: sum('activationBytes'),
  };
}

/** How many of its input's cells a layer's output cell sees, along the longer side. */
function reach(layer: Layer, [height, width]: MapShape): number {
  if (layer.kind === 'conv') return layer.kernel;
  if (layer.kind === 'pool') return layer.size;
  return layer.kind === 'flatten' || layer.kind === 'mean' ? Math.max(height, width) : 1;
}

function weights(layer: Layer): number {
  if (layer.kind === 'conv') return layer.kernel * layer.kernel * layer.in * layer.out;
  if (layer.kind === 'dense') return layer.in * layer.out;
  return layer.kind === 'batchnorm' ? layer.channels : 0;
}

/**
 * A stack of 3x3 convolutions beside the single one that sees as much (paper, section 2.3): three see 7x7 with 27 C^2 weights
 * instead of 49 C^2.
 *
 * @param depth how many 3x3 convolutions; @param channels C, into and out of each
 * @example
 * compareStack(3, 512); // { receptiveField: 7, stacked: 7077888, single: 12845056, ratio: 0.551... }
 */
export function compareStack(depth: number, channels: number): { receptiveField: number; stacked: number; single: number; ratio: number } {
  const receptiveField = 2 * depth + 1;
  const stacked = depth * 9 * channels ** 2;
  const single = receptiveField ** 2 * channels ** 2;
  return { receptiveField, stacked, single, ratio: stacked / single };
}
