import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseExample } from '../../../test/tfrecord/format.js';
import { decodeExample, encodeExample, type FeatureInput } from './example.js';

const anyFeature: fc.Arbitrary<FeatureInput> = fc.oneof(
  fc.record({ bytesList: fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 3 }) }),
  fc.record({ floatList: fc.array(fc.float({ noNaN: true }), { maxLength: 4 }) }),
  fc.record({ int64List: fc.array(fc.oneof(fc.maxSafeInteger(), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)), { maxLength: 4 }) }),
);
const anyExample = fc.dictionary(fc.string({ unit: 'binary', maxLength: 6 }), anyFeature, { maxKeys: 4, noNullPrototype: true });

/** As the specification's parser shows it. */
function shown(feature: FeatureInput) {
  if ('bytesList' in feature)
    return feature.bytesList.map((value) => [...(value as Uint8Array)].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
  if ('floatList' in feature) return [...Float32Array.from(feature.floatList)];
  return feature.int64List.map(BigInt);
}

test('any Example is read by a parser of the specification, and by us', () =>
  fc.assert(
    fc.property(anyExample, (example) => {
      const bytes = encodeExample(example);
      const expected = Object.entries(example).map(([name, feature]) => [name, shown(feature)] as const);
      const parsed = parseExample(bytes);
      for (const [name, values] of expected) expect(parsed[name]).toEqual(values);
      const decoded = decodeExample(bytes);
      expect([...decoded.keys()].sort()).toEqual(Object.keys(example).sort());
      for (const [name, values] of expected) expect(shown(decoded.get(name)!)).toEqual(values);
      expect(encodeExample(decoded)).toEqual(bytes);
    }),
    { seed: 1, numRuns: 300 },
  ));

describe('other ways to say the same', () => {
  const feature = (...bytes: number[]) =>
    decodeExample(Uint8Array.of(10, bytes.length + 7, 10, bytes.length + 5, 10, 1, 97, 18, bytes.length, ...bytes)).get('a');

  test('numbers that are not packed', () => {
    expect(feature(26, 5, 8, 5, 8, 128, 1)).toEqual({ int64List: [5, 128] });
    expect(feature(18, 10, 13, 0, 0, 128, 63, 13, 0, 0, 0, 192)).toEqual({ floatList: Float32Array.of(1, -2) });
  });

  test('packed and not in one list; a whole number past 2^53 is a bigint', () => {
    expect(feature(26, 6, 10, 2, 1, 2, 8, 3)).toEqual({ int64List: [1, 2, 3] });
    expect(feature(26, 11, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1)).toEqual({ int64List: [-1] });
    expect(feature(26, 10, 8, 129, 128, 128, 128, 128, 128, 128, 128, 1)).toEqual({ int64List: [2n ** 56n + 1n] });
  });

  test('a feature of no kind, and fields that nobody knows', () => {
    expect(feature()).toEqual({ bytesList: [] });
    expect(feature(26, 2, 8, 5, 40, 1)).toEqual({ int64List: [5] });
  });

  test('names such as __proto__ are names', () => {
    const decoded = decodeExample(encodeExample(new Map([['__proto__', { int64List: [1] }]])));
    expect([...decoded]).toEqual([['__proto__', { int64List: [1] }]]);
    expect(({} as { int64List?: unknown }).int64List).toBeUndefined();
  });
});

test.each([
  ['a number', { a: 7 }, /expected \{ bytesList \}, \{ floatList \} or \{ int64List \} as the feature "a", received 7/],
  ['a fraction', { a: { int64List: [0.5] } }, /whole numbers as the feature "a", received 0.5/],
  ['more than 64 bits', { a: { int64List: [2n ** 63n] } }, /64 bits/],
  ['a number for bytes', { a: { bytesList: [1] } }, /bytes or texts/],
  ['null', { a: null }, /received an object/],
])('%s is refused', (_, example, message) => {
  expect(() => encodeExample(example as never)).toThrow(
    expect.objectContaining({ code: 'VGG_OPTION', message: expect.stringMatching(message) }),
  );
});

test.each([
  ['no message', [255]],
  ['cut', [10, 9, 10]],
  ['a number where features are', [8, 1]],
  ['floats of three bytes', [10, 13, 10, 11, 10, 1, 97, 18, 6, 18, 4, 10, 3, 0, 0, 0].slice(0, 16)],
])('%s is refused', (_, bytes) => {
  expect(() => decodeExample(Uint8Array.from(bytes))).toThrow(expect.objectContaining({ code: 'VGG_INTEGRITY' }));
});
