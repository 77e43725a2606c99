import { describe, expect, it } from 'vitest';
import { dequantizeInt4, int4Packer, int4Palettes, quantizeInt4 } from '../src/palette.js';
import { refuses } from './helpers.js';
import { random } from './random.js';

const next = random(11);
/** Sums of uniform numbers, about normal, as weights are. */
const noise = (count: number, times = 1) =>
  Float32Array.from({ length: count }, () => (next() + next() + next() + next() - 2) * times * (next() < 0.01 ? 8 : 1));

const columnOf = (values: Float32Array, channels: number, c: number) => [...values].filter((_, i) => i % channels === c);
const squared = (values: readonly number[], of: (value: number) => number) =>
  values.reduce((sum, value) => sum + (value - of(value)) ** 2, 0);
const nearest = (palette: ArrayLike<number>) => (value: number) =>
  Array.from(palette).reduce((best, each) => (Math.abs(each - value) < Math.abs(best - value) ? each : best));
const restored = (values: Float32Array, channels: number) => {
  const { indices, palettes } = quantizeInt4(values, channels);
  return dequantizeInt4(indices, palettes, new Float32Array(values.length));
};

/** Lloyd's algorithm as it is written in books, in float64: every value looks for its centre in every step. */
function plainLloyd(values: readonly number[], centres: number[]): { centres: number[]; error: number } {
  for (let step = 0; step < 100; step++) {
    const groups = centres.map((): number[] => []);
    for (const value of values) {
      let best = 0;
      for (let j = 1; j < 16; j++) if (Math.abs(centres[j]! - value) < Math.abs(centres[best]! - value)) best = j;
      groups[best]!.push(value);
    }
    const moved = groups.map((group, j) => (group.length > 0 ? group.reduce((a, b) => a + b, 0) / group.length : centres[j]!));
    if (moved.every((centre, j) => Math.abs(centre - centres[j]!) < 1e-15)) break;
    centres = moved;
  }
  return { centres, error: squared(values, nearest(centres)) };
}

/** The least sum of squared errors that any 16 values have: the best cut of the sorted values into 16 runs, by trying all. */
function leastError(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const cost = (from: number, to: number) => {
    const run = sorted.slice(from, to);
    const mean = run.reduce((a, b) => a + b, 0) / run.length;
    return squared(run, () => mean);
  };
  let best = sorted.map((_, i) => cost(0, i + 1));
  for (let k = 2; k <= 16; k++) {
    best = sorted.map((_, i) => Math.min(best[i]!, ...Array.from({ length: i }, (_, cut) => best[cut]! + cost(cut + 1, i + 1))));
  }
  return best.at(-1)!;
}

describe('int4 with a palette for each output channel', () => {
  it('is k-means from the quantiles or from even steps, whichever is better', () => {
    const [channels, rows] = [5, 300];
    const values = noise(channels * rows);
    const { palettes } = quantizeInt4(values, channels);
    for (let c = 0; c < channels; c++) {
      const column = columnOf(values, channels, c);
      const sorted = [...column].sort((a, b) => a - b);
      const [least, largest] = [sorted[0]!, sorted.at(-1)!];
      const quantiles = Array.from({ length: 16 }, (_, j) => sorted[Math.floor(((j + 0.5) * rows) / 16)]!);
      const even = Array.from({ length: 16 }, (_, j) => least + ((largest - least) * j) / 15);
      const [first, second] = [plainLloyd(column, quantiles), plainLloyd(column, even)];
      const expected = first.error <= second.error ? first : second;
      const found = palettes.subarray(16 * c, 16 * c + 16);
      for (let j = 0; j < 16; j++) expect(found[j]).toBeCloseTo(expected.centres[j]!, 6);
    }
  });

  it('errs no more than 16 even steps do, no less than the best palette there is, and on many values little more', () => {
    for (let round = 0; round < 40; round++) {
      const values = noise(17 + Math.floor(next() * 14), 10 ** (next() * 6 - 3));
      const found = restored(values, 1);
      const all = [...values];
      const error = all.reduce((sum, value, i) => sum + (value - found[i]!) ** 2, 0);
      const [least, largest] = [Math.min(...all), Math.max(...all)];
      const even = Array.from({ length: 16 }, (_, j) => least + ((largest - least) * j) / 15);
      const best = leastError(all);
      const rounding = 1e-12 * squared(all, () => 0);
      expect(error).toBeLessThanOrEqual(squared(all, nearest(even)) + rounding);
      expect(error).toBeGreaterThanOrEqual(best - rounding);
    }
    const many = noise(120);
    const found = restored(many, 1);
    const ratio = [...many].reduce((sum, value, i) => sum + (value - found[i]!) ** 2, 0) / leastError([...many]);
    expect(ratio).toBeGreaterThanOrEqual(1 - 1e-9);
    expect(ratio).toBeLessThan(1.5);
  });

  it('each value becomes the nearest of its palette, the lower of two as near', () => {
    const palette = Float32Array.from({ length: 16 }, (_, j) => j);
    const values = Float32Array.of(-9, 0.5, 0.5000001, 7.5, 8, 14.5, 14.6, 99);
    const packed = int4Packer(palette)(values, 0);
    expect([...packed].flatMap((byte) => [byte & 15, byte >> 4])).toEqual([0, 0, 1, 7, 8, 14, 15, 15]);
    const all = noise(999);
    const { palettes } = quantizeInt4(all, 3);
    const found = restored(all, 3);
    for (const [i, value] of all.entries()) {
      const own = palettes.subarray((i % 3) * 16, (i % 3) * 16 + 16);
      expect(Math.abs(found[i]! - value)).toBe(Math.abs(nearest(own)(value) - value));
    }
  });

  it('packs two to a byte, the first in the low half, and an odd end with 0', () => {
    const { indices, palettes } = quantizeInt4(Float32Array.of(0.5, 3, -1, 3, 2, 5), 2);
    expect([...indices]).toEqual([0x01, 0x00, 0x12]);
    expect([...palettes.subarray(0, 4), ...palettes.subarray(16, 19)]).toEqual([-1, 0.5, 2, 2, 3, 5, 5]);
    expect([...quantizeInt4(Float32Array.of(1, 2, 3), 1).indices]).toEqual([0x10, 0x02]);
  });

  it('at most 16 different values stay as they are, so that doing it again changes nothing', () => {
    const few = Float32Array.from({ length: 400 }, (_, i) => Math.fround((((i * 7) % 16) - 8) / 3) * (1 + (i % 4)));
    expect(restored(few, 4)).toEqual(few);
    const once = restored(noise(3000), 6);
    expect(restored(once, 6)).toEqual(once);
  });

  it('is the same each time, in order, and in pieces', () => {
    const values = noise(70 * 41);
    const { indices, palettes } = quantizeInt4(values, 70); // more than are gathered at a time
    expect(quantizeInt4(values.slice(), 70)).toEqual({ indices, palettes });
    for (let i = 1; i < palettes.length; i++) if (i % 16 > 0) expect(palettes[i]!).toBeGreaterThanOrEqual(palettes[i - 1]!);
    const whole = dequantizeInt4(indices, palettes, new Float32Array(values.length));
    const pack = int4Packer(palettes);
    for (const [from, to] of [
      [0, 100],
      [100, 1334],
      [1334, values.length],
    ] as const) {
      const piece = pack(values.subarray(from, to), from);
      expect(piece).toEqual(indices.slice(from / 2, to / 2));
      expect(dequantizeInt4(piece, palettes, new Float32Array(to - from), from)).toEqual(whole.slice(from, to));
    }
    // It pauses between channels.
    expect([...int4Palettes(values, 70)].length).toBe(3);
  });

  it('a lone large value does not spoil the others, nor do zeros and the least numbers', () => {
    const values = noise(1000);
    values[500] = -1e30;
    const found = restored(values, 1);
    expect(found[500]).toBe(Math.fround(-1e30));
    const zeros = Float32Array.from({ length: 100 }, (_, i) => (i % 3 === 0 ? i * 2 ** -149 : 0));
    for (const [i, value] of restored(zeros, 1).entries()) expect(Math.abs(value - zeros[i]!)).toBeLessThanOrEqual(4 * 2 ** -149);
  });

  it('refuses what has no palette, and sizes that do not fit', async () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      await refuses(() => quantizeInt4(Float32Array.of(1, bad), 1), 'VGG_OPTION', 'finite');
    }
    await refuses(() => quantizeInt4(new Float32Array(5), 2), 'VGG_SHAPE', '2 channels');
    await refuses(() => dequantizeInt4(new Uint8Array(2), new Float32Array(16), new Float32Array(5)), 'VGG_SHAPE', 'expected 3 bytes');
    await refuses(() => dequantizeInt4(new Uint8Array(2), new Float32Array(15), new Float32Array(4)), 'VGG_SHAPE', '15 values');
    await refuses(() => dequantizeInt4(new Uint8Array(2), new Float32Array(0), new Float32Array(4)), 'VGG_SHAPE', '0 values');
    expect(quantizeInt4(new Float32Array(0), 0)).toEqual({ indices: new Uint8Array(0), palettes: new Float32Array(0) });
    expect(quantizeInt4(new Float32Array(0), 2)).toEqual({ indices: new Uint8Array(0), palettes: new Float32Array(32) });
  });
});
