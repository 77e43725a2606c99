import { VggError } from '@vgg/errors';
import { canonicalise, describeShapes, type Mapping, openWeights, type Source, type WeightFile } from '@vgg/loaders';
import { io } from '#io';
import type { SourceInput } from '../io/io.js';
import { network as makeNetwork, type NetworkOptions } from '../network/architecture.js';
import { inferNetwork, type WeightShapes } from '../network/infer.js';
import type { Network, Plan } from '../network/plan.js';
import { PREPROCESSINGS, type Preprocessing, type PreprocessingName, parsePreprocessing } from '../pictures/preprocessing.js';
import { type FetchOptions, findPublished, openPublished, type PublishedSet, publishedDefault } from './published.js';
import { weightSpecs } from './specs.js';

/** What to open and how: the part that {@link load}, {@link convert} and {@link inspect} share. */
export interface OpenWeightsOptions extends FetchOptions {
  /** A path, URL, File, Blob, FileList, bytes, or a published set's name; default the published set of the architecture. */
  weights?: SourceInput;
  /** What the network has otherwise than its architecture says: `classes`, `pool`, `rounding`, `top`, `convolutionalTop` ... */
  network?: NetworkOptions;
  /** How pictures are prepared, instead of what the weights say. */
  preprocessing?: Preprocessing | PreprocessingName;
}

/** A weight file matched against a network. */
export interface OpenedWeights {
  readonly file: WeightFile;
  readonly network: Network;
  readonly mapping: Mapping;
  readonly preprocessing: Preprocessing;
  readonly name: string;
  readonly set: PublishedSet | undefined;
  readonly licence: string | undefined;
  readonly source: string | undefined;
}

/** Keys of what our safetensors files say of themselves, beside the tensors. */
export const METADATA = { plan: 'vgg.plan', preprocessing: 'vgg.preprocessing', licence: 'vgg.licence', source: 'vgg.source' } as const;

/**
 * Opens a weight file, finds its network (by `arch`, by what the file says, or by its shapes) and matches their names.
 * @throws VggError `VGG_NOT_FOUND`, `VGG_FORMAT`, `VGG_ARCHITECTURE`, `VGG_SHAPE`, `VGG_NETWORK`, `VGG_INTEGRITY`
 */
export async function openNetworkWeights(
  arch: string | Plan | undefined,
  options: OpenWeightsOptions,
  wantsTop: boolean,
): Promise<OpenedWeights> {
  const { source, set } = await findSource(arch, options, wantsTop);
  let file: WeightFile | undefined;
  try {
    file = await openWeights(source, { signal: options.signal });
    const network = networkOf(file, arch ?? set?.architecture, set, options.network ?? {}, source.name);
    const mapping = canonicalise(file, weightSpecs(network));
    return {
      file,
      network,
      mapping,
      preprocessing: preprocessingOf(file, mapping, set, options.preprocessing),
      name: set?.id ?? source.name,
      set,
      licence: file.metadata.get(METADATA.licence) ?? set?.licence,
      source: file.metadata.get(METADATA.source) ?? set?.source,
    };
  } catch (error) {
    await (file ?? source).close?.();
    throw error;
  }
}

async function findSource(
  arch: string | Plan | undefined,
  options: OpenWeightsOptions,
  wantsTop: boolean,
): Promise<{ source: Source; set?: PublishedSet }> {
  const { weights } = options;
  const set =
    weights === undefined
      ? publishedDefault(arch, { top: wantsTop, platform: io.platform })
      : typeof weights === 'string'
        ? findPublished(weights)
        : undefined;
  if (set) return { set, source: await openPublished(set, options) };
  if (weights === undefined)
    throw new VggError('VGG_WEIGHTS_MISSING', 'load: nothing is published for this network; pass weights (a path, URL, File or bytes)');
  return { source: await io.openSource(weights, options) };
}

function networkOf(
  file: WeightFile,
  arch: string | Plan | undefined,
  set: PublishedSet | undefined,
  given: NetworkOptions,
  name: string,
): Network {
  const stored = file.metadata.get(METADATA.plan);
  const { convs, batchNorms, dense: denses } = describeShapes(file);
  const shapes: WeightShapes = {
    convs: convs.map(({ kernel, ...conv }) => ({ ...conv, kernel: kernel[0] })),
    batchNorm: batchNorms.length > 0,
    denses,
  };
  const options: NetworkOptions = { ...(set ? { rounding: set.rounding } : {}), ...(denses.length === 0 ? { top: false } : {}), ...given };
  if (arch === undefined && stored) return makeNetwork(stored, given);
  if (arch === undefined) {
    const { plan } = inferNetwork(shapes, { source: name });
    return makeNetwork(plan, options);
  }
  if (typeof arch !== 'string' || arch.trimStart().startsWith('{')) return makeNetwork(arch, options);
  // A known name says which column it is; classes, batch norm and input size are the file's.
  const { plan } = inferNetwork(shapes, { name: arch, source: name });
  return makeNetwork(plan, options);
}

/** The weights know their preprocessing: by what the file says, by its published set, or by the program whose names it uses. */
function preprocessingOf(
  file: WeightFile,
  mapping: Mapping,
  set: PublishedSet | undefined,
  given: Preprocessing | PreprocessingName | undefined,
): Preprocessing {
  const stored = file.metadata.get(METADATA.preprocessing);
  if (given !== undefined) return parsePreprocessing(given);
  if (stored !== undefined) return parsePreprocessing(stored);
  if (set) return parsePreprocessing(set.preprocessing);
  return mapping.naming === 'torch' ? PREPROCESSINGS.torchvision : PREPROCESSINGS.keras;
}
