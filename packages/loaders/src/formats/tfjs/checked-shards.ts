import { shareWork, throwIfAborted, turn, VggError } from '@vgg/errors';
import { type Json, member } from '../../json.js';
import { shown } from '../../refusals.js';
import type { RangeOptions, ReadOptions, RunningHash, Source } from '../../source.js';
import { checkRange } from '../../sources/checks.js';
import { readInto } from '../../sources/read-into.js';

/** The member of a group that has the sha256 of each of its paths. It is of our own making: tfjs itself passes over it. */
export const SHA256_MEMBER = 'sha256';
/** Most bytes of a shard that are in memory to be checked. Shards are of 4 MiB as a rule; one of 550 MB would not fit into a telephone. */
const BLOCK = 64 * 2 ** 20;
/** Blocks kept: that in which one tensor ends and the next begins, and one for who reads a normalisation before its convolution. */
const KEPT = 2;
/** Bytes asked for and hashed at a time, so that a page stays alive and an abort comes through. */
const STEP = 2 ** 24;

/** What a group says of its shards' bytes. @throws VggError `VGG_INTEGRITY` unless it is one sha256 for each of them */
export function shardHashes(group: Json, paths: readonly string[], who: string): string[] | undefined {
  const list = member(group, SHA256_MEMBER);
  if (list === undefined) return undefined;
  const isHash = (item: Json) => typeof item === 'string' && /^[0-9a-f]{64}$/i.test(item);
  if (Array.isArray(list) && list.length === paths.length && list.every(isHash))
    return (list as string[]).map((hash) => hash.toLowerCase());
  throw new VggError(
    'VGG_INTEGRITY',
    `${who}: expected the "${SHA256_MEMBER}" of a group to be a list of 64 hexadecimal digits for each of its ${paths.length} paths, received another value`,
  );
}

export interface CheckOptions {
  readonly sha256: () => RunningHash;
  /** For messages: the file that names the shards. */
  readonly who: string;
  /** Bytes of a block; for tests. */
  readonly block?: number;
}

/**
 * Makes a shard one of which no byte is served before all of them were found to have the sha256 `expected`. What is wrong is asked for once
 * more, then refused (`VGG_INTEGRITY`). Of all the shards together two are in memory at a time; one that is read whole is
 * checked where it goes. The shard itself is left for the caller to close.
 */
export function checkedShards({ sha256, who, block: blockSize = BLOCK }: CheckOptions): (shard: Source, expected: string) => Source {
  const kept = new Map<string, Promise<Uint8Array>>();
  let shards = 0;

  return (shard, expected) => {
    const { size } = shard;
    const id = shards++;
    const label = `${who}: expected shard ${shown(shard.name)}`;
    const passes = new Map<'hashes', Promise<readonly string[]>>();

    /** The hash of each block: of one that is all of the shard, what is expected; else as found where that of the whole was right. */
    async function hashesOf(options: ReadOptions): Promise<readonly string[]> {
      if (size <= blockSize) return [expected];
      return shareWork(passes, 'hashes', () => firstPass(options), { signal: options.signal, who });
    }

    function firstPass(options: ReadOptions): Promise<readonly string[]> {
      const memory = new Uint8Array(blockSize);
      return twice(label, expected, async (fresh) => {
        const whole = sha256();
        const hashes: string[] = [];
        for (let start = 0; start < size; start += blockSize) {
          const hash = sha256();
          await fill(shard, memory.subarray(0, size - start), start, [whole, hash], { ...options, fresh });
          hashes.push(hash.digest());
        }
        return { found: whole.digest(), value: hashes };
      });
    }

    async function fillChecked(target: Uint8Array, index: number, options: ReadOptions): Promise<Uint8Array> {
      const wanted = (await hashesOf(options))[index]!;
      return twice(label, wanted, async (fresh) => {
        const hash = sha256();
        await fill(shard, target, index * blockSize, [hash], { ...options, fresh });
        return { found: hash.digest(), value: target };
      });
    }

    function keep(index: number, length: number, options: ReadOptions): Promise<Uint8Array> {
      const key = `${id} ${index}`;
      const known = kept.get(key);
      if (known) {
        kept.delete(key); // to its end: the Map's order is the order of use
        kept.set(key, known);
      }
      // Room is made before, not after: a new one is never a third in memory.
      while (!known && kept.size >= KEPT) kept.delete(kept.keys().next().value!);
      return shareWork(kept, key, () => fillChecked(new Uint8Array(length), index, options), { signal: options.signal, who });
    }

    async function serve(target: Uint8Array, offset: number, options: ReadOptions = {}): Promise<void> {
      throwIfAborted(options.signal, shard.name);
      checkRange(shard.name, size, offset, target.length);
      const end = offset + target.length;
      for (let at = offset; at < end; ) {
        const index = Math.floor(at / blockSize);
        const start = index * blockSize;
        const length = Math.min(blockSize, size - start);
        const stop = Math.min(end, start + length);
        const part = target.subarray(at - offset, stop - offset);
        if (part.length === length && !kept.has(`${id} ${index}`)) await fillChecked(part, index, options);
        else part.set((await keep(index, length, options)).subarray(at - start, stop - start));
        at = stop;
      }
    }

    return {
      name: shard.name,
      size,
      ...(shard.remote && { remote: true }),
      async read(offset, length, options) {
        checkRange(shard.name, size, offset, length);
        const out = new Uint8Array(length);
        await serve(out, offset, options);
        return out;
      },
      readInto: serve,
    };
  };
}

/** The value of what is read, if its hash is found to be right the first time or, asked for afresh, the second. */
async function twice<T>(label: string, wanted: string, work: (fresh: boolean) => Promise<{ found: string; value: T }>): Promise<T> {
  const first = await work(false);
  if (first.found === wanted) return first.value;
  const { found, value } = await work(true);
  if (found === wanted) return value;
  throw new VggError('VGG_INTEGRITY', `${label} with sha256 ${wanted}, received ${found}; its bytes are corrupt, fetch it again`);
}

/** The bytes from `start` on into all of `target`, added to the hashes as they come. */
async function fill(
  shard: Source,
  target: Uint8Array,
  start: number,
  hashes: readonly RunningHash[],
  options: RangeOptions,
): Promise<void> {
  for (let at = 0; at < target.length; at += STEP) {
    const part = target.subarray(at, at + STEP);
    await readInto(shard, part, start + at, options);
    for (const hash of hashes) hash.update(part);
    await turn();
    throwIfAborted(options.signal, shard.name);
  }
}
