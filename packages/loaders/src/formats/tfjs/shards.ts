import { VggError } from '@vgg/errors';
import type { ReadOptions, Source } from '../../source.js';
import { readInto } from '../../sources/read-into.js';

/** What the tfjs converter cuts groups into; the last shard of a group is the rest. */
const USUAL_SHARD = 4 * 2 ** 20;

export interface Shard {
  path: string;
  /** Undefined where the file is not there. */
  source: Source | undefined;
}

/** A shard and its place in the group's bytes. */
interface Part extends Shard {
  readonly start: number;
  readonly end: number;
}

/** A group's bytes: its shards end to end. */
export interface Group {
  readonly parts: readonly Part[];
}

/**
 * Places a group's shards in its `total` bytes. With all of them there any sizes will do that add up. With some missing the others'
 * places follow only if all but the last are of one size, as every known writer makes them; that is checked, never assumed.
 *
 * @throws VggError `VGG_INTEGRITY`, naming the shard of a wrong length
 */
export function layOutShards(shards: readonly Shard[], total: number, who: string): Group {
  const sum = shards.reduce((bytes, { source }) => bytes + (source?.size ?? 0), 0);
  const complete = shards.every(({ source }) => source !== undefined);
  if (complete && sum === total)
    return groupOf(
      shards,
      shards.map(({ source }) => source!.size),
    );
  const size = commonSize(shards, total);
  const last = shards.length - 1;
  const sizes = shards.map((_, i) => (i < last ? size : total - last * size));
  if (shards.length > 0 && sizes[last]! < 0) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected shards of ${total} bytes in all, received ${last} of ${size}; fetch them again`);
  }
  for (const [i, { path, source }] of shards.entries()) {
    if (source && source.size !== sizes[i]) {
      throw new VggError(
        'VGG_INTEGRITY',
        `${who}: expected shard "${path}" to be of ${sizes[i]} bytes, received ${source.size}; fetch it again`,
      );
    }
  }
  if (shards.length === 0 && total > 0) {
    throw new VggError('VGG_INTEGRITY', `${who}: expected shards for ${total} bytes of weights, received a group that lists none`);
  }
  return groupOf(shards, sizes);
}

/** The size of every shard but the last: the converter's own if the count fits it, else what the shards themselves say. */
function commonSize(shards: readonly Shard[], total: number): number {
  const count = shards.length;
  if (count <= 1) return total;
  const votes = new Map<number, number>();
  for (const { source } of shards.slice(0, -1)) if (source) votes.set(source.size, (votes.get(source.size) ?? 0) + 1);
  const usual = Math.ceil(total / USUAL_SHARD) === count ? USUAL_SHARD : undefined;
  if (usual !== undefined && (votes.size === 0 || votes.has(usual))) return usual;
  const [winner] = [...votes].sort((a, b) => b[1] - a[1])[0] ?? [];
  if (winner !== undefined) return winner;
  return usual ?? Math.floor((total - (shards.at(-1)!.source?.size ?? 0)) / (count - 1));
}

function groupOf(shards: readonly Shard[], sizes: readonly number[]): Group {
  const parts: Part[] = [];
  let at = 0;
  for (const [i, shard] of shards.entries()) {
    parts.push({ ...shard, start: at, end: at + sizes[i]! });
    at += sizes[i]!;
  }
  return { parts };
}

/** The parts that the bytes from `start` to `end` lie in, found by halves: there may be thousands, and as many tensors. */
function* partsOf({ parts }: Group, start: number, end: number): Generator<Part> {
  let low = 0;
  for (let high = parts.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (parts[middle]!.end > start) high = middle;
    else low = middle + 1;
  }
  for (let i = low; i < parts.length && parts[i]!.start < end; i++) if (parts[i]!.end > parts[i]!.start) yield parts[i]!;
}

/** The shards that the bytes from `start` to `end` need and that are not there. */
export function missingShards(group: Group, start: number, end: number): string[] {
  return [...partsOf(group, start, end)].filter(({ source }) => source === undefined).map(({ path }) => path);
}

/** The group's bytes from `start` to `end`, from however many shards they lie in, all of which are there. */
export async function readSpan(group: Group, start: number, end: number, options: ReadOptions): Promise<Uint8Array> {
  const [first, second] = partsOf(group, start, end);
  if (first && !second) return first.source!.read(start - first.start, end - start, options);
  const out = new Uint8Array(end - start);
  await readSpanInto(group, out, start, options);
  return out;
}

/** The same from `start` on into memory that is there already, all of `target`. */
export async function readSpanInto(group: Group, target: Uint8Array, start: number, options: ReadOptions): Promise<void> {
  const end = start + target.length;
  for (const part of partsOf(group, start, end)) {
    const from = Math.max(start, part.start);
    await readInto(part.source!, target.subarray(from - start, Math.min(end, part.end) - start), from - part.start, options);
  }
}
