import { throwIfAborted, VggError } from '@vgg/errors';
import {
  canonicalTensors,
  findWriter,
  type OutputFile,
  type ReadOptions,
  readCanonical,
  type StoredType,
  streamCanonical,
  type TensorToWrite,
  type WeightFile,
  WRITERS,
  type Writer,
} from '@vgg/loaders';
import { io } from '#io';
import { carriedClasses } from '../classes/carried.js';
import { classNames } from '../classes/classes.js';
import { isPatch, type SourceInput, type WriteTarget } from '../io/io.js';
import { graphOfNetwork } from '../network/graph.js';
import { prefix } from '../network/layers.js';
import type { Network } from '../network/plan.js';
import { averageWeights } from '../weights/average.js';
import { foldWeights } from '../weights/fold.js';
import { METADATA, type OpenedWeights, openNetworkWeights } from '../weights/open-weights.js';
import { weightSpecs } from '../weights/specs.js';
import { checkLayers, type LayerDtypes, layerDtypes } from './dtypes.js';
import type { Converted, ConvertOptions } from './options.js';

/** What {@link convert} does. */
export async function convertFiles(weights: SourceInput, output: WriteTarget, options: ConvertOptions): Promise<Converted> {
  const { signal, layers, dtype } = options;
  const dtypes = layerDtypes(dtype);
  const writer = writerFor(output, options.to);
  checkWriter(writer, dtypes.all);
  const opened = new Set<WeightFile>();
  try {
    const set = await openAll([weights, ...(options.average ?? [])], options, opened);
    const { network } = set;
    checkLayers(dtype, weightSpecs(network), network.name);
    const kept = { ...network, layers: layers ? prefix(network, layers) : network.layers };
    const { target, name, makeFolder } = place(output, writer, network.name);
    const tensors = tensorsToWrite(set, kept, dtypes, options);
    const files = writer.write({
      name,
      graph: graphOfNetwork(kept),
      tensors,
      metadata: metadataOf(set, await classesOf(set, options)),
      dtype: dtypes.default,
      sha256: () => io.hash('sha256'),
      ...(signal && { signal }),
    });
    const sizes = new Map<string, number>();
    await io.writeFiles(
      target,
      files.map((file) => measured(file, sizes)),
      { makeFolder, ...(signal && { signal }) },
    );
    const written = files.map((file) => ({ name: file.name, bytes: sizes.get(file.name)! }));
    const bytes = written.reduce((sum, file) => sum + file.bytes, 0);
    return {
      output: typeof target === 'object' && 'name' in target ? name : String(target),
      format: writer.id,
      tensors: tensors.length,
      bytes,
      files: written,
    };
  } finally {
    for (const file of opened) await file.close();
  }
}

/** The weights, or the mean of several; their files are noted in `opened`, to be closed. Folding comes behind the mean. */
async function openAll(all: readonly SourceInput[], options: ConvertOptions, opened: Set<WeightFile>): Promise<OpenedWeights> {
  const { fold, arch, ...opening } = options;
  const sets: OpenedWeights[] = [];
  for (const weights of all) {
    const set = await openNetworkWeights(arch, { ...opening, weights }, true);
    opened.add(set.file);
    sets.push(set);
  }
  return foldWeights(averageWeights(sets as [OpenedWeights, ...OpenedWeights[]]), fold);
}

/** @throws VggError `VGG_OPTION` if the format cannot hold these, or not side by side */
function checkWriter(writer: Writer, dtypes: readonly StoredType[]): void {
  const odd = dtypes.find((dtype) => !writer.dtypes.includes(dtype));
  if (odd === undefined && (dtypes.length === 1 || writer.mixed)) return;
  const able = WRITERS.filter((each) => (odd === undefined ? each.mixed : each.dtypes.includes(odd))).map(({ id }) => id);
  const format = writer.title;
  const [expected, received] =
    odd === undefined
      ? [`one dtype for all layers of ${format}`, dtypes.join(' and ')]
      : [`${writer.dtypes.join(' or ')} for ${format}`, `dtype ${odd}`];
  const where = able.length > 0 ? `; ${able.join(', ')} can have ${odd === undefined ? 'several' : 'it'}` : '';
  throw new VggError('VGG_OPTION', `convert: expected ${expected}, received ${received}${where}`);
}

/** The writer that `to` names, or the output's ending. @throws VggError `VGG_OPTION` */
export function writerFor(output: WriteTarget, to: string | undefined): Writer {
  const name = nameOf(output);
  const ending = /\.([^./\\]+)$/.exec(name)?.[1] ?? '';
  const writer = findWriter(to ?? (isFolder(output) ? 'tfjs' : ending));
  if (writer) return writer;
  const known = WRITERS.map(({ id, endings }) => (endings.includes(id) ? id : `${id} (.${endings[0]})`)).join(', ');
  const what = to === undefined ? `an output that ends as one of these formats does: ${known}` : `one of ${known} to convert to`;
  throw new VggError('VGG_OPTION', `convert: expected ${what}, received "${(to ?? name).slice(0, 200)}"`);
}

function nameOf(output: WriteTarget): string {
  return typeof output === 'object' && 'name' in output ? output.name : String(output);
}

function isFolder(output: WriteTarget): boolean {
  return typeof output === 'object' && 'name' in output ? 'getFileHandle' in output : /[/\\]$/.test(String(output));
}

/** Where the main file goes and what it is called. */
function place(output: WriteTarget, writer: Writer, network: string): { target: WriteTarget; name: string; makeFolder: boolean } {
  const own = writer.id === 'tfjs' ? 'model.json' : `${network}.${writer.endings[0]}`;
  if (typeof output === 'object' && 'name' in output)
    return { target: output, name: isFolder(output) ? own : output.name, makeFolder: false };
  if (isFolder(output)) return { target: `${output}${own}`, name: own, makeFolder: true };
  const last = String(output).split(/[/\\]/).pop()!;
  return { target: output, name: output instanceof URL ? decodeURIComponent(last) : last, makeFolder: false };
}

/** The class names as JSON: `["n02123159", "tiger_cat"]`, or the name alone, for each output in turn. */
async function classesOf({ file, network, set }: OpenedWeights, { classes, ...options }: ConvertOptions): Promise<string | undefined> {
  if (classes === undefined) return carriedClasses(file.metadata);
  const names = await classNames(classes, network.classes, set, options);
  return JSON.stringify(names?.map(({ wnid, label }) => (wnid === undefined ? label : [wnid, label])));
}

/** What the weights say of themselves, for formats that have a place for it. */
function metadataOf({ network, preprocessing, licence, source }: OpenedWeights, classes: string | undefined): Map<string, string> {
  const all: [string, string | undefined][] = [
    [METADATA.plan, JSON.stringify(network.plan)],
    [METADATA.preprocessing, JSON.stringify(preprocessing)],
    [METADATA.classes, classes],
    [METADATA.licence, licence],
    [METADATA.source, source],
  ];
  return new Map(all.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function tensorsToWrite(
  opened: OpenedWeights,
  network: Pick<Network, 'layers'>,
  dtypes: LayerDtypes,
  { signal, onProgress }: ConvertOptions,
): TensorToWrite[] {
  const { file, mapping } = opened;
  const wanted = weightSpecs(network).flatMap((spec) => canonicalTensors(spec).map((tensor) => ({ ...tensor, dtype: dtypes.of(spec) })));
  const missing = wanted.filter(({ name }) => !mapping.tensors.get(name)?.present);
  if (missing.length > 0) {
    const shown = missing.slice(0, 6).map(({ name }) => name);
    throw new VggError(
      'VGG_WEIGHTS_MISSING',
      `convert: ${missing.length} tensors are missing (${shown.join(', ')}${missing.length > 6 ? ' ...' : ''}); pass complete weights, or layers that stop before them`,
    );
  }
  const count = (shape: readonly number[]) => shape.reduce((product, side) => product * side, 1);
  const total = wanted.reduce((sum, { shape }) => sum + 4 * count(shape), 0);
  let loaded = 0;
  return wanted.map(({ name, shape, dtype }) => {
    // A tensor may be read more than once, for its scales; progress does not run backwards.
    let told = 0;
    const tell = (values: number) => {
      if (4 * values <= told) return;
      loaded += 4 * values - told;
      told = 4 * values;
      onProgress?.({ stage: 'convert', loaded, total, item: name });
    };
    const reading = (options: ReadOptions = {}) => ({ ...(signal && { signal }), ...options });
    return {
      name,
      shape,
      dtype,
      async values(options) {
        throwIfAborted(signal, 'convert');
        const all = await readCanonical(file, mapping, name, reading(options));
        tell(all.length);
        return all;
      },
      async *stream(options) {
        let done = 0;
        for await (const piece of streamCanonical(file, mapping, name, { ...reading(options), reuse: true })) {
          yield piece;
          done += piece.length;
          tell(done);
        }
      },
    };
  });
}

/** The same file, whose length is noted as it is written. */
function measured(file: OutputFile, sizes: Map<string, number>): OutputFile {
  return {
    name: file.name,
    async *chunks() {
      let bytes = 0;
      for await (const chunk of file.chunks()) {
        if (!isPatch(chunk)) bytes += chunk.length;
        yield chunk;
      }
      sizes.set(file.name, bytes);
    },
  };
}
