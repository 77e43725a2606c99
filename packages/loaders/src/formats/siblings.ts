import { throwIfAborted } from '@vgg/errors';
import { pastLimit } from '../refusals.js';
import type { ReadOptions, Source } from '../source.js';

/** Files beside the one that names them: shards, data of checkpoints and of ONNX models. */
export type Siblings = ReadonlyMap<string, Source | undefined>;

/** Most files that one names: VGG-16 in tfjs's shards of 1 MiB has 530. */
export const MAX_SIBLINGS = 8192;
/** Files asked for at the same time. */
export const CONCURRENCY = 8;

/**
 * The files of these names, undefined those that are not there. Their names were checked to be plain.
 * @throws what asking for one throws, with those that were opened closed again; VggError `VGG_INTEGRITY` if they are too many
 */
export async function openSiblings(source: Source, names: Iterable<string>, options: ReadOptions, most = MAX_SIBLINGS): Promise<Siblings> {
  const queue = [...new Set(names)];
  if (queue.length > most) throw pastLimit(source.name, `at most ${most} files beside it`, queue.length);
  const found = new Map<string, Source | undefined>();
  const work = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      try {
        throwIfAborted(options.signal, source.name);
        found.set(name, await source.sibling?.(name, options));
      } catch (error) {
        queue.length = 0; // the others need not go on asking
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: CONCURRENCY }, work));
  const failed = results.find((result) => result.status === 'rejected');
  if (!failed) return found;
  await closeAll(found.values());
  throw failed.reason;
}

/** Closes those that are there. */
export async function closeAll(sources: Iterable<Source | undefined>): Promise<void> {
  await Promise.all([...sources].map((source) => source?.close?.()));
}
