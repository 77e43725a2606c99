import { expect, it } from 'vitest';
import { parseJson } from '../src/json.js';

it('a name that stands twice is found however much space is between it and its colon', () => {
  const gap = ' '.repeat(500);
  const bytes = new TextEncoder().encode(`{"a"${gap}:1,"a"${gap}:2}`);
  expect(() => parseJson(bytes, { who: 'x', maxBytes: 1e6, maxDepth: 4 })).toThrow(expect.objectContaining({ code: 'VGG_INTEGRITY' }));
});
