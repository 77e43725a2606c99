import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { attempt, mutation } from './fuzz.js';
import { SEEDS } from './seeds.js';

/** Runs mutations `from` to `to` of one format and tells what became of them; scripts/fuzz.mjs starts it and watches the clock. */

const { format, folder, seed, from, to } = workerData as { format: string; folder: string; seed: number; from: number; to: number };
const { fixtures, source } = SEEDS.find((each) => each.format === format)!;
const seeds = fixtures.map((name) => new Uint8Array(readFileSync(`${folder}/${name}`)));

/** Beyond what deflate can make of a file of this size, and what the readers take for their windows, nothing may be allocated at once. */
const MAX_RATIO = 1032;
const ALLOWANCE = 32 * 2 ** 20;
let largest = 0;

/** Counts what is allocated by number: the ways in which a reader makes memory of a length that it was told. */
for (const name of [
  'ArrayBuffer',
  'Uint8Array',
  'Float32Array',
  'Int32Array',
  'Uint32Array',
  'Float64Array',
  'Int8Array',
  'Uint16Array',
] as const) {
  const type = globalThis[name] as unknown as new (...args: unknown[]) => unknown;
  const width = (type as unknown as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
  const counting: typeof type = new Proxy(type, {
    construct(target, args, newTarget): object {
      if (typeof args[0] === 'number') largest = Math.max(largest, args[0] * width);
      return Reflect.construct(target, args, newTarget === counting ? target : newTarget) as object;
    },
  });
  Object.defineProperty(globalThis, name, { value: counting, configurable: true, writable: true });
}

const outcome = { opened: 0, refused: 0 };
let slowest = 0;
for (let index = from; index < to; index++) {
  const bytes = mutation(seeds, seed, index);
  largest = 0;
  parentPort!.postMessage({ index });
  const start = performance.now();
  try {
    await attempt(
      () => source(bytes),
      outcome,
      () => `mutation ${index}`,
    );
    if (largest > bytes.length * MAX_RATIO + ALLOWANCE) throw new Error(`allocated ${largest} bytes at once for a file of ${bytes.length}`);
  } catch (error) {
    parentPort!.postMessage({ index, found: error instanceof Error ? error.message : String(error), bytes });
  }
  const took = performance.now() - start;
  if (took > slowest) {
    slowest = took;
    parentPort!.postMessage({ index, slowest, bytes });
  }
}
parentPort!.postMessage({ index: to, outcome });
