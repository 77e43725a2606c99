import type { SourceInput, WriteTarget } from '../io/io.js';
import type { Converted, ConvertOptions } from './options.js';

/**
 * Any readable weight file, or the mean of several, to any format that can be written, with canonical names (`conv1_1`, `fc6`); where the
 * format has a place for it, the file carries its plan, preprocessing, class names, licence and source. One tensor at a time is in memory, or
 * two where a mean is made, and files get their names when they are whole.
 *
 * @param output a path or URL; one that ends in `/` is a folder, which is made, and `model.json` is written into it
 * @throws VggError `VGG_WEIGHTS_MISSING` for an incomplete file, unless `layers` stops before the hole; `VGG_OPTION` for a format that
 *   cannot be written, or that cannot hold what is asked for; `VGG_SHAPE` and `VGG_OPTION` for weights to average that do not go together;
 *   `VGG_OUTPUT`; what opening the weights throws
 * @example
 * await convert('VGG_ILSVRC_16_layers.caffemodel', 'vgg16.safetensors'); // { format: 'safetensors', tensors: 32, bytes: 553437384, ... }
 */
export async function convert(weights: SourceInput, output: WriteTarget, options: ConvertOptions = {}): Promise<Converted> {
  // The writers are loaded when they are needed, so that a page that only reads does not download them.
  const { convertFiles } = await import('./convert-files.js');
  return convertFiles(weights, output, options);
}
