import { messageOf, VggError } from '@vgg/errors';
import { didYouMean } from '../text/suggest.js';
import type { Plan, PlannedConv } from './plan.js';

/** What a plan that names only its `blocks` gets: the paper's column settings. `pools` defaults to every block. */
export const PLAN_DEFAULTS: Omit<Plan, 'blocks' | 'pools'> = {
  name: 'custom',
  pool: 'max',
  poolSize: 2,
  poolStride: 2,
  rounding: 'floor',
  padding: 'zero',
  colour: false,
  batchNorm: false,
  epsilon: 1e-5,
  lrn: false,
  top: true,
  globalPool: false,
  dense: [4096, 4096],
  convolutionalTop: false,
  dropout: 0.5,
  classes: 1000,
  channels: 3,
  size: 224,
};

// A plan may come out of a stranger's weight file, so nothing it says may make us build for ever or allocate without end.
/** Longer names would only spoil listings. */
const MAX_NAME = 100;
/** Each block halves the map; 16 halvings leave one cell of the largest input. */
const MAX_BLOCKS = 16;
/** Four times the deepest block anybody published. */
const MAX_CONVS = 16;
const MAX_CHANNELS = 16384;
const MAX_DENSE_LAYERS = 8;
const MAX_WIDTH = 1 << 20;
const MAX_SIZE = 1 << 14;
const MAX_POOL = 16;

type Check = (value: unknown) => string | undefined;

const integer =
  (least: number, most: number): Check =>
  (value) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most ? undefined : `an integer from ${least} to ${most}`;
const oneOf =
  (...words: string[]): Check =>
  (value) =>
    words.includes(value as string) ? undefined : words.map((word) => `"${word}"`).join(' or ');
const flag: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false');
const listOf =
  (item: Check, least: number, most: number, what: string): Check =>
  (value) =>
    Array.isArray(value) && value.length >= least && value.length <= most && value.every((one) => item(one) === undefined)
      ? undefined
      : what;
const convolution: Check = (value) => integer(1, MAX_CHANNELS)(convOf(value)?.out);

const BLOCKS = `a list of 1 to ${MAX_BLOCKS} lists of 1 to ${MAX_CONVS} convolutions, such as [[64, 64], [128, 128, "conv1-128"]]`;

const CHECKS: Record<keyof Plan, Check> = {
  name: (value) =>
    typeof value === 'string' && value.length > 0 && value.length <= MAX_NAME ? undefined : `a name of 1 to ${MAX_NAME} characters`,
  blocks: listOf(listOf(convolution, 1, MAX_CONVS, BLOCKS), 1, MAX_BLOCKS, BLOCKS),
  pools: listOf(integer(1, MAX_BLOCKS), 0, MAX_BLOCKS, 'a list of block numbers, such as [1, 2, 5]'),
  pool: oneOf('max', 'average', 'l2'),
  poolSize: integer(1, MAX_POOL),
  poolStride: integer(1, MAX_POOL),
  rounding: oneOf('floor', 'ceil'),
  padding: oneOf('zero', 'reflect', 'valid'),
  colour: flag,
  batchNorm: flag,
  epsilon: (value) => (typeof value === 'number' && value > 0 && value < 1 ? undefined : 'a number between 0 and 1'),
  lrn: flag,
  top: flag,
  globalPool: flag,
  dense: listOf(integer(1, MAX_WIDTH), 0, MAX_DENSE_LAYERS, `a list of at most ${MAX_DENSE_LAYERS} widths, such as [4096, 4096]`),
  convolutionalTop: flag,
  dropout: (value) => (typeof value === 'number' && value >= 0 && value < 1 ? undefined : 'a fraction from 0 to below 1'),
  classes: integer(1, MAX_WIDTH),
  channels: integer(1, MAX_CHANNELS),
  size: integer(1, MAX_SIZE),
};

/** The keys of a plan, for help texts. */
const PLAN_KEYS: readonly (keyof Plan)[] = Object.keys(CHECKS) as (keyof Plan)[];

/** A planned convolution taken apart; `undefined` where it is none. */
export function convOf(planned: unknown): { kernel: 1 | 3; out: number } | undefined {
  if (typeof planned === 'number') return { kernel: 3, out: planned };
  const match = typeof planned === 'string' ? /^conv([13])-([1-9]\d{0,6})$/.exec(planned) : null;
  return match ? { kernel: match[1] === '1' ? 1 : 3, out: Number(match[2]) } : undefined;
}

/**
 * A custom plan, checked and with its defaults filled in. Its JSON parses to the same plan again.
 *
 * @param json JSON text, or what it parses to
 * @throws VggError `VGG_ARCHITECTURE`, naming the key that is wrong
 * @example
 * parsePlan('{ "blocks": [[16, 16], [32, 32]], "dense": [], "classes": 3, "size": 32 }').pools; // [1, 2]
 */
export function parsePlan(json: string | object): Plan {
  const given = typeof json === 'string' ? parseJson(json) : json;
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw new VggError('VGG_ARCHITECTURE', `plan: expected an object with "blocks", received ${describe(given)}`);
  }
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  for (const [key, value] of entries) {
    if (!Object.hasOwn(CHECKS, key)) {
      throw new VggError(
        'VGG_ARCHITECTURE',
        `plan: unknown key "${key.slice(0, 64)}"${didYouMean(key, PLAN_KEYS)}; the keys are ${PLAN_KEYS.join(', ')}`,
      );
    }
    const expected = CHECKS[key as keyof Plan](value);
    if (expected !== undefined) {
      throw new VggError('VGG_ARCHITECTURE', `plan: expected ${expected} for "${key}", received ${describe(value)}`);
    }
  }
  const named = Object.fromEntries(entries) as Partial<Plan>;
  if (named.blocks === undefined) {
    throw new VggError('VGG_ARCHITECTURE', `plan: expected ${BLOCKS} for "blocks", received none`);
  }
  const blocks = named.blocks.map((block) => block.map(canonicalConv));
  const pools = [...(named.pools ?? blocks.map((_, index) => index + 1))];
  if (pools.some((block, index) => block > blocks.length || block <= (pools[index - 1] ?? 0))) {
    throw new VggError(
      'VGG_ARCHITECTURE',
      `plan: expected rising block numbers from 1 to ${blocks.length} for "pools", received ${describe(pools)}`,
    );
  }
  if (named.globalPool && named.convolutionalTop) {
    throw new VggError(
      'VGG_ARCHITECTURE',
      'plan: expected "globalPool" or "convolutionalTop", received both; each takes the mean of a map',
    );
  }
  return { ...PLAN_DEFAULTS, ...named, blocks, pools, dense: [...(named.dense ?? PLAN_DEFAULTS.dense)] };
}

/** `conv3-64` is written 64, so that equal plans are equal as JSON too. */
function canonicalConv(planned: PlannedConv): PlannedConv {
  const { kernel, out } = convOf(planned)!;
  return kernel === 3 ? out : `conv1-${out}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new VggError('VGG_ARCHITECTURE', `plan: expected JSON with "blocks", received text that does not parse: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** A value as JSON, short enough for a sentence. */
function describe(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
