import { describe, expect, it } from 'vitest';
import { fromBase64, inflate, pattern, resizeCases, resizeDigests, sha256 } from '../../test/pictures/fixtures.js';
import { type Filter, resize } from './resample.js';

describe('resize gives the bytes of Pillow', () => {
  for (const { from, to, filter, bytes } of resizeCases) {
    it(`${from.join('x')} to ${to.join('x')}, ${filter}`, async () => {
      const result = resize(pattern(...from), ...to, filter as Filter);
      expect([result.width, result.height]).toEqual(to);
      expect(differences(result.data, await inflate(fromBase64(bytes)))).toBe(0);
    });
  }

  for (const { from, to, filter, sha256: digest } of resizeDigests) {
    it(`${from.join('x')} to ${to.join('x')}, ${filter}, by digest`, async () => {
      expect(await sha256(resize(pattern(...from), ...to, filter as Filter).data)).toBe(digest);
    });
  }

  it('is a copy at the same size', () => {
    const picture = pattern(5, 4);
    const copy = resize(picture, 5, 4, 'lanczos');
    expect(copy.data).toEqual(picture.data);
    expect(copy.data).not.toBe(picture.data);
  });

  it.each([
    [0, 5],
    [5, -1],
    [2.5, 4],
    [Number.NaN, 4],
    [70_000, 4],
  ])('refuses the size %d x %d', (width, height) => {
    expect(() => resize(pattern(3, 3), width, height, 'box')).toThrow(/whole sizes from 1 to 65535 pixels/);
  });

  it('refuses an unknown filter', () => {
    expect(() => resize(pattern(3, 3), 2, 2, 'cubic' as Filter)).toThrow(
      'expected one of nearest, box, bilinear, hamming, bicubic, lanczos',
    );
  });
});

function differences(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  let count = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) count++;
  return count;
}
