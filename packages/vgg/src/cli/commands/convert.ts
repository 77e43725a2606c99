import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { CONVERT_DEFAULTS, convert } from '../../convert.js';
import { ARCH_HELP, archOf } from '../arch.js';
import { command } from '../command.js';
import { UsageError } from '../exit.js';
import { bytes } from '../text.js';

/** What the contract names and this release does not write yet. */
const LATER = ['h5', 'tfjs', 'npz', 'pth', 'onnx', 'caffemodel'];

export const convertCommand = command({
  name: 'convert',
  about: 'converts any readable weight file to safetensors with canonical names, one tensor in memory at a time',
  args: 'IN OUT.safetensors',
  details:
    'IN is a Keras .h5, a tfjs model.json with its shards, a .safetensors, a URL or the name of a published set. OUT carries its plan, preprocessing, licence and source with it, so it needs no --arch again.',
  least: 2,
  most: 2,
  flags: {
    to: { type: 'string', value: 'FORMAT', about: 'format to write', defaultText: `by the ending of OUT; ${CONVERT_DEFAULTS.to} so far` },
    dtype: {
      type: 'choice',
      choices: ['float32', 'float16', 'int8'],
      about: 'how values are stored; float16 halves the file',
      default: CONVERT_DEFAULTS.dtype,
    },
    layers: { type: 'list', value: 'L', about: 'only what these layers need', defaultText: 'all' },
    arch: { type: 'string', value: 'ARCH', about: ARCH_HELP, defaultText: 'what the weights show' },
  },
  examples: [
    ['vgg convert vgg16.h5 vgg16.safetensors', 'the same values, bit for bit'],
    ['vgg convert model.json conv4_3.safetensors --layers relu4_3 --dtype float16', 'only the first ten convolutions, at half the size'],
  ],
  async run([input, output], { to, dtype, layers, arch }, { signal, onProgress }) {
    const format = (to ?? extname(output).slice(1)).toLowerCase();
    if (format !== 'safetensors') {
      const later = LATER.includes(format)
        ? `${format} cannot be written yet`
        : `expected an OUT that ends in .safetensors, received "${output}"`;
      throw new UsageError(
        `vgg convert: ${to === undefined ? later : `--to ${to}: ${LATER.includes(format) ? 'it cannot be written yet' : 'an unknown format'}`}; write .safetensors`,
      );
    }
    if (dtype === 'int8') throw new UsageError('vgg convert --dtype int8: it cannot be written yet; use float16 or float32');
    const { tensors, bytes: written } = await convert(input, output, {
      to: 'safetensors',
      dtype,
      layers,
      arch: await archOf(arch),
      signal,
      onProgress,
    });
    const { size } = await stat(output);
    return {
      json: { input, output, format, dtype, tensors, bytes: size },
      text: () => `${output}: ${tensors} tensors, ${bytes(written)} as ${dtype}`,
    };
  },
});
