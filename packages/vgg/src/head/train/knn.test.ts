import { describe, expect, test } from 'vitest';
import { colours, PixelEmbedder, patch } from '../../../test/pixel-embedder.js';
import { random } from '../../random.js';
import { loadHead } from '../head.js';
import { type NeighbourRule, neighbourProbabilities } from './knn.js';
import { pace } from './pace.js';
import { trainHead } from './train-head.js';

const wait = pace(undefined, 'test');
const CLASSES = 3;

function examples(count: number, dimensions: number, seed: number) {
  const rng = random(seed);
  const labels = Int32Array.from({ length: count }, (_, i) => (i * 5) % CLASSES);
  return { vectors: Float32Array.from({ length: count * dimensions }, () => rng.uniform() - 0.5), labels, count, dimensions };
}

describe.each<NeighbourRule>([
  { k: 1, distance: 'cosine', votes: 'distance' },
  { k: 4, distance: 'cosine', votes: 'distance' },
  { k: 7, distance: 'euclidean', votes: 'distance' },
  { k: 5, distance: 'euclidean', votes: 'uniform' },
  { k: 23, distance: 'cosine', votes: 'uniform' },
])('$k neighbours by $distance, votes $votes', (rule) => {
  const known = examples(23, 6, 1);
  const asked = examples(9, 6, 2);
  const row = (rows: typeof known, i: number) => [...rows.vectors.subarray(i * 6, (i + 1) * 6)];
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);

  test('is what sorting all examples gives', async () => {
    const found = await neighbourProbabilities(known, rule, CLASSES, asked, 0, 9, wait);
    for (let i = 0; i < 9; i++) {
      const x = row(asked, i);
      const sorted = Array.from({ length: 23 }, (_, j) => {
        const y = row(known, j);
        const cosine = sum(x.map((value, k) => value * y[k]!)) / Math.hypot(...x) / Math.hypot(...y);
        const distance = rule.distance === 'cosine' ? 1 - cosine : Math.hypot(...x.map((value, k) => value - y[k]!));
        return { distance, label: known.labels[j]! };
      })
        .sort((a, b) => a.distance - b.distance)
        .slice(0, rule.k);
      const weight = ({ distance }: { distance: number }) => (rule.votes === 'uniform' ? 1 : 1 / distance);
      for (let c = 0; c < CLASSES; c++) {
        const expected = sum(sorted.filter(({ label }) => label === c).map(weight)) / sum(sorted.map(weight));
        expect(found[i * CLASSES + c]).toBeCloseTo(expected, 5);
      }
    }
  });

  test('rows asked for in parts give the same bits', async () => {
    const whole = await neighbourProbabilities(known, rule, CLASSES, asked, 0, 9, wait);
    expect(await neighbourProbabilities(known, rule, CLASSES, asked, 4, 3, wait)).toEqual(whole.slice(4 * CLASSES, 7 * CLASSES));
  });
});

test('an example is at distance 0 from itself, and alone says what it is', async () => {
  for (const distance of ['cosine', 'euclidean'] as const) {
    const known = examples(31, 17, 3);
    const found = await neighbourProbabilities(known, { k: 5, distance, votes: 'distance' }, CLASSES, known, 0, 31, wait);
    for (let i = 0; i < 31; i++) expect(found[i * CLASSES + known.labels[i]!]).toBe(1);
  }
});

test('a vector of zeros is as far from all', async () => {
  const known = { vectors: Float32Array.of(1, 0, 0, 1), labels: Int32Array.of(0, 1), count: 2, dimensions: 2 };
  const zero = { vectors: new Float32Array(2), count: 1, dimensions: 2 };
  expect([...(await neighbourProbabilities(known, { k: 2, distance: 'cosine', votes: 'distance' }, 2, zero, 0, 1, wait))]).toEqual([
    0.5, 0.5,
  ]);
});

describe('a k-NN head', () => {
  const model = new PixelEmbedder();

  test.each(['cosine', 'euclidean'] as const)('%s: comes back from its file and predicts the same', async (distance) => {
    const head = await trainHead(model, colours(10), { solver: 'knn', k: 3, distance, validation: colours(4, 100) });
    expect(head.best).toMatchObject({ accuracy: 1, valAccuracy: 1 });
    expect(head.info).toMatchObject({ kept: 30, training: { solver: 'knn', neighbours: { k: 3, distance, votes: 'distance' } } });
    const again = await loadHead(await head.toBytes(), model);
    expect(again.info).toEqual(head.info);
    const pictures = colours(2, 50).green!;
    expect(await again.predict(pictures)).toEqual(await head.predict(pictures));
    expect(await again.toBytes()).toEqual(await head.toBytes());
    expect((await again.predict(patch(70, 190, 60, 77)))[0]).toMatchObject({ label: 'green', probability: 1 });
  });

  test('has no dense layers', async () => {
    const head = await trainHead(model, colours(3), { solver: 'knn' });
    expect(() => head.denseLayers()).toThrow(expect.objectContaining({ code: 'VGG_HEAD' }));
  });

  test.each([
    [{ k: 31 }, /as k, received 31/],
    [{ k: 0 }, /as k, received 0/],
    [{ distance: 'manhattan' as never }, /as distance/],
    [{ votes: 'rank' as never }, /as votes/],
    [{ hidden: 4 }, /hidden layers/],
  ])('%o is refused', async (options, message) => {
    await expect(trainHead(model, colours(10), { solver: 'knn', ...options })).rejects.toMatchObject({
      code: 'VGG_OPTION',
      message: expect.stringMatching(message),
    });
  });
});
