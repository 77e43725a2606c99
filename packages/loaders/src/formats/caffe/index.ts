import { VggError } from '@vgg/errors';
import type { Format, WeightFile } from '../../format.js';
import type { ReadOptions, Source } from '../../source.js';
import { cachedSource } from '../../sources/cached.js';
import { weightFile } from '../tensors.js';
import { chooseGraph } from './beside.js';
import { readNet } from './net.js';
import { looksLikeNet } from './sniff.js';
import { layerTensors } from './tensors.js';

/**
 * A caffemodel: Caffe's NetParameter in Protocol Buffers' binary form, with the weights in its layers, of either form of the schema
 * (`layers`, as the Oxford VGG files have it, and `layer`). Tensors are named by layer: `conv1_1.weight` [out, in, kh, kw], `fc6.weight`
 * [out, in] with its columns in C, H, W order, `conv1_1.bias`; of a BatchNorm layer, with the Scale layer behind it, `bn1_1.mean`,
 * `.variance`, `.scale` and `.offset`. The layers of the network are taken from a prototxt beside the file where it is of this network, and
 * else from the file itself.
 */
export const caffe: Format = {
  id: 'caffe',
  title: 'Caffe model',
  match: (head) => looksLikeNet(head),
  open: openCaffe,
};

async function openCaffe(source: Source, options: ReadOptions = {}): Promise<WeightFile> {
  const who = source.name;
  const cached = cachedSource(source);
  const { net, layers, form } = await readNet(cached, options);
  const tensors = await layerTensors(cached, layers, options);
  if (tensors.length === 0) {
    throw new VggError('VGG_FORMAT', `${who}: expected a Caffe model with weights, received the layers of a network without any`);
  }
  const { graph, beside, metadata: noted } = await chooseGraph(source, net, layers, tensors, options);
  const metadata = new Map<string, string>([...(noted ?? []), ['caffe', form]]);
  if (graph.name !== undefined) metadata.set('name', graph.name);
  if (beside !== undefined) metadata.set('prototxt', beside);
  return weightFile({ who, format: 'caffe', tensors, graph, metadata, close: source.close?.bind(source) });
}
