import { isVggError } from '@vgg/errors';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bytesSource,
  canonicalise,
  decodeNpy,
  encodeNpy,
  filesSource,
  openWeights,
  readCanonical,
  type Source,
  writeSafetensors,
} from '../src/index.js';
import { counted, fixture, ramp, random, refuses } from './helpers.js';
import { table } from './vgg.js';

/** Files are made of bytes that strangers chose: whatever these are, a reader answers with values or with a VggError, soon and in little memory. */

interface Outcome {
  opened: number;
  refused: number;
}

/** Opens and reads everything; any other error than ours or a large array fails the test, and so does a reader that does not end. */
async function attempt(make: () => Source, outcome: Outcome, label: () => string): Promise<void> {
  try {
    const file = await openWeights(make());
    for (const { name, present } of file.tensors.values()) {
      if (!present) continue;
      const values = await file.read(name).catch((error: unknown) => {
        if (!isVggError(error)) throw error;
        return new Float32Array(0);
      });
      if (values.length > 2 ** 24) throw new Error(`${values.length} values out of a small file`);
    }
    canonicalise(
      file,
      table([
        [2, 3],
        [4, 5],
      ]),
    );
    outcome.opened++;
  } catch (error) {
    if (!isVggError(error)) throw new Error(`${label()}: ${error instanceof Error ? error.stack : error}`);
    expect(error.message, label()).not.toContain('\n');
    outcome.refused++;
  }
}

/** Changes one to four bytes or runs, or drops or repeats a piece. */
function mutate(bytes: Uint8Array, next: () => number): Uint8Array {
  const out = bytes.slice();
  const place = () => Math.floor(next() * out.length);
  for (let changes = 1 + Math.floor(next() * 4); changes > 0; changes--) {
    const at = place();
    const kind = next();
    if (kind < 0.4) out[at] = Math.floor(next() * 256);
    else if (kind < 0.6) out[at]! ^= 1 << Math.floor(next() * 8);
    else if (kind < 0.75) out.fill(255, at, at + 1 + Math.floor(next() * 8));
    else if (kind < 0.9) out.copyWithin(at, place(), place());
    else out.fill(0, at, at + 1 + Math.floor(next() * 8));
  }
  return next() < 0.1 ? out.slice(0, place()) : out;
}

async function safetensorsFile(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const values = (count: number) => async () => Float32Array.from(ramp(count));
  const tensors = [
    { name: 'conv1_1.weight', shape: [3, 3, 3, 2], values: values(54) },
    { name: 'conv1_1.bias', shape: [2], values: values(2) },
  ];
  for await (const chunk of writeSafetensors(tensors, { licence: 'none' })) chunks.push(chunk.slice());
  return new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
}

const MANIFEST = new TextEncoder().encode(
  JSON.stringify({
    modelTopology: { keras_version: '2.2.0' },
    weightsManifest: [
      {
        paths: ['s1', 's2'],
        weights: [
          { name: 'block1_conv1/kernel', shape: [3, 3, 3, 2], dtype: 'float32' },
          { name: 'block1_conv1/bias', shape: [2], dtype: 'float32', quantization: { dtype: 'uint8', scale: 0.5, min: -1 } },
        ],
      },
    ],
  }),
);

function manifestSource(json: Uint8Array): Source {
  const shard = (name: string, length: number) => new File([new Uint8Array(length)], name);
  return filesSource([new File([json as Uint8Array<ArrayBuffer>], 'model.json'), shard('s1', 200), shard('s2', 18)]);
}

describe.each<[string, number, () => Promise<Uint8Array>, (bytes: Uint8Array) => Source]>([
  ['safetensors', 3000, safetensorsFile, bytesSource],
  ['tfjs', 1000, async () => MANIFEST, manifestSource],
  ['Keras 3 weights', 200, () => fixture('keras3.weights.h5'), bytesSource],
  ['Keras 3 full', 200, () => fixture('keras3-full.h5'), bytesSource],
  ['published Keras', 200, () => fixture('keras-published.h5'), bytesSource],
  ['HDF5, everything old', 12, () => fixture('earliest.h5'), bytesSource],
  ['HDF5, everything new', 12, () => fixture('latest.h5'), bytesSource],
])('%s', (name, count, load, open) => {
  test(`${count} seeded mutations`, async () => {
    const bytes = await load();
    const next = random(name.length + count);
    const outcome = { opened: 0, refused: 0 };
    for (let i = 0; i < count; i++) {
      const changed = mutate(bytes, next);
      await attempt(
        () => open(changed),
        outcome,
        () => `mutation ${i} of ${name}`,
      );
    }
    expect(outcome.opened + outcome.refused).toBe(count);
    expect(outcome.refused).toBeGreaterThan(0);
  });

  test('cut anywhere', async () => {
    const bytes = await load();
    const outcome = { opened: 0, refused: 0 };
    const step = Math.max(1, Math.floor(bytes.length / 150));
    for (let length = 0; length < bytes.length; length += step) {
      await attempt(
        () => open(bytes.slice(0, length)),
        outcome,
        () => `${name} cut to ${length} bytes`,
      );
    }
    expect(outcome.opened).toBe(0);
  });
});

test('mutated metadata of HDF5, where the structures are', async () => {
  // Mutations over a whole file mostly hit values; these hit only what the index reads.
  for (const name of ['earliest.h5', 'latest.h5', 'keras-published.h5']) {
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
    ['notes.txt', text('Dear diary,\nno weights here.'), /notes.txt: expected a weight file \(.*\), received text$/],
    ['vgg16.pth', new Uint8Array([0x50, 0x4b, 3, 4, 0, 0]), /received a zip archive \(a PyTorch .pth.*not supported yet/],
    ['page.h5', text('<!doctype html><html>'), /received a web page/],
    ['pointer.h5', text('version https://git-lfs.github.com/spec/v1\n'), /Git LFS pointer/],
    ['empty.h5', new Uint8Array(0), /received an empty file/],
    ['config.json', text('{"architecture":"vgg16"}'), /received JSON that names no weights/],
    ['photo.jpg', new Uint8Array([0xff, 0xd8, 0xff, 0xe0]), /received a JPEG picture/],
    ['\u001b[31mred\n.h5', new Uint8Array(0), /^ \[31mred .h5: .*an empty file$/],
    ['noise', new Uint8Array([1, 2, 3, 200]), /received bytes of an unknown kind/],
  ])('%s', (name, bytes, sentence) => refuses(openWeights(bytesSource(bytes, name)), 'VGG_FORMAT', sentence));
});

test('an .h5 that says it is longer than it is, is cut', async () => {
  const bytes = await fixture('keras-published.h5');
  await refuses(openWeights(bytesSource(bytes.slice(0, -1), 'cut.h5')), 'VGG_INTEGRITY', /cut.h5.*cut or corrupt/);
});

test('a failed opening closes its source, a successful one leaves it open until it is closed', async () => {
  let closed = 0;
  const closing = (bytes: Uint8Array): Source => ({ ...bytesSource(bytes), close: async () => void closed++ });
  await refuses(openWeights(closing(new Uint8Array(3))), 'VGG_FORMAT', /received/);
  expect(closed).toBe(1);
  const file = await openWeights(closing(await fixture('keras-published.h5')));
  const mapping = canonicalise(file, table([[2, 2]]));
  await refuses(readCanonical(file, mapping, 'conv1_1.weight', { signal: AbortSignal.abort() }), 'VGG_ABORTED', /AbortSignal/);
  expect(closed).toBe(1);
  await file.close();
  expect(closed).toBe(2);
});
