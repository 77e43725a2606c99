import { openBackend, probeBackends } from '@vgg/core';
import { bytesSource, openWeights } from '@vgg/loaders';
import { describe, expect, it, vi } from 'vitest';
import { STRIPES_PLAN as PLAN, stripes } from '../../test/train/stripes.js';
import { load } from '../load.js';
import { network } from '../network/architecture.js';
import type { PlanInput } from '../network/plan.js';
import type { EpochEntry } from './history.js';
import { planTraining } from './memory.js';
import { type TrainNetworkOptions, trainNetwork } from './train-network.js';
import { Trainable } from './trainable.js';

const OPTIONS: TrainNetworkOptions = { epochs: 4, batch: 16, rate: 0.1, backend: 'wasm', threads: 1, validation: stripes(40, 2), seed: 3 };
/** Of a few steps, for what shows at once. */
const SHORT: TrainNetworkOptions = { epochs: 1, batch: 8, rate: 0.05, backend: 'wasm', threads: 1, seed: 3 };
const FEW = stripes(24, 1);

const lossesOf = ({ history }: { history: readonly EpochEntry[] }) => history.map(({ loss }) => loss);

async function valuesOf(bytes: Uint8Array): Promise<Map<string, Float32Array>> {
  const file = await openWeights(bytesSource(bytes));
  const values = new Map<string, Float32Array>();
  for (const name of file.tensors.keys()) values.set(name, await file.read(name));
  return values;
}

/** The weights of a network after some training. */
async function train(start: Parameters<typeof trainNetwork>[0], options: TrainNetworkOptions, data = FEW) {
  using net = await trainNetwork(start, data, options);
  return { bytes: await net.toBytes(), history: net.history };
}

describe('trainNetwork', () => {
  it('a new network learns, and is a weight file like any other', async () => {
    const backend = await openBackend('wasm', { threads: 1 });
    const before = backend.memory().tensors;
    const epochs: EpochEntry[] = [];
    const trained = await trainNetwork({ arch: PLAN }, stripes(128, 1), { ...OPTIONS, onEpoch: (entry) => void epochs.push(entry) });
    expect(epochs).toEqual(trained.history);
    expect(trained.history.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
    expect(trained.best.valAccuracy).toBeGreaterThan(0.95);
    const test = stripes(60, 5);
    const scored = await trained.evaluate(test);
    expect(scored).toMatchObject({ images: 60, failed: [] });
    // What was evaluated once is the same again: nothing of it was learnt from.
    expect(await trained.evaluate(test, { batch: 7 })).toMatchObject({ accuracy: scored.accuracy });
    const model = await load(undefined, { weights: await trained.toBytes(), backend: 'cpu' });
    let correct = 0;
    for (const { image, label } of test.examples) {
      const [best] = await model.classify(image as never, { top: 1 });
      if (best!.label === test.classes[label]) correct++;
    }
    expect(correct / 60).toBeCloseTo(scored.accuracy, 6);
    model.dispose();
    trained.dispose();
    await vi.waitFor(() => expect(backend.memory().tensors).toBe(before));
  });

  it('with weights, only what is unfrozen changes, and frozen statistics do not', async () => {
    const plan: PlanInput = { ...PLAN, blocks: [[6], [6], [8]] };
    const { bytes } = await train({ arch: plan }, SHORT);
    const before = await valuesOf(bytes);
    for (const freezeStatistics of [true, false]) {
      const tuned = await valuesOf((await train({ weights: bytes }, { ...SHORT, unfreeze: 'conv3', freezeStatistics })).bytes);
      expect([...tuned.keys()].sort()).toEqual([...before.keys()].sort());
      const changed = [...tuned].filter(([name, values]) => String(values) !== String(before.get(name))).map(([name]) => name);
      // The bias in front of batch normalisation has no gradient, but decays.
      const learning = ['conv3_1.weight', 'conv3_1.bias', 'bn3_1.scale', 'bn3_1.offset', 'fc6.weight', 'fc6.bias'];
      const statistics = freezeStatistics ? [] : ['bn3_1.mean', 'bn3_1.variance'];
      expect(changed.sort()).toEqual([...learning, ...statistics].sort());
    }
  });

  it('with weights, begins with a classifier that was fitted, and a cut', async () => {
    const { bytes } = await train({ arch: { ...PLAN, blocks: [[6], [6], [8]] } }, SHORT);
    const classes = { ...stripes(24, 1), classes: ['x', 'y'] };
    using net = await trainNetwork({ weights: bytes }, classes, {
      ...SHORT,
      layer: 'pool2',
      unfreeze: 'fc6',
      validation: stripesOf('x', 'y'),
    });
    expect(net.network.layers.map(({ name }) => name)).toContain('pool2');
    expect(net.network.layers.some(({ name }) => name.includes('3_'))).toBe(false);
    expect(net.classes).toEqual(['x', 'y']);
    await expect(train({ weights: bytes }, { ...SHORT, layer: 'relu2_1' })).rejects.toMatchObject({ code: 'VGG_LAYER' });
    await expect(train({ weights: bytes }, { ...SHORT, unfreeze: 'conv9' })).rejects.toMatchObject({ code: 'VGG_LAYER' });
  });

  it('is the same again with one seed, to the bit, and another with another', async () => {
    const options: TrainNetworkOptions = { ...SHORT, epochs: 2, network: { dense: [6] }, augment: 'cifar' };
    const [first, again, other] = [
      await train({ arch: PLAN }, options),
      await train({ arch: PLAN }, options),
      await train({ arch: PLAN }, { ...options, seed: 4 }),
    ];
    expect(lossesOf(again)).toEqual(lossesOf(first));
    expect(again.bytes).toEqual(first.bytes);
    expect(lossesOf(other)).not.toEqual(lossesOf(first));
  });

  it('learns the same on every backend', async () => {
    const options: TrainNetworkOptions = { ...SHORT, epochs: 2, rate: 0.02, network: { dense: [6] } };
    const expected = lossesOf(await train({ arch: PLAN }, { ...options, backend: 'cpu' }));
    for (const { name, available } of await probeBackends()) {
      if (!available || name === 'cpu') continue;
      const found = lossesOf(await train({ arch: PLAN }, { ...options, backend: name }));
      const worst = Math.max(...found.map((loss, epoch) => Math.abs(loss - expected[epoch]!)));
      expect(worst, name).toBeLessThan(1e-4);
    }
  });

  it('learns the same in portions, which a memory limit leads to', async () => {
    const plan: PlanInput = { ...PLAN, batchNorm: false };
    const whole = lossesOf(await train({ arch: plan }, SHORT))[0]!;
    const learn = vi.spyOn(Trainable.prototype, 'learn');
    const sizes = () => learn.mock.calls.splice(0).map(([{ labels }]) => labels.length);
    const sides = { height: 16, width: 16, frozen: [], learning: network(plan, { classes: 2 }).layers, kept: 1, memory: 'fast' } as const;
    const { total } = planTraining(network(plan), { ...sides, batch: 4 });
    const { sums } = planTraining(network(plan), { ...sides, batch: 8, maxMemoryBytes: total });
    expect(sums).toBeGreaterThan(0);
    for (const more of [{ portion: 3 }, { maxMemoryBytes: total + sums, onWarning: () => {} }]) {
      const [loss] = lossesOf(await train({ arch: plan }, { ...SHORT, ...more }));
      expect(Math.abs(loss! - whole), JSON.stringify(more)).toBeLessThan(1e-5);
      // Three batches of 8.
      if (more.portion) expect(sizes()).toEqual([3, 3, 2, 3, 3, 2, 3, 3, 2]);
      else expect(Math.max(...sizes())).toBe(4);
    }
    learn.mockRestore();
    await expect(train({ arch: plan }, { ...SHORT, maxMemoryBytes: 10_000 })).rejects.toMatchObject({
      code: 'VGG_MEMORY',
      message: expect.stringContaining('maxMemoryBytes'),
    });
  });

  it('learns the same, to the bit, with maps computed anew, which a memory limit leads to', async () => {
    const open = vi.spyOn(Trainable, 'open');
    const cuts = () => open.mock.calls.splice(0).map(([, , , options]) => options!.cuts);
    const warnings: string[] = [];
    const plan: PlanInput = { ...PLAN, batchNorm: true, blocks: [[6, 6, 6], [8]] };
    // Clipping goes by all gradients together.
    const optimizer = { momentum: 0.9, clipNorm: 0.5 };
    const options: TrainNetworkOptions = { ...SHORT, epochs: 2, optimizer, onWarning: (line) => void warnings.push(line) };
    const whole = await train({ arch: plan }, options);
    expect(cuts()).toEqual([[]]);
    const sides = { height: 16, width: 16, frozen: [], learning: network(plan, { classes: 2 }).layers, kept: 1, memory: 'fast' } as const;
    const { total, cuts: expected } = planTraining(network(plan), { ...sides, batch: 8, recompute: true });
    expect(expected.length).toBeGreaterThan(0);
    for (const more of [{ maxMemoryBytes: total }, { recompute: true }, { recompute: true, portion: 8 }]) {
      const found = await train({ arch: plan }, { ...options, ...more });
      expect(cuts(), JSON.stringify(more)).toEqual([expected]);
      expect(lossesOf(found)).toEqual(lossesOf(whole));
      expect(found.bytes).toEqual(whole.bytes);
    }
    open.mockRestore();
    expect(warnings).toEqual([
      expect.stringMatching(
        /^train: 8 pictures at a time do not fit with all maps, so most are computed anew on the way back, which is slower: maps \d/,
      ),
    ]);
  });

  it('takes a smaller memory mode where nothing else fits, unless one was asked for', async () => {
    // Its filters are what takes most.
    const plan: PlanInput = { ...PLAN, batchNorm: false, blocks: [[64, 256, 256]] };
    const net = network(plan, { classes: 2 });
    const sides = { batch: 1, height: 16, width: 16, frozen: [], learning: net.layers, kept: 1 } as const;
    const totalOf = (memory: 'fast' | 'balanced' | 'small') => planTraining(net, { ...sides, memory }).total;
    const warnings: string[] = [];
    const options: TrainNetworkOptions = { ...SHORT, batch: 1, onWarning: (line) => void warnings.push(line) };
    const maxMemoryBytes = totalOf('balanced');
    expect(maxMemoryBytes).toBeLessThan(totalOf('fast'));
    const { history } = await train({ arch: plan }, { ...options, maxMemoryBytes }, stripes(4, 1));
    expect(warnings[0]).toBe('train: not even one picture fits with memory fast, so memory balanced is taken, which is slower');
    const named = await train({ arch: plan }, { ...options, memory: 'balanced', portion: 1 }, stripes(4, 1));
    expect(lossesOf({ history })).toEqual(lossesOf(named));
    await expect(train({ arch: plan }, { ...options, maxMemoryBytes, memory: 'fast' }, stripes(4, 1))).rejects.toMatchObject({
      code: 'VGG_MEMORY',
      message: expect.stringMatching(/with memory fast it takes .*use memory small/),
    });
  });

  it('stops with a sentence when the loss is no number any more', async () => {
    const backend = await openBackend('wasm', { threads: 1 });
    const before = backend.memory().tensors;
    await expect(train({ arch: { ...PLAN, batchNorm: false } }, { ...SHORT, epochs: 20, rate: 1e20 })).rejects.toMatchObject({
      code: 'VGG_TRAINING',
      message: expect.stringMatching(
        /^train: the loss is no number any more in epoch \d+, step \d+; use a smaller learning rate than 100000000000000000000, or clip/,
      ),
    });
    expect(backend.memory().tensors).toBe(before);
  });

  it('stops at once when it is told to, and leaves nothing behind', async () => {
    const backend = await openBackend('wasm', { threads: 1 });
    const before = backend.memory().tensors;
    const controller = new AbortController();
    const onProgress: TrainNetworkOptions['onProgress'] = ({ stage }) => stage === 'train' && controller.abort();
    await expect(train({ arch: PLAN }, { ...SHORT, signal: controller.signal, onProgress })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    await expect(train({ arch: PLAN }, { ...SHORT, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'VGG_ABORTED' });
    expect(backend.memory().tensors).toBe(before);
  });

  it('lets the event loop turn while it learns', async () => {
    // A person's click in the first step is seen before the last: it is dealt with in a turn of its own.
    const controller = new AbortController();
    let steps = 0;
    const onProgress: TrainNetworkOptions['onProgress'] = ({ stage }) => {
      if (stage === 'train' && ++steps === 1) setTimeout(() => controller.abort());
    };
    const data = stripes(640, 1);
    await expect(train({ arch: PLAN }, { ...SHORT, signal: controller.signal, onProgress }, data)).rejects.toMatchObject({
      code: 'VGG_ABORTED',
    });
    expect(steps).toBeLessThan(80);
  });

  it.each([
    ['one class', { classes: ['x'], examples: FEW.examples.map((each) => ({ ...each, label: 0 })), skipped: [] }, 'at least two classes'],
    ['no picture that can be read', { x: [new Uint8Array(9)], y: [new Uint8Array(9)] }, 'pictures that can be read, received none'],
    ['a validation of other classes', FEW, 'validation', { validation: stripesOf('across', 'askew') }],
  ])('refuses %s', async (_, data, message, more: TrainNetworkOptions = {}) => {
    const warnings: string[] = [];
    const options = { ...SHORT, preprocessing: 'timm', onWarning: (text: string) => void warnings.push(text), ...more } as const;
    await expect(trainNetwork({ arch: PLAN }, data, options)).rejects.toMatchObject({
      code: 'VGG_DATASET',
      message: expect.stringContaining(message),
    });
  });

  it.each([
    ['nothing', undefined, SHORT, 'VGG_INPUT', 'expected { arch } or { weights } to begin with, received undefined'],
    ['neither', {}, SHORT, 'VGG_INPUT', 'received neither'],
    ['a mistyped start', { arch: PLAN, wieghts: 'a.h5' }, SHORT, 'VGG_OPTION', 'received wieghts (did you mean "weights"?)'],
    ['a mistyped option', { arch: PLAN }, { ...SHORT, epochz: 3 }, 'VGG_OPTION', 'received epochz (did you mean "epochs"?)'],
    ['options that are none', { arch: PLAN }, null, 'VGG_OPTION', 'expected an object as options, received null'],
    ['a batch of 0', { arch: PLAN }, { ...SHORT, batch: 0 }, 'VGG_OPTION', 'a whole number at least 1 as batch, received 0'],
    ['no epochs', { arch: PLAN }, { ...SHORT, epochs: 0 }, 'VGG_OPTION', 'a whole number at least 1 as epochs, received 0'],
    ['all for validation', { arch: PLAN }, { ...SHORT, validation: 1 }, 'VGG_OPTION', 'a number above 0 and below 1 as validation'],
    ['a name for a schedule', { arch: PLAN }, { ...SHORT, schedule: 'cosine' }, 'VGG_OPTION', 'as schedule, received cosine'],
    ['a name for an optimiser', { arch: PLAN }, { ...SHORT, optimizer: 'adam' }, 'VGG_OPTION', 'as optimizer, received adam'],
    ['unfreeze without weights', { arch: PLAN }, { ...SHORT, unfreeze: 'conv2' }, 'VGG_OPTION', 'weights to begin with for unfreeze'],
    ['dense layers for weights', { weights: 'a.h5' }, { ...SHORT, network: { dense: [8] } }, 'VGG_OPTION', 'for network, received weights'],
  ])('refuses %s, before anything is read', async (_, start, options, code, message) => {
    const data = { across: ['none.png'], down: ['none.png'] };
    await expect(trainNetwork(start as never, data, options as never)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  it('leaves out pictures that cannot be read, and lists each once', async () => {
    const broken = (name: string, label: number) => ({ name, label, image: new Uint8Array(9) });
    const spoilt = (data: typeof FEW, name: string) => ({ ...data, examples: [...data.examples, broken(name, 1)] });
    const warnings: string[] = [];
    using net = await trainNetwork({ arch: PLAN }, spoilt(FEW, 'a.png'), {
      ...SHORT,
      epochs: 2,
      validation: spoilt(stripes(10, 2), 'b.png'),
      onWarning: (text) => void warnings.push(text),
    });
    expect(net.failed.map(({ name, error }) => [name, error.code])).toEqual([
      ['a.png', 'VGG_INPUT'],
      ['b.png', 'VGG_INPUT'],
    ]);
    expect(warnings.map((text) => /[ab]\.png.*left out/.test(text))).toEqual([true, true]);
    await expect(net.evaluate(FEW, { batch: 0 })).rejects.toMatchObject({ message: expect.stringContaining('evaluate: expected a whole') });
  });

  it('a schedule without lengths goes by those of the run', async () => {
    using net = await trainNetwork({ arch: PLAN }, FEW, { ...SHORT, epochs: 4, rate: 0.1, schedule: { kind: 'cosine' } });
    expect(net.history.map(({ rate }) => Number(rate.toFixed(4)))).toEqual([0.1, 0.0854, 0.05, 0.0146]);
  });

  it('refuses pictures of several sizes where nothing brings them to one', async () => {
    const preprocessing = {
      name: 'plain',
      resize: { mode: 'none' },
      channelOrder: 'rgb',
      scale: 1 / 255,
      mean: [0, 0, 0],
      std: [1, 1, 1],
    } as const;
    const { bytes } = await train({ arch: PLAN }, SHORT);
    const larger = { data: new Uint8Array(20 * 20 * 3), width: 20, height: 20, channels: 3 as const };
    const examples = FEW.examples.map((example, i) => (i % 4 === 1 ? { ...example, image: larger } : example));
    await expect(train({ weights: bytes }, { ...SHORT, preprocessing }, { ...FEW, examples })).rejects.toMatchObject({
      code: 'VGG_SHAPE',
      message: expect.stringMatching(/^train: expected pictures of one size, received .* pass a size/),
    });
    await train({ weights: bytes }, { ...SHORT, preprocessing, size: 16 }, { ...FEW, examples });
  });
});

function stripesOf(...classes: string[]) {
  return { ...stripes(10, 7), classes };
}
