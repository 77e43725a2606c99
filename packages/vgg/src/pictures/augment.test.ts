import { describe, expect, test } from 'vitest';
import { pattern } from '../../test/pictures/fixtures.js';
import { random } from '../random.js';
import { derivedSeed } from '../seed.js';
import { AUGMENTATIONS, type AugmentOptions, augment, IMAGENET_COLOURS, shifted } from './augment.js';
import type { Picture } from './picture.js';
import { deprocess, normalise, prepare } from './preprocess.js';
import { PREPROCESSINGS } from './preprocessing.js';
import { resizeShorter } from './resample.js';

/** Each pixel says where it is: red its column, green its row. */
const places = (width: number, height: number): Picture => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => [Math.floor(i / 3) % width, Math.floor(i / 3 / width), 255][i % 3]!),
});
const columnsOf = ({ width, data }: Picture) => Array.from({ length: width }, (_, x) => data[x * 3]!);
const pixel = ({ width, data }: Picture, x: number, y: number) => [...data.slice((y * width + x) * 3, (y * width + x) * 3 + 3)];
const draws = (count: number, picture: Picture, options: AugmentOptions) =>
  Array.from({ length: count }, (_, i) => augment(picture, options, random(derivedSeed(1, i))));

/** Pearson's statistic over its degrees of freedom: about 1 for counts that are uniform. */
function unevenness(counts: readonly number[]): number {
  const mean = counts.reduce((a, b) => a + b) / counts.length;
  return counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0) / (counts.length - 1);
}

describe('exactly', () => {
  test('no options leave the picture as it is', () => {
    expect(augment(places(5, 4), {}, random(0))).toEqual(places(5, 4));
  });

  test('a fixed scale is the resize of its shorter side', () => {
    const photo = pattern(61, 43);
    expect(augment(photo, { scale: 32, filter: 'bicubic' }, random(0))).toEqual(resizeShorter(photo, 32, 'bicubic'));
  });

  test('pad puts zeros on each side', () => {
    const result = augment(places(2, 1), { pad: 2 }, random(0));
    expect([result.width, result.height]).toEqual([6, 5]);
    expect(pixel(result, 2, 2)).toEqual([0, 0, 255]);
    expect(pixel(result, 3, 2)).toEqual([1, 0, 255]);
    expect(result.data.reduce((a, b) => a + b)).toBe(511);
  });

  test('a window of the whole picture is the picture; a flip reverses its columns and nothing else', () => {
    const seen = new Set(draws(20, places(3, 2), { crop: 2, flip: true }).map((result) => columnsOf(result).join()));
    expect([...seen].sort()).toEqual(['0,1', '1,0', '1,2', '2,1']);
    for (const result of draws(20, places(4, 4), { crop: 4, flip: true })) {
      expect(columnsOf(result).sort()).toEqual([0, 1, 2, 3]);
      expect([0, 1, 2, 3].map((y) => pixel(result, 0, y)[1])).toEqual([0, 1, 2, 3]);
    }
  });
});

describe('cutout', () => {
  /** Even numbers alone, of an odd mean: what is hidden is told from the rest. */
  const evenPlaces = (width: number, height: number): Picture => ({
    width,
    height,
    data: places(width, height).data.map((value) => 2 * value),
  });
  const hidden = (result: Picture, x: number, y: number) => pixel(result, x, y)[0]! % 2 === 1;

  test('fills a square with the mean colour, and leaves the rest and the picture it was given', () => {
    const picture = evenPlaces(20, 10);
    const before = picture.data.slice();
    const found = new Set<string>();
    let wrong = 0;
    for (const result of draws(2000, picture, { cutout: 3 })) {
      const [columns, rows] = [new Set<number>(), new Set<number>()];
      for (let y = 0; y < 10; y++) {
        for (let x = 0; x < 20; x++) {
          const expected = hidden(result, x, y) ? [19, 9, 254] : pixel(picture, x, y);
          if (String(pixel(result, x, y)) !== String(expected)) wrong++;
          if (!hidden(result, x, y)) continue;
          columns.add(x);
          rows.add(y);
        }
      }
      found.add(`${[...columns]} x ${[...rows]}`);
    }
    expect(wrong).toBe(0);
    expect(picture.data).toEqual(before);
    // Its centre may be in each of the 200 places; at the corners it reaches beyond the picture.
    expect(found.size).toBe(200);
    expect(found).toContain('0,1 x 0,1');
    expect(found).toContain('17,18,19 x 4,5,6');
  });

  test('has the same chance everywhere', () => {
    const counts = new Array<number>(256).fill(0);
    for (const result of draws(5120, evenPlaces(16, 16), { cutout: 1 }))
      for (let i = 0; i < 256; i++) if (hidden(result, i % 16, Math.floor(i / 16))) counts[i]!++;
    expect(unevenness(counts)).toBeLessThan(1.4);
  });

  test('refuses a side that is none', () => {
    expect(() => augment(places(4, 4), { cutout: 0.5 }, random(0))).toThrow(
      'augment: expected whole pixels from 1 to 65535 as cutout, received 0.5',
    );
  });
});

describe('distributions', () => {
  test("the paper's S is uniform over its whole range", () => {
    const counts = new Array<number>(9).fill(0);
    for (const { width, height } of draws(3600, places(4, 5), { scale: [8, 16], filter: 'nearest' })) {
      counts[width - 8]!++;
      expect(height).toBe(Math.trunc((width * 5) / 4));
    }
    expect(unevenness(counts)).toBeLessThan(2.5);
  });

  test('windows are uniform over all places, and half of them are mirrored', () => {
    const counts = new Array<number>(20).fill(0);
    let mirrored = 0;
    for (const result of draws(4000, places(8, 7), { crop: 4, flip: true })) {
      const columns = columnsOf(result);
      if (columns[0]! > columns[1]!) mirrored++;
      counts[Math.min(...columns) * 4 + pixel(result, 0, 0)[1]!]!++;
    }
    expect(unevenness(counts)).toBeLessThan(2.2);
    // Four standard deviations.
    expect(Math.abs(mirrored - 2000)).toBeLessThan(127);
  });

  test('padded windows reach 4 pixels beyond each side', () => {
    const picture = places(32, 32);
    const offsets = new Array<number>(9).fill(0);
    for (const result of draws(1800, picture, { pad: 4, crop: 32 })) {
      const [red, green] = pixel(result, 16, 16);
      offsets[red! - 12]!++;
      expect(Math.abs(green! - 16)).toBeLessThanOrEqual(4);
    }
    expect(unevenness(offsets)).toBeLessThan(2.5);
  });

  test('colour shifts have the deviations of their axes, and none across', () => {
    const eigenvalues = [0.2, 0.05, 0.01] as const;
    const { eigenvectors } = IMAGENET_COLOURS;
    const shifts = draws(8000, places(1, 1), { colour: { deviation: 0.1, eigenvalues, eigenvectors } }).map(({ shift }) => shift!);
    eigenvectors.forEach((axis, k) => {
      const along = shifts.map((shift) => shift.reduce((sum, value, c) => sum + value * axis[c]!, 0));
      const deviation = Math.sqrt(along.reduce((sum, value) => sum + value ** 2, 0) / along.length);
      // The published axes are orthonormal to three digits.
      expect(deviation / (25.5 * eigenvalues[k]!)).toBeCloseTo(1, 1);
      expect(Math.abs(along.reduce((a, b) => a + b) / along.length)).toBeLessThan(0.05 * deviation);
    });
  });
});

test('the same seed gives the same variant, whatever was drawn before it', () => {
  const photo = pattern(61, 43);
  const options = { ...AUGMENTATIONS.paper, scale: [40, 60], crop: 32 } as const;
  const inOrder = [0, 1, 2, 3].map((i) => augment(photo, options, random(derivedSeed(5, 2, i))));
  const backwards = [3, 2, 1, 0].map((i) => augment(photo, options, random(derivedSeed(5, 2, i)))).reverse();
  expect(backwards).toEqual(inOrder);
  expect(new Set(inOrder.map(({ data }) => data.join())).size).toBe(4);
});

test('a shift is added to the value before it is normalised, in either channel order, and clipped only for the eye', () => {
  const picture = { width: 1, height: 1, data: Uint8Array.of(10, 100, 250), shift: [0.25, -1.5, 20] as const };
  expect([...normalise(picture, PREPROCESSINGS.none).data]).toEqual([10.25, 98.5, 270]);
  const [blue, green, red] = normalise(picture, PREPROCESSINGS.keras).data;
  expect([blue, green, red].map((value) => Number(value!.toFixed(3)))).toEqual([166.061, -18.279, -113.43]);
  expect([...shifted(picture).data]).toEqual([10, 98, 255]);
});

test.each(Object.values(PREPROCESSINGS).map((each) => [each.name, each] as const))(
  'deprocess undoes %s to within a level',
  (_, preprocessing) => {
    const picture = pattern(61, 43);
    const prepared = prepare(picture, { ...preprocessing, resize: { mode: 'none' }, crop: undefined });
    const back = deprocess(prepared, preprocessing);
    expect([back.width, back.height]).toEqual([61, 43]);
    let worst = 0;
    back.data.forEach((value, i) => {
      worst = Math.max(worst, Math.abs(value - picture.data[i]!));
    });
    expect(worst).toBe(0);
  },
);

test('deprocess refuses values that do not fill the sizes', () => {
  expect(() => deprocess({ width: 2, height: 2, data: new Float32Array(3) }, PREPROCESSINGS.none)).toThrow(
    expect.objectContaining({ code: 'VGG_SHAPE' }),
  );
});

test.each<[string, AugmentOptions, string]>([
  ['a scale of no pixels', { scale: 0 }, 'VGG_OPTION'],
  ['a range the wrong way round', { scale: [512, 256] }, 'VGG_OPTION'],
  ['half a pixel of padding', { pad: 0.5 }, 'VGG_OPTION'],
  ['a window larger than the scale', { scale: 200, crop: 224 }, 'VGG_OPTION'],
  ['a window larger than the picture', { crop: 6 }, 'VGG_INPUT'],
  ['a negative deviation', { colour: { deviation: -1, ...IMAGENET_COLOURS } }, 'VGG_OPTION'],
  ['an axis that is not a number', { colour: { deviation: 1, ...IMAGENET_COLOURS, eigenvalues: [1, Number.NaN, 0] } }, 'VGG_OPTION'],
])('%s is refused', (_, options, code) => {
  expect(() => augment(places(5, 5), options, random(0))).toThrow(expect.objectContaining({ code }));
});
