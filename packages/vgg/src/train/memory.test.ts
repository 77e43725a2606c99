import { describe, expect, it } from 'vitest';
import { network } from '../network/architecture.js';
import { planTraining } from './memory.js';

const vgg = network('vgg16', { top: false });
const options = { batch: 256, height: 224, width: 224, frozen: [], learning: vgg.layers, kept: 1 };

describe('planTraining', () => {
  it('takes as many pictures at a time as fit, in portions of about one size', () => {
    const plan = planTraining(vgg, options);
    expect(plan.portion).toBeGreaterThan(1);
    expect(plan.portion).toBeLessThan(256);
    expect(plan.total).toBeLessThanOrEqual(3 * 2 ** 30);
    const most = Math.floor((3 * 2 ** 30 - plan.fixed) / plan.perPicture);
    expect(Math.ceil(256 / plan.portion)).toBe(Math.ceil(256 / most));
    expect(planTraining(vgg, { ...options, batch: 2 }).portion).toBe(2);
    expect(planTraining(vgg, { ...options, maxMemoryBytes: plan.fixed + plan.perPicture }).portion).toBe(1);
  });

  it('counts the maps of the layers that learn alone', () => {
    const at = vgg.layers.findIndex(({ name }) => name === 'conv5_1');
    const tuned = planTraining(vgg, { ...options, frozen: vgg.layers.slice(0, at), learning: vgg.layers.slice(at) });
    const whole = planTraining(vgg, options);
    expect(tuned.portion).toBeGreaterThan(whole.portion);
    expect(tuned.fixed).toBeLessThan(whole.fixed);
    expect(whole.perPicture - tuned.perPicture).toBeGreaterThan(4 * 224 * 224 * 64 * 2);
  });

  it('says what does not fit', () => {
    expect(() => planTraining(vgg, { ...options, maxMemoryBytes: 500e6 })).toThrow(
      expect.objectContaining({
        code: 'VGG_MEMORY',
        message: expect.stringMatching(/^train: expected one picture of 224x224 to fit 500 MB, and it takes \d+ MB for the weights/),
      }),
    );
  });
});
