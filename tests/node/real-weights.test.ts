// Real weights that others trained, beside the repository where they are: each gives the figure that is known of it.
import { existsSync, readFileSync } from 'node:fs';
import { bytesSource } from '@vgg/loaders';
import { describe, expect, test } from 'vitest';
import { openZip, readEntry } from '../../packages/loaders/src/formats/zip/index.js';
import { load, openDataset } from '../../packages/vgg/src/index.js';

const DATA = '../shared/data/';
/** A JPEG of 32 x 32 pixels has about a thousand bytes. */
const MAX_PICTURE = 2 ** 16;

describe.skipIf(!existsSync(`${DATA}torch/cifar_net.pth`))('torch/cifar_net.pth (../shared/data)', () => {
  test('a network of its own in PyTorch, by a plan, on the 10,000 test pictures of CIFAR-10', { timeout: 240_000 }, async () => {
    const plan = { name: 'cifar_net', blocks: [[32], [64], [64]], dense: [512, 128], classes: 10, size: 32, dropout: 0 };
    using model = await load(JSON.stringify(plan), {
      weights: `${DATA}torch/cifar_net.pth`,
      backend: 'wasm',
      preprocessing: {
        name: 'halves',
        resize: { mode: 'none' },
        channelOrder: 'rgb',
        scale: 1 / 255,
        mean: [0.5, 0.5, 0.5],
        std: [0.5, 0.5, 0.5],
      },
    });
    expect(model.weights.unknown).toEqual([]);
    const zip = await openZip(bytesSource(new Uint8Array(readFileSync(`${DATA}cifar10/test.zip`)), 'test.zip'));
    const names = [...zip.entries.keys()].filter((name) => name.endsWith('.jpg')).toSorted();
    expect(names).toHaveLength(10_000);
    const classes = [...new Set(names.map(classOf))];
    async function* pictures() {
      for (const name of names) yield readEntry(zip, name, MAX_PICTURE);
    }
    const predicted = await model.classify(pictures(), { top: 1 });
    const right = predicted.filter(([best], i) => classes[best!.index] === classOf(names[i]!)).length;
    expect(Math.abs(right / names.length - 0.7255)).toBeLessThan(0.003);
  });
});

describe.skipIf(!existsSync(`${DATA}cifar10/test.zip`))('the weights inside the package (../shared/data/cifar10)', () => {
  test('name the share of the 10,000 test pictures of CIFAR-10 that their card says', { timeout: 240_000 }, async () => {
    const card = readFileSync('packages/vgg/nets/compact/README.md', 'utf8');
    const told = Number(/accuracy \| ([\d.]+) % of the 10,000 test pictures/.exec(card)![1]);
    expect(told).toBeGreaterThanOrEqual(90);
    using model = await load(undefined, { backend: 'wasm' });
    const { examples, classes } = await openDataset(`${DATA}cifar10/test.zip`);
    expect(examples).toHaveLength(10_000);
    const images = examples.map(({ image }) => image);
    const predicted = await model.classify(images, { top: 1 });
    const right = predicted.filter(([best], i) => best!.label === classes[examples[i]!.label]).length;
    expect(Math.abs(right / 100 - told)).toBeLessThan(0.05);
  });
});

const classOf = (name: string) => name.split('/').at(-2)!;
