import { describe, expect, test } from 'vitest';
import { parseCsv } from './csv.js';
import { openDataset } from './dataset.js';

const URLS = 'https://example.org/';
const file = (text: string, name: string) => new File([text], name);
const summary = async (text: string, name: string) => {
  const { classes, examples } = await openDataset(file(text, name));
  return { classes, examples: examples.map(({ image, label }) => [String(image).replace(URLS, ''), label]) };
};

describe('a list of pictures', () => {
  test('.txt: a path, which may have spaces, and a class', async () => {
    const text = `# words\n${URLS}b 2.jpg  wasp\r\n\n${URLS}a.jpg\tant\n`;
    expect(await summary(text, 'list.txt')).toEqual({
      classes: ['ant', 'wasp'],
      examples: [
        ['b 2.jpg', 1],
        ['a.jpg', 0],
      ],
    });
  });

  test('numbers are classes in the order of their values', async () => {
    const text = [10, 2, 0].map((label) => `${URLS}${label}.jpg ${label}`).join('\n');
    expect((await summary(text, 'val.txt')).classes).toEqual(['0', '2', '10']);
  });

  test('.csv: by its header, with quotes', async () => {
    const text = `\ufeffid,Filename,Class\r\n1,"${URLS}a, ""b"".jpg",ant\r\n2,${URLS}c.jpg,"two\nlines"\r\n`;
    expect(await summary(text, 'list.csv')).toEqual({
      classes: ['ant', 'two\nlines'],
      examples: [
        ['a, "b".jpg', 0],
        ['c.jpg', 1],
      ],
    });
  });

  test('.tsv and .jsonl', async () => {
    const expected = {
      classes: ['7', '8'],
      examples: [
        ['a,b.jpg', 0],
        ['c.jpg', 1],
      ],
    };
    expect(await summary(`label\timage\n7\t${URLS}a,b.jpg\n8\t${URLS}c.jpg`, 'list.tsv')).toEqual(expected);
    expect(await summary(`{"image":"${URLS}a,b.jpg","label":7}\n\n{"path":"${URLS}c.jpg","class":"8"}\n`, 'list.jsonl')).toEqual(expected);
  });

  test('with its pictures beside it', async () => {
    const pictures = [file('x', 'a.jpg'), file('y', 'b.jpg')];
    const { examples } = await openDataset([file('set/b.jpg wasp\na.jpg ant', 'list.txt'), ...pictures]);
    expect(examples.map(({ image, label }) => [(image as File).name, label])).toEqual([
      ['b.jpg', 1],
      ['a.jpg', 0],
    ]);
    await expect(openDataset([file('c.jpg ant', 'list.txt'), ...pictures])).rejects.toMatchObject({
      code: 'VGG_DATASET',
      message: expect.stringContaining('line 1: expected the name of a picture'),
    });
  });

  test.each([
    ['list.txt', '', /an empty one/],
    ['list.txt', 'a.jpg', /line 1: expected a path and a class/],
    ['list.txt', 'a.jpg ant', /line 1: expected an http\(s\) address/],
    ['list.csv', 'a,b\n1,2', /header with the columns image and label/],
    ['list.csv', 'image,label\n\nx.jpg', /line 3: expected a picture and a class/],
    ['list.jsonl', `{"image":"${URLS}a.jpg"}`, /line 1: expected \{ "image"/],
    ['list.jsonl', '\n{', /line 2: expected a JSON object/],
    ['list.jsonl', 'null', /line 1/],
  ])('%s of %j is refused', async (name, text, message) => {
    await expect(openDataset(file(text, name))).rejects.toMatchObject({ code: 'VGG_DATASET', message: expect.stringMatching(message) });
  });
});

test('comma-separated values of RFC 4180', () => {
  const cells = (text: string, separator?: string) => parseCsv(text, separator).map((row) => row.cells);
  expect(cells('a,b\r\n"c,""d""","e\r\nf"\n\n,g')).toEqual([
    ['a', 'b'],
    ['c,"d"', 'e\r\nf'],
    ['', 'g'],
  ]);
  expect(cells('a\tb,c', '\t')).toEqual([['a', 'b,c']]);
  expect(cells('')).toEqual([]);
  expect(parseCsv('a\n"b\nc"\nd').map(({ line }) => line)).toEqual([1, 2, 4]);
});
