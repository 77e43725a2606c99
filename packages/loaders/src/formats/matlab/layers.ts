import type { GraphLayer } from '../../graph.js';
import { product } from '../../numbers.js';
import { field, type MatNumbers, type MatValue, settingOf, structOf, textOf, weightsOf } from './value.js';

/**
 * The layers of MatConvNet's networks (Vedaldi and Lenc 2015, https://www.vlfeat.org/matconvnet/): SimpleNN's cell of structs with
 * `weights`, or in its first releases `filters` and `biases`; and DagNN's array of structs whose weights are in `params`, by name.
 */
export interface NetworkLayer {
  readonly name: string;
  /** `conv`, `relu`, `pool`, `softmax`, `lrn`, `bnorm`, `dropout` ...: MatConvNet's own word. */
  readonly kind: string;
  /** `weight` and `bias`; of a batch normalisation `scale`, `offset` and `moments` (mean and standard deviation). */
  readonly weights: ReadonlyMap<string, MatNumbers>;
  /** Where its settings are. */
  readonly settings: ReadonlyMap<string, MatValue>;
}

/** The layers of a network, in their order, or undefined where the value is none. */
export function namedLayers(network: MatValue): NetworkLayer[] | undefined {
  const layers = field(network, 'layers');
  const structs = layers?.kind === 'cell' ? layers.items.map(structOf) : layers?.kind === 'struct' ? layers.items : undefined;
  if (!structs || structs.length === 0 || !structs.every((layer) => textOf(layer?.get('type')) !== undefined)) return undefined;
  const parameters = parametersOf(field(network, 'params'));
  const seen = new Set<string>();
  return structs.map((settings, i) => {
    const type = textOf(settings!.get('type'))!;
    const kind = DAG_TYPES.get(type) ?? type;
    const own = textOf(settings!.get('name'));
    // Networks made by hand may leave names out, or use one twice.
    const name = own && !seen.has(own) ? own : `layers{${i + 1}}`;
    seen.add(name);
    const block = structOf(settings!.get('block'));
    return { name, kind, weights: nameWeights(kind, weightsOfLayer(settings!, parameters)), settings: block ?? settings! };
  });
}

const DAG_TYPES: ReadonlyMap<string, string> = new Map([
  ['dagnn.Conv', 'conv'],
  ['dagnn.ReLU', 'relu'],
  ['dagnn.Pooling', 'pool'],
  ['dagnn.SoftMax', 'softmax'],
  ['dagnn.LRN', 'lrn'],
  ['dagnn.DropOut', 'dropout'],
  ['dagnn.BatchNorm', 'bnorm'],
]);

/** DagNN's parameters by name. */
function parametersOf(params: MatValue | undefined): Map<string, MatValue> {
  const parameters = new Map<string, MatValue>();
  for (const item of params?.kind === 'struct' ? params.items : []) {
    const name = textOf(item.get('name'));
    const value = item.get('value');
    if (name !== undefined && value) parameters.set(name, value);
  }
  return parameters;
}

function weightsOfLayer(layer: ReadonlyMap<string, MatValue>, parameters: ReadonlyMap<string, MatValue>): (MatNumbers | undefined)[] {
  const weights = layer.get('weights');
  if (weights?.kind === 'cell') return weights.items.map(weightsOf);
  const names = layer.get('params');
  if (names?.kind === 'cell') return names.items.map((name) => weightsOf(parameters.get(textOf(name) ?? '')));
  return [weightsOf(layer.get('filters')), weightsOf(layer.get('biases'))];
}

const PARTS = ['weight', 'bias'];
const NORMALISATION = ['scale', 'offset', 'moments'];

function nameWeights(kind: string, weights: readonly (MatNumbers | undefined)[]): Map<string, MatNumbers> {
  const parts = kind === 'bnorm' ? NORMALISATION : PARTS;
  return new Map(weights.flatMap((numbers, i) => (numbers ? [[parts[i] ?? `weights{${i + 1}}`, numbers] as const] : [])));
}

/** One layer as the graph of a file has it. */
export function graphLayer({ name, kind, weights, settings }: NetworkLayer): GraphLayer {
  const other: GraphLayer = { kind: 'other', name, type: kind };
  const numbers = (key: string): readonly number[] => settingOf(settings.get(key)) ?? [];
  const stride = same(numbers('stride'), 1);
  if (kind === 'conv') {
    const [height = 1, width = 1, channels = 1, out = 1] = weights.get('weight')?.shape ?? numbers('size');
    const pad = padOf(numbers('pad'));
    const dilation = same(numbers('dilate'), 1);
    if (stride === undefined || dilation === undefined || !pad || pad.isUneven) return other;
    const kernel = [height, width] as const;
    return { kind, name, in: channels, out, kernel, stride, pad: pad.least, dilation, groups: 1, bias: weights.has('bias') };
  }
  if (kind === 'pool') {
    const size = same([...numbers('pool'), ...numbers('poolSize')], undefined);
    const pad = padOf(numbers('pad'));
    const method = textOf(settings.get('method')) ?? 'max';
    if (size === undefined || stride === undefined || !pad || (method !== 'max' && method !== 'avg')) return other;
    const rounding = pad.isUneven ? 'ceil' : 'floor';
    return { kind, name, pool: method === 'max' ? 'max' : 'average', size, stride, pad: pad.least, rounding };
  }
  if (kind === 'lrn' || kind === 'normalize') {
    const [size, bias, alpha, beta] = numbers('param');
    if (size === undefined || bias === undefined || alpha === undefined || beta === undefined) return other;
    return { kind: 'lrn', name, radius: (size - 1) / 2, bias, alpha, beta };
  }
  if (kind === 'bnorm') {
    // The moments hold the standard deviation with its epsilon in it.
    const scale = weights.get('scale')?.shape;
    const channels = scale && product(scale);
    return { kind: 'batchnorm', name, ...(channels !== undefined && { channels }), epsilon: numbers('epsilon')[0] ?? 1e-4 };
  }
  if (kind === 'dropout') return { kind, name, rate: numbers('rate')[0] ?? 0.5 };
  if (kind === 'relu') return { kind, name };
  return kind === 'softmax' || kind === 'softmaxloss' ? { kind: 'softmax', name } : other;
}

/** The one number that a setting of one or two equal ones is. */
function same<T>(values: readonly number[], absent: T): number | T | undefined {
  if (values.length === 0) return absent;
  return values.every((value) => value === values[0]) ? values[0] : undefined;
}

/**
 * Padding at the top, bottom, left and right. One more at the bottom and the right is how MatConvNet writes a pool that rounds up, as
 * Caffe's do: what is added is never the greatest.
 */
function padOf(values: readonly number[]): { least: number; isUneven: boolean } | undefined {
  const [top = 0, bottom = top, left = top, right = values.length > 1 ? left : top] = values;
  const isEven = top === bottom && left === right && top === left;
  const isOneMore = values.length === 4 && bottom === top + 1 && right === left + 1 && top === left;
  return isEven || isOneMore ? { least: top, isUneven: isOneMore } : undefined;
}
