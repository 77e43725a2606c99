import { openBackend } from '@vgg/core';
import { describe, expect, it, vi } from 'vitest';
import type { Dataset } from '../data/dataset.js';
import { load } from '../load.js';
import { random } from '../random.js';
import type { EpochEntry } from './history.js';
import { type TrainNetworkOptions, trainNetwork } from './train-network.js';

const SIDE = 16;
/** Stripes along one of two ways, over noise: a net of few filters learns them, and no mean of the pixels tells them apart. */
function stripes(count: number, seed: number): Dataset {
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

const PLAN = { name: 'small', blocks: [[8], [8]], batchNorm: true, globalPool: true, dense: [], size: SIDE };
const OPTIONS: TrainNetworkOptions = { epochs: 4, batch: 16, rate: 0.1, backend: 'wasm', threads: 1, validation: stripes(40, 2), seed: 3 };

describe('trainNetwork', () => {
  it('a new network learns, and is a weight file like any other', async () => {
    const backend = await openBackend('wasm', { threads: 1 });
    const before = backend.memory().tensors;
    const epochs: EpochEntry[] = [];
    const trained = await trainNetwork({ arch: PLAN }, stripes(128, 1), { ...OPTIONS, onEpoch: (entry) => void epochs.push(entry) });
    expect(epochs).toEqual(trained.history);
    expect(trained.history.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
    expect(trained.best.valAccuracy).toBeGreaterThan(0.95);
    const test = stripes(60, 5);
    const scored = await trained.evaluate(test);
    expect(scored).toMatchObject({ images: 60, failed: [] });
    // What was evaluated once is the same again: nothing of it was learnt from.
    expect(await trained.evaluate(test, { batch: 7 })).toMatchObject({ accuracy: scored.accuracy });
    const model = await load(undefined, { weights: await trained.toBytes(), backend: 'cpu' });
    let correct = 0;
    for (const { image, label } of test.examples) {
      const [best] = await model.classify(image as never, { top: 1 });
      if (best!.label === test.classes[label]) correct++;
    }
    expect(correct / 60).toBeCloseTo(scored.accuracy, 6);
    model.dispose();
    trained.dispose();
    await vi.waitFor(() => expect(backend.memory().tensors).toBe(before));
  });
});
