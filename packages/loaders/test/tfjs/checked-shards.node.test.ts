import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { checkedShards } from '../../src/formats/tfjs/checked-shards.js';
import { bytesSource, type OpenOptions, openWeights, type Source } from '../../src/index.js';
import { watchAllocations } from '../fuzz/allocations.js';
import { counted, refuses } from '../helpers.js';

function sha256() {
  const running = createHash('sha256');
  return { update: (bytes: Uint8Array) => void running.update(bytes), digest: () => running.digest('hex') };
}

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Three tensors in four shards of 40 bytes: a in the first, b from the first to the third, c in the fourth alone. */
const VALUES = Float32Array.from({ length: 40 }, (_, i) => i * i - 7);
const BYTES = new Uint8Array(VALUES.buffer);
const SIZE = 40;
const PATHS = ['s0', 's1', 's2', 's3'];
const SHARDS = PATHS.map((_, i) => BYTES.slice(i * SIZE, (i + 1) * SIZE));
const WEIGHTS = [
  { name: 'a/kernel', shape: [4], dtype: 'float32' },
  { name: 'b/kernel', shape: [26], dtype: 'float32' },
  { name: 'c/kernel', shape: [10], dtype: 'float32' },
];
const [A, B, C] = [VALUES.slice(0, 4), VALUES.slice(4, 30), VALUES.slice(30)];

interface Fault {
  readonly shard: string;
  times: number;
}

/** The model beside its shards, whose reads are noted; no hashes are told where they are false. A fault is a wrong byte in all that is read of a shard, so many times. */
function model(hashes: unknown = SHARDS.map(hashOf), fault?: Fault) {
  const reads: { shard: string; offset: number; length: number; fresh: boolean }[] = [];
  const group = { paths: PATHS, ...(hashes !== false && { sha256: hashes }), weights: WEIGHTS };
  const json = new TextEncoder().encode(JSON.stringify({ weightsManifest: [group] }));
  const shard = (name: string): Source => {
    const source = bytesSource(SHARDS[PATHS.indexOf(name)]!, name);
    return {
      ...source,
      async read(offset, length, options) {
        reads.push({ shard: name, offset, length, fresh: options?.fresh ?? false });
        const bytes = await source.read(offset, length, options);
        if (fault?.shard === name && fault.times-- > 0) bytes[length >> 1]! ^= 4;
        return bytes;
      },
    };
  };
  const source: Source = { ...bytesSource(json, 'model.json'), sibling: async (name) => shard(name) };
  return { reads, asked: () => reads.map((read) => read.shard), open: (options: OpenOptions = { sha256 }) => openWeights(source, options) };
}

async function streamed(pieces: AsyncIterable<Float32Array>): Promise<number[]> {
  const all: number[] = [];
  for await (const piece of pieces) all.push(...piece);
  return all;
}

describe('shards whose sha256 the model tells', () => {
  test('each is read once, whole, for all tensors in order, read or streamed', async () => {
    for (const reuse of [undefined, false, true]) {
      const { reads, open } = model();
      const file = await open();
      for (const [name, values] of [
        ['a/kernel', A],
        ['b/kernel', B],
        ['c/kernel', C],
      ] as const) {
        const found = reuse === undefined ? await file.read(name) : await streamed(file.stream(name, { reuse }));
        expect([...found]).toEqual([...values]);
      }
      expect(reads).toEqual(PATHS.map((name) => ({ shard: name, offset: 0, length: SIZE, fresh: false })));
    }
  });

  test('a part of the tensors needs only their shards', async () => {
    const { asked, open } = model();
    const file = await open();
    expect(asked()).toEqual([]);
    expect([...(await file.read('c/kernel'))]).toEqual([...C]);
    expect(asked()).toEqual(['s3']);
    expect([...(await file.read('a/kernel'))]).toEqual([...A]);
    expect(asked()).toEqual(['s3', 's0']);
  });

  test.each(PATHS)('a wrong byte in %s costs that shard again, and nothing else', async (name) => {
    const { reads, asked, open } = model(undefined, { shard: name, times: 1 });
    const file = await open();
    expect([...(await file.read('a/kernel'))]).toEqual([...A]);
    expect(await streamed(file.stream('b/kernel'))).toEqual([...B]);
    expect([...(await file.read('c/kernel'))]).toEqual([...C]);
    expect(asked()).toEqual(PATHS.flatMap((each) => (each === name ? [each, each] : [each])));
    expect(reads.filter(({ fresh }) => fresh)).toEqual([{ shard: name, offset: 0, length: SIZE, fresh: true }]);
  });

  test.each(PATHS.slice(0, 3))('%s that stays wrong is refused, and no value of it is given', async (name) => {
    for (const take of ['read', 'stream'] as const) {
      const { asked, open } = model(undefined, { shard: name, times: 2 });
      const file = await open();
      const taken: number[] = [];
      const work = async () => {
        if (take === 'read') return taken.push(...(await file.read('b/kernel')));
        for await (const piece of file.stream('b/kernel')) taken.push(...piece);
      };
      await refuses(
        work,
        'VGG_INTEGRITY',
        new RegExp(`model\\.json: expected shard "${name}" with sha256 [0-9a-f]{64}, received [0-9a-f]{64}`),
      );
      expect(taken).toEqual([]);
      expect(asked().filter((each) => each === name)).toHaveLength(2);
      // The third time the server has it right.
      expect([...(await file.read('b/kernel'))]).toEqual([...B]);
    }
  });

  test('several readers at once share what is fetched', async () => {
    const { asked, open } = model();
    const file = await open();
    const [a, again, c] = await Promise.all([file.read('a/kernel'), file.read('a/kernel'), file.read('c/kernel')]);
    expect([[...a], [...again], [...c]]).toEqual([[...A], [...A], [...C]]);
    expect(asked().sort()).toEqual(['s0', 's3']);
    a.fill(0); // the caller's own, and none of what is kept
    expect([...(await file.read('a/kernel'))]).toEqual([...A]);
  });

  test('capital letters are the same digits', async () => {
    const { open } = model(SHARDS.map((bytes) => hashOf(bytes).toUpperCase()));
    expect([...(await (await open()).read('b/kernel'))]).toEqual([...B]);
  });

  test('an abort ends it', async () => {
    const { open, asked } = model();
    const file = await open();
    await refuses(file.read('b/kernel', { signal: AbortSignal.abort() }), 'VGG_ABORTED', /model\.json/);
    const controller = new AbortController();
    const reading = file.read('b/kernel', { signal: controller.signal });
    controller.abort();
    await refuses(reading, 'VGG_ABORTED', /stopped by its AbortSignal/);
    expect(asked().length).toBeLessThan(2);
    expect([...(await file.read('b/kernel'))]).toEqual([...B]);
  });
});

test.each([
  ['without hashes', false, { sha256 }],
  ['without a hash function', undefined, {}],
])('%s nothing is checked, and only the bytes asked for are read', async (_, hashes, options) => {
  const { reads, open } = model(hashes, { shard: 's0', times: 1 });
  const file = await open(options);
  expect([...(await file.read('a/kernel'))]).not.toEqual([...A]);
  expect(reads).toEqual([{ shard: 's0', offset: 0, length: 16, fresh: false }]);
});

test.each<[string, unknown]>([
  ['text', 'a'.repeat(64)],
  ['null', null],
  ['too few', SHARDS.slice(1).map(hashOf)],
  ['too many', [...SHARDS, BYTES].map(hashOf)],
  ['a number among them', [...SHARDS.slice(1).map(hashOf), 12]],
  ['63 digits', SHARDS.map((bytes) => hashOf(bytes).slice(1))],
  ['other letters', SHARDS.map((bytes) => `g${hashOf(bytes).slice(1)}`)],
  ['an object of as many', Object.fromEntries(SHARDS.map((bytes, i) => [i, hashOf(bytes)]))],
])('%s in the place of the hashes is refused, with a hash function or without', async (_, hashes) => {
  for (const options of [{}, { sha256 }])
    await refuses(
      model(hashes).open(options),
      'VGG_INTEGRITY',
      /expected the "sha256" of a group to be a list of .* for each of its 4 paths/,
    );
});

describe('a shard larger than a block', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i * 3);
  /** Wrong from the given read on, so many times. */
  function large(from = Number.POSITIVE_INFINITY, times = 1) {
    const source = bytesSource(bytes, 'big.bin');
    const shard = counted({
      ...source,
      async read(offset, length, options) {
        const read = await source.read(offset, length, options);
        if (shard.reads > from && shard.reads <= from + times) read[0]! ^= 1;
        return read;
      },
    });
    return { shard, checked: checkedShards({ sha256, who: 'model.json', block: 32 })(shard, hashOf(bytes)) };
  }

  test('is hashed in a first pass, and each block against what that found', async () => {
    const { shard, checked } = large();
    expect([...(await checked.read(30, 50))]).toEqual([...bytes.subarray(30, 80)]);
    expect(shard.offsets).toEqual([0, 32, 64, 96, 0, 32, 64]);
    expect([...(await checked.read(99, 1))]).toEqual([bytes[99]]);
    expect([...(await checked.read(65, 3))]).toEqual([...bytes.subarray(65, 68)]); // kept
    expect(shard.offsets.slice(7)).toEqual([96]);
  });

  test('a byte wrong in the first pass costs the pass again, a later one its block', async () => {
    for (const [from, reads] of [
      [1, [0, 32, 64, 96, 0, 32, 64, 96, 32]],
      [4, [0, 32, 64, 96, 32, 32]],
    ] as const) {
      const { shard, checked } = large(from);
      expect([...(await checked.read(40, 10))]).toEqual([...bytes.subarray(40, 50)]);
      expect(shard.offsets).toEqual(reads);
    }
  });

  test('what stays wrong is refused', async () => {
    for (const [from, times] of [
      [0, 8],
      [4, 2],
    ] as const)
      await refuses(large(from, times).checked.read(40, 10), 'VGG_INTEGRITY', /shard "big\.bin" with sha256/);
  });

  test('a range outside it is refused before anything is allocated', async () => {
    await refuses(large().checked.read(90, 11), 'VGG_INTEGRITY', /big\.bin/);
    await refuses(large().checked.read(0, 2 ** 40), 'VGG_INTEGRITY', /big\.bin/);
  });
});

test('at most two shards are kept, and one that is read whole none at all', async () => {
  const shards = SHARDS.map((bytes, i) => counted(bytesSource(bytes, PATHS[i])));
  const check = checkedShards({ sha256, who: 'model.json' });
  const checked = shards.map((shard, i) => check(shard, hashOf(SHARDS[i]!)));
  const reads = () => shards.map((shard) => shard.reads);
  for (const i of [0, 1, 0, 1]) await checked[i]!.read(4, 8);
  expect(reads()).toEqual([1, 1, 0, 0]);
  await checked[2]!.read(0, SIZE);
  await checked[2]!.read(0, SIZE);
  expect(reads()).toEqual([1, 1, 2, 0]);
  await checked[0]!.read(4, 8);
  await checked[3]!.read(4, 8); // in the place of s1, which was asked for before s0
  await checked[0]!.read(4, 8);
  expect(reads()).toEqual([1, 1, 2, 1]);
  await checked[1]!.read(4, 8);
  expect(reads()).toEqual([1, 2, 2, 1]);
});

test('a tensor over many shards costs its own memory and two shards', async () => {
  const size = 4 * 2 ** 20;
  const paths = Array.from({ length: 8 }, (_, i) => `s${i}`);
  const shard = (name: string): Source => ({
    name,
    size,
    read: async () => expect.unreachable('it can be read in place'),
    readInto: async (target) => void target.fill(paths.indexOf(name)),
  });
  const weights = [
    { name: 'a', shape: [size / 8], dtype: 'float32' },
    { name: 'b', shape: [(7 * size) / 4], dtype: 'float32' },
    { name: 'c', shape: [size / 8], dtype: 'float32' },
  ];
  const group = { paths, weights, sha256: paths.map((_, i) => hashOf(new Uint8Array(size).fill(i))) };
  const json = new TextEncoder().encode(JSON.stringify({ weightsManifest: [group] }));
  const file = await openWeights({ ...bytesSource(json, 'model.json'), sibling: async (name) => shard(name) }, { sha256 });
  const allocations = watchAllocations();
  try {
    const values = await file.read('b');
    const { total, largest } = allocations.taken();
    expect(largest).toBe(7 * size);
    expect(total).toBe(9 * size);
    expect(new Uint8Array(values.buffer, values.byteOffset)[7 * size - 1]).toBe(7);
    for await (const piece of file.stream('b', { reuse: true })) expect(piece.length).toBeGreaterThan(0);
    expect(allocations.taken().total).toBeLessThanOrEqual(7 * size + 2 ** 20); // one shard after another, and a piece
  } finally {
    allocations.restore();
  }
});
