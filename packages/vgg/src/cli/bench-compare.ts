import { readFile } from 'node:fs/promises';
import { messageOf, VggError } from '@vgg/errors';

/** What a measurement must share with another to be compared with it, and what may be told apart by comparing. */
const SAME = ['architecture', 'mode', 'part', 'batch', 'height', 'width'] as const;
const OTHER = ['weights', 'backend', 'simd', 'threads', 'memory', 'portion'] as const;

type Key = (typeof SAME)[number] | (typeof OTHER)[number];
/** The numbers of a `vgg bench --json`, in ms. */
export interface Measured extends Readonly<Partial<Record<Key, unknown>>> {
  readonly mean: number;
  readonly sd: number;
  readonly runs: number;
}

/** A measurement beside an earlier one. */
export interface Compared {
  readonly file: string;
  readonly mean: number;
  readonly sd: number;
  readonly runs: number;
  /** How many times as long the earlier one took: above 1 it is faster now. */
  readonly ratio: number;
  /** What was otherwise: the earlier value and today's. */
  readonly differs: Readonly<Record<string, readonly [unknown, unknown]>>;
}

/** An earlier measurement. @throws VggError `VGG_NOT_FOUND`, `VGG_FORMAT` */
export async function readMeasured(file: string): Promise<Measured> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new VggError('VGG_NOT_FOUND', `bench --compare: ${file}: expected a file that can be read (${messageOf(cause)})`, { cause });
  });
  let found: Partial<Measured> | null = null;
  try {
    found = JSON.parse(text);
  } catch {}
  const { mean, sd, runs } = found ?? {};
  if (!(isAtLeast(mean, Number.MIN_VALUE) && isAtLeast(sd, 0) && isAtLeast(runs, 1)))
    throw new VggError('VGG_FORMAT', `bench --compare: ${file}: expected what vgg bench --json wrote, received something else`);
  return found as Measured;
}

const isAtLeast = (value: unknown, least: number): boolean => typeof value === 'number' && Number.isFinite(value) && value >= least;

/** @throws VggError `VGG_OPTION` where the two measured other work */
export function compareMeasured(file: string, before: Measured, now: Measured): Compared {
  const other = SAME.find((key) => before[key] !== now[key]);
  if (other !== undefined)
    throw new VggError(
      'VGG_OPTION',
      `bench --compare: expected ${file} to have measured the same work, received ${other} ${String(before[other])} instead of ${String(now[other])}`,
    );
  const differs = Object.fromEntries(
    OTHER.filter((key) => before[key] !== now[key]).map((key) => [key, [before[key] ?? null, now[key] ?? null] as const]),
  );
  const { mean, sd, runs } = before;
  return { file, mean, sd, runs, ratio: mean / now.mean, differs };
}

/** `1.25 times as fast as before.json (100.0 ms +/- 2.0 ms over 10 runs; threads 1, now 2)` */
export function comparedText({ file, mean, sd, runs, ratio, differs }: Compared): string {
  const others = Object.entries(differs).map(([key, [before, now]]) => `; ${key} ${before}, now ${now}`);
  return `${ratio.toFixed(2)} times as fast as ${file} (${mean.toFixed(1)} ms +/- ${sd.toFixed(1)} ms over ${runs} ${runs === 1 ? 'run' : 'runs'}${others.join('')})`;
}
