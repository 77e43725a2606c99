import { shown } from '../../refusals.js';
import { count, counts, type Message, message, messages, number, text, texts } from './message.js';
import { OLD_TYPES } from './schema.js';

/** One layer of a network, of either form of the schema. */
export interface CaffeLayer {
  readonly name: string;
  /** By the newer form's word, such as `InnerProduct`, which the older has as `INNER_PRODUCT`. */
  readonly type: string;
  readonly bottoms: readonly string[];
  readonly tops: readonly string[];
  readonly message: Message;
  /** Who speaks in errors: the file and the layer. */
  readonly who: string;
}

/** A layer of the newer form, or with `old` of the older. */
export function readLayer(message: Message, old: boolean, place: number, who: string): CaffeLayer {
  const type = text(message, 'type', who) ?? '';
  const tops = texts(message, 'top', who);
  const name = text(message, 'name', who) ?? tops[0] ?? `layer ${place + 1}`;
  return {
    name,
    type: old ? newType(type) : type,
    bottoms: texts(message, 'bottom', who),
    tops,
    message,
    who: `${who}: layer ${shown(name)}${message.line > 0 ? ` of line ${message.line}` : ''}`,
  };
}

/** The layers of a network's text. Caffe takes one form or the other. */
export function readLayers(net: Message, who: string): CaffeLayer[] {
  return [
    ...messages(net, 'layers', who).map((layer, i) => readLayer(layer, true, i, who)),
    ...messages(net, 'layer', who).map((layer, i) => readLayer(layer, false, i, who)),
  ];
}

function newType(type: string): string {
  if (type === 'SOFTMAX_LOSS') return 'SoftmaxWithLoss';
  const word = type.replaceAll('_', '').toLowerCase();
  return OLD_TYPES.find((known, i) => known.toLowerCase() === word || `${i}` === type) ?? type;
}

/** Whether the layer is part of the network when it is used and not trained, as Caffe's own rules (Net::StateMeetsRule) have it. */
export function runsInTest({ message: layer, who }: CaffeLayer): boolean {
  const include = messages(layer, 'include', who);
  if (include.length > 0) return include.some((rule) => meets(rule, who));
  return !messages(layer, 'exclude', who).some((rule) => meets(rule, who));
}

/** The state is phase TEST, level 0, and no stages. */
function meets(rule: Message, who: string): boolean {
  const phase = text(rule, 'phase', who);
  if (phase !== undefined && phase !== 'TEST' && phase !== '1') return false;
  if ((number(rule, 'min_level', who) ?? 0) > 0 || (number(rule, 'max_level', who) ?? 0) < 0) return false;
  return !rule.fields.has('stage');
}

/**
 * The Scale layers that only finish a batch normalisation, by which Caffe splits off the learnt factor and offset, each with its
 * BatchNorm layer: the next one that takes what this gives.
 */
export function normalisations(layers: readonly CaffeLayer[]): Map<CaffeLayer, CaffeLayer> {
  const waiting = new Map<string, CaffeLayer>();
  const pairs = new Map<CaffeLayer, CaffeLayer>();
  for (const layer of layers) {
    const before = layer.bottoms.length === 1 && layer.type === 'Scale' ? waiting.get(layer.bottoms[0]!) : undefined;
    if (before) pairs.set(layer, before);
    for (const blob of [...layer.bottoms, ...layer.tops]) waiting.delete(blob);
    if (layer.type === 'BatchNorm' && layer.tops.length === 1) waiting.set(layer.tops[0]!, layer);
  }
  return pairs;
}

export interface InputSize {
  channels?: number;
  height?: number;
  width?: number;
}

/** The size of a picture as the network's head or its layers of data have it. */
export function inputSize(net: Message, layers: readonly CaffeLayer[], who: string): InputSize | undefined {
  const head = sizeOf(counts(net, 'input_dim', who).slice(0, 4)) ?? sizeOfShape(net, 'input_shape', who);
  if (head) return head;
  const sources = layers.filter(({ bottoms }) => bottoms.length === 0);
  // A network in training has its data under a rule for that phase, and the same crop.
  const sorted = [...sources.filter(runsInTest), ...sources.filter((layer) => !runsInTest(layer))];
  for (const layer of sorted) {
    const size = sourceSize(layer);
    if (size) return size;
  }
  return undefined;
}

function sourceSize({ type, message: layer, who }: CaffeLayer): InputSize | undefined {
  if (type === 'Input') return sizeOfShape(message(layer, 'input_param', who), 'shape', who);
  const crop = count(message(layer, 'transform_param', who), 'crop_size', who);
  if (type === 'DummyData' || type === 'MemoryData') {
    const param = message(layer, type === 'DummyData' ? 'dummy_data_param' : 'memory_data_param', who);
    const [channels, height, width] = ['channels', 'height', 'width'].map((field) => counts(param, field, who)[0]);
    const size = sizeOfShape(param, 'shape', who) ?? { ...(channels && { channels }), ...(height && { height }), ...(width && { width }) };
    return Object.keys(size).length > 0 ? { ...size, ...square(crop) } : undefined;
  }
  const data = message(layer, 'data_param', who);
  const images = message(layer, 'image_data_param', who);
  const side = square(crop || count(data, 'crop_size', who) || count(images, 'crop_size', who));
  if (side) return side;
  const height = count(images, 'new_height', who);
  const width = count(images, 'new_width', who);
  return height && width ? { height, width } : undefined;
}

const square = (side: number | undefined): InputSize | undefined => (side ? { height: side, width: side } : undefined);

const sizeOfShape = (of: Message, field: string, who: string): InputSize | undefined =>
  messages(of, field, who)
    .map((shape) => sizeOf(counts(shape, 'dim', who)))
    .find((size) => size !== undefined);

/** Of pictures, channels, height and width; a fully convolutional network may leave the latter at 0. */
function sizeOf(dims: readonly number[]): InputSize | undefined {
  if (dims.length !== 4) return undefined;
  const [, channels, height, width] = dims as [number, number, number, number];
  return { ...(channels > 0 && { channels }), ...(height > 0 && { height }), ...(width > 0 && { width }) };
}
