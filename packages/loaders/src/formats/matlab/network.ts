import { VggError } from '@vgg/errors';
import { countOf } from '../../dtype.js';
import type { TensorInfo } from '../../format.js';
import type { FileGraph, GraphLayer } from '../../graph.js';
import { shortestDecimal } from '../../numbers.js';
import { pastLimit } from '../../refusals.js';
import type { ReadOptions } from '../../source.js';
import { type StoredTensor, weightFile } from '../tensors.js';
import { graphLayer, type NetworkLayer, namedLayers } from './layers.js';
import { MAX_DEPTH, MAX_PATHS, MAX_TEXT, MAX_VALUES } from './limits.js';
import { columnOrder, field, type MatNumbers, type MatValue, settingOf, textOf, weightsOf } from './value.js';

/** What a MATLAB file holds, of whichever version. */
export interface Described {
  readonly tensors: readonly StoredTensor[];
  readonly graph?: FileGraph;
  readonly metadata: ReadonlyMap<string, string>;
}

/** A mean image is read when the file is opened where that takes no more: 224 x 224 x 3 values are 600 KB. */
const MAX_MEAN_COST = 4 * 2 ** 20;

/**
 * The tensors of these variables: those of a MatConvNet network's layers under the layers' names, all other arrays under their own, such as
 * `net.meta.values{3}`; of a network, arrays so small that they are settings are left out.
 *
 * @throws VggError `VGG_FORMAT` if there are none
 */
export async function describeVariables(variables: ReadonlyMap<string, MatValue>, who: string, options: ReadOptions): Promise<Described> {
  // First, since it refuses what would take too long: in a 7.3 file one value may be in many places.
  const arrays = arraysOf(variables, who);
  const top: MatValue = { kind: 'struct', shape: [1, 1], items: [variables] };
  const network = [top, ...variables.values()].find((value) => namedLayers(value) !== undefined);
  const layers = network && namedLayers(network);
  const taken = new Set<MatValue>();
  const tensors: StoredTensor[] = [];
  for (const layer of layers ?? []) {
    for (const [part, numbers] of layer.weights) {
      taken.add(numbers);
      tensors.push(tensorOf(`${layer.name}.${part}`, numbers, weightShape(part, layer, numbers.shape)));
    }
  }
  const metadata = new Map<string, string>();
  if (network) await describeNetwork(network, metadata, taken, options);
  const names = new Set(tensors.map(({ info }) => info.name));
  for (const [path, numbers] of arrays) {
    if (taken.has(numbers) || names.has(path) || (network && numbers.values)) continue;
    tensors.push(tensorOf(path, numbers, numbers.shape));
  }
  if (tensors.length === 0) {
    const found = [...variables].slice(0, 4).map(([name, value]) => `${name} (${value.kind === 'other' ? value.what : value.kind})`);
    throw new VggError('VGG_FORMAT', `${who}: expected arrays of numbers in a MATLAB file, received ${found.join(', ') || 'no variables'}`);
  }
  const graph = network && layers && layers.length > 0 ? graphOf(network, layers) : undefined;
  return { tensors, ...(graph && { graph }), metadata };
}

function tensorOf(name: string, numbers: MatNumbers, shape: readonly number[]): StoredTensor {
  return numbers.store({ name, shape, dtype: numbers.dtype, present: true, ...columnOrder(shape) });
}

/** Filters have four axes, of which MATLAB drops the last where they are 1; vectors have one, and are rows or columns in MATLAB. */
function weightShape(part: string, { kind }: NetworkLayer, shape: readonly number[]): readonly number[] {
  if (part === 'weight' && kind === 'conv') return [...shape, 1, 1].slice(0, Math.max(4, shape.length));
  if (part === 'moments') return shape;
  return shape.filter((size) => size !== 1).length <= 1 ? [countOf(shape, part)] : shape;
}

function graphOf(network: MatValue, layers: readonly NetworkLayer[]): FileGraph {
  const size =
    settingOf(field(network, 'meta', 'normalization', 'imageSize')) ??
    settingOf(field(network, 'normalization', 'imageSize')) ??
    settingOf(field(network, 'meta', 'inputSize'));
  const [height, width, channels] = size ?? [];
  const input = height && width ? { input: { height, width, ...(channels && { channels }) } } : {};
  return { ...input, layers: layers.map((layer): GraphLayer => graphLayer(layer)) };
}

/** The classes as JSON lists, and the mean that is to be subtracted from a picture, R, G, B. */
async function describeNetwork(
  network: MatValue,
  metadata: Map<string, string>,
  taken: Set<MatValue>,
  options: ReadOptions,
): Promise<void> {
  const classes = field(network, 'meta', 'classes') ?? field(network, 'classes');
  for (const [key, from] of [
    ['classes', 'description'],
    ['wnids', 'name'],
  ] as const) {
    const list = field(classes, from);
    if (list?.kind !== 'cell' || list.items.length === 0) continue;
    const texts = list.items.map(textOf);
    // One text may be in the list a thousand times.
    const length = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
    if (length <= MAX_TEXT && texts.every((text) => text !== undefined)) metadata.set(key, JSON.stringify(texts));
  }
  const image = weightsOf(field(network, 'meta', 'normalization', 'averageImage') ?? field(network, 'normalization', 'averageImage'));
  const mean = image && (await meanOf(image, options));
  if (!image || !mean) return;
  metadata.set('averageImage', JSON.stringify(mean));
  taken.add(image);
}

/** The three channels of a mean image, where it is one colour throughout. */
async function meanOf(image: MatNumbers, options: ReadOptions): Promise<number[] | undefined> {
  if (image.values?.length === 3) return image.values.map(shortestDecimal);
  const { shape, cost } = image;
  if (shape.length !== 3 || shape[2] !== 3 || cost > MAX_MEAN_COST) return undefined;
  const info: TensorInfo = { name: 'averageImage', shape, dtype: image.dtype, present: true };
  const file = weightFile({ format: 'matlab', who: 'averageImage', tensors: [image.store(info)] });
  const values = await file.read(info.name, options);
  const pixels = values.length / 3;
  const mean = [0, 1, 2].map((channel) => values[channel * pixels]!);
  if (!values.every((value, i) => value === mean[Math.floor(i / pixels)])) return undefined;
  return mean.map(shortestDecimal);
}

/** All arrays of numbers by their path, as MATLAB would name them. */
function arraysOf(variables: ReadonlyMap<string, MatValue>, who: string): [string, MatNumbers][] {
  const found: [string, MatNumbers][] = [];
  let visited = 0;
  let characters = 0;
  function walk(path: string, value: MatValue, depth: number): void {
    if (depth > MAX_DEPTH) throw pastLimit(who, `values at most ${MAX_DEPTH} deep`);
    if (++visited > MAX_VALUES) throw pastLimit(who, `at most ${MAX_VALUES} values`);
    characters += path.length;
    if (characters > MAX_PATHS) throw pastLimit(who, `at most ${MAX_PATHS} characters of paths`);
    if (value.kind === 'numbers') {
      if (!value.shape.includes(0)) found.push([path, value]);
    } else if (value.kind === 'cell') {
      for (const [i, item] of value.items.entries()) walk(`${path}{${i + 1}}`, item, depth + 1);
    } else if (value.kind === 'struct') {
      const only = value.items.length === 1;
      for (const [i, fields] of value.items.entries())
        for (const [name, item] of fields) walk(`${path}${only ? '' : `(${i + 1})`}.${name}`, item, depth + 1);
    }
  }
  for (const [name, value] of variables) walk(name, value, 0);
  return found;
}
