import { describe, expect, it } from 'vitest';
import { SMALL_PLAN, smallFile } from '../../test/small-weights.js';
import { load } from '../load.js';
import { carriedClasses } from './carried.js';

const grey = { data: new Uint8Array(32 * 32 * 3).fill(120), width: 32, height: 32, channels: 3 } as const;
const labels = ['red', 'green', 'blue', 'white', 'black'];

describe('class names that a file carries', () => {
  it.each([
    ['our own list', { 'vgg.classes': JSON.stringify(labels) }],
    ["MatConvNet's descriptions", { classes: JSON.stringify(labels) }],
  ])('are those of its predictions: %s', async (_, metadata) => {
    const model = await load(undefined, { weights: await smallFile(SMALL_PLAN, metadata), backend: 'cpu' });
    const predictions = await model.classify(grey, { top: 5, size: 32 });
    for (const { index, label } of predictions) expect(label).toBe(labels[index]);
    expect(predictions).toHaveLength(5);
    model.dispose();
  });

  it("with MatConvNet's wnids, whose order is looked at", async () => {
    const wnids = ['n02119789', 'n02100735', 'n02110185', 'n02096294', 'n02102040'];
    const metadata = { classes: JSON.stringify(labels), wnids: JSON.stringify(wnids) };
    const warnings: string[] = [];
    const model = await load(undefined, {
      weights: await smallFile(SMALL_PLAN, metadata),
      backend: 'cpu',
      onWarning: (text) => warnings.push(text),
    });
    expect((await model.classNames())!.map(({ wnid }) => wnid)).toEqual(wnids);
    expect(warnings).toEqual([expect.stringContaining('this is the order of the ILSVRC development kit')]);
    model.dispose();
  });

  it('of another length than the outputs are left, with a warning', async () => {
    const warnings: string[] = [];
    const onWarning = (text: string) => warnings.push(text);
    const weights = await smallFile(SMALL_PLAN, { 'vgg.classes': '["one", "two"]' });
    const model = await load(undefined, { weights, backend: 'cpu', onWarning });
    expect((await model.classify(grey, { top: 1, size: 32 }))[0]!.label).toMatch(/^class \d$/);
    expect(warnings).toEqual(['bytes: expected names of 5 classes in it, received 2, which are not used']);
    model.dispose();
  });

  it('lists of anything but texts are none', () => {
    for (const classes of ['[1, 2]', '{"a": 1}', 'tench', '[]', '[["a", "b"]]'])
      expect(carriedClasses(new Map([['classes', classes]]))).toBeUndefined();
    expect(
      carriedClasses(
        new Map([
          ['classes', '["a"]'],
          ['wnids', '["n1", "n2"]'],
        ]),
      ),
    ).toBe('["a"]');
  });
});
