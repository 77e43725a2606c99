import { describe, expect, test } from 'vitest';
import { decodeImage, pattern } from '../../test/pictures/fixtures.js';
import { elements } from '../../test/well-formed.js';
import { escapeText, shorten } from '../text/escape.js';
import { encodePng, pngDataUrl } from './encode-png.js';
import { pictureGrid, pictureGridSvg } from './grid.js';
import type { Picture } from './picture.js';

const plain = (width: number, height: number, value: number): Picture => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(value),
});

describe('encodePng', () => {
  const noisy = { ...pattern(37, 23), data: pattern(37, 23).data.map((value, i) => (value + i * i * 31) & 255) };
  test.each<[string, Picture]>([
    ['a pattern', pattern(61, 43)],
    ['noise', noisy],
    ['one pixel', plain(1, 1, 7)],
    ['one column', pattern(1, 9)],
  ])('%s comes back from the decoder, bit for bit', async (_, picture) => {
    const { width, height, data } = await decodeImage(await encodePng(picture));
    expect([width, height]).toEqual([picture.width, picture.height]);
    expect(data).toEqual(picture.data);
  });

  test('a data URL holds the same file', async () => {
    const picture = pattern(120, 90);
    const response = await fetch(await pngDataUrl(picture));
    expect(response.headers.get('content-type')).toBe('image/png');
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(await encodePng(picture));
  });
});

describe('pictureGrid', () => {
  test('puts each picture in the middle of a cell as large as the largest', () => {
    const grid = pictureGrid([plain(3, 1, 10), plain(1, 1, 20), plain(1, 3, 30)], { columns: 2, padding: 1, background: 9 });
    expect([grid.width, grid.height]).toEqual([10, 10]);
    const rows = Array.from({ length: 10 }, (_, y) => Array.from({ length: 10 }, (_, x) => grid.data[(y * 10 + x) * 3]));
    const none = new Array(10).fill(9);
    expect(rows).toEqual([
      none,
      none,
      [9, 10, 10, 10, 9, 9, 9, 20, 9, 9],
      none,
      none,
      none,
      [9, 9, 30, 9, 9, 9, 9, 9, 9, 9],
      [9, 9, 30, 9, 9, 9, 9, 9, 9, 9],
      [9, 9, 30, 9, 9, 9, 9, 9, 9, 9],
      none,
    ]);
  });

  test.each([
    [1, [1, 1]],
    [5, [3, 2]],
    [9, [3, 3]],
  ])('%d pictures are about a square', (count, [across, down]) => {
    const { width, height } = pictureGrid(new Array(count).fill(plain(2, 2, 0)), { padding: 0 });
    expect([width / 2, height / 2]).toEqual([across, down]);
  });
});

describe('pictureGridSvg', () => {
  test('holds the pictures and their titles, escaped', async () => {
    const pictures = [plain(32, 32, 10), plain(32, 16, 200)];
    const svg = await pictureGridSvg(pictures, { titles: ['<ant> & "bee"', 'a title that is far too long for it'] });
    const found = elements(svg);
    const images = found.filter(({ name }) => name === 'image');
    expect(images.map(({ attributes: { width, height } }) => [width, height])).toEqual([
      ['96', '96'],
      ['96', '48'],
    ]);
    const bytes = new Uint8Array(await (await fetch(images[1]!.attributes.href!)).arrayBuffer());
    expect((await decodeImage(bytes)).data).toEqual(pictures[1]!.data);
    expect(svg).toContain('>&lt;ant&gt; &amp; &quot;bee&quot;</text>');
    expect(svg).toContain('<title>a title that is far too long for it</title>a title that is…</text>');
  });

  test('without titles there is no text', async () => {
    const names = elements(await pictureGridSvg([plain(4, 4, 0)], { side: 4, padding: 0 })).map(({ name }) => name);
    expect(names).toEqual(['svg', 'style', 'image']);
  });
});

test.each<[string, () => unknown, string]>([
  ['no pictures', () => pictureGrid([]), 'VGG_INPUT'],
  ['no columns', () => pictureGrid([plain(1, 1, 0)], { columns: 0 }), 'VGG_OPTION'],
  ['a background that is no byte', () => pictureGrid([plain(1, 1, 0)], { background: 256 }), 'VGG_OPTION'],
  ['a title too many', () => pictureGridSvg([plain(1, 1, 0)], { titles: ['a', 'b'] }), 'VGG_OPTION'],
])('%s: refused', async (_, make, code) => {
  await expect((async () => make())()).rejects.toMatchObject({ code });
});

test('text is escaped, and what XML does not allow is replaced', () => {
  expect(escapeText('<a b="c">&\u0007 😀\ud800')).toBe('&lt;a b=&quot;c&quot;&gt;&amp;\ufffd 😀\ufffd');
  expect([shorten('short', 5), shorten('😀😀😀😀', 3)]).toEqual(['short', '😀😀…']);
});
