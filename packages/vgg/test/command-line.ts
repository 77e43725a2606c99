import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { run } from '../src/cli/run.js';
import { PREPROCESSINGS } from '../src/pictures/preprocessing.js';
import { noise, SMALL_PLAN, smallFile } from './small-weights.js';

/** What a run of the command line left behind. */
export interface Ran {
  code: number;
  out: string;
  err: string;
  /** Standard output as the one JSON document that it must be. */
  // biome-ignore lint/suspicious/noExplicitAny: documents of every command
  json: any;
}

interface Around {
  signal?: AbortSignal;
  stdin?: AsyncIterable<Uint8Array>;
  env?: Record<string, string>;
  terminal?: boolean;
}

/** Runs a command line in this process. */
export async function vgg(argv: readonly string[], { signal, stdin, env = {}, terminal = false }: Around = {}): Promise<Ran> {
  const written: string[] = [];
  const told: string[] = [];
  const code = await run(argv, {
    stdout: { write: (text) => written.push(text), isTTY: terminal },
    stderr: { write: (text) => told.push(text), isTTY: terminal, columns: 100 },
    signal,
    stdin,
    env,
  });
  const out = written.join('');
  const err = told.join('');
  return {
    code,
    out,
    err,
    get json() {
      return JSON.parse(out);
    },
  };
}

/** Every command line of these tests that computes takes this backend, so that a machine with a GPU gives the same. */
export const WASM = ['--backend', 'wasm'] as const;

/** Preprocessing of small pictures: squashed to 32 x 32, values about -1..1. */
const preprocessing = { ...PREPROCESSINGS.tf, name: 'small', resize: { mode: 'squash', size: 32, filter: 'bilinear' } };

/** A weight file of a few channels, and the same without its dense layers, or with other layers or values. */
export async function weightsFile(
  path: string,
  plan: Partial<typeof SMALL_PLAN> = {},
  resize: object = preprocessing.resize,
): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, await smallFile({ ...SMALL_PLAN, ...plan }, { 'vgg.preprocessing': JSON.stringify({ ...preprocessing, resize }) }));
  return path;
}

/** A picture of noise around a colour. */
export async function photograph(path: string, [r, g, b]: readonly number[], { seed = 1, side = 40 } = {}): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  const next = noise(seed);
  const colour = [r, g, b];
  const data = Uint8Array.from({ length: side * side * 3 }, (_, i) => Math.max(0, Math.min(255, Math.round(colour[i % 3] + 40 * next()))));
  await sharp(data, { raw: { width: side, height: side, channels: 3 } }).toFile(path);
  return path;
}

export const RED = [200, 60, 60] as const;
export const BLUE = [60, 60, 200] as const;

/** Red and blue pictures in folders of their names. */
export async function colourFolders(root: string, each: number, from = 1): Promise<string> {
  for (let i = 0; i < each; i++) {
    await photograph(join(root, 'red', `${i}.png`), RED, { seed: from + i });
    await photograph(join(root, 'blue', `${i}.jpg`), BLUE, { seed: from + 100 + i });
  }
  return root;
}
