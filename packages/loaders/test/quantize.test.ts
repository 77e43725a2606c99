import { describe, expect, it } from 'vitest';
import { dequantizeInt8, int8Scales, quantizeBy, quantizeInt8, quantizeRowsInt8 } from '../src/quantize.js';
import { refuses } from './helpers.js';
import { random } from './random.js';

const next = random(3);
const noise = (count: number) => Float32Array.from({ length: count }, () => (next() - 0.5) * 10 ** (next() * 6 - 3));

describe('int8 with a scale for each output channel', () => {
  it('divides by the largest magnitude / 127', () => {
    const { values, scales } = quantizeInt8(Float32Array.of(1.27, 0.5, -0.63, -1), 2);
    expect([...values]).toEqual([127, 64, -63, -127]);
    expect([...scales]).toEqual([Math.fround(Math.fround(1.27) / 127), Math.fround(1 / 127)]);
  });

  it('rounds half to even', () => {
    const halves = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, 127];
    expect([...quantizeInt8(Float32Array.from(halves), 1).values]).toEqual([0, 2, 2, 0, -2, -2, 126, 127]);
  });

  it('errs by half a scale at most, and never passes 127', () => {
    const values = noise(3000);
    const { values: stored, scales } = quantizeInt8(values, 30);
    const back = dequantizeInt8(stored, scales);
    for (const [i, value] of values.entries()) {
      const scale = scales[i % 30]!;
      expect(Math.abs(back[i]! - value)).toBeLessThanOrEqual(scale * 0.500001 + 1e-12);
      expect(Math.abs(stored[i]!)).toBeLessThanOrEqual(127);
    }
    for (let c = 0; c < 30; c++) expect(Math.max(...stored.filter((_, i) => i % 30 === c).map(Math.abs))).toBe(127);
  });

  it('channels of zeros and of the least numbers keep a scale above 0', () => {
    const tiny = 2 ** -149;
    const { values, scales } = quantizeInt8(Float32Array.of(0, tiny, -0, -3 * tiny), 2);
    expect([...scales]).toEqual([1, tiny]);
    expect([...dequantizeInt8(values, scales)]).toEqual([0, tiny, 0, -3 * tiny]);
  });

  it('by rows and in pieces it is the same', () => {
    const values = noise(12 * 7);
    const whole = quantizeInt8(values, 7);
    expect(int8Scales(values, 7)).toEqual(whole.scales);
    expect(quantizeBy(values.subarray(14, 42), whole.scales)).toEqual(whole.values.slice(14, 42));
    const turned = values.map((_, i) => values[(i % 12) * 7 + Math.floor(i / 12)]!);
    const rows = quantizeRowsInt8(turned, 7);
    expect(rows.scales).toEqual(whole.scales);
    expect([...rows.values]).toEqual(Array.from(turned, (_, i) => whole.values[(i % 12) * 7 + Math.floor(i / 12)]));
  });

  it('refuses what has no scale, and channels that do not divide the values', async () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      await refuses(() => quantizeInt8(Float32Array.of(1, bad), 1), 'VGG_OPTION', 'finite');
      await refuses(() => quantizeRowsInt8(Float32Array.of(1, bad), 1), 'VGG_OPTION', 'finite');
    }
    await refuses(() => quantizeInt8(new Float32Array(5), 2), 'VGG_SHAPE', '2 channels');
    await refuses(() => dequantizeInt8(new Int8Array(5), new Float32Array(0)), 'VGG_SHAPE', '0 channels');
    expect(quantizeInt8(new Float32Array(0), 0)).toEqual({ values: new Int8Array(0), scales: new Float32Array(0) });
  });
});
