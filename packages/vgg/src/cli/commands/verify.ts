import { VggError } from '@vgg/errors';
import { readCanonical, type Source } from '@vgg/loaders';
import { io } from '#io';
import type { Hash } from '../../io/io.js';
import { type OpenedWeights, openNetworkWeights } from '../../open-weights.js';
import { tensorNames } from '../../weight-store.js';
import { findPublished, PUBLISHED_SETS, type PublishedSet } from '../../weights.js';
import { ARCH_HELP, archOf } from '../arch.js';
import { type Context, command } from '../command.js';
import { EXIT } from '../exit.js';
import { brief, bytes, facts, plural } from '../text.js';

/** Read at once while hashing. */
const PIECE = 4 << 20;

export const verify = command({
  name: 'verify',
  about:
    'checks that a weight file is whole and, where it is a published one, that its hash is right; with two files, finds the first layer at which they differ',
  args: 'A [B]',
  details:
    'A and B may be of different formats: their tensors are compared value by value in canonical names and layouts. Exit code 4 for a file that is not whole, 1 for two that differ.',
  least: 1,
  most: 2,
  flags: { arch: { type: 'string', value: 'ARCH', about: ARCH_HELP, defaultText: 'what the weights show' } },
  examples: [
    ['vgg verify vgg16.h5', 'is it whole, and the published file?'],
    ['vgg verify vgg16.h5 vgg16.safetensors', 'do both hold the same values?'],
  ],
  async run([a, b], { arch }, context) {
    const named = await archOf(arch);
    const first = await openNetworkWeights(named, { weights: a, signal: context.signal, onProgress: context.onProgress }, true);
    let second: OpenedWeights | undefined;
    try {
      if (b !== undefined) {
        second = await openNetworkWeights(named, { weights: b, signal: context.signal, onProgress: context.onProgress }, true);
        return compared(a, b, await firstDifference(first, second, context));
      }
      return checked(a, first, await check(a, first, context));
    } finally {
      await second?.file.close();
      await first.file.close();
    }
  },
});

/** Where two weight sets part. */
interface Difference {
  layer: string;
  tensor: string;
  reason: string;
  /** Largest absolute difference of the tensor's values, where both have them. */
  maxDifference?: number;
}

async function firstDifference(a: OpenedWeights, b: OpenedWeights, { signal, onProgress }: Context): Promise<Difference | null> {
  const layers = a.network.layers.length >= b.network.layers.length ? a.network.layers : b.network.layers;
  const names = layers.flatMap((layer) => tensorNames(layer).map((tensor) => ({ layer: layer.name, tensor })));
  for (const [i, { layer, tensor }] of names.entries()) {
    onProgress({ stage: 'compare', loaded: i, total: names.length, item: tensor });
    const [one, two] = [a, b].map(({ mapping }) => mapping.tensors.get(tensor));
    if (!one?.present && !two?.present) continue;
    if (!one?.present || !two?.present) return { layer, tensor, reason: `only ${one?.present ? a.name : b.name} holds it` };
    if (String(one.shape) !== String(two.shape)) return { layer, tensor, reason: `its shapes are [${one.shape}] and [${two.shape}]` };
    const left = await readCanonical(a.file, a.mapping, tensor, { signal });
    const right = await readCanonical(b.file, b.mapping, tensor, { signal });
    const at = left.findIndex((value, k) => !Object.is(value, right[k]) && value !== right[k]);
    if (at < 0) continue;
    const maxDifference = left.reduce((most, value, k) => Math.max(most, Math.abs(value - right[k])), 0);
    return { layer, tensor, reason: `value ${at} is ${brief(left[at], 9)} and ${brief(right[at], 9)}`, maxDifference };
  }
  return null;
}

function compared(a: string, b: string, difference: Difference | null) {
  return {
    json: { ok: difference === null, a, b, firstDifference: difference },
    text: () =>
      difference
        ? `${a} and ${b} differ from ${difference.layer} on: in ${difference.tensor} ${difference.reason}${difference.maxDifference === undefined ? '' : `; the largest difference is ${brief(difference.maxDifference)}`}`
        : `${a} and ${b} hold the same values`,
    exit: difference === null ? EXIT.done : EXIT.failure,
  };
}

interface Check {
  bytes: number;
  hashes: Record<string, string>;
  /** The published set whose size or name the file has. */
  published: PublishedSet | undefined;
  hashMatches: boolean | null;
  present: number;
  unreadable: { tensor: string; message: string }[];
}

async function check(what: string, { file, mapping }: OpenedWeights, context: Context): Promise<Check> {
  const { signal } = context;
  const source = await sourceOf(what, signal);
  try {
    const published = findPublished(what) ?? PUBLISHED_SETS.find((set) => set.bytes === source.size);
    const known = published?.hash;
    const hashes = await hashesOf(source, [...new Set(['sha256', known?.algorithm ?? 'sha256'] as const)], context);
    const unreadable: Check['unreadable'] = [];
    let present = 0;
    for (const { name, present: there } of mapping.tensors.values()) {
      if (!there) continue;
      const values = await readCanonical(file, mapping, name, { signal });
      const odd = values.findIndex((value) => !Number.isFinite(value));
      if (odd >= 0) unreadable.push({ tensor: name, message: `value ${odd} is ${values[odd]}` });
      else present++;
    }
    // Some publishers give only the first digits of a hash.
    const hashMatches = known ? hashes[known.algorithm].startsWith(known.value) : null;
    return { bytes: source.size, hashes, published, hashMatches, present, unreadable };
  } finally {
    await source.close?.();
  }
}

async function sourceOf(what: string, signal: AbortSignal): Promise<Source> {
  const set = findPublished(what);
  if (!set) return io.openSource(what, { signal });
  const cached = await io.cache.get(set.key);
  if (!cached) throw new VggError('VGG_NOT_FOUND', `verify: ${set.id} is not in the cache; vgg weights get ${set.id} fetches it`);
  return cached;
}

async function hashesOf(
  source: Source,
  algorithms: readonly ('md5' | 'sha256' | 'sha384')[],
  { signal, onProgress }: Context,
): Promise<Record<string, string>> {
  const hashes = algorithms.map((algorithm): [string, Hash] => [algorithm, io.hash(algorithm)]);
  for (let at = 0; at < source.size; at += PIECE) {
    if (signal.aborted) throw new VggError('VGG_ABORTED', 'verify: stopped by its AbortSignal');
    const piece = await source.read(at, Math.min(PIECE, source.size - at));
    for (const [, hash] of hashes) hash.update(piece);
    onProgress({ stage: 'verify', loaded: Math.min(source.size, at + PIECE), total: source.size });
  }
  return Object.fromEntries(hashes.map(([algorithm, hash]) => [algorithm, hash.digest()]));
}

function checked(
  what: string,
  { file, network, mapping }: OpenedWeights,
  { bytes: size, hashes, published, hashMatches, present, unreadable }: Check,
) {
  const whole = mapping.missing.length === 0 && unreadable.length === 0;
  const ok = whole && hashMatches !== false;
  const hash =
    published && hashMatches !== null
      ? `${hashMatches ? 'is' : 'is NOT'} ${published.id}, by its ${published.hash?.algorithm ?? 'size'}`
      : 'no published file has this size; nothing to compare the hash with';
  return {
    json: {
      ok,
      firstDifference: null,
      file: what,
      bytes: size,
      format: file.format,
      architecture: network.name,
      ...hashes,
      published: published?.id ?? null,
      hashMatches,
      present,
      missing: mapping.missing,
      unreadable,
    },
    text: () =>
      facts([
        ['file', `${what}, ${bytes(size)}, ${file.format}`],
        ['network', `${network.name}${network.top ? '' : ' without its dense layers'}`],
        ['published', hash],
        ...Object.entries(hashes),
        [
          'tensors',
          `${plural(present, 'tensor')} whole${mapping.missing.length > 0 ? `, ${mapping.missing.length} missing: ${mapping.missing.join(', ')}` : ''}`,
        ],
        ['not finite', unreadable.length > 0 ? unreadable.map(({ tensor, message }) => `${tensor}: ${message}`).join('; ') : undefined],
        ['result', ok ? 'ok' : hashMatches === false ? 'not the published file' : 'not whole'],
      ]),
    exit: ok ? EXIT.done : EXIT.integrity,
  };
}
