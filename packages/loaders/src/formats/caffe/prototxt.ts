import { VggError } from '@vgg/errors';
import type { Format, WeightFile } from '../../format.js';
import type { FileGraph } from '../../graph.js';
import { pastLimit } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { weightFile } from '../tensors.js';
import { parseComments } from './comments.js';
import { fileGraph, type WeightShape } from './graph.js';
import { MAX_TEXT, parseTextFormat } from './text-format.js';

/**
 * The network that a prototxt describes, as it is when it is used (phase TEST), in either form: `layers { type: CONVOLUTION }` or
 * `layer { type: "Convolution" }`.
 *
 * @throws VggError `VGG_FORMAT` for what is no text of a network, with the line; `VGG_INTEGRITY` for one that is cut or past a limit
 * @example
 * parsePrototxt('layer { name: "pool1" type: "Pooling" bottom: "x" top: "y" pooling_param { kernel_size: 2 stride: 2 } }', 'a.prototxt')
 *   .layers // [{ kind: 'pool', name: 'pool1', pool: 'max', size: 2, stride: 2, pad: 0, rounding: 'ceil' }]
 */
export function parsePrototxt(text: string, who: string, weightShape?: WeightShape): FileGraph {
  const net = parseTextFormat(text, who);
  const graph = fileGraph(net, who, weightShape);
  if (graph.layers.length > 0) return graph;
  throw new VggError('VGG_FORMAT', `${who}: expected the layers of a network ("layer { ... }"), received a text without any`);
}

/** The same out of a file, and what is noted above it. */
export async function readPrototxt(
  source: Source,
  options: ReadOptions = {},
  weightShape?: WeightShape,
): Promise<{ graph: FileGraph; metadata: Map<string, string> }> {
  if (source.size > MAX_TEXT) {
    throw pastLimit(source.name, `at most ${MAX_TEXT} bytes of text`, source.size);
  }
  const text = new TextDecoder().decode(await source.read(0, source.size, options));
  return { graph: parsePrototxt(text, source.name, weightShape), metadata: parseComments(text) };
}

/** A network's text by itself: its layers and no weights. */
export const prototxt: Format = {
  id: 'prototxt',
  title: 'Caffe prototxt',
  match(head, source) {
    if (head.length === 0 || head.some((byte) => byte < 9 || (byte > 13 && byte < 32) || byte === 127)) return false;
    const text = new TextDecoder().decode(head);
    if (/^\s*[<{[]/.test(text)) return false; // a web page, JSON
    return /^\s*layers?\s*:?\s*[{<]/m.test(text) || (/\.prototxt$/i.test(source.name) && /^\s*\w+\s*[:{]/m.test(text));
  },
  async open(source: Source, options: ReadOptions = {}): Promise<WeightFile> {
    const { graph, metadata } = await readPrototxt(source, options);
    if (graph.name !== undefined) metadata.set('name', graph.name);
    return weightFile({ who: source.name, format: 'prototxt', tensors: [], graph, metadata, close: source.close?.bind(source) });
  },
};
