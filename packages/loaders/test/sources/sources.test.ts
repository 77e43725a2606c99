import { describe, expect, test } from 'vitest';
import { contiguousTensor } from '../../src/formats/tensors.js';
import { blobSource, bytesSource, cachedSource, filesSource, httpSource, isPlainName, type Source } from '../../src/index.js';
import { readInto } from '../../src/sources/read-into.js';
import { sliceSource } from '../../src/sources/slice.js';
import { counted, refuses } from '../helpers.js';

const BYTES = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31) & 255);

describe.each<[string, () => Source]>([
  ['bytes', () => bytesSource(BYTES)],
  ['an ArrayBuffer', () => bytesSource(BYTES.slice().buffer)],
  ['a view into a longer buffer', () => bytesSource(new Uint8Array([7, ...BYTES, 7]).subarray(1, -1))],
  ...(typeof Buffer === 'undefined' ? [] : [['a Node Buffer', () => bytesSource(Buffer.from(BYTES))] as [string, () => Source]]),
  ['a Blob', () => blobSource(new Blob([BYTES]))],
  ['a cache of 16 bytes', () => cachedSource(bytesSource(BYTES), { block: 16, blocks: 2 })],
])('%s', (_, make) => {
  test('reads any range, as a copy', async () => {
    const source = make();
    expect(source.size).toBe(BYTES.length);
    for (const [offset, length] of [
      [0, 0],
      [0, 5],
      [13, 7],
      [15, 1],
      [16, 16],
      [3, 500],
      [199_990, 10],
      [200_000, 0],
    ] as const) {
      const read = await source.read(offset, length);
      expect(read).toEqual(BYTES.slice(offset, offset + length));
      read.fill(0);
    }
    expect(await source.read(0, 40)).toEqual(BYTES.slice(0, 40));
  });

  test('refuses what lies outside, and an abort', async () => {
    const source = make();
    for (const [offset, length] of [
      [199_999, 2],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [0, Number.NaN],
      [2 ** 60, 1],
    ] as const) {
      await refuses(source.read(offset, length), 'VGG_INTEGRITY', /cut or corrupt/);
    }
    await refuses(source.read(0, 1, { signal: AbortSignal.abort() }), 'VGG_ABORTED', /AbortSignal/);
  });
});

test('the cache reads each block once, and long reads past it', async () => {
  const inner = counted(bytesSource(BYTES));
  const source = cachedSource(inner, { block: 1024, blocks: 4 });
  await Promise.all([source.read(0, 8), source.read(8, 8), source.read(1000, 24)]);
  expect([inner.reads, inner.bytes]).toEqual([1, 1024]);
  await source.read(1020, 8);
  expect(inner.reads).toBe(2);
  await source.read(5000, 5000);
  expect([inner.reads, inner.bytes]).toEqual([3, 7048]);
});

test('what is asked for afresh is read past the cache, which forgets it', async () => {
  const inner = counted(bytesSource(BYTES));
  const source = cachedSource(inner, { block: 1024, blocks: 4 });
  for (const offset of [0, 1024, 2048]) await source.read(offset, 8);
  expect(await source.read(1020, 8, { fresh: true })).toEqual(BYTES.slice(1020, 1028));
  expect(inner.offsets).toEqual([0, 1024, 2048, 1020]);
  for (const offset of [0, 1024, 2048]) await source.read(offset, 8);
  expect(inner.offsets.slice(4)).toEqual([0, 1024]);
});

test('a failed block is asked for again', async () => {
  let fail = true;
  const source = cachedSource({
    ...bytesSource(BYTES),
    read: async (offset, length) => {
      if (fail) throw new Error('once');
      return BYTES.slice(offset, offset + length);
    },
  });
  await expect(source.read(0, 4)).rejects.toThrow('once');
  fail = false;
  expect(await source.read(0, 4)).toEqual(BYTES.slice(0, 4));
});

describe('a set of files', () => {
  const file = (name: string) => new File([name], name);

  test('opens the manifest or the one weight file, and finds siblings by name', async () => {
    const source = filesSource([file('group1-shard1of1'), file('model.json'), file('notes.txt')]);
    expect(source.name).toBe('model.json');
    const sibling = await source.sibling!('group1-shard1of1');
    expect(new TextDecoder().decode(await sibling!.read(0, sibling!.size))).toBe('group1-shard1of1');
    expect(await source.sibling!('absent')).toBeUndefined();
    expect(await source.sibling!('../model.json')).toBeUndefined();
    expect(filesSource([file('a.txt'), file('vgg16.h5')]).name).toBe('vgg16.h5');
    expect(filesSource([file('config.json'), file('model.safetensors')]).name).toBe('model.safetensors');
    expect(filesSource([file('anything')]).name).toBe('anything');
  });

  test('none, or no telling which', async () => {
    await refuses(() => filesSource([]), 'VGG_INPUT', /received none/);
    await refuses(() => filesSource([file('a.h5'), file('b.h5')]), 'VGG_INPUT', /a.h5, b.h5/);
    await refuses(() => filesSource([file('a'), file('a')]), 'VGG_INPUT', /twice/);
  });
});

test('plain names', () => {
  for (const name of ['model.json', 'group1-shard1of1', 'a..b', '.hidden', 'über weights', '...'])
    expect(isPlainName(name), name).toBe(true);
  for (const name of ['', '.', '..', 'a/b', '/a', 'a\\b', 'C:a', 'http://x', 'a\0', '__proto__', 'x'.repeat(256)])
    expect(isPlainName(name), name).toBe(false);
});

test('a fetch of one’s own is used, for siblings too', async () => {
  const asked: string[] = [];
  const own = (async (input: URL | string) => {
    asked.push(String(input));
    return new Response(BYTES.slice(0, 4), { status: 200 });
  }) as typeof fetch;
  const source = await httpSource('https://example.org/a/model.json', { fetch: own });
  expect((await source.sibling!('shard'))!.size).toBe(4);
  expect(new Set(asked)).toEqual(new Set(['https://example.org/a/model.json', 'https://example.org/a/shard']));
});

describe('reading into memory that is there', () => {
  /** What a file on disk does, and how often. */
  const filling = (bytes = BYTES) => {
    const source = {
      ...bytesSource(bytes),
      filled: 0,
      async readInto(target: Uint8Array, offset: number) {
        source.filled++;
        target.set(await source.read(offset, target.length));
      },
    };
    return source;
  };

  test('goes through parts and caches to a source that can, and is a copy of what another reads', async () => {
    const source = filling();
    const target = new Uint8Array(500);
    await readInto(cachedSource(sliceSource(source, 100, 1000, 'part')), target, 20);
    expect(target).toEqual(BYTES.slice(120, 620));
    expect(source.filled).toBe(1);
    await readInto(cachedSource(sliceSource(bytesSource(BYTES), 100, 1000, 'part')), target, 30);
    expect(target).toEqual(BYTES.slice(130, 630));
    await refuses(readInto(sliceSource(source, 100, 1000, 'part'), target, 501), 'VGG_INTEGRITY', /cut or corrupt/);
  });

  test('pieces that share memory have the values that others have', async () => {
    const values = Float32Array.from({ length: 300_000 }, (_, i) => i);
    const bytes = new Uint8Array(values.buffer);
    const info = { name: 'a', shape: [values.length - 1], dtype: 'float32', present: true } as const;
    for (const source of [filling(bytes), bytesSource(bytes)]) {
      for (const reuse of [false, true]) {
        const memory = new Set<ArrayBufferLike>();
        let at = 1;
        for await (const piece of contiguousTensor(info, source, 4).stream({ reuse })) {
          memory.add(piece.buffer);
          expect(piece.findIndex((value, i) => value !== values[at + i])).toBe(-1);
          at += piece.length;
        }
        expect(at).toBe(values.length);
        expect(memory.size).toBe(reuse ? 1 : 2);
      }
    }
  });
});
