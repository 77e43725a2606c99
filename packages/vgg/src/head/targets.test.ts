import { describe, expect, test } from 'vitest';
import { PixelEmbedder, patch } from '../../test/pixel-embedder.js';
import { loadHead } from './head.js';
import { openTargets } from './targets.js';
import { extendHead } from './train/extend-head.js';
import { computeFeatures } from './train/features.js';
import { trainHead } from './train/train-head.js';

const model = new PixelEmbedder();
/** Each channel is bright or not: eight kinds of pictures, with the labels of their bright channels. */
const tagged = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => {
    const bits = [i & 1, (i >> 1) & 1, (i >> 2) & 1];
    const [r, g, b] = bits.map((bit) => (bit ? 200 : 60)) as [number, number, number];
    return { image: patch(r, g, b, from + i), labels: ['red', 'green', 'blue'].filter((_, c) => bits[c]) };
  });
/** A number that is linear in the mean colour. */
const measured = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => {
    const [r, g, b] = [(i * 37) % 200, (i * 53) % 200, (i * 71) % 200].map((value) => value + 25) as [number, number, number];
    return { image: patch(r, g, b, from + i), target: 100 + r - 0.5 * g };
  });

describe('multi-label', () => {
  test('three independent labels are learnt without a mistake, saved and loaded', async () => {
    const head = await trainHead(model, tagged(40), { solver: 'multi-label', validation: tagged(16, 100) });
    expect(head.classes).toEqual(['blue', 'green', 'red']);
    expect(head.best).toMatchObject({ accuracy: 1, valAccuracy: 1 });
    const again = await loadHead(await head.toBytes(), model);
    expect(again.info).toEqual(head.info);
    const data = tagged(16, 300);
    const evaluation = await again.evaluateLabels(data);
    expect(evaluation).toMatchObject({ images: 16, meanAveragePrecision: 1, accuracy: 1 });
    expect(evaluation.perClass[0]).toEqual({ label: 'blue', images: 8, averagePrecision: 1, precision: 1, recall: 1, f1: 1 });
    for (const { image, labels } of data) {
      const predictions = await again.predict(image);
      expect(predictions).toEqual(await head.predict(image));
      expect(
        predictions
          .filter(({ probability }) => probability > 0.5)
          .map(({ label }) => label)
          .sort(),
      ).toEqual([...labels].sort());
    }
    await expect(again.evaluate({ red: [data[1]!.image] })).rejects.toMatchObject({ code: 'VGG_HEAD' });
    await expect(again.predictNumber(data[0]!.image)).rejects.toMatchObject({ code: 'VGG_HEAD' });
  });

  test('F1 and the pictures that are all right, where some are wrong', async () => {
    const head = await trainHead(model, tagged(40), { solver: 'multi-label' });
    // Every third picture is said to have other labels.
    const data = tagged(16, 300).map((each, i) => (i % 3 ? each : { ...each, labels: ['red'] }));
    const { perClass, meanF1, subsetAccuracy } = await head.evaluateLabels(data);
    const given = await Promise.all(
      data.map(async ({ image }) => (await head.predict(image)).filter(({ probability }) => probability > 0.5).map(({ label }) => label)),
    );
    const f1 = head.classes.map((label) => {
      const both = data.filter(({ labels }, i) => labels.includes(label) && given[i]!.includes(label)).length;
      const either = data.filter(({ labels }) => labels.includes(label)).length + given.filter((each) => each.includes(label)).length;
      return (2 * both) / either;
    });
    expect(perClass.map((each) => each.f1)).toEqual(f1);
    expect(meanF1).toBeCloseTo(f1.reduce((a, b) => a + b, 0) / 3, 12);
    expect(meanF1).toBeLessThan(1);
    const same = data.filter(({ labels }, i) => [...labels].sort().join() === [...given[i]!].sort().join()).length;
    expect(subsetAccuracy).toBe(same / 16);
  });

  test('the evaluated loss is that of training; features do as well as pictures', async () => {
    const data = tagged(24);
    const features = await computeFeatures(model, data, { targets: 'labels' });
    const head = await trainHead(model, features, { solver: 'multi-label', l2: 0.1 });
    expect((await head.evaluateLabels(data)).loss).toBeCloseTo(head.best.loss, 5);
    expect(await (await trainHead(model, data, { solver: 'multi-label', l2: 0.1 })).toBytes()).toEqual(await head.toBytes());
    await expect(trainHead(model, features, {})).rejects.toMatchObject({ code: 'VGG_HEAD' });
  });

  test('extended with a label, the old ones stay right', async () => {
    const head = await trainHead(model, tagged(40), { solver: 'multi-label', keep: true });
    const loaded = await loadHead(await head.toBytes(), model);
    const more = tagged(40, 400).map(({ image, labels }) => ({ image, labels: labels.length === 3 ? [...labels, 'white'] : labels }));
    const wider = await extendHead(
      loaded,
      more.filter(({ labels }) => labels.includes('white')),
    );
    expect(wider.classes).toEqual(['blue', 'green', 'red', 'white']);
    expect(wider.info).toMatchObject({ kept: 45, training: { images: 45, solver: 'multi-label' } });
    const { perClass } = await wider.evaluateLabels(tagged(16, 600));
    expect(perClass.map(({ averagePrecision }) => averagePrecision)).toEqual([1, 1, 1, undefined]);
    const [kept] = [await loadHead(await wider.toBytes(), model)];
    expect(kept!.info).toEqual(wider.info);
  });

  test('lists have labels with semicolons; a picture of several classes is one example', async () => {
    const url = 'https://example.org/';
    const list = new File([`image,label\n${url}1.jpg,sea;sun\n${url}2.jpg,sun\n${url}2.jpg,fog\n`], 'list.csv');
    const { classes, examples, targets } = await openTargets(list, 'labels');
    expect(classes).toEqual(['fog', 'sea', 'sun']);
    expect(examples.length).toBe(2);
    const rows = examples.map(({ image }, i) => [String(image).slice(-5), ...targets.subarray(i * 3, i * 3 + 3)]);
    expect(rows.sort()).toEqual([
      ['1.jpg', 0, 1, 1],
      ['2.jpg', 1, 0, 1],
    ]);
  });

  test.each([[[{ image: 'a.jpg', labels: 'sea' }]], [[{ image: 'a.jpg', labels: [''] }]], [[{ image: 'a.jpg', labels: [] }]]])(
    '%j is refused',
    async (data) => {
      await expect(openTargets(data as never, 'labels')).rejects.toMatchObject({ code: 'VGG_DATASET' });
    },
  );
});

describe('regression', () => {
  test('a linear number is learnt, saved, loaded and extended', async () => {
    const head = await trainHead(model, measured(60), { solver: 'regression', validation: measured(20, 500), keep: true });
    expect(head.best.valAccuracy).toBeGreaterThan(0.98);
    const again = await loadHead(await head.toBytes(), model);
    expect(again.info).toEqual(head.info);
    const data = measured(30, 700);
    const { mae, rmse, r2, pictures } = await again.evaluateNumbers(data);
    const numbers = await again.predictNumber(data.map(({ image }) => image));
    const errors = data.map(({ target }, i) => (target - numbers[i]!) ** 2);
    expect(rmse).toBeCloseTo(Math.sqrt(errors.reduce((a, b) => a + b, 0) / 30), 3);
    expect(mae).toBeCloseTo(errors.reduce((a, b) => a + Math.sqrt(b), 0) / 30, 3);
    expect(pictures.map(({ target }) => target)).toEqual(data.map(({ target }) => Math.fround(target)));
    expect(pictures[7]!.predicted).toBeCloseTo(numbers[7]!, 3);
    expect(r2).toBeGreaterThan(0.98);
    expect(await again.predictNumber(data[0]!.image)).toBe(numbers[0]);
    await expect(again.predict(data[0]!.image)).rejects.toMatchObject({ code: 'VGG_HEAD' });

    const more = measured(40, 900);
    const grown = await extendHead(again, more);
    const whole = await trainHead(model, [...measured(60), ...more], { solver: 'regression', l2: head.info.training.l2! });
    expect(grown.info.training.images).toBe(100);
    const [found, expected] = [await grown.predictNumber(data[3]!.image), await whole.predictNumber(data[3]!.image)];
    expect(found).toBeCloseTo(expected, 2);
  });

  test('a fraction is set aside; numbers are the classes of a list', async () => {
    const head = await trainHead(model, measured(50), { solver: 'regression', validation: 0.2 });
    expect(head.info.training.images).toBe(40);
    const url = 'https://example.org/';
    const { targets } = await openTargets(new File([`${url}a.jpg -3.5\n${url}b.jpg 12\n`], 'list.txt'), 'number');
    expect([...targets]).toEqual([-3.5, 12]);
    await expect(openTargets(new File([`${url}a.jpg tall\n`], 'list.txt'), 'number')).rejects.toMatchObject({ code: 'VGG_DATASET' });
  });
});
