import { isVggError } from '@vgg/errors';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat } from '../src/bytes.js';
import { bytesSource, canonicalise, decodeNpy, encodeNpy, openWeights, readCanonical, type Source } from '../src/index.js';
import { attempt, mutate } from './fuzz/fuzz.js';
import { SEEDS } from './fuzz/seeds.js';
import { counted, fixture, ramp, refuses } from './helpers.js';
import { random } from './random.js';
import { table } from './vgg.js';

/** Mutations of each format in every run; scripts/fuzz.mjs makes as many as one likes. */
const MUTATIONS = 300;

describe.each(SEEDS)('$format', ({ fixtures, source }) => {
  test(`${MUTATIONS} seeded mutations`, async () => {
    const seeds = await Promise.all(fixtures.map(fixture));
    const next = random(1);
    const outcome = { opened: 0, refused: 0 };
    for (let i = 0; i < MUTATIONS; i++) {
      const changed = mutate(seeds[i % seeds.length]!, next);
      await attempt(
        () => source(changed),
        outcome,
        () => `mutation ${i}`,
      );
    }
    expect(outcome.opened + outcome.refused).toBe(MUTATIONS);
    expect(outcome.refused).toBeGreaterThan(0);
  });
});

test('mutated metadata of HDF5, where the structures are', async () => {
  // Mutations over a whole file mostly hit values; these hit only what the index reads.
  for (const name of ['hdf5/earliest.h5', 'hdf5/latest.h5', 'keras/keras-published.h5']) {
    const bytes = await fixture(name);
    const source = counted(bytesSource(bytes, name));
    await openWeights(source);
    const next = random(7);
    const outcome = { opened: 0, refused: 0 };
    for (let i = 0; i < 25; i++) {
      const changed = bytes.slice();
      const page = source.offsets[Math.floor(next() * source.offsets.length)]!;
      for (let k = 0; k < 3; k++) changed[Math.min(changed.length - 1, page + Math.floor(next() * 512))] = Math.floor(next() * 256);
      await attempt(
        () => bytesSource(changed, name),
        outcome,
        () => `${name}, metadata mutation ${i}`,
      );
    }
    expect(outcome.refused).toBeGreaterThan(0);
  }
});

test('any bytes at all', async () => {
  const outcome = { opened: 0, refused: 0 };
  const signatures = [
    new Uint8Array(0),
    new Uint8Array([0x89, 0x48, 0x44, 0x46, 13, 10, 26, 10]),
    new Uint8Array([50, 0, 0, 0, 0, 0, 0, 0, 0x7b]),
    new TextEncoder().encode('{"weightsManifest":'),
  ];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...signatures), fc.uint8Array({ maxLength: 300 }), async (start, rest) => {
      await attempt(
        () => bytesSource(new Uint8Array([...start, ...rest])),
        outcome,
        () => `[${rest}]`,
      );
    }),
    { numRuns: 1000, seed: 1 },
  );
  expect(outcome.opened).toBe(0);
});

test('a safetensors header of any JSON', async () => {
  const outcome = { opened: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.constantFrom('a', '__proto__', 'constructor', '__metadata__'), fc.jsonValue()), async (header) => {
      const text = new TextEncoder().encode(JSON.stringify(header));
      const bytes = new Uint8Array(8 + text.length + 8);
      new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
      bytes.set(text, 8);
      await attempt(
        () => bytesSource(bytes),
        outcome,
        () => JSON.stringify(header),
      );
    }),
    { numRuns: 500, seed: 1 },
  );
  expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain('polluted');
});

test('any .npy', () => {
  const bytes = encodeNpy(Float32Array.from(ramp(6)), [2, 3]);
  const next = random(3);
  for (let i = 0; i < 3000; i++) {
    try {
      expect(decodeNpy(mutate(bytes, next)).data.length).toBeLessThanOrEqual(48);
    } catch (error) {
      if (!isVggError(error)) throw error;
    }
  }
});

describe('what is no weight file says what it is', () => {
  const text = (value: string) => new TextEncoder().encode(value);
  test.each<[string, Uint8Array, RegExp]>([
    [
      'notes.txt',
      text('Dear diary,\nno weights here.'),
      /notes.txt: expected a weight file, received text \("Dear diary,\\nno weights here."\); is it the right file\?$/,
    ],
    ['page.h5', text('<!doctype html><html>'), /received a web page/],
    ['pointer.h5', text('version https://git-lfs.github.com/spec/v1\n'), /Git LFS pointer/],
    ['empty.h5', new Uint8Array(0), /received an empty file/],
    ['config.json', text('{"architecture":"vgg16"}'), /received JSON that names no weights/],
    ['photo.jpg', new Uint8Array([0xff, 0xd8, 0xff, 0xe0]), /received a JPEG picture/],
    ['\u001b[31mred\n.h5', new Uint8Array(0), /^ \[31mred .h5: .*an empty file; fetch it again$/],
    ['noise', new Uint8Array([1, 2, 3, 200]), /expected a weight file \(Keras HDF5, .*\), received bytes of an unknown kind$/],
    ['vgg.tar.bz2', text('BZh91AY&SY\x01\xff'), /received a bzip2 archive; unpack it first/],
    ['denied.pth', text('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'), /received XML, such as a server sends/],
  ])('%s', (name, bytes, sentence) => refuses(openWeights(bytesSource(bytes, name)), 'VGG_FORMAT', sentence));
});

test('a tar archive of an .h5 is an archive', async () => {
  const header = new Uint8Array(512);
  header.set(new TextEncoder().encode('model.h5'));
  header.set(new TextEncoder().encode('ustar\0'), 257);
  const tar = concat([header, await fixture('keras/keras-published.h5')]);
  await refuses(openWeights(bytesSource(tar, 'model.tar')), 'VGG_FORMAT', /^model.tar: .*received a tar archive; unpack it first$/);
});

test('an .h5 that says it is longer than it is, is cut', async () => {
  const bytes = await fixture('keras/keras-published.h5');
  await refuses(openWeights(bytesSource(bytes.slice(0, -1), 'cut.h5')), 'VGG_INTEGRITY', /cut.h5.*cut or corrupt/);
});

test('a failed opening closes its source, a successful one leaves it open until it is closed', async () => {
  let closed = 0;
  const closing = (bytes: Uint8Array): Source => ({ ...bytesSource(bytes), close: async () => void closed++ });
  await refuses(openWeights(closing(new Uint8Array(3))), 'VGG_FORMAT', /received/);
  expect(closed).toBe(1);
  const file = await openWeights(closing(await fixture('keras/keras-published.h5')));
  const mapping = canonicalise(file, table([[2, 2]]));
  await refuses(readCanonical(file, mapping, 'conv1_1.weight', { signal: AbortSignal.abort() }), 'VGG_ABORTED', /AbortSignal/);
  expect(closed).toBe(1);
  await file.close();
  expect(closed).toBe(2);
});
