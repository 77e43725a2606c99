import { isVggError, throwIfAborted } from '@vgg/errors';
import { readCanonical, type Source } from '@vgg/loaders';
import { io } from '#io';
import type { Hash } from '../io/io.js';
import type { PlanInput } from '../network/plan.js';
import { METADATA, type OpenedWeights, openNetworkWeights, orMistyped } from '../weights/open-weights.js';
import { fetchPublished, findPublished, PUBLISHED_SETS, type PublishedSet, publishedDefault } from '../weights/published.js';
import { WeightStore } from '../weights/store.js';
import type { Context } from './command.js';

/** Read at once while hashing. */
const PIECE = 4 << 20;

/** What is wrong with one tensor. */
interface Fault {
  readonly tensor: string;
  readonly message: string;
}

export interface Check {
  readonly bytes: number;
  /** In hexadecimal, by algorithm. */
  readonly hashes: Readonly<Record<string, string>>;
  /** The published set whose name was given, or whose size the file has. */
  readonly published: PublishedSet | undefined;
  /** Null where no hash is known to compare with. */
  readonly hashMatches: boolean | null;
  readonly tensors: TensorCheck;
}

interface TensorCheck {
  readonly format: string;
  readonly architecture: string;
  readonly top: boolean;
  /** Tensors that are there, every value a finite number. */
  readonly present: number;
  /** How many tensors carry a hash of their bytes, which are checked. */
  readonly hashed: number;
  /** Tensors that the file names and does not hold, whose bytes have another hash, or whose values are not numbers. */
  readonly faults: readonly Fault[];
  /** Canonical tensors that the network needs and the file does not have. */
  readonly missing: readonly string[];
  /** The deepest layer that the weights reach. */
  readonly reaches: string | undefined;
}

/** Hashes a weight file and reads every tensor in it. @throws VggError as opening and reading do: `VGG_INTEGRITY` for a truncated file */
export async function checkFile(what: string, arch: string | PlanInput | undefined, offline: boolean, context: Context): Promise<Check> {
  const { set, source } = await find(what, offline, context);
  try {
    const published = set ?? PUBLISHED_SETS.find((each) => each.bytes === source.size);
    const known = published?.hash;
    const hashes = await hashesOf(source, [...new Set(['sha256', known?.algorithm ?? 'sha256'] as const)], context);
    // Some publishers give only the first digits of a hash.
    const hashMatches = known ? hashes[known.algorithm].startsWith(known.value) : null;
    return { bytes: source.size, hashes, published, hashMatches, tensors: await tensorsOf(what, arch, offline, context) };
  } finally {
    await source.close?.();
  }
}

/** A file, or a published set as a whole; an architecture's name alone stands for its set, unless a file is called so. */
async function find(
  what: string,
  offline: boolean,
  { signal, onProgress, warn }: Context,
): Promise<{ source: Source; set: PublishedSet | undefined }> {
  const fetching = { offline: offline || undefined, signal, onProgress, onWarning: warn };
  const set = findPublished(what);
  if (set) return { set, source: await fetchPublished(set, fetching) };
  try {
    return { set, source: await io.openSource(what, { signal }) };
  } catch (error) {
    if (!isVggError(error, 'VGG_NOT_FOUND')) throw error;
    const named = publishedDefault(what, { platform: 'node', top: true });
    if (!named) throw orMistyped(what, error);
    return { set: named, source: await fetchPublished(named, fetching) };
  }
}

async function tensorsOf(
  what: string,
  arch: string | PlanInput | undefined,
  offline: boolean,
  { signal, onProgress }: Context,
): Promise<TensorCheck> {
  const opened = await openNetworkWeights(
    arch,
    { weights: what, checkHashes: true, offline: offline || undefined, signal, onProgress },
    true,
  );
  const { file, mapping, network } = opened;
  try {
    const faults: Fault[] = [];
    let present = 0;
    for (const { name, present: there, absence } of mapping.tensors.values()) {
      const fault = there ? await oddValue(opened, name, signal) : (absence ?? 'its bytes are not there');
      if (fault === undefined) present++;
      else faults.push({ tensor: name, message: fault });
    }
    return {
      format: file.format,
      architecture: network.name,
      top: network.top,
      present,
      hashed: file.format === 'safetensors' ? hashedTensors(file.metadata.get(METADATA.sha256)) : 0,
      faults,
      missing: mapping.missing,
      reaches: new WeightStore(file, mapping).deepest(network.layers),
    };
  } finally {
    await file.close();
  }
}

function hashedTensors(json: string | undefined): number {
  return json === undefined ? 0 : Object.keys(JSON.parse(json) as object).length;
}

async function oddValue({ file, mapping }: OpenedWeights, name: string, signal: AbortSignal): Promise<string | undefined> {
  let values: Float32Array;
  try {
    values = await readCanonical(file, mapping, name, { signal });
  } catch (error) {
    if (isVggError(error, 'VGG_INTEGRITY')) return error.message;
    throw error;
  }
  const odd = values.findIndex((value) => !Number.isFinite(value));
  return odd < 0 ? undefined : `value ${odd} is ${values[odd]}`;
}

async function hashesOf(
  source: Source,
  algorithms: readonly ('md5' | 'sha256' | 'sha384')[],
  { signal, onProgress }: Context,
): Promise<Record<string, string>> {
  const hashes = algorithms.map((algorithm): [string, Hash] => [algorithm, io.hash(algorithm)]);
  for (let at = 0; at < source.size; at += PIECE) {
    throwIfAborted(signal, 'verify');
    const piece = await source.read(at, Math.min(PIECE, source.size - at));
    for (const [, hash] of hashes) hash.update(piece);
    onProgress({ stage: 'verify', loaded: Math.min(source.size, at + PIECE), total: source.size });
  }
  return Object.fromEntries(hashes.map(([algorithm, hash]) => [algorithm, hash.digest()]));
}
