import { describe, expect, it } from 'vitest';
import { EarlyStop } from './early-stop.js';

describe('EarlyStop', () => {
  it('of an accuracy: the best so far, and the end of patience', () => {
    const stop = new EarlyStop({ better: 'more', patience: 2, minDelta: 0.01 });
    const seen = [0.5, 0.505, 0.6, 0.6, 0.61].map((value, i) => [stop.observe(i + 1, value), stop.shouldStop]);
    expect(seen).toEqual([
      [true, false],
      [false, false],
      [true, false],
      [false, false],
      [false, true],
    ]);
    expect(stop.state).toEqual({ best: 0.6, epoch: 3, waited: 2 });
  });

  it('of a loss, without patience, it never stops; what is no number is never the best', () => {
    const stop = new EarlyStop({ better: 'less' });
    expect([Number.NaN, 3, 2, 2, Number.NaN, Infinity, 1].map((value, i) => stop.observe(i, value))).toEqual([
      false,
      true,
      true,
      false,
      false,
      false,
      true,
    ]);
    expect(stop.shouldStop).toBe(false);
  });

  it('goes on from its state', () => {
    const values = [3, 2, 2.5, 2.4, 1, 1.5, 1.2, 1.1];
    const whole = new EarlyStop({ better: 'less', patience: 3 });
    let resumed = new EarlyStop({ better: 'less', patience: 3 });
    values.forEach((value, epoch) => {
      resumed = new EarlyStop({ better: 'less', patience: 3 }, JSON.parse(JSON.stringify(resumed.state)));
      expect(resumed.observe(epoch, value)).toBe(whole.observe(epoch, value));
      expect(resumed.shouldStop).toBe(whole.shouldStop);
    });
    expect(whole.shouldStop).toBe(true);
  });

  it('refuses a state that is none', () => {
    for (const state of [{ waited: 'long' }, { waited: 1, best: 2 }, { waited: 1, best: null, epoch: 1 }]) {
      expect(() => new EarlyStop({ better: 'more' }, state as never)).toThrow(expect.objectContaining({ code: 'VGG_INTEGRITY' }));
    }
    expect(() => new EarlyStop({ better: 'more', patience: 0 })).toThrow(expect.objectContaining({ code: 'VGG_OPTION' }));
  });
});
