import { stat } from 'node:fs/promises';
import { isVggError, VggError } from '@vgg/errors';
import { formatTitles } from '@vgg/loaders';
import { network } from '../../network/architecture.js';
import { formatSummary } from '../../network/format-summary.js';
import type { Network } from '../../network/plan.js';
import { type Summary, summarize } from '../../network/summary.js';
import { ARCH_HELP, archOf, planIn } from '../arch.js';
import { command } from '../command.js';
import { UsageError } from '../exit.js';
import { aliasTable, describe, forDocument, memoryPlans, memoryTotals, otherNames, type Size, STYLES } from '../info-network.js';
import { OFFLINE_FLAG } from '../open-model.js';
import { sizeOf } from '../size.js';

/** What can be read, as a sentence has it. */
const FORMATS = formatTitles()
  .join(', ')
  .replace(/, (?=[^,]*$)/, ' or ');

export const info = command({
  name: 'info',
  about: 'shows a network layer by layer, or what a weight file holds',
  args: 'ARCH|FILE',
  details: `ARCH is ${ARCH_HELP}. FILE is a weight file, its URL or the name of a published set: of ${FORMATS}. No weights are read, only what the file says of them; of a file of another network, what is in it.`,
  least: 1,
  most: 1,
  flags: {
    input: { type: 'string', value: 'N|HxW', about: 'size of the picture in pixels', defaultText: "the network's own, 224" },
    arch: { type: 'string', value: 'ARCH', about: 'the architecture of a weight file that does not show it' },
    'no-top': { type: 'boolean', about: 'leave the dense layers out, so that any size fits' },
    layers: { type: 'boolean', about: 'list every name that each layer answers to' },
    style: {
      type: 'choice',
      choices: STYLES,
      about: 'aligned text; or for a document the table as Markdown, or a drawing of the layers',
      default: 'text',
    },
    offline: OFFLINE_FLAG,
  },
  examples: [
    ['vgg info vgg16 --input 64 --no-top', "every layer's output for pictures of 64 x 64"],
    ['vgg info vgg16 --style svg', 'a drawing, on standard output: each layer as tall as its map and as wide as it has channels'],
    ['vgg info VGG_ILSVRC_16_layers.caffemodel', 'architecture, preprocessing, tensors, and what is missing'],
    ['vgg info web/model.json --json', 'the same as a JSON document'],
  ],
  async run([what], values, context) {
    const size = sizeOf('vgg info --input', values.input) ?? {};
    const plan = await planIn(what);
    if (!plan && (await isWeights(what))) return (await import('../info-file.js')).fileInfo(what, size, values, context);
    if (values.arch !== undefined) throw new UsageError(`vgg info --arch: it is for weight files, and ${what} is none`);
    const found = network(plan ?? ((await archOf(what)) as string), values['no-top'] ? { top: false } : {});
    const summary = summarizeOr(found, size);
    return {
      json: { ...describe(found, summary, values.layers ? otherNames(found) : undefined), memory: memoryPlans(found, size) },
      text: () => {
        if (values.style !== 'text') return forDocument(summary, values.style);
        return [
          formatSummary(summary),
          `memory of the wasm backend: ${memoryTotals(memoryPlans(found, size))}`,
          ...(values.layers ? ['', aliasTable(found)] : []),
        ].join('\n');
      },
    };
  },
});

/** The dense layers fit one size; with another the error also says how this command leaves them out. */
function summarizeOr(network: Network, size: Size): Summary {
  try {
    return summarize(network, size);
  } catch (error) {
    if (!network.top || !isVggError(error, 'VGG_SHAPE')) throw error;
    throw new VggError('VGG_SHAPE', `${error.message} (vgg info --no-top)`, { cause: error });
  }
}

/** A file, a folder, a URL or a published set's name. A name that is nothing of these is taken as an architecture. */
async function isWeights(what: string): Promise<boolean> {
  if (/^(https?|file):/i.test(what)) return true;
  if (
    await stat(what).then(
      () => true,
      () => false,
    )
  )
    return true;
  const { findPublished, publishedSet } = await import('../../weights/published.js');
  if (findPublished(what)) return true;
  // `weights.h5` is a file that is not there, not an architecture nobody knows.
  if (/[/\\]|\.(h5|hdf5|json|safetensors|bin|pth?|caffemodel|prototxt|onnx|np[yz]|mat|keras|index)$/i.test(what))
    throw new VggError('VGG_NOT_FOUND', `${what}: expected a weight file or a plan.json, received no such file`);
  // No architecture has a dot in its name, and every set has.
  if (what.includes('.')) publishedSet(what);
  return false;
}
