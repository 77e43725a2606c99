import { describe, expect, test } from 'vitest';
import { globBase, globDepth, globToRegExp, isGlob } from './glob.js';

describe('globToRegExp', () => {
  test.each([
    ['*.jpg', ['a.jpg', 'long name.jpg'], ['a.png', 'b/a.jpg', '.hidden.jpg']],
    ['photos/*', ['photos/a.jpg', 'photos/b'], ['photos/a/b.jpg', 'photos/.a', 'photo/a']],
    ['photos/**', ['photos/a.jpg', 'photos/a/b/c.jpg'], ['photos/.git/a', 'other/a']],
    ['**/*.png', ['a.png', 'a/b.png', 'a/b/c.png'], ['a/.b/c.png', 'a.jpg']],
    ['a/**/z.jpg', ['a/z.jpg', 'a/b/z.jpg', 'a/b/c/z.jpg'], ['az.jpg', 'b/z.jpg']],
    ['?.jpg', ['a.jpg', 'ä.jpg', '蟻.jpg'], ['ab.jpg', '.jpg', '/.jpg']],
    ['[a-c]1.jpg', ['a1.jpg', 'c1.jpg'], ['d1.jpg', '-1.jpg']],
    ['[!a-c]1.jpg', ['d1.jpg'], ['a1.jpg', '/1.jpg', '.1.jpg']],
    ['[]a].jpg', ['].jpg', 'a.jpg'], ['b.jpg']],
    ['[a-]x', ['ax', '-x'], ['bx']],
    ['x[z-a]', [], ['xa', 'xz', 'x-']],
    ['a.{jpg,jpeg}', ['a.jpg', 'a.jpeg'], ['a.{jpg,jpeg}', 'a.png']],
    ['{a,b{1,2}}/c', ['a/c', 'b1/c', 'b2/c'], ['b/c']],
    ['a{b', ['a{b'], ['ab']],
    ['a[b', ['a[b'], ['ab']],
    ['{one}', ['{one}'], ['one']],
    ['a+(b)$^|.jpg', ['a+(b)$^|.jpg'], ['aab.jpg']],
    ['a**b', ['ab', 'axxb'], ['a/b']],
    ['.hidden/*', ['.hidden/a'], ['hidden/a']],
  ])('%s', (pattern, matches, others) => {
    const expression = globToRegExp(pattern);
    for (const path of matches) expect(path).toMatch(expression);
    for (const path of others) expect(path).not.toMatch(expression);
  });

  test('a hostile pattern ends', () => {
    // 2^40 alternatives: most of the braces are taken literally.
    expect(globToRegExp('{a,b}'.repeat(40)).test('a'.repeat(40))).toBe(false);
    expect(globToRegExp(`${'*'.repeat(60)}x`).test('a'.repeat(5000))).toBe(false);
  });
});

test.each([
  ['photos/2024/*.jpg', 'photos/2024', 1],
  ['*.jpg', '', 1],
  ['/data/**/x.jpg', '/data', Number.POSITIVE_INFINITY],
  ['/*.jpg', '/', 1],
  ['a/*/b/{c,d/e}.jpg', 'a', 4],
])('%s is listed from %j, %d deep', (pattern, base, depth) => {
  expect(isGlob(pattern)).toBe(true);
  expect(globBase(pattern)).toBe(base);
  expect(globDepth(pattern)).toBe(depth);
});
