import { stat } from 'node:fs/promises';
import { isVggError, VggError } from '@vgg/errors';
import { network } from '../../architecture.js';
import { formatSummary } from '../../format-summary.js';
import { aliasesFor } from '../../layers.js';
import type { Network } from '../../plan.js';
import { type Summary, summarize } from '../../summary.js';
import { ARCH_HELP, archOf, planIn } from '../arch.js';
import { type Context, command, type Result } from '../command.js';
import { UsageError } from '../exit.js';
import { bytes, facts, grouped, plural, some, table } from '../text.js';

interface Size {
  height?: number;
  width?: number;
}

export const info = command({
  name: 'info',
  about: 'shows a network layer by layer, or what a weight file holds',
  args: 'ARCH|FILE',
  details: `ARCH is ${ARCH_HELP}. FILE is a weight file, its URL or the name of a published set; no weights are read, only what the file says of them.`,
  least: 1,
  most: 1,
  flags: {
    input: { type: 'string', value: 'N|HxW', about: 'size of the picture in pixels', defaultText: "the network's own, 224" },
    arch: { type: 'string', value: 'ARCH', about: 'the architecture of a weight file that does not show it' },
    'no-top': { type: 'boolean', about: 'leave the dense layers out, so that any size fits' },
    layers: { type: 'boolean', about: 'list every name that each layer answers to' },
  },
  examples: [
    ['vgg info vgg16 --input 64 --no-top', "every layer's output for pictures of 64 x 64"],
    ['vgg info weights.h5 --json', 'format, preprocessing, tensors, and what is missing'],
  ],
  async run([what], values, context) {
    const size = sizeOf(values.input);
    const plan = await planIn(what);
    if (!plan && (await isWeights(what))) return fileInfo(what, size, values, context);
    if (values.arch !== undefined) throw new UsageError(`vgg info --arch: it is for weight files, and ${what} is none`);
    const found = network(plan ?? ((await archOf(what)) as string), values['no-top'] ? { top: false } : {});
    const summary = summarizeOr(found, size);
    return {
      json: describe(found, summary, values.layers ? otherNames(found) : undefined),
      text: () => [formatSummary(summary), ...(values.layers ? ['', aliasTable(found)] : [])].join('\n'),
    };
  },
});

function sizeOf(input: string | undefined): Size {
  if (input === undefined) return {};
  const match = /^(\d{1,5})(?:x(\d{1,5}))?$/i.exec(input.trim());
  if (!match || Number(match[1]) === 0 || Number(match[2] ?? 1) === 0)
    throw new UsageError(`vgg info --input: expected pixels such as 224 or 240x320 (height x width), received "${input}"`);
  return { height: Number(match[1]), width: Number(match[2] ?? match[1]) };
}

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
  const { findPublished } = await import('../../weights.js');
  if (findPublished(what)) return true;
  // `weights.h5` is a file that is not there, not an architecture nobody knows.
  if (/[/\\]|\.(h5|hdf5|json|safetensors|bin|pth?|caffemodel|onnx|npz|keras)$/i.test(what))
    throw new VggError('VGG_NOT_FOUND', `${what}: expected a weight file or a plan.json, received no such file`);
  return false;
}

const describe = (
  { name, classes, top }: Network,
  { input, parameters, statistics, macs, rows }: Summary,
  aliases?: (layer: string) => string[],
) => ({
  architecture: name,
  input,
  classes: top ? classes : undefined,
  parameters,
  statistics: statistics > 0 ? statistics : undefined,
  macs,
  layers: rows.map(({ name, kind, output, parameters, macs, receptiveField, stride }) => ({
    name,
    kind,
    output,
    parameters,
    macs,
    receptiveField,
    stride,
    aliases: aliases?.(name),
  })),
});

const otherNames = (network: Network) => (layer: string) => aliasesFor(network, layer).slice(1);

function aliasTable(network: Network): string {
  const names = otherNames(network);
  return table(
    ['layer', 'other names'],
    network.layers.map(({ name }) => [name, names(name).join(', ')]),
  );
}

async function fileInfo(
  what: string,
  size: Size,
  values: { arch?: string; 'no-top': boolean; layers: boolean },
  { signal, onProgress, warn }: Context,
): Promise<Result> {
  const { inspect } = await import('../../load.js');
  const arch = await archOf(values.arch);
  const held = await inspect(what, { arch, ...(values['no-top'] ? { network: { top: false } } : {}), signal, onProgress }).catch(
    (error: unknown) => {
      // A readable file of another network is still worth a look at.
      if (arch === undefined && (isVggError(error, 'VGG_ARCHITECTURE') || isVggError(error, 'VGG_SHAPE'))) return error;
      throw error;
    },
  );
  if (held instanceof Error) {
    warn(held.message);
    return strangerInfo(what, signal);
  }
  const { network, name, format, preprocessing, licence, source, tensors, missing, unknown, reaches } = held;
  const summary = summarize(network, size);
  return {
    json: {
      ...describe(network, summary, values.layers ? otherNames(network) : undefined),
      file: what,
      name,
      format,
      preprocessing,
      licence,
      source,
      reaches: reaches ?? null,
      tensors: tensors.map(({ name, shape, dtype, present }) => ({ name, shape, dtype, present: present ? undefined : false })),
      missing,
      unknown,
      metadata: Object.fromEntries(held.metadata),
    },
    text: () =>
      [
        facts([
          ['file', what],
          ['format', format],
          ['architecture', `${network.name}${network.top ? '' : ' without its dense layers'}, ${grouped(summary.parameters)} parameters`],
          ['preprocessing', preprocessing.name],
          ['licence', licence],
          ['source', source],
          [
            'holds',
            `${plural(tensors.filter(({ present }) => present).length, 'tensor')}${missing.length > 0 ? `, and lacks ${missing.length} that ${network.name} needs` : ''}`,
          ],
          ['reaches', reaches ?? 'no layer'],
          ['missing', missing.length > 0 ? some(missing) : undefined],
          ['unknown', unknown.length > 0 ? some(unknown) : undefined],
        ]),
        '',
        tensorTable(tensors),
        ...(values.layers ? ['', formatSummary(summary), '', aliasTable(network)] : []),
      ].join('\n'),
  };
}

/** What a readable file holds that is of no VGG network. */
async function strangerInfo(what: string, signal: AbortSignal): Promise<Result> {
  const [{ openWeights }, { io }] = await Promise.all([import('@vgg/loaders'), import('#io')]);
  const file = await openWeights(await io.openSource(what, { signal }), { signal });
  try {
    const tensors = [...file.tensors.values()];
    const parameters = tensors.reduce((sum, { shape }) => sum + count(shape), 0);
    return {
      json: {
        architecture: null,
        file: what,
        format: file.format,
        parameters,
        macs: null,
        layers: [],
        preprocessing: null,
        tensors: tensors.map(({ name, shape, dtype, present }) => ({ name, shape, dtype, present: present ? undefined : false })),
        missing: [],
        metadata: Object.fromEntries(file.metadata),
      },
      text: () =>
        [
          facts([
            ['file', what],
            ['format', file.format],
            ['holds', `${plural(tensors.length, 'tensor')}, ${grouped(parameters)} values`],
          ]),
          '',
          tensorTable(tensors),
        ].join('\n'),
    };
  } finally {
    await file.close();
  }
}

const count = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1);
const WIDTHS: Readonly<Record<string, number>> = {
  float64: 8,
  int64: 8,
  uint64: 8,
  float32: 4,
  int32: 4,
  uint32: 4,
  float16: 2,
  bfloat16: 2,
  int16: 2,
  uint16: 2,
};

function tensorTable(tensors: readonly { name: string; shape: readonly number[]; dtype: string; present: boolean }[]): string {
  const rows = tensors.map(({ name, shape, dtype, present }) => [
    name,
    `[${shape.join(', ')}]`,
    dtype,
    present ? bytes(count(shape) * (WIDTHS[dtype] ?? 1)) : 'missing',
  ]);
  return table(['tensor', 'shape', 'dtype', 'size'], rows, ['size']);
}
