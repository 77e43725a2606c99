import { isVggError, VggError } from '@vgg/errors';
import { canonicalise, type Mapping, openWeights, type Source, type WeightFile } from '@vgg/loaders';
import { io } from '#io';
import type { SourceInput } from '../io/io.js';
import type { NetworkOptions } from '../network/architecture.js';
import type { Network, PlanInput } from '../network/plan.js';
import type { Preprocessing, PreprocessingName } from '../pictures/preprocessing.js';
import { suggest } from '../text/suggest.js';
import { type FoldOptions, foldWeights } from './fold.js';
import { networkOf, readArch } from './match-network.js';
import { METADATA } from './metadata.js';
import { type FetchOptions, findPublished, openPublished, type PublishedSet, publishedDefault, publishedNames } from './published.js';
import { preprocessingOf } from './source-preprocessing.js';
import { weightSpecs } from './specs.js';

export { METADATA } from './metadata.js';

/** What to open and how: the part that {@link load}, {@link convert} and {@link inspect} share. */
export interface OpenWeightsOptions extends FetchOptions {
  /**
   * A path, URL, File, Blob, FileList, bytes, or a published set's name. Default: the published set of the architecture; without an
   * architecture too `compact`, which is inside the package.
   */
  weights?: SourceInput;
  /** What the network has otherwise than its architecture says: `classes`, `pool`, `rounding`, `top`, `convolutionalTop` ... */
  network?: NetworkOptions;
  /** How pictures are prepared, instead of what the weights say. */
  preprocessing?: Preprocessing | PreprocessingName;
  /** Batch normalisation or preprocessing taken into the convolutions' weights: see {@link FoldOptions}. */
  fold?: FoldOptions;
  /** Taps that are wanted: of a published set over the network only what they need is fetched, where the file allows it. */
  layers?: string | readonly string[];
  /** Check each tensor that is read against the hash that the file carries of it, which over a network is done anyway. */
  checkHashes?: boolean;
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

/** A weight file whose network is not known, and why. */
interface UnmatchedWeights extends Pick<OpenedWeights, 'file' | 'name' | 'set' | 'licence' | 'source'> {
  readonly network: undefined;
  readonly problem: VggError;
}

/**
 * Opens a weight file, finds its network (by `arch`, by what the file says, or by its shapes) and matches their names.
 * @throws VggError `VGG_NOT_FOUND`, `VGG_FORMAT`, `VGG_ARCHITECTURE`, `VGG_SHAPE`, `VGG_NETWORK`, `VGG_INTEGRITY`, and
 *   `VGG_WEIGHTS_MISSING` for a file that tells of a network and holds none of its weights, as a prototxt does
 */
export async function openNetworkWeights(
  arch: string | PlanInput | undefined,
  options: OpenWeightsOptions,
  wantsTop: boolean,
): Promise<OpenedWeights> {
  const opened = await openAnyWeights(arch, options, wantsTop);
  if (opened.network && opened.file.tensors.size > 0) return opened;
  await opened.file.close();
  if (!opened.network) throw opened.problem;
  throw new VggError(
    'VGG_WEIGHTS_MISSING',
    `${opened.name}: tells of the layers of ${opened.network.name} and holds no weights; pass the file with the weights, such as the .caffemodel that goes with it`,
  );
}

/** The same, but a file of another network is opened all the same. */
export async function openAnyWeights(
  given: string | PlanInput | undefined,
  options: OpenWeightsOptions,
  wantsTop: boolean,
): Promise<OpenedWeights | UnmatchedWeights> {
  const arch = await readArch(given, options);
  const { source, set } = await findSource(arch, options, wantsTop);
  const isChecked = source.remote || options.checkHashes;
  const file = await openWeights(source, { signal: options.signal, ...(isChecked && { sha256: () => io.hash('sha256') }) });
  const own = {
    file,
    name: set?.id ?? source.name,
    set,
    licence: file.metadata.get(METADATA.licence) ?? set?.licence,
    source: file.metadata.get(METADATA.source) ?? set?.source,
  };
  try {
    const network = networkOf(file, { arch: arch ?? set?.architecture, set, options: options.network ?? {}, name: source.name });
    const mapping = canonicalise(file, weightSpecs(network));
    const preprocessing = preprocessingOf({ file, network, naming: mapping.naming, set, given: options.preprocessing });
    return foldWeights({ ...own, network, mapping, preprocessing }, options.fold);
  } catch (error) {
    if (OTHER_NETWORK.some((code) => isVggError(error, code))) return { ...own, network: undefined, problem: error as VggError };
    await file.close();
    throw error;
  }
}

const OTHER_NETWORK = ['VGG_ARCHITECTURE', 'VGG_FORMAT', 'VGG_SHAPE'] as const;

async function findSource(
  arch: string | PlanInput | undefined,
  options: OpenWeightsOptions,
  wantsTop: boolean,
): Promise<{ source: Source; set?: PublishedSet }> {
  const { weights } = options;
  const wanted = { top: wantsTop, platform: io.platform };
  const taps = [options.layers ?? []].flat();
  const partial = taps.length > 0 && !taps.some(isDenseTap);
  const published = async (set: PublishedSet) => ({ set, source: await openPublished(set, { ...options, partial }) });
  // With nothing named at all: what is inside the package.
  const set =
    weights === undefined ? publishedDefault(arch ?? 'compact', wanted) : typeof weights === 'string' ? findPublished(weights) : undefined;
  if (set) return published(set);
  if (weights === undefined)
    throw new VggError('VGG_WEIGHTS_MISSING', 'load: nothing is published for this network; pass weights (a path, URL, File or bytes)');
  // An architecture's name alone stands for its set, unless a file is called so; in a page every address may answer.
  const named = typeof weights === 'string' ? publishedDefault(weights, wanted) : undefined;
  if (named && io.platform === 'web') return published(named);
  try {
    return { source: await io.openSource(weights, options) };
  } catch (error) {
    if (!isVggError(error, 'VGG_NOT_FOUND')) throw error;
    if (named) return published(named);
    throw typeof weights === 'string' ? orMistyped(weights, error) : error;
  }
}

/** What may be the name of a published set with a slip in it is said to be that. */
export function orMistyped(weights: string, error: VggError): VggError {
  const meant = suggest(weights, publishedNames());
  if (meant === undefined || /[\\/]/.test(weights)) return error;
  const message = `${weights}: expected a file or a published set, received the name of neither; did you mean "${meant}"?`;
  return new VggError('VGG_NOT_FOUND', message, { cause: error });
}

/** Whether a tap lies in the dense layers, which the small published files leave out. */
export function isDenseTap(layer: string): boolean {
  return /^((fc|relu|drop)[678]|fc[12]|prob|predictions|logits|classifier\.|pre_logits|head\.)/i.test(layer);
}
