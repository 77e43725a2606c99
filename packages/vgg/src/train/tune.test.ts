import { openBackend } from '@vgg/core';
import { bytesSource, openWeights, type Source, writeSafetensors } from '@vgg/loaders';
import { describe, expect, it } from 'vitest';
import { STRIPES_PLAN, stripes } from '../../test/train/stripes.js';
import { trainHead } from '../head/train/train-head.js';
import { collectBytes } from '../io/collect.js';
import type { SourceInput } from '../io/io.js';
import { load } from '../load.js';
import { network } from '../network/architecture.js';
import type { Plan, PlanInput } from '../network/plan.js';
import { METADATA } from '../weights/metadata.js';
import { initialWeights } from './initialize.js';
import { type TrainNetworkOptions, trainNetwork } from './train-network.js';

const DENSE: PlanInput = { ...STRIPES_PLAN, batchNorm: false, globalPool: false, dense: [7, 5], dropout: 0.5 };
const SHORT: TrainNetworkOptions = { epochs: 1, batch: 8, rate: 0.05, backend: 'wasm', threads: 1, seed: 3 };
/** At a rate that changes nothing to speak of. */
const STILL: TrainNetworkOptions = { ...SHORT, top: 'pretrained', rate: 1e-9, optimizer: { weightDecay: 0 }, validation: stripes(20, 2) };
const FEW = stripes(24, 1);
const renamed = (...classes: string[]) => ({ ...FEW, classes });

async function valuesOf(bytes: Uint8Array): Promise<Map<string, Float32Array>> {
  const file = await openWeights(bytesSource(bytes));
  const values = new Map<string, Float32Array>();
  for (const name of file.tensors.keys()) values.set(name, await file.read(name));
  return values;
}

/** The weights of a network after some training. */
async function train(start: Parameters<typeof trainNetwork>[0], options: TrainNetworkOptions = SHORT, data = FEW): Promise<Uint8Array> {
  using net = await trainNetwork(start, data, options);
  return await net.toBytes();
}

/** The tensors whose values differ. */
async function changed(before: Uint8Array, after: Uint8Array): Promise<string[]> {
  const [old, now] = [await valuesOf(before), await valuesOf(after)];
  return [...now].filter(([name, values]) => String(values) !== String(old.get(name))).map(([name]) => name);
}

/** A file of some tensors that says which network they are of. */
async function fileOf(plan: PlanInput, said: Plan): Promise<Uint8Array> {
  const first = initialWeights(network(plan));
  const tensors = [...first.tensors.values()].map(({ name, shape }) => ({ name, shape, values: () => first.read(name) }));
  return collectBytes(writeSafetensors(tensors, { [METADATA.plan]: JSON.stringify(said) }) as AsyncIterable<Uint8Array>);
}

it.each([
  [FEW, ['conv1_1', 'conv2_1', 'fc6', 'fc7', 'fc8']],
  [renamed('x', 'y', 'z'), ['conv1_1', 'conv2_1', 'fc6', 'fc7']],
])('a transplant takes the classifier where the classes are as many', async (data, copied) => {
  const bytes = await train({ arch: DENSE });
  const deep = { ...DENSE, blocks: [[8, 8], [8, 8]] }; // biome-ignore format: a block a list
  const still = { ...SHORT, rate: 1e-30, optimizer: { weightDecay: 0 }, transplant: bytes };
  const after = await valuesOf(await train({ arch: deep }, still, data));
  const before = await valuesOf(bytes);
  const same = [...after].filter(([name, values]) => name.endsWith('.weight') && String(values) === String(before.get(name)));
  expect(same.map(([name]) => name)).toEqual(copied.map((layer) => `${layer}.weight`));
});

describe('top pretrained', () => {
  it.each([
    ['three dense layers', DENSE],
    ['batch normalisation, and the classifier alone', STRIPES_PLAN],
    ['the classifier alone, on cells', { ...STRIPES_PLAN, globalPool: false }],
    ['dense layers as convolutions', { ...DENSE, blocks: [[4], [4], [4], [4]], convolutionalTop: true }],
  ] as [string, PlanInput][])('goes on with a network of the same classes: %s', async (_, plan) => {
    using first = await trainNetwork({ arch: plan }, FEW, { ...SHORT, epochs: 2 });
    const before = await first.evaluate(stripes(20, 2));
    using net = await trainNetwork({ weights: await first.toBytes() }, FEW, STILL);
    expect(net.history[0]!.valLoss).toBeCloseTo(before.loss, 5);
    expect(net.history[0]!.valAccuracy).toBe(before.accuracy);
    expect(net.network).toEqual(network({ ...first.network.plan, convolutionalTop: false }));
  });

  it('puts a fitted classifier on its own dense layers, for other classes', async () => {
    const bytes = await train({ arch: DENSE }, { ...SHORT, epochs: 4 }, stripes(128, 1));
    const data = { ...stripes(64, 4), classes: ['x', 'y'] };
    const validation = { ...stripes(40, 6), classes: ['x', 'y'] };
    using net = await trainNetwork({ weights: bytes }, data, { ...STILL, unfreeze: 'logits', validation });
    expect((await changed(bytes, await net.toBytes())).sort()).toEqual(['fc8.bias', 'fc8.weight']);
    using model = await load(undefined, { weights: bytes, backend: 'wasm', threads: 1 });
    using head = await trainHead(model, data, { layer: 'relu7', pooling: 'none', validation, seed: 3 });
    const { loss } = await head.evaluate(validation);
    expect(net.history[0]!.valLoss).toBeCloseTo(loss, 4);
    // The same names in another order are other classes.
    const turned = await train({ weights: bytes }, { ...STILL, validation: 0.2 }, renamed('down', 'across'));
    expect(await changed(bytes, turned)).toContain('fc8.weight');
  });

  it.each([
    ['fc6', ['fc6', 'fc7', 'fc8']],
    // Keras's name of fc7, with its activation.
    ['fc2', ['fc7', 'fc8']],
    ['conv2', ['conv2_1', 'fc6', 'fc7', 'fc8']],
  ])('unfreeze %s changes what it names', async (unfreeze, layers) => {
    const bytes = await train({ arch: { ...DENSE, dropout: 0 } });
    const tuned = await train({ weights: bytes }, { ...SHORT, top: 'pretrained', unfreeze }, renamed('x', 'y'));
    expect((await changed(bytes, tuned)).sort()).toEqual(layers.flatMap((layer) => [`${layer}.bias`, `${layer}.weight`]));
  });

  it('takes any size where the dense layers stand on a mean, and leaves nothing behind', async () => {
    const backend = await openBackend('wasm', { threads: 1 });
    const bytes = await train({ arch: { ...DENSE, globalPool: true } });
    const before = backend.memory().tensors;
    for (const data of [FEW, renamed('x', 'y')]) {
      using net = await trainNetwork({ weights: bytes }, data, { ...SHORT, top: 'pretrained', size: 24 });
      expect(net.network).toMatchObject({ size: 24, plan: { dense: [7, 5] } });
    }
    expect(backend.memory().tensors).toBe(before);
  });

  it.each(['new', 'pretrained'] as const)('reads the file once with a top that is %s', async (top) => {
    const bytes = await train({ arch: { ...DENSE, dense: [64, 5] } });
    const inner = bytesSource(bytes, 'net.safetensors');
    let count = 0;
    const counting: Source = {
      ...inner,
      read: (offset, length, more) => inner.read(offset, length, more).finally(() => (count += length)),
    };
    await train({ weights: counting as SourceInput }, { ...SHORT, top }, renamed('x', 'y'));
    // Its head is looked at a few times.
    expect(count).toBeLessThan(1.5 * bytes.length);
  });

  it.each([
    ['a network without weights', true, {}, 'VGG_OPTION', 'expected weights to begin with for top, received arch alone'],
    ['a layer to cut behind', false, { layer: 'pool2' }, 'VGG_OPTION', 'expected layer or top pretrained, received both'],
    ['another word', false, { top: 'own' }, 'VGG_OPTION', 'expected new or pretrained as top, received own'],
    ['pictures of another size', false, { size: 32 }, 'VGG_SHAPE', 'expected pictures of 16 pixels for the dense layers'],
  ])('refuses %s', async (_, fresh, more, code, message) => {
    const start = fresh ? { arch: DENSE } : { weights: await train({ arch: DENSE }) };
    const options = { ...STILL, ...more } as TrainNetworkOptions;
    await expect(train(start, options)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it.each([
    ['them', network({ ...DENSE, top: false }).plan],
    ['fc6', network(DENSE, { classes: 2 }).plan],
  ])('refuses weights without %s', async (lack, said) => {
    const weights = await fileOf({ ...DENSE, top: false }, said);
    await expect(train({ weights }, STILL)).rejects.toMatchObject({
      code: 'VGG_WEIGHTS_MISSING',
      message: expect.stringMatching(
        new RegExp(`^train: expected weights with the dense layers of small .* without ${lack}.*; pass complete`),
      ),
    });
  });
});
