import { isVggError } from '@vgg/errors';
import type { FileGraph, GraphLayer } from '../../graph.js';
import { type Json, member, parseJson } from '../../json.js';

/** VGG-19's configuration has 20 KB; those of models with their whole build information some MB. */
const MAX_JSON = 2 ** 24;
/** The configuration of a layer's initialiser is some ten deep, and each nested model adds four. */
const MAX_DEPTH = 64;
/** Models within models: Keras nests them one or two deep. */
const MAX_NESTING = 16;
/** Layers of one model: VGG-19 with batch normalisation has some 70. */
const MAX_LAYERS = 4096;

/**
 * The layers of a Keras model from its configuration, `model_config` of an .h5 or a tfjs model.json, `config.json` of a .keras, of Keras 1, 2
 * and 3: a Sequential model, or a functional one whose layers are a chain. Names are the file's. A layer's activation is a layer of its own
 * behind it (`block1_conv1_relu`), a ZeroPadding2D in front of a convolution is its padding, models within the model are laid out flat.
 *
 * Undefined where the layers are no chain, or the text is no configuration.
 *
 * @example
 * graphOfKeras(file.metadata.get('model_config'))?.layers[0]
 * // { kind: 'conv', name: 'block1_conv1', out: 64, kernel: [3, 3], stride: 1, pad: 'same', ... }
 */
export function graphOfKeras(config: Json | undefined): FileGraph | undefined {
  const json = typeof config === 'string' ? parsed(config) : config;
  const model = member(json, 'model_config') ?? json;
  const found: ConfiguredLayer[] = [];
  if (!unroll(model, 0, found)) return undefined;
  const name = member(member(model, 'config'), 'name');
  const input = inputOf(found);
  return { ...(typeof name === 'string' && { name }), ...(input && { input }), layers: translate(found) };
}

/** Of text that is no JSON, or past the limits, the weights can be read all the same. */
function parsed(text: string): Json | undefined {
  try {
    return parseJson(new TextEncoder().encode(text), { who: 'model_config', maxBytes: MAX_JSON, maxDepth: MAX_DEPTH });
  } catch (error) {
    if (isVggError(error)) return undefined;
    throw error;
  }
}

interface ConfiguredLayer {
  readonly type: string;
  readonly name: string;
  readonly config: Json;
}

/** The layers of a model in the order they run, those of nested models among them; false if they are no chain. */
function unroll(model: Json | undefined, depth: number, into: ConfiguredLayer[]): boolean {
  const config = member(model, 'config');
  // Keras before 2.2.3 has the layers of a Sequential model as its whole configuration.
  const layers = Array.isArray(config) ? config : member(config, 'layers');
  if (!Array.isArray(layers) || depth > MAX_NESTING) return false;
  const type = member(model, 'class_name');
  const inOrder = type === 'Sequential' ? layers : chain(layers);
  return (
    inOrder?.every((layer) => {
      const own = member(layer, 'config');
      if (Array.isArray(own) || Array.isArray(member(own, 'layers'))) return unroll(layer, depth + 1, into);
      const name = member(own, 'name') ?? member(layer, 'name');
      const kind = member(layer, 'class_name');
      if (typeof kind !== 'string' || own === undefined || into.length >= MAX_LAYERS) return false;
      into.push({ type: kind, name: typeof name === 'string' ? name : `layer_${into.length + 1}`, config: own });
      return true;
    }) ?? false
  );
}

/** A functional model's layers from its one input on, each the only consumer of the one before. */
function chain(layers: readonly Json[]): Json[] | undefined {
  const after = new Map<string, Json>();
  const starts: Json[] = [];
  for (const layer of layers) {
    const inputs = inputsOf(layer);
    if (inputs.length > 1 || (inputs[0] !== undefined && after.has(inputs[0]))) return undefined;
    if (inputs[0] === undefined) starts.push(layer);
    else after.set(inputs[0], layer);
  }
  if (starts.length !== 1) return undefined;
  const ordered: Json[] = [];
  for (let next: Json | undefined = starts[0]; next !== undefined && ordered.length < layers.length; ) {
    ordered.push(next);
    const name: Json | undefined = member(next, 'name');
    next = typeof name === 'string' ? after.get(name) : undefined;
  }
  return ordered.length === layers.length ? ordered : undefined;
}

/** The layers whose values a layer takes: `[[['conv', 0, 0, {}]]]` up to Keras 2, tensors with their history in Keras 3. */
function inputsOf(layer: Json): string[] {
  const names: string[] = [];
  const visit = (node: Json | undefined, depth: number) => {
    if (depth > 8 || typeof node !== 'object' || node === null) return;
    if (!Array.isArray(node)) {
      const history = member(member(node, 'config'), 'keras_history') ?? member(node, 'keras_history');
      if (Array.isArray(history) && typeof history[0] === 'string') names.push(history[0]);
      else visit(member(node, 'args'), depth + 1);
    } else if (typeof node[0] === 'string' && typeof node[1] === 'number') {
      names.push(node[0]);
    } else {
      for (const part of node) visit(part, depth + 1);
    }
  };
  visit(member(layer, 'inbound_nodes'), 0);
  return names;
}

/** Of the shape [batch, height, width, channels]; the last three are elsewhere where the channels come first. */
function inputOf(layers: readonly ConfiguredLayer[]): FileGraph['input'] {
  const [first] = layers;
  const shape = first && (member(first.config, 'batch_input_shape') ?? member(first.config, 'batch_shape'));
  if (!Array.isArray(shape) || shape.length !== 4) return undefined;
  const channelsFirst = layers.some(({ config }) => isChannelsFirst(config));
  const [height, width, channels] = (channelsFirst ? [shape[2], shape[3], shape[1]] : shape.slice(1)).map((size) => whole(size));
  return { ...(channels && { channels }), ...(height && { height }), ...(width && { width }) };
}

function isChannelsFirst(config: Json): boolean {
  return member(config, 'data_format') === 'channels_first' || member(config, 'dim_ordering') === 'th';
}

function translate(layers: readonly ConfiguredLayer[]): GraphLayer[] {
  const out: GraphLayer[] = [];
  for (const [i, { type, name, config }] of layers.entries()) {
    if (type === 'InputLayer') continue;
    const before = layers[i - 1];
    const isPadding = type === 'ZeroPadding2D' && paddingOf(config) !== undefined && isPadded(layers[i + 1]);
    if (isPadding) continue;
    const pad = before?.type === 'ZeroPadding2D' && isPadded(layers[i]) ? paddingOf(before.config) : undefined;
    out.push(layerOf(type, name, config, pad) ?? { kind: 'other', name, type });
    const own = type === 'Activation' ? undefined : activationOf(config);
    if (own) out.push(activation(`${name}_${own}`, own));
  }
  return out;
}

function layerOf(type: string, name: string, config: Json, padBefore: number | undefined): GraphLayer | undefined {
  switch (type) {
    case 'Conv2D':
    case 'Convolution2D':
      return convOf(name, config, padBefore);
    case 'Dense': {
      const out = whole(member(config, 'units') ?? member(config, 'output_dim'));
      return out === undefined ? undefined : { kind: 'dense', name, out, bias: hasBias(config) };
    }
    case 'BatchNormalization': {
      const epsilon = member(config, 'epsilon');
      const hasBoth = member(config, 'scale') !== false && member(config, 'center') !== false;
      return typeof epsilon === 'number' && hasBoth ? { kind: 'batchnorm', name, epsilon } : undefined;
    }
    case 'MaxPooling2D':
    case 'AveragePooling2D':
      return poolOf(name, type === 'MaxPooling2D' ? 'max' : 'average', config);
    case 'GlobalAveragePooling2D':
      return { kind: 'mean', name };
    case 'Flatten':
      return { kind: 'flatten', name };
    case 'Dropout': {
      const rate = member(config, 'rate') ?? member(config, 'p');
      return typeof rate === 'number' ? { kind: 'dropout', name, rate } : undefined;
    }
    case 'Softmax':
      return { kind: 'softmax', name };
    case 'ReLU':
      return isPlainRelu(config) ? { kind: 'relu', name } : undefined;
    case 'Activation': {
      const own = activationOf(config);
      return own ? activation(name, own) : undefined;
    }
    default:
      return undefined;
  }
}

function convOf(name: string, config: Json, padBefore: number | undefined): GraphLayer | undefined {
  const out = whole(member(config, 'filters') ?? member(config, 'nb_filter'));
  const size = member(config, 'kernel_size');
  const kernel = size === undefined ? [whole(member(config, 'nb_row')), whole(member(config, 'nb_col'))] : pair(size);
  const stride = square(member(config, 'strides') ?? member(config, 'subsample') ?? 1);
  const dilation = square(member(config, 'dilation_rate') ?? 1);
  const border = borderOf(config);
  const [height, width] = kernel ?? [];
  if (!out || !height || !width || !stride || !dilation || !border) return undefined;
  const pad = border === 'same' ? 'same' : (padBefore ?? 0);
  const groups = whole(member(config, 'groups')) ?? 1;
  return { kind: 'conv', name, out, kernel: [height, width], stride, pad, dilation, groups, bias: hasBias(config) };
}

/** TensorFlow's `same` adds nothing in front of windows of two cells in steps of two: that is rounding up. */
function poolOf(name: string, pool: 'max' | 'average', config: Json): GraphLayer | undefined {
  const size = square(member(config, 'pool_size') ?? 2);
  const stride = square(member(config, 'strides') ?? size);
  const border = borderOf(config);
  if (!size || !stride || !border) return undefined;
  if (border === 'valid') return { kind: 'pool', name, pool, size, stride, pad: 0, rounding: 'floor' };
  if (size === 2 && stride === 2) return { kind: 'pool', name, pool, size, stride, pad: 0, rounding: 'ceil' };
  return { kind: 'pool', name, pool, size, stride, pad: 'same', rounding: 'floor' };
}

function isPadded(layer: ConfiguredLayer | undefined): boolean {
  return (layer?.type === 'Conv2D' || layer?.type === 'Convolution2D') && borderOf(layer.config) === 'valid';
}

/** Of a ZeroPadding2D that adds the same on all sides: `1`, `[1, 1]` or `[[1, 1], [1, 1]]`. */
function paddingOf(config: Json): number | undefined {
  const sides = [member(config, 'padding')].flat(2).map((side) => whole(side ?? undefined));
  return sides.every((side) => side !== undefined && side === sides[0]) ? sides[0] : undefined;
}

function borderOf(config: Json): 'same' | 'valid' | undefined {
  const border = member(config, 'padding') ?? member(config, 'border_mode') ?? 'valid';
  return border === 'same' || border === 'valid' ? border : undefined;
}

function hasBias(config: Json): boolean {
  return (member(config, 'use_bias') ?? member(config, 'bias')) !== false;
}

/** The name of a layer's activation; undefined for none. Keras 3 may keep it as an object. */
function activationOf(config: Json): string | undefined {
  const own = member(config, 'activation');
  const name = member(own, 'config') ?? own;
  if (typeof own === 'object' && own !== null && typeof name !== 'string') return 'unknown';
  return typeof name === 'string' && name !== 'linear' ? name : undefined;
}

function activation(name: string, type: string): GraphLayer {
  return type === 'relu' || type === 'softmax' ? { kind: type, name } : { kind: 'other', name, type };
}

function isPlainRelu(config: Json): boolean {
  return (member(config, 'max_value') ?? null) === null && !member(config, 'negative_slope') && !member(config, 'threshold');
}

function whole(value: Json | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** Height and width of `3` or `[3, 3]`. */
function pair(value: Json | undefined): [number, number] | undefined {
  const [height, width] = (Array.isArray(value) ? value : [value, value]).map(whole);
  return height !== undefined && width !== undefined ? [height, width] : undefined;
}

function square(value: Json | undefined): number | undefined {
  const sides = pair(value);
  return sides && sides[0] === sides[1] ? sides[0] : undefined;
}
