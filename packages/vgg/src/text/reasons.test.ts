import { expect, it } from 'vitest';
import { withReasons } from './reasons.js';

it('things that share a reason are said together, and of many the first', () => {
  expect(withReasons([])).toBe('');
  const cut = ['a', 'b'].map((name) => ({ name, reason: 'cut' }));
  expect(withReasons([cut[0]!, { name: 'c', reason: 'lost' }, cut[1]!])).toBe('a, b (cut), c (lost)');
  const many = Array.from({ length: 10 }, (_, i) => ({ name: `n${i}`, reason: 'cut' }));
  expect(withReasons(many)).toBe('n0, n1, n2, n3, n4, n5 and 4 more (cut)');
  const each = many.map(({ name }) => ({ name, reason: `no ${name}` }));
  expect(withReasons(each)).toMatch(/^n0 \(no n0\), .*n5 \(no n5\) and 4 more$/);
});
