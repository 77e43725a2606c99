import { isVggError } from '@vgg/errors';
import { DTYPE_BYTES, openWeights, type TensorInfo } from '@vgg/loaders';
import { io } from '#io';
import { inspect } from '../load.js';
import { formatSummary } from '../network/format-summary.js';
import { summarize } from '../network/summary.js';
import { grouped } from '../text/columns.js';
import { archOf } from './arch.js';
import type { Context, Result } from './command.js';
import { aliasTable, describe, otherNames, type Size } from './info-network.js';
import { bytes, facts, plural, some, table } from './text.js';

/** What a weight file holds; no values are read. */
export async function fileInfo(
  what: string,
  size: Size,
  values: { arch?: string; 'no-top': boolean; layers: boolean },
  { signal, onProgress, warn }: Context,
): Promise<Result> {
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
function tensorTable(tensors: readonly TensorInfo[]): string {
  const rows = tensors.map(({ name, shape, dtype, present }) => [
    name,
    `[${shape.join(', ')}]`,
    dtype,
    present ? bytes(count(shape) * DTYPE_BYTES[dtype]) : 'missing',
  ]);
  return table(['tensor', 'shape', 'dtype', 'size'], rows, ['size']);
}
