import { describe, expect, it } from 'vitest';
import { classWarnings, parseClasses } from './parse-classes.js';

const tench = { index: 0, wnid: 'n01440764', label: 'tench' };
const goldfish = { index: 1, wnid: 'n01443537', label: 'goldfish' };

describe('parseClasses', () => {
  it.each([
    ['Keras', '{"1": ["n01443537", "goldfish"], "0": ["n01440764", "tench"]}'],
    ['JSON pairs', '[["n01440764", "tench"], ["n01443537", "goldfish"]]'],
    ['tabs', '0\tn01440764\ttench\tfile.JPEG\r\n1\tn01443537\tgoldfish\r\n'],
    ['tabs with a heading', 'index\twnid\tname\n1\tn01443537\tgoldfish\n0\tn01440764\ttench'],
    ['synset words', '\uFEFFn01440764 tench\nn01443537 goldfish\n\n'],
  ])('%s', (_, text) => {
    expect(parseClasses(text)).toEqual([tench, goldfish]);
  });

  it('names alone', () => {
    const names = [
      { index: 0, label: 'ant, pismire' },
      { index: 1, label: 'honey bee' },
    ];
    expect(parseClasses('ant, pismire\nhoney bee')).toEqual(names);
    expect(parseClasses('["ant, pismire", "honey bee"]')).toEqual(names);
    expect(parseClasses('{"0": "ant, pismire", "1": "honey bee"}')).toEqual(names);
    expect(parseClasses('0\tant, pismire\n1\thoney bee')).toEqual(names);
    expect(parseClasses('n01440764 tench, Tinca tinca')[0]!.label).toBe('tench, Tinca tinca');
  });

  it.each([
    ['', 'expected 1 to'],
    ['{', 'JSON that does not parse'],
    ['{"a": "ant"}', 'expected indices as keys, received "a"'],
    ['{"0": 3}', 'expected a name, or a wnid and a name, at 0, received 3'],
    ['{"0": "ant", "2": "bee"}', 'expected indices from 0 to 1, received 2'],
    ['1\tn02119789\tkit fox\n2\tn02100735\tEnglish setter', 'indices from 0 to 1, received 1 to 2; the ILSVRC development kit counts so'],
    ['{"__proto__": "ant"}', 'expected indices as keys'],
    ['0\tant\n0\tbee', 'expected each index once, received 0 twice'],
    ['0\t\n1\tbee', 'between tabs, received'],
    ['PK\u0003\0\0', 'expected text, received bytes'],
  ])('%j', (text, message) => {
    expect(() => parseClasses(text)).toThrow(expect.objectContaining({ code: 'VGG_FORMAT', message: expect.stringContaining(message) }));
  });
});

describe('classWarnings', () => {
  it("the development kit's order", () => {
    const [warning] = classWarnings(parseClasses('n02119789 kit fox\nn02100735 English setter\nn02110185 Siberian husky'));
    expect(warning).toContain('received n02100735 after n02119789 at index 1; this is the order of the ILSVRC development kit');
  });

  it('names alone are not suspicious', () => {
    expect(classWarnings(parseClasses('zebra\nant'))).toEqual([]);
  });
});
