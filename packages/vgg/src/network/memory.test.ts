import { openBackend } from '@vgg/core';
import { describe, expect, it } from 'vitest';
import { smallFile } from '../../test/small-weights.js';
import { load } from '../load.js';
import { network } from './architecture.js';
import { chooseMemory, planMemory } from './memory.js';

const PLAN = { name: 'wide', blocks: [[64, 64], [256], [512, 512]], top: false, size: 64 };

describe('planMemory', () => {
  it('knows what the features of VGG-16 take, within the bounds that are promised', () => {
    const plan = (memory: 'fast' | 'balanced' | 'small') => planMemory(network('vgg16'), { top: false, memory });
    expect(plan('fast')).toMatchObject({ weights: 4 * 14_714_688, activations: 4 * 224 * 224 * (64 + 64 / 4) });
    expect(plan('fast').total).toBeLessThan(520e6);
    expect(plan('balanced').total).toBeLessThan(330e6);
    expect(plan('small').total).toBeLessThan(160e6);
    expect(planMemory(network('vgg16')).total).toBeLessThan(1.05e9);
    expect(planMemory(network('vgg16')).weights).toBe(4 * 138_357_544);
  });

  it('follows the size, the batch and the threads', () => {
    const vgg = network('vgg11', { top: false });
    const one = planMemory(vgg, { size: 224 });
    const [height, width] = [224, 448];
    expect(one.total).toBe(one.weights + one.filters + one.activations + one.scratch);
    expect(planMemory(vgg, { size: { height, width } }).activations).toBe(2 * one.activations);
    expect(planMemory(vgg, { size: 224, batch: 3 })).toMatchObject({
      activations: 3 * one.activations,
      weights: one.weights,
      filters: one.filters,
    });
    const [alone, two] = [1, 2].map((threads) => planMemory(network('vgg16'), { threads }).scratch);
    expect(two).toBeGreaterThan(alone);
    expect(() => planMemory(vgg, { size: 8 })).toThrow(expect.objectContaining({ code: 'VGG_SHAPE' }));
  });

  it('counts the mirrored border', () => {
    const plans = (['zero', 'reflect'] as const).map((padding) => planMemory(network({ ...PLAN, blocks: [[64, 64, 64]], padding })));
    expect(plans[1].activations - plans[0].activations).toBe(4 * 66 * 66 * 64);
  });
});

describe('chooseMemory', () => {
  const vgg = network('vgg16', { top: false });
  it('takes what was asked for, and without a wish the first that fits', () => {
    expect(chooseMemory(vgg, { asked: false })).toBe('fast');
    expect(chooseMemory(vgg, { asked: false, maxMemoryBytes: 400e6 })).toBe('balanced');
    expect(chooseMemory(vgg, { asked: false, maxMemoryBytes: 200e6 })).toBe('small');
    expect(chooseMemory(vgg, { asked: true, memory: 'small' })).toBe('small');
  });

  it('says the plan when nothing fits', () => {
    expect(() => chooseMemory(vgg, { asked: true, memory: 'fast', maxMemoryBytes: 400e6 })).toThrow(
      expect.objectContaining({
        code: 'VGG_MEMORY',
        message: expect.stringMatching(
          /^load: expected vgg16 to fit 400 MB of WASM memory, and with memory fast it takes 496 MB \(weights 59 MB, filters 419 MB, .*; use memory small, /,
        ),
      }),
    );
    expect(() => chooseMemory(vgg, { asked: false, maxMemoryBytes: 50e6 })).toThrow('with memory small it takes');
    expect(() => chooseMemory(vgg, { asked: false, maxMemoryBytes: -1 })).toThrow(expect.objectContaining({ code: 'VGG_OPTION' }));
  });
});

describe('a model', () => {
  const image = { data: new Uint8ClampedArray(64 * 64 * 3).fill(100), width: 64, height: 64 };

  it('takes what was planned, and gives the same in each mode', { timeout: 120_000 }, async () => {
    const weights = await smallFile(PLAN);
    const net = network(PLAN);
    const maps: Float32Array[] = [];
    // Only on a fresh heap can be seen what one takes: it does not shrink.
    for (const memory of ['balanced', 'fast', 'small'] as const) {
      using model = await load(undefined, { weights, backend: 'wasm', memory, threads: 1 });
      expect(model.backend).toMatchObject({ memory, memoryReason: 'asked for' });
      for (let pass = 0; pass < 2; pass++) maps.push((await model.extract(image, 'pool3', { size: 64 })).data);
      const heap = (await openBackend('wasm')).memory().heapBytes!;
      const planned = planMemory(net, { memory }).total;
      // The heap has a mebibyte to spare.
      if (memory === 'balanced') expect(Math.abs(heap - planned)).toBeLessThan(0.05 * planned + 2 ** 20);
    }
    const most = maps[0].reduce((max, value) => Math.max(max, value), 0);
    const apart = maps.map((map) => map.reduce((max, value, i) => Math.max(max, Math.abs(value - maps[0][i])), 0));
    expect(Math.max(...apart)).toBeLessThan(1e-4 * most);
  });

  it('that does not fit takes the smaller mode, or says so when one was asked for', async () => {
    const weights = await smallFile(PLAN);
    const warnings: string[] = [];
    const { total } = planMemory(network(PLAN), { memory: 'small' });
    const limited = {
      weights,
      backend: 'wasm',
      threads: 1,
      maxMemoryBytes: total,
      onWarning: (text: string) => void warnings.push(text),
    } as const;
    using model = await load(undefined, limited);
    expect(model.backend.memory).toBe('small');
    expect(warnings).toEqual(['load: memory fast does not fit the heap, so memory small is taken']);
    await expect(load(undefined, { ...limited, memory: 'fast' })).rejects.toMatchObject({ code: 'VGG_MEMORY' });
    await expect(load(undefined, { ...limited, memory: 'tiny' as 'small' })).rejects.toMatchObject({ code: 'VGG_OPTION' });
  });
});
