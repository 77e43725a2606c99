import { describe, expect, test } from 'vitest';
import { lookup3 } from '../../src/formats/hdf5/checksum.js';
import { openHdf5 } from '../../src/formats/hdf5/file.js';
import { readTree } from '../../src/formats/hdf5/tree.js';
import { readValues } from '../../src/formats/hdf5/values.js';
import { bytesSource } from '../../src/index.js';
import { attempt, mutate } from '../fuzz/fuzz.js';
import { fixture, refuses } from '../helpers.js';
import { random } from '../random.js';

/** Reads every dataset of a file. */
async function readAll(bytes: Uint8Array): Promise<void> {
  const file = await openHdf5(bytesSource(bytes, 'bad.h5'));
  const { datasets } = await readTree(file);
  for (const dataset of datasets.values()) await readValues(file, dataset);
}

function find(bytes: Uint8Array, pattern: readonly number[] | string, from = 0): number {
  const wanted = typeof pattern === 'string' ? [...new TextEncoder().encode(pattern)] : pattern;
  for (let at = from; at + wanted.length <= bytes.length; at++) if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  throw new Error(`no ${pattern} in the fixture`);
}

/** Changes every structure of a signature that is `length` bytes long with its checksum, and makes the checksum right again. */
function forge(bytes: Uint8Array, signature: string, length: number, change: (structure: DataView) => void): Uint8Array {
  const out = bytes.slice();
  let count = 0;
  for (let at = 0; at + length <= out.length; at++) {
    if (![...signature].every((character, i) => out[at + i] === character.charCodeAt(0))) continue;
    const view = new DataView(out.buffer, at, length);
    if (view.getUint32(length - 4, true) !== lookup3(out.subarray(at, at + length - 4))) continue;
    change(view);
    view.setUint32(length - 4, lookup3(out.subarray(at, at + length - 4)), true);
    count++;
  }
  expect(count).toBeGreaterThan(0);
  return out;
}

const EAHD = 72;
const FAHD = 28;
const BTHD = 38;

describe('indexes of chunks that lie', () => {
  test.each<[string, string, number, (structure: DataView) => void, Parameters<typeof refuses>[1], RegExp]>([
    ['no elements in a block', 'EAHD', EAHD, (view) => view.setUint8(9, 0), 'VGG_INTEGRITY', /impossible sizes/],
    ['no pointers in a super block', 'EAHD', EAHD, (view) => view.setUint8(10, 0), 'VGG_INTEGRITY', /impossible sizes/],
    ['more bits than a number has', 'EAHD', EAHD, (view) => view.setUint8(7, 255), 'VGG_INTEGRITY', /impossible sizes/],
    ['blocks of pages', 'EAHD', EAHD, (view) => view.setUint8(11, 0), 'VGG_FORMAT', /in an array that grows/],
    [
      'blocks of 2 GB',
      'EAHD',
      EAHD,
      (view) => view.setUint8(8, 0) ?? view.setUint8(9, 128) ?? view.setUint8(11, 60),
      'VGG_INTEGRITY',
      /cut|checksum/,
    ],
    ['entries of another size', 'EAHD', EAHD, (view) => view.setUint8(6, 7), 'VGG_INTEGRITY', /does not fit/],
    ['an index block outside', 'EAHD', EAHD, (view) => view.setUint32(60, 2 ** 30, true), 'VGG_INTEGRITY', /bad.h5/],
    ['a fixed array of another length', 'FAHD', FAHD, (view) => view.setUint32(8, 5, true), 'VGG_INTEGRITY', /array has 5 chunks/],
    ['pages of one entry', 'FAHD', FAHD, (view) => view.setUint8(7, 0), 'VGG_INTEGRITY', /bad.h5/],
    ['a tree of more chunks', 'BTHD', BTHD, (view) => view.setUint32(26, 70_000, true), 'VGG_INTEGRITY', /at most 65536 records/],
    ['records of another size', 'BTHD', BTHD, (view) => view.setUint16(10, 5, true), 'VGG_INTEGRITY', /bad.h5/],
    [
      'a chunk twice',
      'BTLF',
      6 + 6 * 24 + 4,
      (view) => new Uint8Array(view.buffer, view.byteOffset + 6 + 24).copyWithin(0, 24, 48),
      'VGG_INTEGRITY',
      /twice/,
    ],
    ['a chunk outside', 'BTLF', 6 + 6 * 24 + 4, (view) => view.setUint32(6 + 8, 50, true), 'VGG_INTEGRITY', /outside its dataset/],
  ])('%s', async (_, signature, length, change, code, text) => {
    const bytes = await fixture('hdf5/growing.h5');
    await readAll(bytes);
    await refuses(readAll(forge(bytes, signature, length, change)), code, text);
  });
});

describe('what is not there', () => {
  test('a large dataset that was never written is not made out of nothing', async () => {
    const bytes = await fixture('hdf5/sparse-earliest.h5');
    // The dataspace [2, 3] of `filled`, version 1, and the 24 bytes of its layout.
    const at = find(bytes, [1, 2, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    const view = new DataView(bytes.buffer);
    view.setUint32(at + 8, 2 ** 20, true);
    view.setUint32(at + 16, 16, true);
    view.setUint32(at + 24, 2 ** 20, true); // what it may grow to
    view.setUint32(at + 32, 16, true);
    const size = find(bytes, [24, 0, 0, 0, 0, 0, 0, 0], at);
    view.setUint32(size, 2 ** 26, true);
    await refuses(readAll(bytes), 'VGG_INTEGRITY', /"filled": expected at most 16777216 bytes that were never written/);
  });

  test('a shape past what it may grow to', async () => {
    const bytes = await fixture('hdf5/sparse-earliest.h5');
    const at = find(bytes, [1, 2, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0]);
    bytes[at + 8] = 5;
    await refuses(readAll(bytes), 'VGG_INTEGRITY', /dataspace of \[5,3\] may be at most \[2,3\]/);
  });

  test('a committed type that is the dataset itself', async () => {
    const bytes = await fixture('hdf5/committed-earliest.h5');
    const file = await openHdf5(bytesSource(bytes, 'committed.h5'));
    // Shared messages of version 1 or 2 with the address of the type's header; the root's header comes first in the file.
    const root = new DataView(new ArrayBuffer(8));
    root.setUint32(0, file.root, true);
    const type = find(bytes, 'float\0');
    expect(type).toBeGreaterThan(0);
    let changed = 0;
    for (let at = 0; at + 16 <= bytes.length; at++) {
      // message type 3 (datatype), 16 bytes, flag shared
      if (bytes[at] !== 3 || bytes[at + 1] !== 0 || bytes[at + 2] !== 16 || bytes[at + 3] !== 0 || (bytes[at + 4]! & 2) === 0) continue;
      bytes.set(new Uint8Array(root.buffer), at + 8 + (bytes[at + 8] === 1 ? 8 : 2));
      changed++;
    }
    expect(changed).toBe(1);
    await refuses(readAll(bytes), 'VGG_INTEGRITY', /committed type is not where it is said to be/);
  });
});

test('a chunk that unpacks to more than it may is stopped', async () => {
  // Ten thousand zeros as zlib packs them, in place of a chunk of 48 bytes.
  const packed = new Uint8Array(
    await new Response(new Blob([new Uint8Array(10_000)]).stream().pipeThrough(new CompressionStream('deflate'))).arrayBuffer(),
  );
  const bytes = await fixture('hdf5/superblock-2.h5');
  const file = await openHdf5(bytesSource(bytes, 'bomb.h5'));
  const dataset = (await readTree(file)).datasets.get('a')!;
  const offsets: { at: number; length: number }[] = [];
  const source = {
    ...file.source,
    read(at: number, length: number) {
      offsets.push({ at, length });
      return file.source.read(at, length);
    },
  };
  await readValues({ ...file, source }, dataset);
  const chunk = offsets.at(-1)!.at;
  expect(bytes[chunk]).toBe(0x78); // a zlib header
  bytes.set(packed, chunk);
  await refuses(readAll(bytes), 'VGG_INTEGRITY', /unpacks to more than 48 bytes/);
});

test.each([
  'growing.h5',
  'sparse-earliest.h5',
  'sparse-latest.h5',
  'plain-edges.h5',
  'committed-earliest.h5',
  'offsets-of-4.h5',
  'paged.h5',
])('%s, mutated', async (name) => {
  const bytes = await fixture(`hdf5/${name}`);
  const next = random(name.length);
  const outcome = { opened: 0, refused: 0 };
  for (let i = 0; i < 60; i++) {
    const changed = mutate(bytes, next);
    await attempt(
      () => bytesSource(changed, name),
      outcome,
      () => `mutation ${i} of ${name}`,
    );
  }
  expect(outcome.opened + outcome.refused).toBe(60);
  expect(outcome.refused).toBeGreaterThan(0);
});
