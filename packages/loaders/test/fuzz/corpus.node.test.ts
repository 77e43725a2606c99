import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { watchAllocations } from './allocations.js';
import { attempt } from './fuzz.js';
import { SEEDS } from './seeds.js';

const CORPUS = fileURLToPath(new URL('corpus/', import.meta.url));

/** Inputs that broke a reader once, named FORMAT-HASH.bin. */
test('what was found by fuzzing stays found', async () => {
  const names = readdirSync(CORPUS).filter((name) => name.endsWith('.bin'));
  const outcome = { opened: 0, refused: 0 };
  const allocations = watchAllocations();
  try {
    for (const name of names) {
      const { source } = SEEDS.find(({ format }) => format === name.replace(/-[0-9a-f]{12}\.bin$/, ''))!;
      const bytes = new Uint8Array(readFileSync(`${CORPUS}${name}`));
      await attempt(
        () => source(bytes),
        outcome,
        () => name,
      );
      allocations.check(bytes.length);
    }
  } finally {
    allocations.restore();
  }
  expect(outcome.opened + outcome.refused).toBe(names.length);
});
