import { describe, expect, it } from 'vitest';
import { topClasses } from '../classes/classify.js';
import { poolMap, stackMaps } from './feature-map.js';

describe('poolMap', () => {
  it('refuses the map of several pictures instead of mixing them', () => {
    const map = { layer: 'pool5', shape: [2, 1, 1, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };
    for (const pooling of ['average', 'max', 'none'] as const)
      expect(() => poolMap(map, pooling)).toThrow(expect.objectContaining({ code: 'VGG_SHAPE' }));
  });
});

describe('stackMaps', () => {
  it('refuses an empty list in one sentence', () => {
    expect(() => stackMaps([])).toThrow(expect.objectContaining({ code: 'VGG_INPUT' }));
  });
});

describe('topClasses', () => {
  for (const top of [-1, 0, 1.5, Number.NaN]) {
    it(`refuses ${top} as top`, () => {
      expect(() => topClasses(Float32Array.of(1, 2, 3), top, undefined)).toThrow(expect.objectContaining({ code: 'VGG_OPTION' }));
    });
  }
});
