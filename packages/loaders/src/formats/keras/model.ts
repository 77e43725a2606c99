import { VggError } from '@vgg/errors';
import type { FileGraph, GraphLayer } from '../../graph.js';
import type { Json } from '../../json.js';
import type { TensorToWrite, WriteRequest } from '../../writer.js';

/** A weight of a Keras layer, under Keras's name for it (`kernel`, `moving_mean` ...). */
interface KerasWeight {
  readonly name: string;
  readonly tensor: TensorToWrite;
}

export interface KerasLayer {
  readonly name: string;
  readonly className: string;
  readonly config: { readonly [key: string]: Json };
  /** In the order in which Keras keeps them. */
  readonly weights: readonly KerasWeight[];
}

/** A network as a Keras model, to be written as such. */
export interface KerasModel {
  readonly layers: readonly KerasLayer[];
  /** `model_config`: a Sequential model, which every version of Keras and tfjs takes. */
  readonly config: Json;
}

type Of<Kind extends GraphLayer['kind']> = Extract<GraphLayer, { kind: Kind }>;

/**
 * The network of a request as a Keras model with its weights. Layers have the names of Keras's own VGG (`block1_conv1`, `fc1`, `predictions`)
 * where they are such layers; a convolution or dense layer holds its activation.
 *
 * @throws VggError `VGG_OPTION` for a layer that Keras does not have, `VGG_SHAPE` where shapes differ, `VGG_WEIGHTS_MISSING`
 */
export function kerasModel({ graph, tensors, name: file }: WriteRequest, who: string): KerasModel {
  if (!graph) throw new VggError('VGG_OPTION', `${who}: expected a network, whose layers Keras wants to know, received tensors only`);
  const weights = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const take = (layer: string, part: string, ours: string, shape: readonly (number | undefined)[]): KerasWeight => {
    const name = `${layer}.${ours}`;
    const tensor = weights.get(name);
    if (!tensor) throw new VggError('VGG_WEIGHTS_MISSING', `${who}: expected the tensor "${name}", and there is none`);
    weights.delete(name);
    const agrees = tensor.shape.length === shape.length && shape.every((size, axis) => size === undefined || size === tensor.shape[axis]);
    if (!agrees)
      throw new VggError('VGG_SHAPE', `${who}: expected "${name}" [${shape.map((size) => size ?? '?')}], received [${tensor.shape}]`);
    return { name: part, tensor };
  };
  const names = kerasNames(graph);
  const isFlat = graph.layers.some(({ kind }) => kind === 'flatten' || kind === 'dense');
  const layers: KerasLayer[] = [inputLayer(graph, names, isFlat, who)];
  for (const [i, layer] of graph.layers.entries()) {
    if (isFused(graph.layers, i)) continue;
    const next = graph.layers[i + 1];
    const activation = next && isFused(graph.layers, i + 1) ? next.kind : 'linear';
    layers.push(...kerasLayers(layer, names.get(layer.name)!, activation, take, who));
  }
  if (weights.size > 0) {
    const some = [...weights.keys()].slice(0, 4).join(', ');
    throw new VggError('VGG_OPTION', `${who}: expected tensors of the network's layers, received others too (${some})`);
  }
  if (isFlat) checkFlatten(graph, who);
  const config = {
    class_name: 'Sequential',
    config: {
      name: identifier(graph.name ?? file.replace(/\..*$/, '')),
      layers: layers.map(({ className, config }) => ({ class_name: className, config })),
    },
  };
  return { layers, config };
}

/** An activation that the layer before it holds. */
function isFused(layers: readonly GraphLayer[], at: number): boolean {
  const [before, { kind }] = [layers[at - 1], layers[at]!];
  return (kind === 'relu' || kind === 'softmax') && (before?.kind === 'conv' || before?.kind === 'dense');
}

/** Keras's name of each layer: those of its own VGG where all of a kind have one, else the plain ones. */
function kerasNames({ layers }: FileGraph): Map<string, string> {
  const dense = layers.filter(({ kind, name }) => (kind === 'dense' || kind === 'conv') && /^fc\d+$/.test(name)).map(({ name }) => name);
  const names = new Map<string, string>();
  for (const { name } of layers) {
    const inBlock = /^(conv|bn|relu)(\d+)_(\d+)$/.exec(name);
    const pool = /^pool(\d+)$/.exec(name);
    const place = dense.length === 3 ? dense.indexOf(name) : -1;
    if (inBlock) names.set(name, `block${inBlock[2]}_${inBlock[1]}${inBlock[3]}`);
    else if (pool) names.set(name, `block${pool[1]}_pool`);
    else names.set(name, ['fc1', 'fc2', 'predictions'][place] ?? identifier(name));
  }
  const isUnique = new Set(names.values()).size === layers.length;
  return isUnique ? names : new Map(layers.map(({ name }, i) => [name, `${identifier(name)}_${i + 1}`]));
}

/** What Keras takes as a name: a slash would make a group of it. */
function identifier(name: string): string {
  return name.replace(/[^A-Za-z0-9_.-]/g, '_').replace(/^[^A-Za-z0-9]+/, '') || 'layer';
}

/** Only dense layers ask for pictures of one size. */
function inputLayer({ input = {}, layers }: FileGraph, names: ReadonlyMap<string, string>, isFlat: boolean, who: string): KerasLayer {
  const first = layers.find((layer) => layer.kind === 'conv');
  const { height, width, channels = first?.in } = input;
  if (channels === undefined || (isFlat && (height === undefined || width === undefined))) {
    throw new VggError('VGG_OPTION', `${who}: expected the network's input size, which Keras needs for its dense layers, received none`);
  }
  const name = [...names.values()].includes('input_1') ? 'input_image' : 'input_1';
  const sides = isFlat ? [height!, width!] : [null, null];
  return { name, className: 'InputLayer', config: { batch_input_shape: [null, ...sides, channels], dtype: 'float32', name }, weights: [] };
}

type Take = (layer: string, part: string, ours: string, shape: readonly (number | undefined)[]) => KerasWeight;

function kerasLayers(layer: GraphLayer, name: string, activation: string, take: Take, who: string): KerasLayer[] {
  const simple = (className: string, config: { [key: string]: Json } = {}, weights: KerasWeight[] = []): KerasLayer[] => [
    { name, className, config: { name, trainable: true, dtype: 'float32', ...config }, weights },
  ];
  switch (layer.kind) {
    case 'conv':
      return convLayers(layer, name, activation, take, who);
    case 'dense': {
      const weights = [take(layer.name, 'kernel', 'weight', [layer.in, layer.out])];
      if (layer.bias) weights.push(take(layer.name, 'bias', 'bias', [layer.out]));
      return simple('Dense', { units: layer.out, activation, use_bias: layer.bias }, weights);
    }
    case 'batchnorm': {
      const parts = [
        ['gamma', 'scale'],
        ['beta', 'offset'],
        ['moving_mean', 'mean'],
        ['moving_variance', 'variance'],
      ] as const;
      const weights = parts.map(([part, ours]) => take(layer.name, part, ours, [layer.channels]));
      return simple('BatchNormalization', { axis: -1, momentum: 0.99, epsilon: layer.epsilon, center: true, scale: true }, weights);
    }
    case 'pool':
      return simple(...poolConfig(layer, who));
    case 'dropout':
      return simple('Dropout', { rate: layer.rate });
    case 'flatten':
      return simple('Flatten', { data_format: 'channels_last' });
    case 'mean':
      return simple('GlobalAveragePooling2D', { data_format: 'channels_last' });
    case 'relu':
    case 'softmax':
      return simple('Activation', { activation: layer.kind });
    default: {
      const what = layer.kind === 'lrn' ? 'local response normalisation' : `${layer.type} layer`;
      throw new VggError('VGG_OPTION', `${who}: expected layers that Keras has, received the ${what} "${layer.name}"; write safetensors`);
    }
  }
}

function convLayers(layer: Of<'conv'>, name: string, activation: string, take: Take, who: string): KerasLayer[] {
  const { out, kernel, stride, pad, padding = 'zero', dilation, groups, bias } = layer;
  const around = kernel.map((side) => (dilation * (side - 1)) / 2);
  const keepsSize = pad === 'same' || (stride === 1 && around.every((side) => side === pad));
  if (padding === 'reflect' && pad !== 0 && kernel.some((side) => side > 1)) {
    throw new VggError(
      'VGG_OPTION',
      `${who}: expected zero padding, the one that Keras's layers have, received reflected in "${layer.name}"`,
    );
  }
  const config = {
    ...{ name, trainable: true, dtype: 'float32', filters: out, kernel_size: [...kernel], strides: [stride, stride] },
    ...{ padding: keepsSize ? 'same' : 'valid', data_format: 'channels_last', dilation_rate: [dilation, dilation] },
    ...(groups !== 1 && { groups }),
    ...{ activation, use_bias: bias },
  };
  const inputs = layer.in === undefined ? undefined : layer.in / groups;
  const weights = [take(layer.name, 'kernel', 'weight', [...kernel, inputs, out])];
  if (bias) weights.push(take(layer.name, 'bias', 'bias', [out]));
  const conv = { name, className: 'Conv2D', config, weights };
  if (keepsSize || pad === 0) return [conv];
  const before = `${name}_pad`;
  const padConfig = { name: before, trainable: true, dtype: 'float32', padding: [pad, pad], data_format: 'channels_last' };
  return [{ name: before, className: 'ZeroPadding2D', config: padConfig, weights: [] }, conv];
}

/** Keras knows no rounding up; with windows of two cells in steps of two, its `same` is just that. */
function poolConfig({ name, pool, size, stride, pad, rounding }: Of<'pool'>, who: string): [string, { [key: string]: Json }] {
  const isCeil = rounding === 'ceil' && !(size === 1 && stride === 1);
  const isSame = pad === 'same' || (isCeil && size === 2 && stride === 2);
  if (pool === 'l2' || (pad !== 'same' && pad !== 0) || (isCeil && !isSame)) {
    const what =
      pool === 'l2' ? 'an l2 pool' : `a pool of ${size}x${size} in steps of ${stride} with ${isCeil ? 'rounding up' : `pad ${pad}`}`;
    throw new VggError('VGG_OPTION', `${who}: expected pools that Keras has, received ${what}, "${name}"; write safetensors`);
  }
  const className = pool === 'max' ? 'MaxPooling2D' : 'AveragePooling2D';
  const border = isSame ? 'same' : 'valid';
  return [className, { pool_size: [size, size], padding: border, strides: [stride, stride], data_format: 'channels_last' }];
}

/** Keras works out the size of what it flattens from the input's: it must be that of the first dense layer. */
function checkFlatten({ input, layers }: FileGraph, who: string): void {
  let [height, width, channels] = [input!.height!, input!.width!, input?.channels];
  for (const layer of layers) {
    if (layer.kind === 'conv' || layer.kind === 'pool') {
      height = outputSize(layer, height, 0);
      width = outputSize(layer, width, 1);
      if (layer.kind === 'conv') channels = layer.out;
      if (!(height > 0 && width > 0)) break;
    }
    if (layer.kind === 'mean') height = width = 1;
    if (layer.kind !== 'dense') continue;
    if (channels === undefined || layer.in === undefined || layer.in === height * width * channels) return;
    const flat = `${height}x${width}x${channels}`;
    throw new VggError('VGG_SHAPE', `${who}: expected ${layer.in} values into "${layer.name}", received a map of ${flat} from this input`);
  }
  if (!(height > 0 && width > 0)) {
    throw new VggError('VGG_SHAPE', `${who}: expected an input that gets through the network, received ${input!.height}x${input!.width}`);
  }
}

function outputSize(layer: Of<'conv'> | Of<'pool'>, size: number, axis: 0 | 1): number {
  const { stride, pad } = layer;
  if (pad === 'same') return Math.ceil(size / stride);
  const window = layer.kind === 'conv' ? layer.dilation * (layer.kernel[axis] - 1) + 1 : layer.size;
  const steps = (size + 2 * pad - window) / stride;
  return (layer.kind === 'pool' && layer.rounding === 'ceil' ? Math.ceil(steps) : Math.floor(steps)) + 1;
}
