import { describe, expect, test } from 'vitest';
import { colours, PixelEmbedder, patch } from '../../../test/pixel-embedder.js';
import type { ImageInput } from '../../pictures/images.js';
import { type Head, loadHead } from '../head.js';
import { extendHead } from './extend-head.js';
import { computeFeatures } from './features.js';
import { type TrainHeadOptions, trainHead } from './train-head.js';

const model = new PixelEmbedder();
const grey = (count: number, from: number): ImageInput[] => Array.from({ length: count }, (_, i) => patch(150, 150, 150, from + i));
const { red, green, blue } = colours(12) as { red: ImageInput[]; green: ImageInput[]; blue: ImageInput[] };
/** Classes whose names come before and between the old ones: the old keep their numbers. */
const MORE = { amber: grey(8, 300), red: colours(5, 400).red! };
const VALIDATION = { ...colours(5, 100), amber: grey(5, 500) };

const KINDS: [string, TrainHeadOptions][] = [
  ['lbfgs', {}],
  ['lbfgs of flattened maps, fewer examples than features', { pooling: 'none' }],
  ['adam', { solver: 'adam', learningRate: 0.05 }],
  ['svm', { solver: 'svm' }],
  ['ridge', { solver: 'ridge' }],
  ['nearest-mean', { solver: 'nearest-mean' }],
  ['knn', { solver: 'knn' }],
  ['a hidden layer', { hidden: 8, learningRate: 0.01 }],
];

/** Probabilities by class name: two heads may number their classes otherwise. */
async function probabilities(head: Head, pictures: ImageInput[]): Promise<Record<string, number>[]> {
  const all = await head.predict(pictures);
  return all.map((each) => Object.fromEntries(each.map(({ label, probability }) => [label, probability])));
}

function expectClose(found: Record<string, number>[], expected: Record<string, number>[], digits: number): void {
  expect(found.length).toBe(expected.length);
  found.forEach((each, i) => {
    expect(Object.keys(each).sort()).toEqual(Object.keys(expected[i]!).sort());
    for (const [label, value] of Object.entries(each)) expect(value).toBeCloseTo(expected[i]![label]!, digits);
  });
}

describe.each(KINDS)('%s', (_, options) => {
  test('a class and examples added after it was saved: old classes stay right, the new one is known', async () => {
    const first = await trainHead(model, { red, green, blue }, { ...options, keep: true });
    const before = await first.toBytes();
    const head = await loadHead(before, model);
    const seen = model.embedded;
    const wider = await extendHead(head, MORE, { validation: VALIDATION });
    expect(model.embedded - seen).toBe(13 + 20);
    expect(wider.classes).toEqual(['blue', 'green', 'red', 'amber']);
    expect(wider.evaluation!.perClass.map(({ recall }) => recall)).toEqual([1, 1, 1, 1]);
    expect(wider.info.training).toMatchObject({ solver: first.info.training.solver, images: 36 + 13 });
    expect(wider.info.kept).toBe(49);
    expect(await head.toBytes()).toEqual(before);
    // And again, from its own file.
    const widest = await extendHead(await loadHead(await wider.toBytes(), model), {
      white: [patch(250, 250, 250, 1), patch(245, 245, 245, 2)],
    });
    expect(widest.classes).toEqual(['blue', 'green', 'red', 'amber', 'white']);
    expect((await widest.predict(patch(70, 200, 70, 9)))[0]!.label).toBe('green');
  });
});

describe.each<[string, TrainHeadOptions, number]>([
  ['lbfgs', { l2: 0.01 }, 4],
  ['svm', { solver: 'svm', l2: 0.01 }, 2],
  ['ridge', { solver: 'ridge', l2: 0.01 }, 2],
  ['knn', { solver: 'knn', k: 7 }, 6],
])('%s', (_, options, digits) => {
  test('is the head that training on all examples at once makes', async () => {
    // The scores' temperature is fitted on what the seed holds out, which the order of the examples decides: a validation set fixes it.
    const validation = VALIDATION;
    const all = { red: [...red, ...MORE.red], green, blue, amber: MORE.amber };
    const first = await trainHead(model, { red, green, blue }, { ...options, keep: true });
    const grown = await extendHead(first, MORE, { validation });
    const whole = await trainHead(model, all, { ...options, validation });
    const pictures = [patch(170, 90, 100, 1), patch(120, 130, 140, 2), patch(100, 100, 180, 3)];
    expectClose(await probabilities(grown, pictures), await probabilities(whole, pictures), digits);
  });
});

test('lbfgs begins at its optimum: the same examples twice take no more than a step or two', async () => {
  const first = await trainHead(model, { red, green, blue }, { l2: 0.01, keep: true });
  const again = await extendHead(first, { red, green, blue });
  expect(first.history.length).toBeGreaterThan(5);
  expect(again.history.length).toBeLessThanOrEqual(2);
});

describe('nearest-mean without kept features', () => {
  test('has the means of all examples, exactly', async () => {
    const first = await loadHead(await (await trainHead(model, { red, green, blue }, { solver: 'nearest-mean' })).toBytes(), model);
    const grown = await extendHead(first, MORE);
    const all = { red: [...red, ...MORE.red], green, blue, amber: MORE.amber };
    const whole = await trainHead(model, all, { solver: 'nearest-mean' });
    expect(grown.info.kept).toBeUndefined();
    expect(grown.info.training).toMatchObject({ images: 49, counts: [12, 12, 17, 8] });
    // Dense layers on the features as they are, less the temperature: ratios of the logits' differences.
    const scores = (head: Head, order: string[], x: number[]) => {
      const { weight, bias } = head.denseLayers()[0]!;
      const factor = head.info.training.temperature!;
      const all = order.map((name) => {
        const c = head.classes.indexOf(name);
        return (bias[c]! + x.reduce((sum, value, k) => sum + value * weight[k * 4 + c]!, 0)) / factor;
      });
      return all.map((score) => score - all[0]!);
    };
    for (const x of [
      [200, 60, 60],
      [120, 140, 150],
      [10, 250, 30],
    ]) {
      const expected = scores(whole, whole.classes as string[], x);
      scores(grown, whole.classes as string[], x).forEach((score, i) => {
        expect(score).toBeCloseTo(expected[i]!, 3);
      });
    }
  });

  test('a feature that never varied may begin to', async () => {
    const features = await computeFeatures(model, { red, green });
    const flat = (vectors: Float32Array, value: (i: number) => number) => vectors.map((each, i) => (i % 3 === 2 ? value(i) : each));
    const still = { ...features, vectors: flat(features.vectors, () => 5) };
    const moving = { ...features, vectors: flat(features.vectors, (i) => i % 11) };
    const both = {
      ...features,
      count: 48,
      vectors: Float32Array.from([...still.vectors, ...moving.vectors]),
      labels: Int32Array.from([...features.labels, ...features.labels]),
      names: [...features.names, ...features.names],
    };
    const grown = await extendHead(await trainHead(model, still, { solver: 'nearest-mean' }), moving);
    const whole = await trainHead(model, both, { solver: 'nearest-mean' });
    const ratio = (head: Head) => {
      const { weight } = head.denseLayers()[0]!;
      return (weight[4]! - weight[5]!) / (weight[0]! - weight[1]!);
    };
    expect(ratio(grown)).toBeCloseTo(ratio(whole), 5);
  });
});

describe('what cannot be extended', () => {
  test('a head without kept features', async () => {
    const head = await trainHead(model, { red, green, blue });
    await expect(extendHead(head, MORE)).rejects.toMatchObject({ code: 'VGG_HEAD', message: expect.stringMatching(/keep: true/) });
  });

  test('a validation class that neither knows, and features of another base', async () => {
    const head = await trainHead(model, { red, green, blue }, { keep: true });
    await expect(extendHead(head, MORE, { validation: { purple: grey(2, 1) } })).rejects.toMatchObject({ code: 'VGG_DATASET' });
    const other = await computeFeatures(new PixelEmbedder(2), MORE);
    await expect(extendHead(head, other)).rejects.toMatchObject({ code: 'VGG_HEAD', message: expect.stringMatching(/^extendHead/) });
    const broken = await computeFeatures(model, MORE);
    broken.vectors[4] = Number.NaN;
    await expect(extendHead(head, broken)).rejects.toMatchObject({ code: 'VGG_HEAD', message: expect.stringMatching(/finite/) });
  });

  test('a picture that cannot be read is left out and listed', async () => {
    const head = await trainHead(model, { red, green, blue }, { keep: true });
    const wider = await extendHead(head, { amber: [...grey(4, 1), 'not pixels'], odd: ['none'] });
    expect(wider.classes).toEqual(['blue', 'green', 'red', 'amber']);
    expect(wider.warnings.length).toBe(2);
  });
});
