import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { messageOf } from '@vgg/errors';
import { type StoredType, WRITERS } from '@vgg/loaders';
import type { TapError } from '../../compare/compare-activations.js';
import { convert } from '../../convert/convert.js';
import { writerFor } from '../../convert/convert-files.js';
import { DTYPES } from '../../convert/dtypes.js';
import { CONVERT_DEFAULTS, type DtypeByLayer } from '../../convert/options.js';
import { parsePreprocessing } from '../../pictures/preprocessing.js';
import { didYouMean } from '../../text/suggest.js';
import { ARCH_HELP, archOf } from '../arch.js';
import { command } from '../command.js';
import { UsageError } from '../exit.js';
import { OFFLINE_FLAG, PREPROCESSING_FLAG } from '../open-model.js';
import { brief, bytes, plural, table } from '../text.js';

const ENDINGS = WRITERS.map(({ id, title, endings }) => `${id === 'tfjs' ? 'model.json or FOLDER/' : `.${endings[0]}`} (${title})`).join(
  ', ',
);
const FOLDS = ['bn', 'preprocessing'] as const;

export const convertCommand = command({
  name: 'convert',
  about: 'converts any readable weight file to any format that can be written, one tensor in memory at a time',
  args: 'IN OUT',
  details: `IN is a weight file of any format that vgg info reads, its URL or the name of a published set. OUT ends in one of ${ENDINGS}; files beside it, such as shards, get their names from it. Where its format has a place for it, OUT carries the plan, preprocessing, class names, licence and source, so it needs no --arch again.`,
  least: 2,
  most: 2,
  flags: {
    to: { type: 'choice', choices: WRITERS.map(({ id }) => id), about: 'format to write', defaultText: 'by the ending of OUT' },
    dtype: {
      type: 'string',
      value: 'DTYPE[,LAYER=DTYPE...]',
      about:
        'how values are stored: float32, bit for bit; float16, half the size; int8, a quarter, with a scale for each output channel; int4, an eighth, with 16 values for each output channel (safetensors). In safetensors a LAYER (conv1_1; conv, fc or bn for all of a kind) may have its own',
      defaultText: CONVERT_DEFAULTS.dtype,
    },
    layers: { type: 'list', value: 'L', about: 'only what these layers need', defaultText: 'all' },
    fold: {
      type: 'list',
      value: 'bn|preprocessing',
      about: 'work batch normalisation into the filters, or the preprocessing, so that the network takes RGB from 0 to 255',
      defaultText: 'nothing',
    },
    average: {
      type: 'list',
      value: 'FILE',
      about: 'write the mean of IN and these weights of the same network, often better than each where one was trained on from another',
      defaultText: 'IN alone',
    },
    arch: { type: 'string', value: 'ARCH', about: ARCH_HELP, defaultText: 'what the weights show' },
    classes: { type: 'string', value: 'FILE', about: 'names of the classes to carry', defaultText: 'those that IN carries' },
    preprocessing: PREPROCESSING_FLAG,
    offline: OFFLINE_FLAG,
    'no-check': { type: 'boolean', about: 'do not measure what float16, int8 or int4 costs at each layer; nor is it with --average' },
  },
  examples: [
    ['vgg convert VGG_ILSVRC_16_layers.caffemodel vgg16.safetensors', 'the same values, bit for bit'],
    ['vgg convert vgg16.pth web/ --layers pool5 --fold preprocessing', 'the convolutions as web/model.json and its shards'],
    ['vgg convert vgg16.h5 vgg16.safetensors --dtype int8', 'a quarter of the size, and the error at each layer'],
    ['vgg convert vgg16.h5 vgg16.safetensors --dtype int8,conv1_1=float32,fc=int4', 'the first layer as it is, dense layers at an eighth'],
    ['vgg convert second.safetensors mean.safetensors --average third.safetensors', 'the mean of what two runs ended with'],
  ],
  async run(
    [input, output],
    {
      to,
      dtype = CONVERT_DEFAULTS.dtype,
      layers,
      fold = [],
      average = [],
      arch,
      classes,
      preprocessing: prepared,
      offline,
      'no-check': unchecked,
    },
    { signal, onProgress, warn, options },
  ) {
    const odd = fold.find((each) => !FOLDS.some((known) => known === each));
    if (odd !== undefined) throw new UsageError(`vgg convert --fold: expected ${FOLDS.join(' or ')}, received "${odd}"`);
    const folder = /[/\\]$/.test(output) || !(await isFolder(output)) ? output : `${output}/`;
    const writer = writerFor(folder, to);
    for (const each of [input, ...average]) await refuseInput(each, folder, writer.id);
    const named = await archOf(arch);
    const opening = {
      arch: named,
      fold: { batchNorm: fold.includes('bn'), preprocessing: fold.includes('preprocessing') },
      preprocessing: prepared === undefined ? undefined : parsePreprocessing(prepared),
      offline: offline || undefined,
      signal,
      onProgress,
      onWarning: warn,
    };
    const dtypes = parseDtype(dtype);
    const converted = await convert(input, folder, { ...opening, average, to: writer.id, dtype: dtypes, layers, classes });
    let errors: readonly TapError[] | undefined;
    // A preprocessing said here would be folded into what it is folded into already.
    const measurable = !(opening.preprocessing && opening.fold.preprocessing) && average.length === 0;
    if (Object.values(dtypes).some((each) => each !== 'float32') && !unchecked && measurable) {
      const { measureErrors } = await import('../../compare/compare-sets.js');
      errors = await measureErrors(input, converted.output, { ...opening, backend: options.backend }).catch((error: unknown) => {
        if (signal.aborted) throw error;
        warn(`${converted.output} is written, but what ${dtype} costs could not be measured: ${messageOf(error)}`);
        return undefined;
      });
    }
    return {
      json: {
        input,
        ...(average.length > 0 && { average }),
        output: converted.output,
        format: converted.format,
        dtype,
        tensors: converted.tensors,
        bytes: converted.bytes,
        files: converted.files,
        errors,
      },
      text: () =>
        [
          `${converted.output}: ${plural(converted.tensors, 'tensor')}, ${bytes(converted.bytes)} as ${dtype}${converted.files.length > 1 ? ` in ${converted.files.length} files` : ''}`,
          ...(errors ? ['', errorTable(errors)] : []),
        ].join('\n'),
    };
  },
});

/** `int8,conv1_1=float32` as the option of {@link convert}. */
function parseDtype(text: string): DtypeByLayer {
  const found = new Map<string, StoredType>();
  for (const part of text.split(',')) {
    const [first = '', second, ...more] = part.split('=').map((word) => word.trim());
    const [layer, dtype] = second === undefined ? ['default', first] : [first, second];
    const known = DTYPES.find((each) => each === dtype);
    if (known === undefined || layer === '' || more.length > 0) {
      const near = didYouMean(dtype, DTYPES);
      throw new UsageError(`vgg convert --dtype: expected ${DTYPES.join(', ')} or LAYER=DTYPE, received "${part.slice(0, 80)}"${near}`);
    }
    if (found.has(layer)) {
      throw new UsageError(
        `vgg convert --dtype: expected one dtype for ${layer === 'default' ? 'the other layers' : layer}, received "${text.slice(0, 80)}"`,
      );
    }
    found.set(layer, known);
  }
  return Object.fromEntries(found);
}

function errorTable(errors: readonly TapError[]): string {
  const rows = errors.map(({ layer, relative, cosine }) => [layer, brief(relative, 3), cosine.toFixed(6)]);
  return table(['layer', 'largest error / maximum', 'cosine'], rows, ['largest error / maximum', 'cosine']);
}

/** The input must not be what is written over, nor the shards that it names. */
async function refuseInput(input: string, output: string, format: string): Promise<void> {
  const place = async (path: string) => realpath(path).catch(() => resolve(path));
  const isSame = (await place(input)) === (await place(output));
  const [from, to] = [dirname(await place(input)), await place(/[/\\]$/.test(output) ? output : dirname(output))];
  const sharesFolder = format === 'tfjs' && extname(input) === '.json' && from === to;
  if (!isSame && !sharesFolder) return;
  const what = isSame ? `${basename(input)} itself` : 'the folder of its shards';
  throw new UsageError(`vgg convert: expected an OUT that is not IN, received ${what}; choose another name or folder`);
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
