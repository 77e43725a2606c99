import { describe, expect, test } from 'vitest';
import type { Picture } from '../pictures/picture.js';
import type { RawImage } from '../pictures/raw.js';
import { derivedSeed } from '../seed.js';
import type { Dataset } from './example.js';
import { type BatchesOptions, batchCount, batchesOf } from './loader.js';
import { epochOrder } from './order.js';
import { ordered } from './ordered.js';
import { PictureCache } from './picture-cache.js';
import { select } from './select.js';

/** A picture of one pixel whose red is its place; `opened` counts, `wait` says how long opening takes. */
function dots(count: number, { wait = (): number => 0, broken = -1 } = {}) {
  const state = { opened: 0, open: 0, most: 0 };
  const examples = Array.from({ length: count }, (_, i) => ({
    label: i % 3,
    name: `dot ${i}`,
    image: {
      name: `dot ${i}`,
      async open(): Promise<RawImage> {
        state.opened++;
        state.most = Math.max(state.most, ++state.open);
        await new Promise((resolve) => setTimeout(resolve, wait()));
        state.open--;
        if (i === broken) throw new Error('it is broken');
        return { data: Uint8Array.of(i, 0, 0), width: 1, height: 1 };
      },
    },
  }));
  return { dataset: { classes: ['a', 'b', 'c'], examples, skipped: [] } satisfies Dataset, state };
}

async function collect<T = Picture>(dataset: Dataset, options: BatchesOptions<T>) {
  const batches = [];
  for await (const batch of batchesOf(dataset, options)) batches.push(batch);
  return batches;
}

describe('an order', () => {
  test('is a permutation that depends on the seed and the epoch alone', () => {
    const order = epochOrder(1000, { seed: 5, epoch: 2 });
    expect([...order].sort((a, b) => a - b)).toEqual([...Array(1000).keys()]);
    expect(epochOrder(1000, { seed: 5, epoch: 2 })).toEqual(order);
    for (const other of [
      { seed: 5, epoch: 3 },
      { seed: 6, epoch: 2 },
    ])
      expect(epochOrder(1000, other)).not.toEqual(order);
    expect([...epochOrder(0, { seed: 0, epoch: 0 })]).toEqual([]);
    expect([...epochOrder(5, { seed: 1, epoch: 0 })]).toEqual([3, 4, 1, 2, 0]);
  });

  test('every place is as likely for an example as any other', () => {
    // 4000 epochs of 4: each of 16 cells is binomial with mean 1000 and standard deviation 27.
    const cells = new Array(16).fill(0);
    for (let epoch = 0; epoch < 4000; epoch++)
      for (const [place, example] of epochOrder(4, { seed: 1, epoch }).entries()) cells[4 * place + example]++;
    for (const count of cells) expect(Math.abs(count - 1000)).toBeLessThan(5 * 27);
  });

  test('seeds of parts differ', () => {
    const seeds = [0, 1, 2 ** 40].flatMap((seed) =>
      [0, 1, 2].flatMap((epoch) => [0, 1, 2].map((index) => derivedSeed(seed, epoch, index))),
    );
    expect(new Set(seeds).size).toBe(27);
    expect(seeds.every(Number.isSafeInteger)).toBe(true);
  });

  test.each([[{ seed: 0.5, epoch: 0 }], [{ seed: 0, epoch: -1 }]])('%j is refused', (wrong) => {
    expect(() => epochOrder(3, wrong)).toThrow(expect.objectContaining({ code: 'VGG_OPTION' }));
  });
});

describe('batches', () => {
  test('have decoded pictures, labels and places', async () => {
    const { dataset } = dots(5);
    const batches = await collect(dataset, { batch: 2, shuffle: false });
    expect(
      batches.map(({ index, items, labels, indices }) => [index, items.map(({ data }) => data[0]), [...labels], [...indices]]),
    ).toEqual([
      [0, [0, 1], [0, 1], [0, 1]],
      [1, [2, 3], [2, 0], [2, 3]],
      [2, [4], [1], [4]],
    ]);
    expect(batchCount(5, { batch: 2 })).toBe(3);
    expect(await collect(dataset, { batch: 2, dropLast: true })).toHaveLength(batchCount(5, { batch: 2, dropLast: true }));
    expect(await collect(dataset, { batch: 9, dropLast: true })).toHaveLength(0);
  });

  test('with a cache are the same, and what it had room for is decoded once', async () => {
    const { dataset, state } = dots(5, { broken: 3 });
    const seen = async (options: Partial<BatchesOptions>) =>
      (await collect(dataset, { batch: 2, seed: 1, ...options })).map(({ items, failed }) => [
        items.map(({ data }) => [...data]),
        failed.length,
      ]);
    const expected = [await seen({ epoch: 0 }), await seen({ epoch: 1 })];
    for (const [room, decoded] of [
      [12, 5 + 1],
      [8, 5 + 3],
      [0, 5 + 5],
    ] as const) {
      const cache = new PictureCache(room);
      state.opened = 0;
      expect([await seen({ epoch: 0, cache }), await seen({ epoch: 1, cache })]).toEqual(expected);
      expect(cache.bytes).toBe(Math.floor(room / 3) * 3);
      expect(state.opened).toBe(decoded);
    }
  });

  test('are the same whatever time each picture takes, and how many are decoded at once', async () => {
    const prepared = (options: Partial<BatchesOptions<string>>, wait: () => number) =>
      collect(dots(40, { wait }).dataset, {
        batch: 7,
        seed: 3,
        epoch: 1,
        prepare: ({ data }, { random }) => `${data[0]} ${random.uint32()}`,
        ...options,
      });
    const expected = await prepared({ concurrency: 1, prefetch: 0 }, () => 0);
    let times = 0;
    for (const options of [{ concurrency: 5 }, { concurrency: 40, prefetch: 3 }])
      expect(await prepared(options, () => (times++ * 7) % 5)).toEqual(expected);
    expect(expected.flatMap(({ indices }) => [...indices])).toEqual([...epochOrder(40, { seed: 3, epoch: 1 })]);
    // A run that goes on has the same pictures, with the same random numbers.
    expect(await prepared({ from: 4 }, () => 0)).toEqual(expected.slice(4));
    expect(await prepared({ from: 6 }, () => 0)).toEqual([]);
    expect((await prepared({ epoch: 2 }, () => 0))[0]!.items).not.toEqual(expected[0]!.items);
  });

  test('a picture that cannot be read leaves its batch smaller', async () => {
    const [first, second] = await collect(dots(4, { broken: 1 }).dataset, { batch: 2, shuffle: false });
    expect([[...first!.indices], [...second!.indices]]).toEqual([[0], [2, 3]]);
    expect(first!.failed).toMatchObject([
      { name: 'dot 1', index: 1, error: { code: 'VGG_INPUT', message: expect.stringContaining('it is broken') } },
    ]);
  });

  test('no more is opened than was asked for ahead, and goes on while a batch is in use', async () => {
    const { dataset, state } = dots(100);
    for await (const { index } of batchesOf(dataset, { batch: 4, prefetch: 2, concurrency: 3 })) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(state.opened).toBe(4 * (index + 3));
      if (index === 2) break;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([state.opened, state.most]).toEqual([20, 3]);
  });

  test('an abort stops at once, although pictures hang', async () => {
    const stop = new AbortController();
    const { dataset, state } = dots(100, { wait: () => 1e9 });
    const reading = collect(dataset, { batch: 4, signal: stop.signal });
    setTimeout(() => stop.abort(), 5);
    await expect(reading).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    const { opened } = state;
    expect(opened).toBeLessThanOrEqual(8);
    await expect(collect(dataset, { batch: 4, signal: stop.signal })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect(state.opened).toBe(opened);
  });

  test('what prepare throws ends the reading', async () => {
    const prepare = () => {
      throw new RangeError('mine');
    };
    await expect(collect(dots(3).dataset, { batch: 2, prepare })).rejects.toThrow('mine');
  });

  test.each([[{ batch: 0 }], [{ batch: 1.5 }], [{ batch: 1, concurrency: 0 }], [{ batch: 1, from: -1 }], [{ batch: 1, prefetch: -1 }]])(
    '%j is refused',
    async (options) => {
      await expect(collect(dots(3).dataset, options)).rejects.toMatchObject({ code: 'VGG_OPTION' });
    },
  );
});

test('work in order: the first failure in order is thrown, whichever came first', async () => {
  const work = async (index: number) => {
    if (index === 3) throw new Error('three');
    await new Promise((resolve) => setTimeout(resolve, 10 - index));
    if (index === 2) throw new Error('two');
    return index;
  };
  const seen: number[] = [];
  const reading = (async () => {
    for await (const value of ordered(9, work, { concurrency: 4, ahead: 8 })) seen.push(value);
  })();
  await expect(reading).rejects.toThrow('two');
  expect(seen).toEqual([0, 1]);
});

describe('a part of a dataset', () => {
  const { dataset } = dots(8);
  test('has the wanted classes in their order, and the first pictures of each', () => {
    const { classes, examples } = select(dataset, { classes: ['c', 'a'], limit: 2 });
    expect(classes).toEqual(['c', 'a']);
    expect(examples.map(({ name, label }) => [name, label])).toEqual([
      ['dot 0', 1],
      ['dot 2', 0],
      ['dot 3', 1],
      ['dot 5', 0],
    ]);
    expect(select(dataset, {})).toBe(dataset);
  });

  test.each([
    [{ classes: ['aa'] }, 'VGG_DATASET', /received "aa"/],
    [{ classes: ['a', 'a'] }, 'VGG_DATASET', /each once/],
    [{ classes: [] }, 'VGG_DATASET', /some class names/],
    [{ limit: 0 }, 'VGG_OPTION', /limit, received 0/],
  ])('%j is refused', (part, code, message) => {
    expect(() => select(dataset, part)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });
});
