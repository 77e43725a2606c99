import { isVggError, messageOf, type VggError } from '@vgg/errors';
import { io } from '#io';
import type { FileFolder, WriteTarget } from '../io/io.js';
import { type Checkpoint, type CheckpointState, checkpointFile, readCheckpoint } from './checkpoint.js';
import { checkNumber } from './options.js';

export interface CheckpointFolderOptions {
  /** How many checkpoints of epochs are kept, beside the best. Default: 2. */
  readonly keep?: number;
  /** Receives a sentence for a damaged checkpoint that is passed over. Default: `console.warn`. */
  readonly onWarning?: (message: string) => void;
}

const BEST = 'best.safetensors';
const EPOCH = /^epoch-(\d{4,9})(?:-step-(\d{6,12}))?\.safetensors$/;
/** What a process that was killed leaves of a file, see io/node/write.ts. */
const LEFT = /^\.(?:best|epoch-[\d-]+(?:step-\d+)?)\.safetensors\.[0-9a-f-]{36}\.part$/;

interface Place {
  readonly name: string;
  readonly epoch: number;
  readonly step: number;
}

/**
 * The checkpoints of one run: `epoch-0007.safetensors` after seven epochs, `epoch-0007-step-000120.safetensors` within the eighth, and
 * `best.safetensors`, without what the optimiser keeps. Each appears whole or not at all; a run that is killed at any moment finds the last
 * one that was whole.
 */
export class CheckpointFolder {
  readonly #keep: number;
  readonly #warn: (message: string) => void;

  private constructor(
    private readonly folder: FileFolder,
    { keep = 2, onWarning = (message) => console.warn(message) }: CheckpointFolderOptions,
  ) {
    checkNumber('checkpoints', 'keep', keep, { least: 1, whole: true });
    this.#keep = keep;
    this.#warn = onWarning;
  }

  /**
   * @param target in Node a path, which need not be there yet; in a page a folder's handle, or the name of one in the site's own storage
   * @throws VggError `VGG_OPTION`, `VGG_OUTPUT`
   */
  static async open(target: WriteTarget, options: CheckpointFolderOptions = {}): Promise<CheckpointFolder> {
    return new CheckpointFolder(await io.openFolder(target), options);
  }

  /** For people. */
  get where(): string {
    return this.folder.where;
  }

  /** The checkpoints of epochs by their names, the oldest first. */
  async list(): Promise<string[]> {
    return (await this.#places()).map(({ name }) => name);
  }

  /**
   * Writes a checkpoint, and removes those that are not to be kept.
   *
   * @param isBest whether it is the best so far too
   * @throws VggError `VGG_OUTPUT`, `VGG_ABORTED`; what was there stays then
   */
  async save(state: CheckpointState, { isBest = false, signal }: { isBest?: boolean; signal?: AbortSignal } = {}): Promise<void> {
    const written = placeOf(state);
    // The best first: a run that is killed in between repeats the epoch, and writes the same.
    if (isBest) await this.#write(BEST, { ...state, optimizer: [] }, signal);
    await this.#write(written.name, state, signal);
    // Later ones are of another run, or damaged: they are not ours to remove.
    const until = (await this.#places()).filter((place) => compare(place, written) <= 0);
    for (const { name } of until.slice(0, -this.#keep)) await this.folder.remove(name);
    for (const name of await this.folder.list()) if (LEFT.test(name)) await this.folder.remove(name);
  }

  /** The newest checkpoint that is whole; damaged ones are passed over with a warning. Undefined where there is none. */
  async newest(options: { signal?: AbortSignal } = {}): Promise<Checkpoint | undefined> {
    for (const { name } of (await this.#places()).reverse()) {
      const found = await this.#read(name, options);
      if (found) return found;
    }
    return undefined;
  }

  /** The best checkpoint, whose optimiser has nothing; undefined where there is none, or it is damaged, with a warning. */
  async best(options: { signal?: AbortSignal } = {}): Promise<Checkpoint | undefined> {
    return (await this.folder.list()).includes(BEST) ? this.#read(BEST, options) : undefined;
  }

  /**
   * Removes the run's checkpoints, so that another can begin in the folder; other files stay.
   * @throws VggError `VGG_OUTPUT`
   */
  async clear(): Promise<void> {
    for (const name of await this.folder.list()) if (name === BEST || EPOCH.test(name) || LEFT.test(name)) await this.folder.remove(name);
  }

  async #write(name: string, state: CheckpointState, signal: AbortSignal | undefined): Promise<void> {
    await this.folder.write(name, checkpointFile(name, state, signal).chunks(), signal ? { signal } : {});
  }

  async #read(name: string, options: { signal?: AbortSignal }): Promise<Checkpoint | undefined> {
    try {
      return await readCheckpoint(await this.folder.open(name), options);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#warn(`${this.where}: ${name} is passed over (${messageOf(error)})`);
      return undefined;
    }
  }

  async #places(): Promise<Place[]> {
    const places = (await this.folder.list()).flatMap((name) => {
      const [, epoch, step = '0'] = EPOCH.exec(name) ?? [];
      return epoch === undefined ? [] : [{ name, epoch: Number(epoch), step: Number(step) }];
    });
    return places.sort(compare);
  }
}

const isDamage = (error: unknown): error is VggError => isVggError(error, 'VGG_INTEGRITY') || isVggError(error, 'VGG_FORMAT');

const compare = (a: Omit<Place, 'name'>, b: Omit<Place, 'name'>) => a.epoch - b.epoch || a.step - b.step;

function placeOf({ run: { epoch, step } }: CheckpointState): Place {
  const within = step === 0 ? '' : `-step-${String(step).padStart(6, '0')}`;
  return { name: `epoch-${String(epoch).padStart(4, '0')}${within}.safetensors`, epoch, step };
}
