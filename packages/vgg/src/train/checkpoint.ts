import { messageOf, VggError } from '@vgg/errors';
import { findWriter, type NamedValues, type OutputFile, openWeights, safetensors, type TensorInfo, type WeightFile } from '@vgg/loaders';
import { io } from '#io';
import type { SourceInput, WriteOptions, WriteTarget } from '../io/io.js';
import type { Network } from '../network/plan.js';
import { METADATA } from '../weights/metadata.js';
import { parsePlan, parseRun, type RunState } from './checkpoint-run.js';

/** A run as it stands, to be written. */
export interface CheckpointState {
  readonly network: Network;
  readonly run: RunState;
  /** Parameters and the statistics of batch normalisation, by canonical names. Asked for one after the other, as they are written. */
  readonly weights: readonly NamedValues[];
  /** What the optimiser keeps, by its own names. */
  readonly optimizer: readonly NamedValues[];
  /** More that the weights say of themselves (classes, preprocessing ...), by the keys of {@link METADATA}. */
  readonly about?: Readonly<Record<string, string>>;
}

/** A checkpoint that was read; its tensors stay in the file until they are asked for. */
export interface Checkpoint {
  /** The file's name. */
  readonly name: string;
  readonly network: Network;
  readonly run: RunState;
  readonly about: ReadonlyMap<string, string>;
  /** Shapes by canonical name. */
  readonly weights: ReadonlyMap<string, readonly number[]>;
  /** Shapes of what the optimiser keeps, by its own names; none where the checkpoint was written for its weights alone. */
  readonly optimizer: ReadonlyMap<string, readonly number[]>;
  /** @throws VggError `VGG_INTEGRITY` when the values are not those that were written */
  readWeight(name: string): Promise<Float32Array>;
  readOptimizer(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}

export interface ReadCheckpointOptions {
  /** Read every tensor and compare its digest, so that a damaged file is known before anything is done with it. Default: true. */
  readonly verify?: boolean;
  readonly signal?: AbortSignal;
}

/** Raised when a reader of this version could no longer read the file. */
const FORMAT_VERSION = '1';
const KEYS = { version: 'vgg.checkpoint', run: 'vgg.checkpoint.run', digest: 'vgg.checkpoint.digest' } as const;
/** Names that programs which look for weights know to be none. */
const OPTIMIZER = 'optimizer.';

/**
 * A checkpoint as a safetensors file: the weights by canonical names, so that it can be opened as weights too, the optimiser's tensors under
 * `optimizer.`, all float32; as metadata the plan, the run as JSON, the sha256 of each tensor, and one of all the rest.
 */
export function checkpointFile(name: string, state: CheckpointState, signal?: AbortSignal): OutputFile {
  const { network, run, weights, optimizer, about = {} } = state;
  const stray = weights.find((tensor) => tensor.name.startsWith(OPTIMIZER));
  if (stray) throw new VggError('VGG_OPTION', `checkpoint: expected weights by canonical names, received "${stray.name}"`);
  const tensors = [...weights, ...optimizer.map((tensor) => ({ ...tensor, name: `${OPTIMIZER}${tensor.name}` }))];
  const metadata = new Map(Object.entries(about))
    .set(METADATA.plan, JSON.stringify(network.plan))
    .set(KEYS.version, FORMAT_VERSION)
    .set(KEYS.run, JSON.stringify(run));
  metadata.set(KEYS.digest, digestOf(metadata, tensors));
  const [file] = findWriter('safetensors')!.write({
    name,
    tensors: tensors.map((tensor) => ({
      ...tensor,
      stream: async function* () {
        yield await tensor.values();
      },
    })),
    metadata,
    sha256: () => io.hash('sha256'),
    ...(signal && { signal }),
  });
  return file!;
}

/**
 * Writes a checkpoint, whole or not at all: in Node to a temporary name that is renamed, in a page to a file's handle or as a download.
 *
 * @throws VggError `VGG_OUTPUT`, `VGG_ABORTED`
 */
export async function writeCheckpoint(target: WriteTarget, state: CheckpointState, options: WriteOptions = {}): Promise<void> {
  await io.writeFile(target, checkpointFile('checkpoint', state, options.signal).chunks(), options);
}

/**
 * Reads a checkpoint, but for its tensors, which are only checked.
 *
 * @throws VggError `VGG_FORMAT` for another kind of file or one of a newer version, `VGG_INTEGRITY` for a cut or damaged one, `VGG_ABORTED`, and
 *   as opening a source does
 * @example
 * const { run } = await readCheckpoint('runs/pets/epoch-0007.safetensors');
 * run.epoch; // 7
 */
export async function readCheckpoint(source: SourceInput, options: ReadCheckpointOptions = {}): Promise<Checkpoint> {
  const { verify = true, signal } = options;
  const opened = await io.openSource(source, options);
  const file = await openWeights(opened, { ...(signal && { signal }), formats: [safetensors], sha256: () => io.hash('sha256') });
  try {
    const checkpoint = checkpointOf(file, opened.name, signal);
    if (verify) for (const name of file.tensors.keys()) for await (const _ of file.stream(name, { ...(signal && { signal }) }));
    return checkpoint;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function checkpointOf(file: WeightFile, who: string, signal: AbortSignal | undefined): Checkpoint {
  const { metadata } = file;
  const version = metadata.get(KEYS.version);
  if (version === undefined) {
    throw new VggError('VGG_FORMAT', `${who}: expected a checkpoint, received safetensors without "${KEYS.version}"; are these weights?`);
  }
  if (version !== FORMAT_VERSION) {
    throw new VggError(
      'VGG_FORMAT',
      `${who}: expected a checkpoint of format ${FORMAT_VERSION}, received "${version}"; a newer vgg wrote it`,
    );
  }
  const tensors = [...file.tensors.values()];
  checkDigests(metadata, tensors, who);
  const shapes = (ours: (name: string) => boolean, cut: number) =>
    new Map(tensors.filter(({ name }) => ours(name)).map(({ name, shape }) => [name.slice(cut), shape] as const));
  const isKept = (name: string) => name.startsWith(OPTIMIZER);
  const own: string[] = [METADATA.plan, METADATA.sha256, ...Object.values(KEYS)];
  const options = signal ? { signal } : {};
  return {
    name: who,
    network: parsePlan(metadata.get(METADATA.plan) ?? 'nothing', who),
    run: parseRun(metadata.get(KEYS.run) ?? 'nothing', who),
    about: new Map([...metadata].filter(([key]) => !own.includes(key))),
    weights: shapes((name) => !isKept(name), 0),
    optimizer: shapes(isKept, OPTIMIZER.length),
    readWeight: (name) => file.read(name, options),
    readOptimizer: (name) => file.read(`${OPTIMIZER}${name}`, options),
    close: () => file.close(),
  };
}

/** What no tensor's own digest covers: a file with a single other bit is another file. */
function checkDigests(metadata: ReadonlyMap<string, string>, tensors: readonly TensorInfo[], who: string): void {
  const other = tensors.find(({ dtype }) => dtype !== 'float32');
  const found = digestOf(metadata, tensors);
  const expected = metadata.get(KEYS.digest);
  if (found !== expected || other) {
    const received = other ? `${other.dtype} for "${other.name.slice(0, 60)}"` : `${found}`;
    throw new VggError(
      'VGG_INTEGRITY',
      `${who}: expected float32 tensors and a header with sha256 ${expected}, received ${received}; the file is damaged`,
    );
  }
  let hashes: unknown;
  try {
    hashes = JSON.parse(metadata.get(METADATA.sha256) ?? '{}');
  } catch (error) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected the sha256 of each tensor, received no JSON (${messageOf(error)})`, {
      cause: error,
    });
  }
  const bare = tensors.find(({ name }) => !/^[0-9a-f]{64}$/.test(String((hashes as Record<string, unknown>)[name])));
  if (bare)
    throw new VggError(
      'VGG_INTEGRITY',
      `${who}: expected a sha256 of tensor "${bare.name.slice(0, 60)}", received none; the file is damaged`,
    );
}

/** The sha256 of the metadata, but for the digests themselves, and of all names and shapes. */
function digestOf(metadata: ReadonlyMap<string, string>, tensors: readonly { name: string; shape: readonly number[] }[]): string {
  const hash = io.hash('sha256');
  const texts = [...metadata].filter(([key]) => key !== KEYS.digest && key !== METADATA.sha256).sort(([a], [b]) => (a < b ? -1 : 1));
  const table = tensors.map(({ name, shape }) => [name, ...shape]);
  hash.update(new TextEncoder().encode(JSON.stringify([texts, table])));
  return hash.digest();
}
