import type { Dataset } from '../../src/data/dataset.js';
import type { PlanInput } from '../../src/network/plan.js';
import { random } from '../../src/random.js';

const SIDE = 16;

/** Stripes along one of two ways, over noise: a net of few filters learns them, and no mean of the pixels tells them apart. */
export function stripes(count: number, seed: number): Dataset {
  const rng = random(seed);
  const examples = Array.from({ length: count }, (_, i) => {
    const label = i % 2;
    const phase = rng.below(4);
    const data = new Uint8Array(SIDE * SIDE * 3).map((_, at) => {
      const [x, y] = [Math.floor(at / 3) % SIDE, Math.floor(at / 3 / SIDE)];
      return ((label === 0 ? x : y) + phase) % 4 < 2 ? 60 + rng.below(60) : 140 + rng.below(60);
    });
    return { image: { data, width: SIDE, height: SIDE, channels: 3 as const }, label, name: `${label}/${i}` };
  });
  return { classes: ['across', 'down'], examples, skipped: [] };
}

/** A network that learns them. */
export const STRIPES_PLAN: PlanInput = { name: 'small', blocks: [[8], [8]], batchNorm: true, globalPool: true, dense: [], size: SIDE };
