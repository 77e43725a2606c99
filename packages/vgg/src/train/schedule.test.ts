import { describe, expect, it } from 'vitest';
import golden from '../../test/train/fixtures/torch.json';
import { makeSchedule, type ScheduleOptions, scheduleFor } from './schedule.js';

const { base, stepsPerEpoch } = golden;
const titled = golden.schedules.map((each) => ({ accuracies: undefined, ...each, title: JSON.stringify(each.options) }));
const at = (epoch: number, step = 0) => ({ epoch, step, stepsPerEpoch });

describe('makeSchedule', () => {
  it.each(titled)('gives the rates of PyTorch: $title', ({ options, rates, accuracies }) => {
    const schedule = makeSchedule(options as ScheduleOptions, base);
    const bySteps = (options as ScheduleOptions).by === 'step';
    rates.forEach((expected, i) => {
      const place = bySteps ? at(Math.floor(i / stepsPerEpoch), i % stepsPerEpoch) : at(i);
      const rate = schedule.rate(place);
      // PyTorch multiplies its way from rate to rate; at the end of a cosine it is 0 to rounding.
      expect(Math.abs(rate - expected), `place ${i}`).toBeLessThanOrEqual(1e-12 * expected + 1e-15);
      if (!bySteps) expect(schedule.rate(at(i, stepsPerEpoch - 1))).toBe(rate);
      if (accuracies) schedule.observe(accuracies[i]!);
    });
  });

  it('a cosine stays at its floor', () => {
    const schedule = makeSchedule({ kind: 'cosine', length: 3, floor: 0.01 }, 0.1);
    expect([2, 3, 4, 100].map((epoch) => schedule.rate(at(epoch)))).toEqual([expect.closeTo(0.0325, 12), 0.01, 0.01, 0.01]);
  });

  it('a plateau drops at most so many times, and is finished then', () => {
    const schedule = makeSchedule({ kind: 'plateau', patience: 1, most: 2 }, 1);
    const seen = Array.from({ length: 9 }, (_, epoch) => {
      schedule.observe(0.5);
      return [Number(schedule.rate(at(epoch)).toPrecision(6)), schedule.finished];
    });
    expect(seen).toEqual([
      [1, false],
      [1, false],
      [0.1, false],
      [0.1, false],
      [0.01, false],
      [0.01, false],
      [0.01, true],
      [0.01, true],
      [0.01, true],
    ]);
  });

  it('a plateau goes on from its state', () => {
    const accuracies = [0.1, 0.5, 0.4, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.7, 0.6, 0.6];
    const options = { kind: 'plateau', patience: 1 } as const;
    const whole = makeSchedule(options, 0.1);
    let resumed = makeSchedule(options, 0.1);
    for (const accuracy of accuracies) {
      whole.observe(accuracy);
      resumed.observe(accuracy);
      resumed = makeSchedule(options, 0.1, JSON.parse(JSON.stringify(resumed.state())));
      expect(resumed.rate(at(0))).toBe(whole.rate(at(0)));
      expect(resumed.state()).toEqual(whole.state());
    }
    expect(whole.state().drops).toBeGreaterThan(1);
  });

  it('a state that is none is refused', () => {
    const plateau = { kind: 'plateau' } as const;
    for (const state of [{ waited: -1 }, { drops: 0.5 }, { best: 'high' }, { finished: 1 }]) {
      expect(() => makeSchedule(plateau, 1, state as never)).toThrow(expect.objectContaining({ code: 'VGG_INTEGRITY' }));
    }
    expect(() => makeSchedule({ kind: 'constant' }, 1, { drops: 1 })).toThrow('expected no state of the kind constant');
  });

  it.each([
    [{ kind: 'exponential' }, 'constant or step or multi-step or cosine or plateau as kind'],
    [{ kind: 'step' }, 'length'],
    [{ kind: 'step', length: 0 }, 'a number above 0 as length'],
    [{ kind: 'step', length: 2, gamma: 0 }, 'gamma'],
    [{ kind: 'cosine', length: 2, floor: 1 }, 'floor'],
    [{ kind: 'multi-step', at: 3 }, 'a list of epochs as at'],
    [{ kind: 'multi-step', at: [3, Number.NaN] }, 'at[1]'],
    [{ kind: 'plateau', patience: 1.5 }, 'a whole number at least 0 as patience'],
    [{ kind: 'constant', warmup: { length: 0 } }, 'warmup.length'],
    [{ kind: 'constant', by: 'batch' }, 'epoch or step as by'],
    [{ kind: 'constant', length: 3 }, 'received length'],
  ])('%j is refused', (options, words) => {
    expect(() => makeSchedule(options as ScheduleOptions, 0.1)).toThrow(
      expect.objectContaining({ code: 'VGG_OPTION', message: expect.stringContaining(words) }),
    );
  });
});

describe('scheduleFor', () => {
  it.each([
    [{ kind: 'cosine' }, 50, { kind: 'cosine', length: 50 }],
    [{ kind: 'cosine', warmup: {}, by: 'step' }, 50, { kind: 'cosine', length: 45, warmup: { length: 5 }, by: 'step' }],
    [{ kind: 'cosine', warmup: { length: 2, from: 0 } }, 12, { kind: 'cosine', length: 10, warmup: { length: 2, from: 0 } }],
    [{ kind: 'cosine', warmup: { length: 9 } }, 3, { kind: 'cosine', length: 1, warmup: { length: 9 } }],
    [{ kind: 'step' }, 10, { kind: 'step', length: 4 }],
    [{ kind: 'step', length: 30, gamma: 0.5 }, 10, { kind: 'step', length: 30, gamma: 0.5 }],
    [{ kind: 'plateau', warmup: {} }, 1, { kind: 'plateau', warmup: { length: 1 } }],
    [{ kind: 'constant' }, 10, { kind: 'constant' }],
  ] as [ScheduleOptions, number, ScheduleOptions][])('%j in %d epochs', (options, epochs, expected) => {
    // As text: a checkpoint compares options so, and the order of their names counts.
    expect(JSON.stringify(scheduleFor(options, epochs))).toBe(JSON.stringify(expected));
    expect(makeSchedule(scheduleFor(options, epochs), 0.1).rate({ epoch: epochs - 1, step: 0, stepsPerEpoch: 5 })).toBeGreaterThan(0);
  });
});
