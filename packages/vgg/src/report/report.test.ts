import { describe, expect, test } from 'vitest';
import { elements } from '../../test/well-formed.js';
import { evaluateProbabilities } from '../head/evaluate/evaluation.js';
import { type CurvePoint, trainingCurves } from './curves.js';
import { evaluationReport } from './evaluation-report.js';
import { type TrainingRun, trainingReport } from './training-report.js';

const history: CurvePoint[] = Array.from({ length: 12 }, (_, i) => ({
  epoch: i + 1,
  loss: 0.8 / (i + 1),
  accuracy: 1 - 0.5 / (i + 1),
  valLoss: 0.4 + 0.4 / (i + 1),
  valAccuracy: 0.9 - 0.4 / (i + 1),
  rate: i < 6 ? 0.1 : 0.01,
}));
const evaluation = evaluateProbabilities([0.9, 0.1, 0.4, 0.6, 0.2, 0.8, 0.7, 0.3], [0, 0, 1, 1], ['ants', '<bees> & "wasps"']);
const run: TrainingRun = {
  title: 'Ants & <bees>',
  classes: ['ants', '<bees> & "wasps"'],
  history,
  best: history[9],
  about: [
    ['features', 'pool3, 256 values a picture'],
    ['validation', undefined],
  ],
  options: { solver: 'adam', learningRate: 0.001, hidden: [64], dropout: undefined },
  evaluation,
  warnings: ['class "bees" has one picture'],
  seed: 7,
  seconds: 83.2,
  versions: { vgg: '1.0.0', backend: 'wasm, 2 threads' },
};

/** The text of the elements with this tag. */
const texts = (xml: string, tag: string) => [...xml.matchAll(new RegExp(`<${tag}[^>]*>([^<]*)</${tag}>`, 'g'))].map(([, text]) => text);

describe('trainingCurves', () => {
  test('is one well-formed SVG that refers to nothing outside', () => {
    const svg = trainingCurves(history, { best: 10 });
    expect(elements(svg)[0]).toMatchObject({ name: 'svg', attributes: { 'aria-label': 'loss, accuracy, learning rate over 12 epochs' } });
    expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|href|url\(/);
    expect(svg).toContain('prefers-color-scheme:dark');
    expect(texts(svg, 'text')).toEqual(
      expect.arrayContaining(['Loss', 'Accuracy', 'Learning rate', 'training', 'validation', 'kept: 10', '50 %', '100 %', 'epoch']),
    );
  });

  test('as it was', () => {
    expect(trainingCurves(history.slice(0, 3), { best: 2, unit: 'step' }).replace(/<style>.*<\/style>/, '')).toMatchSnapshot();
  });

  test('lines stay inside their panels and fall where the numbers fall', () => {
    const paths = elements(trainingCurves(history)).filter(({ attributes }) => attributes.class === 'line train');
    // The legend's, the loss and the accuracy.
    expect(paths).toHaveLength(3);
    const points = [...paths[1]!.attributes.d!.matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)] as const);
    expect(points).toHaveLength(12);
    expect([points[0]![0], points.at(-1)![0]]).toEqual([56, 704]);
    points.slice(1).forEach(([x, y], i) => {
      expect(x).toBeGreaterThan(points[i]![0]);
      // Down the page is down the axis.
      expect(y).toBeGreaterThan(points[i]![1]);
    });
    for (const [, y] of points) expect(y >= 54 && y <= 234).toBe(true);
  });

  test('what is not known has no panel, no line and no entry in the legend', () => {
    const svg = trainingCurves(history.map(({ epoch, loss }) => ({ epoch, loss })));
    expect(texts(svg, 'text')).not.toContain('Accuracy');
    expect(texts(svg, 'text')).not.toContain('validation');
    expect(elements(svg).filter(({ attributes }) => attributes.class?.startsWith('line'))).toHaveLength(2);
  });

  test('a loss that spans decades has a logarithmic axis', () => {
    const svg = trainingCurves(history.map(({ epoch }) => ({ epoch, loss: 10 ** -epoch })));
    expect(texts(svg, 'text')).toContain('Loss (logarithmic)');
  });

  test('one epoch is a dot; a loss that is not a number is a gap', () => {
    const one = elements(trainingCurves(history.slice(0, 1))).filter(({ name }) => name === 'circle');
    expect(one.map(({ attributes }) => attributes.cx)).toEqual(new Array(5).fill('380'));
    const broken = trainingCurves([history[0]!, { epoch: 2, loss: Number.NaN }, { epoch: 3, loss: 0.2 }, { epoch: 4, loss: 0.1 }]);
    expect(broken).not.toContain('NaN');
    const [, loss] = elements(broken).filter(({ attributes }) => attributes.class === 'line train');
    expect(loss!.attributes.d!.match(/M/g)).toHaveLength(2);
  });

  test('accuracy ends at 100 %, where every picture was right too', () => {
    const labels = texts(trainingCurves(history.map(({ epoch, loss }) => ({ epoch, loss, accuracy: 1 }))), 'text');
    const parts = labels.filter((label) => label!.endsWith(' %')).map((label) => Number.parseFloat(label!));
    expect([Math.min(...parts), Math.max(...parts)]).toEqual([90, 100]);
  });

  test('no epochs are refused', () => {
    expect(() => trainingCurves([])).toThrow(expect.objectContaining({ code: 'VGG_INPUT' }));
  });
});

describe('trainingReport', () => {
  test('is one well-formed page that refers to nothing outside and runs nothing', () => {
    const html = trainingReport(run);
    expect(html.startsWith('<!doctype html>\n')).toBe(true);
    const found = elements(html.slice('<!doctype html>\n'.length));
    const names = new Set(found.map(({ name }) => name));
    for (const outside of ['script', 'link', 'img', 'iframe']) expect(names).not.toContain(outside);
    expect(found.flatMap(({ attributes }) => Object.keys(attributes)).filter((key) => /^(href|src|on)/.test(key))).toEqual([]);
  });

  test('says everything about the run, escaped', () => {
    const html = trainingReport(run);
    expect(texts(html, 'title')).toEqual(['Ants &amp; &lt;bees&gt;']);
    expect(texts(html, 'h2')).toEqual(['Curves', 'Numbers', 'Validation', 'Classes', 'Run', 'Warnings', 'Versions']);
    expect(texts(html, 'b')).toEqual(['86.00 %', '0.4400', '95.00 %', '0.0800', '10 of 12', '1 min 23 s']);
    expect(texts(html, 'li')).toEqual(['ants', '&lt;bees&gt; &amp; &quot;wasps&quot;']);
    for (const part of ['learningRate', '[64]', 'seed', 'wasm, 2 threads', 'class &quot;bees&quot; has one picture'])
      expect(html).toContain(part);
    expect(html).not.toContain('dropout');
    expect(html).not.toContain('undefined');
  });

  test('the confusion matrix counts rows of truths and columns of predictions', () => {
    const table = /<table class="confusion">.*?<\/table>/s.exec(trainingReport(run))![0];
    const rows = [...table.matchAll(/<tr>(.*?)<\/tr>/gs)].slice(1).map(([, row]) => texts(row!, 'td'));
    expect(rows).toEqual([
      ['1', '1', '50.00 %'],
      ['1', '1', '50.00 %'],
    ]);
  });

  test('many classes: the largest confusions instead of a matrix', () => {
    const classes = Array.from({ length: 40 }, (_, c) => `class ${c}`);
    const probabilities = new Float32Array(80 * 40);
    const labels = Array.from({ length: 80 }, (_, i) => i % 40);
    // Class 3 is always taken for class 5.
    labels.forEach((label, i) => {
      probabilities[i * 40 + (label === 3 ? 5 : label)] = 1;
    });
    const html = evaluationReport({ title: 'many', evaluation: evaluateProbabilities(probabilities, labels, classes) });
    elements(html.slice('<!doctype html>\n'.length));
    expect(html).not.toContain('class="confusion"');
    expect(html).toContain('<th>class 3 taken for class 5</th><td class="number">2</td>');
  });

  test('a run without validation says so', () => {
    const html = trainingReport({ title: 'plain', classes: ['a', 'b'], history: [{ epoch: 1, loss: 0.5 }] });
    elements(html.slice('<!doctype html>\n'.length));
    expect(html).toContain('No pictures were set aside');
    expect(texts(html, 'b')).toEqual(['0.5000', '1 of 1']);
  });
});

test('evaluationReport tells of an evaluation alone', () => {
  const html = evaluationReport({ title: 'val', evaluation, about: [['head', 'h.head']], seconds: 4000 });
  elements(html.slice('<!doctype html>\n'.length));
  expect(texts(html, 'b')).toEqual(['50.00 %', evaluation.loss.toFixed(4), '1 h 6 min']);
  expect(texts(html, 'h2')).toEqual(['Predictions', 'Evaluated']);
});

test('evaluationReport of a multi-label head has what it measures of each label', () => {
  const perClass = [
    { label: 'sea', images: 3, averagePrecision: 0.75, precision: 1, recall: 2 / 3, f1: 0.8 },
    { label: 'snow', images: 0 },
  ];
  const measured = { images: 5, meanAveragePrecision: 0.75, meanF1: 0.8, subsetAccuracy: 0.6, accuracy: 0.9, loss: 0.25, perClass };
  const html = evaluationReport({ title: 'tags', evaluation: { ...measured, failed: [], skipped: [] } });
  elements(html.slice('<!doctype html>\n'.length));
  expect(texts(html, 'b')).toEqual(['75.00 %', '80.00 %', '60.00 %', '90.00 %', '0.2500']);
  expect(texts(html, 'td')).toEqual(['3', '75.00 %', '100.00 %', '66.67 %', '80.00 %', '0', '–', '–', '–', '–']);
});

test('evaluationReport of a regression head lists where it is furthest off', () => {
  const pictures = Array.from({ length: 30 }, (_, i) => ({ name: `${i}.jpg`, target: i, predicted: i + (i % 2 ? 0.1 : -0.1) * i }));
  const html = evaluationReport({
    title: 'age',
    evaluation: { images: 30, mae: 1.45, rmse: 1.7, r2: 0.9123, pictures, failed: [], skipped: [] },
  });
  elements(html.slice('<!doctype html>\n'.length));
  expect(texts(html, 'b')).toEqual(['1.45', '1.7', '0.9123']);
  expect(texts(html, 'h2')).toEqual(['Largest errors']);
  expect(texts(html, 'th').slice(4)).toEqual(Array.from({ length: 20 }, (_, i) => `${29 - i}.jpg`));
  expect(texts(html, 'td').slice(0, 3)).toEqual(['29', '31.9', '2.9']);
});

test('a regression run tells of squared errors and R², which may be below 0', () => {
  const numbers = history.map((point, i) => ({ ...point, valAccuracy: i === 0 ? -0.5 : 0.8 }));
  const svg = trainingCurves(numbers, { targets: 'number' });
  expect(elements(svg)[0]!.attributes['aria-label']).toBe('squared error, R², learning rate over 12 epochs');
  expect(texts(svg, 'text')).toEqual(expect.arrayContaining(['Squared error', 'R²', '-0.5', '1']));
  expect(texts(svg, 'text').join()).not.toMatch(/%|Accuracy/);
  const html = trainingReport({ title: 'age', classes: ['target'], targets: 'number', history: numbers, best: numbers[9]! });
  expect(texts(html, 'span')).toEqual(['validation R²', 'validation squared error', 'training R²', 'training squared error', 'kept epoch']);
  expect(texts(html, 'b').slice(0, 2)).toEqual(['0.8000', '0.4400']);
  // There was a validation, and there are no classes to list.
  expect(texts(html, 'h2')).toEqual(['Curves', 'Numbers', 'Run']);
});
