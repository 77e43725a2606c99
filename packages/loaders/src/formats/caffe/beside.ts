import { isVggError } from '@vgg/errors';
import type { FileGraph } from '../../graph.js';
import type { ReadOptions, Source } from '../../source.js';
import type { StoredTensor } from '../tensors.js';
import { graphOf, type WeightShape } from './graph.js';
import type { Message } from './message.js';
import type { BinaryLayer } from './net.js';
import { readPrototxt } from './prototxt.js';

/** The network's layers, and of the prototxt beside the file its name, or why it was not taken. */
export interface ChosenGraph {
  readonly graph: FileGraph;
  readonly beside?: string;
  /** What is noted above that prototxt. */
  readonly metadata?: ReadonlyMap<string, string>;
}

/**
 * The layers of the network: out of a prototxt beside the file where it has one that is of the same network, since that is what people run
 * and it tells the input's size, which a file saved in training does not; else out of the file itself.
 */
export async function chooseGraph(
  source: Source,
  net: Message,
  layers: readonly BinaryLayer[],
  tensors: readonly StoredTensor[],
  options: ReadOptions,
): Promise<ChosenGraph> {
  const shapes = new Map(tensors.map(({ info }) => [info.name, info.shape]));
  const weightShape: WeightShape = (tensor) => shapes.get(tensor);
  const own = graphOf(net, layers, source.name, weightShape);
  let refused: string | undefined;
  for (const name of source.sibling ? namesBeside(source.name) : []) {
    try {
      const file = await source.sibling!(name, options);
      if (!file) continue;
      try {
        const { graph, metadata } = await readPrototxt(file, options, weightShape);
        const difference = differs(graph, weightShape);
        if (difference === undefined) {
          return { graph: { ...(own.input && { input: own.input }), ...graph, layers: rounded(graph, own) }, beside: name, metadata };
        }
        refused ??= `${name} is not used: ${difference}`;
      } finally {
        await file.close?.();
      }
    } catch (error) {
      if (!isVggError(error) || error.code === 'VGG_ABORTED') throw error;
      refused ??= `${name} is not used: ${error.message}`;
    }
  }
  return { graph: own, ...(refused !== undefined && { beside: refused }) };
}

/** The text's layers. A pool that the model rounds down may lack that in the text, where it makes no difference: see the writer. */
function rounded({ layers }: FileGraph, own: FileGraph): FileGraph['layers'] {
  const floors = new Set(own.layers.filter((layer) => layer.kind === 'pool' && layer.rounding === 'floor').map(({ name }) => name));
  return layers.map((layer) => (layer.kind === 'pool' && floors.has(layer.name) ? { ...layer, rounding: 'floor' } : layer));
}

/** The names that published prototxts have beside their models, such as VGG_ILSVRC_16_layers_deploy.prototxt, likeliest first. */
function namesBeside(name: string): string[] {
  const base = name.replace(/\.caffemodel$/i, '');
  const short = base.replace(/_iter_\d+$/, '').replace(/_train$/, '');
  return [...new Set([`${base}.prototxt`, `${base}_deploy.prototxt`, `${short}_deploy.prototxt`, `${short}.prototxt`, 'deploy.prototxt'])];
}

/** The first layer whose weights the file lacks or has in another shape. */
function differs(graph: FileGraph, weightShape: WeightShape): string | undefined {
  for (const layer of graph.layers) {
    if (layer.kind === 'batchnorm' && !weightShape(`${layer.name}.mean`)) return `the model has no weights for ${layer.name}`;
    if (layer.kind !== 'conv' && layer.kind !== 'dense') continue;
    const shape = weightShape(`${layer.name}.weight`);
    if (!shape) return `the model has no weights for ${layer.name}`;
    const kernel = layer.kind === 'conv' ? layer.kernel : [];
    const expected = [layer.out, shape[1], ...kernel];
    if (shape.length !== expected.length || expected.some((size, i) => size !== shape[i])) {
      return `its ${layer.name} is of another shape than the model's [${shape}]`;
    }
    if (layer.bias !== (weightShape(`${layer.name}.bias`) !== undefined)) return `its ${layer.name} has ${layer.bias ? 'a' : 'no'} bias`;
  }
  return undefined;
}
