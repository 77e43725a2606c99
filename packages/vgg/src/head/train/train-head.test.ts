import { describe, expect, test } from 'vitest';
import { colours, PixelEmbedder, patch } from '../../../test/pixel-embedder.js';
import type { ImageInput } from '../../pictures/images.js';
import { computeFeatures } from './features.js';
import type { HistoryEntry } from './history.js';
import { type TrainHeadOptions, trainHead } from './train-head.js';

const model = new PixelEmbedder();
const validation = colours(5, 100);

/** Two colours that overlap, with pictures whose class is a coin's: no head gets all of them right. */
function muddle(count: number, from: number): Record<string, ImageInput[]> {
  const several = (red: number, salt: number) =>
    Array.from({ length: count }, (_, i) => patch(red + (((from + i) * 37 + salt) % 90), 100, 120 - (((from + i) * 53) % 60), from + i));
  return { dull: several(80, 0), bright: several(110, 11) };
}

const SOLVERS: [string, TrainHeadOptions][] = [
  ['lbfgs', {}],
  ['adam', { solver: 'adam', learningRate: 0.05 }],
  ['svm', { solver: 'svm' }],
  ['ridge', { solver: 'ridge' }],
  ['nearest-mean', { solver: 'nearest-mean' }],
  ['one hidden layer', { hidden: 8, learningRate: 0.01 }],
  ['two hidden layers', { hidden: [8, 6], dropout: 0.1, learningRate: 0.01 }],
];

describe.each(SOLVERS)('%s', (_, options) => {
  test('three colours are learnt without a mistake', async () => {
    const head = await trainHead(model, colours(12), { ...options, validation });
    expect(head.classes).toEqual(['blue', 'green', 'red']);
    expect(head.best).toMatchObject({ accuracy: 1, valAccuracy: 1 });
    const predictions = await head.predict(patch(190, 70, 70, 999));
    expect(predictions[0]!.label).toBe('red');
    expect(predictions.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5);
  });

  test('the logged losses and accuracies are those of the head, recomputed from its pictures', async () => {
    const head = await trainHead(model, muddle(30, 0), { ...options, validation: muddle(20, 500), epochs: 12 });
    const fitted = await head.evaluate(muddle(30, 0));
    const held = await head.evaluate(muddle(20, 500));
    expect(fitted.loss).toBeCloseTo(head.best.loss, 6);
    expect(fitted.top1).toBe(head.best.accuracy);
    expect(held.loss).toBeCloseTo(head.best.valLoss!, 6);
    expect(held.top1).toBe(head.best.valAccuracy);
    expect(head.best.accuracy).toBeLessThan(1);
    // Losses move by what was learnt; they are no step numbers.
    expect(new Set(head.history.map(({ loss }) => loss)).size).toBe(head.history.length);
    if (head.history.length > 1) expect(head.history[0]!.loss).toBeGreaterThan(head.best.loss);
  });

  test('the same seed gives the same bytes', async () => {
    const [a, b] = await Promise.all(
      [4, 4].map(async (seed) => (await trainHead(model, muddle(10, 0), { ...options, epochs: 5, validation: 0.3, seed })).toBytes()),
    );
    expect(a).toEqual(b);
    const other = await (await trainHead(model, muddle(10, 0), { ...options, epochs: 5, validation: 0.3, seed: 5 })).toBytes();
    expect(other).not.toEqual(a);
  });

  test('an abort while it trains ends it before the next epoch is told', async () => {
    const controller = new AbortController();
    let told = 0;
    const training = trainHead(model, muddle(200, 0), {
      ...options,
      epochs: 100_000,
      ...(options.solver === 'adam' || options.hidden ? {} : { l2: 0 }),
      signal: controller.signal,
      onEpoch: () => {
        told++;
        controller.abort();
      },
    });
    await expect(training).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect(told).toBe(1);
  });
});

describe('validation', () => {
  test('what it said is kept with the head, and is what evaluate says', async () => {
    const head = await trainHead(model, muddle(20, 0), { validation: muddle(20, 500) });
    expect(head.evaluation).toEqual(await head.evaluate(muddle(20, 500)));
    expect(head.evaluation!.top1).toBe(head.best.valAccuracy);
    expect((await trainHead(model, muddle(20, 0), { validation: 0.25 })).evaluation!.images).toBe(10);
    expect((await trainHead(model, muddle(20, 0), {})).evaluation).toBeUndefined();
  });

  test('a part is set aside from every class, and is not trained on', async () => {
    const head = await trainHead(model, muddle(20, 0), { validation: 0.25 });
    expect(head.info.training.images).toBe(30);
    expect(head.best.valLoss).toBeGreaterThan(0);
  });

  test('without any, the L2 strength is chosen on pictures held out, then all are trained on', async () => {
    const head = await trainHead(model, muddle(20, 0), {});
    expect(head.info.training).toMatchObject({ images: 40, heldOut: { images: 8 } });
    expect(head.best.valLoss).toBeUndefined();
    expect((await trainHead(model, muddle(20, 0), { l2: 0.5 })).info.training).toEqual({ solver: 'lbfgs', seed: 0, images: 40, l2: 0.5 });
  });

  test('adam keeps the epoch with the lowest validation loss and stops after `patience` others', async () => {
    const head = await trainHead(model, muddle(30, 0), {
      hidden: 32,
      dropout: 0,
      learningRate: 0.03,
      epochs: 200,
      patience: 6,
      validation: muddle(20, 500),
    });
    const losses = head.history.map(({ valLoss }) => valLoss!);
    expect(head.best.valLoss).toBe(Math.min(...losses));
    expect(head.history.length).toBe(head.best.epoch + 6);
    expect((await head.evaluate(muddle(20, 500))).loss).toBeCloseTo(head.best.valLoss!, 6);
  });

  test('a class that training does not know is refused, with the likely one', async () => {
    const wrong = { ...validation, gren: [patch(0, 200, 0, 1)] };
    await expect(trainHead(model, colours(3), { validation: wrong })).rejects.toMatchObject({
      code: 'VGG_DATASET',
      message: 'trainHead: validation: expected classes among blue, green, red, received "gren" (did you mean "green"?)',
    });
  });

  test('some of the classes, in any order, are enough', async () => {
    const head = await trainHead(model, colours(6), { validation: { red: validation.red!, blue: validation.blue! } });
    expect(head.best.valAccuracy).toBe(1);
  });
});

describe('a class with one picture', () => {
  const data = { ...colours(4), grey: [patch(128, 128, 128, 0)] };

  test('trains, with a warning', async () => {
    const heard: string[] = [];
    const head = await trainHead(model, data, { onWarning: (message) => heard.push(message) });
    expect(head.warnings).toEqual(['class "grey" has one picture; expect little of it']);
    expect(heard).toEqual(head.warnings);
    expect((await head.predict(patch(128, 128, 128, 3)))[0]!.label).toBe('grey');
  });

  test('cannot also be validated on', async () => {
    const before = model.embedded;
    await expect(trainHead(model, data, { validation: 0.2 })).rejects.toMatchObject({
      code: 'VGG_DATASET',
      message: expect.stringContaining('class "grey"'),
    });
    expect(model.embedded).toBe(before);
  });
});

describe('features', () => {
  test('are computed once and trained on again', async () => {
    const own = new PixelEmbedder();
    const features = await computeFeatures(own, muddle(10, 0));
    const held = await computeFeatures(own, muddle(10, 300));
    const heads = [
      await trainHead(own, features, { validation: held }),
      await trainHead(own, muddle(10, 0), { validation: muddle(10, 300) }),
    ];
    expect(own.embedded).toBe(80);
    expect(await heads[0]!.toBytes()).toEqual(await heads[1]!.toBytes());
    expect((await heads[0]!.evaluate(held)).loss).toBe((await heads[1]!.evaluate(muddle(10, 300))).loss);
  });

  test('of another model or with other options are refused', async () => {
    const features = await computeFeatures(model, muddle(5, 0));
    await expect(trainHead(new PixelEmbedder(2), features)).rejects.toMatchObject({
      code: 'VGG_HEAD',
      message: expect.stringContaining('other weights'),
    });
    await expect(trainHead(model, features, { pooling: 'max' })).rejects.toMatchObject({
      code: 'VGG_HEAD',
      message: expect.stringContaining('pooling'),
    });
    await expect(trainHead(model, features, { layer: 'raw' })).resolves.toBeDefined();
  });

  test('flattened maps (fewer pictures than features) train as well', async () => {
    const head = await trainHead(model, colours(6), { pooling: 'none', validation });
    expect(head.info.dimensions).toBe(48);
    expect(head.best.valAccuracy).toBe(1);
  });

  test('a picture that cannot be read is left out and listed; its progress and the others stay', async () => {
    const data = { ...colours(4), red: [...colours(4).red!, 'not pixels'] as ImageInput[] };
    const stages = new Set<string>();
    const head = await trainHead(model, data, { onProgress: ({ stage }) => stages.add(stage) });
    expect(head.info.training.images).toBe(12);
    expect(head.warnings).toEqual([expect.stringContaining('not pixels was left out')]);
    expect(stages).toEqual(new Set(['extract', 'choose l2', 'train']));
    const { failed, images } = await head.evaluate(data);
    expect(images).toBe(12);
    expect(failed.map(({ name }) => name)).toEqual(['not pixels']);
  });

  test('vectors of different lengths are refused', async () => {
    const wide: ImageInput = { data: new Uint8Array(96), width: 8, height: 4, channels: 3 };
    await expect(trainHead(model, { a: [patch(1, 2, 3, 4), wide], b: [patch(3, 2, 1, 5)] }, { pooling: 'none' })).rejects.toMatchObject({
      code: 'VGG_SHAPE',
    });
  });
});

describe('bad input', () => {
  const cases: [string, unknown, TrainHeadOptions, string, RegExp][] = [
    ['one class', { a: colours(2).red }, {}, 'VGG_DATASET', /at least two classes, received 1 \(a\)/],
    ['a class none of whose pictures can be read', { ...colours(2), odd: ['x', 'y'] }, {}, 'VGG_DATASET', /class "odd" that can be read/],
    ['no picture that can be read', { a: ['x'], b: ['y'] }, {}, 'VGG_DATASET', /that can be read, received none/],
    ['an unknown layer', colours(2), { layer: 'pool9' }, 'VGG_LAYER', /pool9/],
    ['lbfgs with a hidden layer', colours(2), { solver: 'lbfgs', hidden: 4 }, 'VGG_OPTION', /'adam' for a head with hidden layers/],
    ['an unknown solver', colours(2), { solver: 'sgd' as never }, 'VGG_OPTION', /received sgd/],
    ['half an epoch', colours(2), { epochs: 0.5 }, 'VGG_OPTION', /as epochs, received 0.5/],
    ['no units', colours(2), { hidden: [8, 0] }, 'VGG_OPTION', /as hidden\[1\], received 0/],
    ['a negative rate', colours(2), { learningRate: -1 }, 'VGG_OPTION', /as learningRate/],
    ['a dropout of 1', colours(2), { dropout: 1 }, 'VGG_OPTION', /as dropout/],
    ['a validation part of 1', colours(2), { validation: 1 }, 'VGG_OPTION', /as validation/],
    ['a seed that is no number', colours(2), { seed: Number.NaN }, 'VGG_OPTION', /as seed/],
    ['a learning rate that explodes', colours(9), { hidden: 8, learningRate: 1e30, dropout: 0 }, 'VGG_HEAD', /finite loss/],
  ];
  test.each(cases)('%s', async (_, data, options, code, message) => {
    await expect(trainHead(model, data as never, options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test.each([undefined, null, 'vgg16', {}])('%j for a model', async (none) => {
    await expect(trainHead(none as never, colours(2))).rejects.toMatchObject({
      code: 'VGG_INPUT',
      message: expect.stringContaining('expected a model to take features from, received'),
    });
  });

  test('an abort while features are computed leaves nothing behind', async () => {
    const controller = new AbortController();
    const training = trainHead(model, colours(50), { signal: controller.signal, onProgress: () => controller.abort() });
    await expect(training).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    await expect(trainHead(model, colours(2), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
  });
});

test('onEpoch gets every entry in order, and is waited for', async () => {
  const seen: HistoryEntry[] = [];
  let pending = 0;
  const head = await trainHead(model, muddle(10, 0), {
    solver: 'adam',
    epochs: 6,
    onEpoch: async (entry) => {
      expect(pending++).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, 2));
      pending--;
      seen.push(entry);
    },
  });
  expect(seen).toEqual(head.history);
  expect(seen.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4, 5, 6]);
});
