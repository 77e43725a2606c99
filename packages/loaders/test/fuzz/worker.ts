import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { watchAllocations } from './allocations.js';
import { attempt, mutation } from './fuzz.js';
import { SEEDS } from './seeds.js';

/** Runs mutations `from` to `to` of one format and tells what became of them; scripts/fuzz.mjs starts it and watches the clock. */

const { format, folder, seed, from, to } = workerData as { format: string; folder: string; seed: number; from: number; to: number };
const { fixtures, source } = SEEDS.find((each) => each.format === format)!;
const seeds = fixtures.map((name) => new Uint8Array(readFileSync(`${folder}/${name}`)));

const allocations = watchAllocations();
const outcome = { opened: 0, refused: 0 };
/** A single input may take no longer; what does is tried again, since the machine may have been busy with something else. */
const LIMIT_MS = 1000;
let slowest = 0;

async function timed(index: number, bytes: Uint8Array, into: typeof outcome): Promise<number> {
  const start = performance.now();
  await attempt(
    () => source(bytes),
    into,
    () => `mutation ${index}`,
  );
  return performance.now() - start;
}

for (let index = from; index < to; index++) {
  const bytes = mutation(seeds, seed, index);
  parentPort!.postMessage({ index });
  try {
    let took = await timed(index, bytes, outcome);
    if (took > LIMIT_MS) took = Math.min(took, await timed(index, bytes, { opened: 0, refused: 0 }));
    allocations.check(bytes.length);
    if (took > slowest) {
      slowest = took;
      parentPort!.postMessage({ index, slowest, bytes });
    }
  } catch (error) {
    parentPort!.postMessage({ index, found: error instanceof Error ? error.message : String(error), bytes });
  }
}
parentPort!.postMessage({ index: to, outcome });
