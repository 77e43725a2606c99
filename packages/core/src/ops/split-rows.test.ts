import { expect, it } from 'vitest';
import { splitRows } from './split-rows.js';

it('fc6, [25088, 4096], at 128 MiB: 4 blocks of 6272 rows', () => {
  expect(splitRows(25088, 4096, 128 * 2 ** 20)).toEqual([0, 1, 2, 3].map((i) => ({ start: 6272 * i, rows: 6272 })));
});

it('10 rows of 4 columns at 64 bytes: blocks of at most 4 rows that cover all', () => {
  expect(splitRows(10, 4, 64)).toEqual([
    { start: 0, rows: 3 },
    { start: 3, rows: 3 },
    { start: 6, rows: 4 },
  ]);
});

it('no limit: one block', () => {
  expect(splitRows(25088, 4096, Number.POSITIVE_INFINITY)).toEqual([{ start: 0, rows: 25088 }]);
});

it('a row larger than the limit', () => {
  expect(() => splitRows(2, 100, 399)).toThrow('splitRows: expected room for a row of 400 bytes, received a limit of 399');
});
