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
let slowest = 0;
for (let index = from; index < to; index++) {
  const bytes = mutation(seeds, seed, index);
  parentPort!.postMessage({ index });
  const start = performance.now();
  try {
    await attempt(
      () => source(bytes),
      outcome,
      () => `mutation ${index}`,
    );
    allocations.check(bytes.length);
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
