import { MEMORY_MODES } from '@vgg/core';
import { describe, expect, it } from 'vitest';
import { network } from '../network/architecture.js';
import { weightBytes } from '../network/memory.js';
import { planTraining } from './memory.js';

const vgg = network('vgg16', { top: false });
const options = { batch: 256, height: 224, width: 224, frozen: [], learning: vgg.layers, kept: 1, memory: 'fast' } as const;
const LIMIT = 3 * 2 ** 30;
/** What one picture takes that is a portion of more: the gradients are added up. */
const oneOf = (more: Partial<Parameters<typeof planTraining>[1]> = {}) =>
  planTraining(vgg, { ...options, ...more, batch: 1 }).total + planTraining(vgg, options).sums;

describe('planTraining', () => {
  it('takes as many pictures at a time as fit, in portions of about one size', () => {
    const plan = planTraining(vgg, options);
    expect(plan.portion).toBeGreaterThan(1);
    expect(plan.portion).toBeLessThan(256);
    expect(plan.total).toBe(plan.fixed + plan.sums + plan.portion * plan.perPicture + plan.scratch);
    expect(plan.sums).toBe(vgg.layers.reduce((sum, layer) => sum + weightBytes(layer), 0));
    expect(plan.total).toBeLessThanOrEqual(LIMIT);
    // One part fewer does not fit.
    const larger = Math.ceil(256 / (Math.ceil(256 / plan.portion) - 1));
    expect(plan.fixed + plan.sums + larger * plan.perPicture).toBeGreaterThan(LIMIT - plan.scratch);
    expect(planTraining(vgg, { ...options, batch: 2 })).toMatchObject({ portion: 2, sums: 0 });
    expect(planTraining(vgg, { ...options, maxMemoryBytes: oneOf() }).portion).toBe(1);
    const limit = { ...options, maxMemoryBytes: oneOf() - 1, recompute: false };
    expect(() => planTraining(vgg, limit)).toThrow('expected one picture of 224x224');
  });

  it('counts the maps of the layers that learn alone', () => {
    const at = vgg.layers.findIndex(({ name }) => name === 'conv5_1');
    const tuned = planTraining(vgg, { ...options, frozen: vgg.layers.slice(0, at), learning: vgg.layers.slice(at) });
    const whole = planTraining(vgg, options);
    expect(tuned.portion).toBeGreaterThan(whole.portion);
    expect(tuned.fixed).toBeLessThan(whole.fixed);
    expect(whole.perPicture - tuned.perPicture).toBeGreaterThan(4 * 224 * 224 * 64 * 2);
  });

  it('takes more with more pictures, more memory for an optimiser, larger pictures, more threads, a faster mode', () => {
    const one = { ...options, batch: 1, maxMemoryBytes: Number.POSITIVE_INFINITY };
    const total = (more: object) => planTraining(vgg, { ...one, ...more }).total;
    const rising = [
      [1, 2, 8, 32].map((batch) => total({ batch })),
      [1, 2].map((kept) => total({ kept })),
      [32, 64, 224, 384].map((side) => total({ height: side, width: side })),
      [1, 2, 8].map((threads) => total({ threads })),
      [...MEMORY_MODES.toReversed().map((memory) => total({ memory }))],
    ];
    for (const totals of rising) expect(totals).toEqual([...new Set(totals)].sort((a, b) => a - b));
    // On other backends nothing is kept of filters.
    expect(planTraining(vgg, { ...one, memory: undefined })).toMatchObject({ scratch: 0, memory: undefined });
    expect(total({ memory: undefined })).toBeLessThan(total({ memory: 'small' }));
  });

  it('knows what the gradient of a filter takes while it is computed', () => {
    // As the kernels do it: no other needs more for these.
    const one = planTraining(vgg, { ...options, batch: 1, threads: 8 });
    expect(one.scratch).toBeGreaterThan(10e6);
    const still = planTraining(vgg, { ...options, batch: 1, threads: 8, frozen: vgg.layers.slice(0, -1), learning: vgg.layers.slice(-1) });
    expect(still.scratch).toBeLessThan(one.scratch);
  });

  it('takes a smaller mode where nobody asked for the larger', () => {
    const totalOf = (memory: 'fast' | 'balanced' | 'small') => oneOf({ memory });
    for (const memory of ['balanced', 'small'] as const) {
      const limit = { ...options, maxMemoryBytes: totalOf(memory) };
      expect(planTraining(vgg, { ...limit, asked: false })).toMatchObject({ memory, portion: 1 });
      expect(() => planTraining(vgg, { ...limit, asked: true })).toThrow(/with memory fast it takes .* use memory small, or allow more/);
    }
    expect(planTraining(vgg, { ...options, maxMemoryBytes: totalOf('fast'), asked: false }).memory).toBe('fast');
  });

  it('computes maps anew where one picture fits only so', () => {
    const alone = { ...options, batch: 1 };
    const [all, few] = [false, true].map((recompute) => planTraining(vgg, { ...alone, recompute }));
    expect(all!.cuts).toEqual([]);
    expect(few!.cuts).toEqual(['pool1']);
    expect(few!.total).toBeLessThan(all!.total);
    expect(planTraining(vgg, { ...alone, maxMemoryBytes: all!.total })).toEqual(all);
    for (const maxMemoryBytes of [all!.total - 1, few!.total]) expect(planTraining(vgg, { ...alone, maxMemoryBytes })).toEqual(few);
    expect(() => planTraining(vgg, { ...alone, maxMemoryBytes: few!.total - 1 })).toThrow('expected one picture of 224x224');
    expect(planTraining(vgg, { ...options, maxMemoryBytes: oneOf() - 1 })).toMatchObject({ portion: 1, cuts: ['pool1'] });
    // Before that, a smaller memory mode is taken where nobody asked for the larger.
    const plan = planTraining(vgg, { ...options, maxMemoryBytes: oneOf() - 1, asked: false });
    expect(plan).toMatchObject({ memory: 'balanced', cuts: [] });
  });

  it('computes maps anew where batch normalisation sees its whole batch only so', () => {
    const normalised = network('vgg16_bn', { top: false });
    const batch = 16;
    const wish = { ...options, batch, learning: normalised.layers };
    const [all, few] = [false, true].map((recompute) => planTraining(normalised, { ...wish, recompute, maxMemoryBytes: 1e12 }));
    expect(few!.total).toBeLessThan(all!.total);
    const within = (maxMemoryBytes: number, more = {}) => planTraining(normalised, { ...wish, maxMemoryBytes, ...more });
    expect(within(all!.total)).toEqual(all);
    expect(within(all!.total - 1)).toEqual(few);
    expect(within(few!.total)).toEqual(few);
    // Not even so, or nothing to see, or not allowed: portions.
    for (const plan of [
      within(few!.total - 1),
      within(all!.total - 1, { freezeStatistics: true }),
      within(all!.total - 1, { recompute: false }),
    ]) {
      expect(plan.portion).toBeLessThan(batch);
      expect(plan.cuts).toEqual([]);
    }
  });

  it('tells the command line of its own options', () => {
    const wish = { ...options, memory: 'fast', maxMemoryBytes: 200e6, who: 'vgg train' } as const;
    expect(() => planTraining(vgg, wish)).toThrow(
      /^vgg train: .*; use smaller pictures \(--size\), .*--memory small, or a larger --max-memory$/,
    );
  });

  it('says what does not fit', () => {
    expect(() => planTraining(vgg, { ...options, maxMemoryBytes: 200e6, asked: false })).toThrow(
      expect.objectContaining({
        code: 'VGG_MEMORY',
        message: expect.stringMatching(
          /^train: expected one picture of 224x224 to fit 200 MB, and with memory small it takes \d+ MB \(weights, gradients and filters \d+ MB, maps \d+ MB, scratch \d+ MB\); use smaller pictures, unfreeze fewer layers, or allow more \(maxMemoryBytes\)$/,
        ),
      }),
    );
  });
});
