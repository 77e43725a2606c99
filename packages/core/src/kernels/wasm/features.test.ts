import { expect, it } from 'vitest';
import { simdOf } from './features.js';

it('this engine has SIMD', () => {
  expect(['fixed', 'relaxed']).toContain(simdOf(WebAssembly));
});

it('an engine that refuses the longer module has the fixed set alone', () => {
  const sizes: number[] = [];
  const validate = (bytes: Uint8Array) => sizes.push(bytes.length) === 1;
  expect(simdOf({ validate })).toBe('fixed');
  expect(sizes[1]).toBeGreaterThan(sizes[0]);
});

it('the modules that are asked about are modules: they compile where they validate', async () => {
  const asked: Uint8Array<ArrayBuffer>[] = [];
  simdOf({
    validate: (bytes) => {
      asked.push(bytes);
      return true;
    },
  });
  for (const bytes of asked) if (WebAssembly.validate(bytes)) await WebAssembly.compile(bytes);
  expect(WebAssembly.validate(asked[0])).toBe(true);
});

it('no WebAssembly', () => {
  expect(simdOf(undefined)).toBe('none');
});
