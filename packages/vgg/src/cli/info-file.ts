import { DTYPE_BYTES, type FileGraph, type GraphLayer, type TensorInfo } from '@vgg/loaders';
import { type Inspection, inspect } from '../load.js';
import { formatSummary } from '../network/format-summary.js';
import { summarize } from '../network/summary.js';
import { grouped } from '../text/columns.js';
import { archOf } from './arch.js';
import type { Context, Result } from './command.js';
import { aliasTable, describe, forDocument, memoryPlans, memoryTotals, otherNames, type Size, type Style } from './info-network.js';
import { bytes, facts, plural, printable, some, table } from './text.js';

/** What a weight file holds; no values are read. */
export async function fileInfo(
  what: string,
  size: Size,
  values: { arch?: string; 'no-top': boolean; layers: boolean; style: Style; offline: boolean },
  { signal, onProgress, warn }: Context,
): Promise<Result> {
  const arch = await archOf(values.arch);
  const fetching = { offline: values.offline || undefined, signal, onProgress, onWarning: warn };
  const held = await inspect(what, { arch, ...(values['no-top'] ? { network: { top: false } } : {}), ...fetching });
  const { network, preprocessing } = held;
  if (!network || !preprocessing) {
    // A readable file of another network is still worth a look at.
    if (held.problem) warn(held.problem.message);
    return strangerInfo(what, held);
  }
  const { name, format, licence, source, tensors, missing, unknown, reaches } = held;
  const summary = summarize(network, size);
  const memory = memoryPlans(network, size);
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
      tensors: tensors.map(tensorJson),
      missing,
      unknown,
      metadata: Object.fromEntries(held.metadata),
      memory,
    },
    text: () => {
      if (values.style !== 'text') return forDocument(summary, values.style);
      return [
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
          ['because', absences(tensors)],
          ['unknown', unknown.length > 0 ? some(unknown) : undefined],
          ['memory', `of the wasm backend: ${memoryTotals(memory)}`],
        ]),
        ...(tensors.length > 0 ? ['', tensorTable(tensors)] : []),
        ...(values.layers || tensors.length === 0 ? ['', formatSummary(summary)] : []),
        ...(values.layers ? ['', aliasTable(network)] : []),
      ].join('\n');
    },
  };
}

/** What a readable file holds that is of no VGG network. */
function strangerInfo(what: string, { format, tensors, graph, metadata }: Inspection): Result {
  const parameters = tensors.reduce((sum, { shape }) => sum + count(shape), 0);
  return {
    json: {
      architecture: null,
      file: what,
      format,
      parameters,
      macs: null,
      layers: graph?.layers ?? [],
      preprocessing: null,
      tensors: tensors.map(tensorJson),
      missing: [],
      metadata: Object.fromEntries(metadata),
    },
    text: () =>
      [
        facts([
          ['file', what],
          ['format', format],
          ['network', graph?.name === undefined ? undefined : printable(graph.name)],
          ['holds', `${plural(tensors.length, 'tensor')}, ${grouped(parameters)} values`],
        ]),
        ...(graph ? ['', graphTable(graph)] : []),
        ...(tensors.length > 0 ? ['', tensorTable(tensors)] : []),
      ].join('\n'),
  };
}

const count = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1);

/** Why tensors that the file names are not there. */
function absences(tensors: readonly TensorInfo[]): string | undefined {
  const reasons = new Set(tensors.flatMap(({ present, absence }) => (present ? [] : (absence ?? 'their bytes are not there'))));
  return reasons.size > 0 ? printable(some([...reasons])) : undefined;
}

const tensorJson = ({ name, shape, dtype, present, absence }: TensorInfo) => ({
  name,
  shape,
  dtype,
  present: present ? undefined : false,
  absence: present ? undefined : absence,
});

function tensorTable(tensors: readonly TensorInfo[]): string {
  const rows = tensors.map(({ name, shape, dtype, present }) => [
    printable(name),
    `[${shape.join(', ')}]`,
    dtype,
    present ? bytes(count(shape) * DTYPE_BYTES[dtype]) : 'missing',
  ]);
  return table(['tensor', 'shape', 'dtype', 'size'], rows, ['size']);
}

function graphTable({ layers }: FileGraph): string {
  return table(
    ['layer', 'kind', 'settings'],
    layers.map((layer) => [printable(layer.name), layer.kind, printable(settings(layer))]),
  );
}

function settings(layer: GraphLayer): string {
  switch (layer.kind) {
    case 'conv': {
      const { out, kernel, stride, pad, dilation, groups } = layer;
      const more = [dilation === 1 ? '' : `, dilation ${dilation}`, groups === 1 ? '' : `, ${groups} groups`].join('');
      return `${out} of ${kernel.join('x')}, stride ${stride}, pad ${pad}${more}`;
    }
    case 'dense':
      return `${layer.out}`;
    case 'pool':
      return `${layer.pool} ${layer.size}x${layer.size}, stride ${layer.stride}, pad ${layer.pad}, rounded ${layer.rounding === 'ceil' ? 'up' : 'down'}`;
    case 'lrn':
      return `over ${2 * layer.radius + 1} channels, alpha ${layer.alpha}, beta ${layer.beta}, bias ${layer.bias}`;
    case 'batchnorm':
      return `epsilon ${layer.epsilon}`;
    case 'dropout':
      return `${layer.rate}`;
    case 'other':
      return layer.type;
    default:
      return '';
  }
}
