import { countOf } from '../../dtype.js';
import type { Format, WeightFile } from '../../format.js';
import type { FileGraph } from '../../graph.js';
import type { ReadOptions, Source } from '../../source.js';
import { cachedSource } from '../../sources/cached.js';
import { closeAll, openSiblings, type Siblings } from '../siblings.js';
import { type StoredTensor, weightFile } from '../tensors.js';
import { chainOf, inRunningOrder, producersOf } from './chain.js';
import { constantsOf } from './constants.js';
import { readLayers } from './layers.js';
import { type Model, readModel, type Value } from './model.js';
import { nameSteps, unique } from './roles.js';
import { MODEL, PRODUCER } from './schema.js';
import { initialiserTensor } from './tensor.js';

/** Bytes read at a time: the index is a few KB before, between and after the weights. */
const BLOCK = 16 * 1024;

/** One file holds all the weights as a rule, at most one for each tensor. */
const MAX_FILES = 256;

/**
 * ONNX: a protobuf of a graph's nodes and its initialisers (github.com/onnx/onnx, "IR.md"), whose values may lie in files beside it.
 * The tensors of the layers come first, in the order the layers run, filters OIHW and dense weights [out, in]; then the
 * initialisers that no layer takes. Quantised weights are dequantised.
 */
export const onnx: Format = {
  id: 'onnx',
  title: 'ONNX',
  match: isOnnx,
  open: openOnnx,
};

/** Fields that a model may begin with, by the byte of their tag; the others are numbers or stand further behind. */
const FIRST: ReadonlySet<number> = new Set([
  MODEL.irVersion * 8,
  MODEL.producerName * 8 + 2,
  MODEL.graph * 8 + 2,
  MODEL.opsetImport * 8 + 2,
  MODEL.metadata * 8 + 2,
]);
/** The version of the format was 3 when it came out in 2017, and is 13 now. */
const MAX_VERSION = 63;

/** The version comes first, as programs write it; otherwise the name has to tell. */
function isOnnx(head: Uint8Array, { name }: Source): boolean {
  const [tag = 0, version = 0, next = 0, length = 0] = head;
  if (/\.onnx$/i.test(name)) return FIRST.has(tag);
  if (tag !== MODEL.irVersion * 8 || version < 1 || version > MAX_VERSION) return false;
  // TensorFlow's SavedModel begins alike, but has a whole graph where the short name of a program is here.
  return next === MODEL.producerName * 8 + 2 ? length < 128 : FIRST.has(next);
}

async function openOnnx(file: Source, options: ReadOptions = {}): Promise<WeightFile> {
  const source = cachedSource(file, { block: BLOCK });
  const model = await readModel(source, options);
  const names = [...model.initialisers.values()].flatMap(({ data }) => (data.kind === 'external' ? [data.location] : []));
  const siblings = await openSiblings(source, names, options, MAX_FILES);
  try {
    const { tensors, graph } = await readWeights(model, source, siblings, options);
    const metadata = new Map(model.metadata);
    if (model.producer !== '' && model.producer !== PRODUCER && !metadata.has('producer')) metadata.set('producer', model.producer);
    return weightFile({
      format: 'onnx',
      who: file.name,
      tensors,
      metadata,
      ...(graph && { graph }),
      async close() {
        await closeAll(siblings.values());
        await file.close?.();
      },
    });
  } catch (error) {
    await closeAll(siblings.values());
    throw error;
  }
}

async function readWeights(
  model: Model,
  source: Source,
  siblings: Siblings,
  options: ReadOptions,
): Promise<{ tensors: StoredTensor[]; graph: FileGraph | undefined }> {
  const order = inRunningOrder(model, source.name);
  const constants = constantsOf(model, order, source, siblings, options);
  const chain = chainOf(model, order, constants, source.name);
  const { steps, channelsLast } = await readLayers(chain, producersOf(order, source.name), constants);
  const { layers, tensors } = nameSteps(steps);
  const names = new Set(tensors.map(({ info }) => info.name));
  for (const initialiser of model.initialisers.values()) {
    const { name, shape, dtype, data } = initialiser;
    if (constants.used.has(name) || data.kind === 'inline' || !dtype || !isWeight(dtype, countOf(shape, name))) continue;
    const tensor = initialiserTensor(initialiser, source, siblings);
    const free = unique(name, names);
    tensors.push(free === name ? tensor : { ...tensor, info: { ...tensor.info, name: free, storedAs: name } });
  }
  if (layers.length === 0) return { tensors, graph: undefined };
  const input = model.inputs.find(({ name }) => !model.initialisers.has(name));
  return { tensors, graph: { ...(model.name && { name: model.name }), ...inputOf(input, channelsLast), layers } };
}

/** Single numbers and lists of indices and sizes are the operations' business. */
function isWeight(dtype: string, count: number): boolean {
  return count > 1 && (dtype.includes('float') || dtype === 'int8' || dtype === 'uint8');
}

function inputOf(value: Value | undefined, channelsLast: boolean): Pick<FileGraph, 'input'> {
  if (value?.shape?.length !== 4) return {};
  const [, a, b, c] = value.shape;
  const [channels, height, width] = channelsLast ? [c, a, b] : [a, b, c];
  return { input: { ...(channels && { channels }), ...(height && { height }), ...(width && { width }) } };
}
