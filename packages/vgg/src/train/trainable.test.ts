import * as tf from '@tensorflow/tfjs-core';
import type { Backend } from '@vgg/core';
import { describeEachBackend, TOLERANCE } from '@vgg/core/testing';
import { expect, it } from 'vitest';
import { referenceForward } from '../../test/reference-forward.js';
import { noise, smallWeights } from '../../test/small-weights.js';
import { network } from '../network/architecture.js';
import type { Network, PlanInput } from '../network/plan.js';
import type { Optimizer } from './optimizer.js';
import { type Portion, Trainable, type TrainableOptions } from './trainable.js';

const PLAN: PlanInput = { name: 'tiny', blocks: [[4], [6, 5]], batchNorm: true, dense: [7], dropout: 0, classes: 3, size: 8 };
const [WITH, WITHOUT] = [network(PLAN), network({ ...PLAN, batchNorm: false })];
const COUNT = 6;

const pictures = (count: number, { size }: Network, seed = 5) => {
  const next = noise(seed);
  return Float32Array.from({ length: count * size * size * 3 }, () => next() * 2);
};
const labels = (count: number) => Int32Array.from({ length: count }, (_, i) => (i * 2) % 3);

/** A whole batch as one portion, or a part of it. */
function portion(net: Network, from = 0, to = COUNT): Portion {
  const one = net.size ** 2 * 3;
  const x = pictures(COUNT, net).subarray(from * one, to * one);
  return { x, shape: [to - from, net.size, net.size, 3], labels: labels(COUNT).slice(from, to), share: (to - from) / COUNT, key: [1] };
}

const open = (backend: Backend, net: Network, options?: TrainableOptions) => {
  const weights = smallWeights(net);
  return Trainable.open(backend, net, async (name) => weights.get(name)!.values, options);
};

/** The gradients of a batch in portions; the parameters stay as they are. */
async function gradients(backend: Backend, trainable: Trainable, portions: readonly Portion[]): Promise<Map<string, Float32Array>> {
  for (const each of portions) await trainable.learn(each);
  const kept = new Map<string, tf.Tensor>();
  const recorder = {
    step(parameters: Parameters<Optimizer['step']>[0]) {
      for (const [name, { gradient }] of parameters) kept.set(name, gradient.clone());
    },
  };
  trainable.step(recorder as unknown as Optimizer, 1);
  const found = new Map<string, Float32Array>();
  for (const [name, tensor] of kept) {
    found.set(name, (await backend.read(tensor)).slice());
    tensor.dispose();
  }
  return found;
}

async function valuesOf(backend: Backend, tensors: ReadonlyMap<string, tf.Tensor>): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  for (const [name, tensor] of tensors) found.set(name, (await backend.read(tensor)).slice());
  return found;
}

/** The mean cross-entropy of the whole batch, in float64. */
function referenceLoss(net: Network, weights: Parameters<typeof referenceForward>[1], training: boolean): number {
  const { x, shape } = portion(net);
  const { data } = referenceForward(net, weights, { data: x, shape }, { training }).get('prob')!;
  return labels(COUNT).reduce((sum, label, row) => sum - Math.log(data[row * net.classes + label]!) / COUNT, 0);
}

/** Central differences of {@link referenceLoss} by every value of the named tensors. */
function differences(net: Network, names: Iterable<string>, training: boolean): Map<string, Float64Array> {
  const weights = new Map([...smallWeights(net)].map(([name, { shape, values }]) => [name, { shape, values: Float64Array.from(values) }]));
  const step = 1e-6;
  const slope = (values: Float64Array, at: number): number => {
    const own = values[at]!;
    values[at] = own + step;
    const above = referenceLoss(net, weights, training);
    values[at] = own - step;
    const below = referenceLoss(net, weights, training);
    values[at] = own;
    return (above - below) / (2 * step);
  };
  return new Map([...names].map((name) => [name, weights.get(name)!.values.map((_, at, values) => slope(values, at))]));
}

/** The largest difference, as a part of the largest value of all. */
function expectClose(found: ReadonlyMap<string, ArrayLike<number>>, expected: ReadonlyMap<string, ArrayLike<number>>, tolerance: number) {
  expect([...found.keys()]).toEqual([...expected.keys()]);
  for (const [name, values] of found) {
    const wanted = Array.from(expected.get(name)!);
    // A bias in front of batch normalisation changes nothing: its own largest value is none to go by.
    const largest = Math.max(...wanted.map(Math.abs), 1e-2);
    const worst = Math.max(...wanted.map((value, i) => Math.abs(value - values[i]!)));
    expect(worst / largest, name).toBeLessThan(tolerance);
  }
}

const references = new Map<string, Map<string, Float64Array>>();
/** Computed once for all backends. */
function reference(key: string, net: Network, names: Iterable<string>, training: boolean): Map<string, Float64Array> {
  const found = references.get(key) ?? differences(net, names, training);
  references.set(key, found);
  return found;
}

describeEachBackend('a network that learns', (backend) => {
  it.each([
    ['batch normalisation', WITH, {}],
    ['frozen statistics', WITH, { freezeStatistics: true }],
    ['no batch normalisation', WITHOUT, {}],
    ['its last block and dense layers alone', WITH, { unfreeze: 'conv2', freezeStatistics: true }],
  ] as const)('with %s has the gradients of finite differences', async (name, net, options: TrainableOptions) => {
    const trainable = await open(backend(), net, options);
    const found = await gradients(backend(), trainable, [portion(net)]);
    const training = net.batchNorm && !options.freezeStatistics;
    expectClose(found, reference(name, net, trainable.parameters.keys(), training), 1e-3);
    trainable.dispose();
  });

  it('has the loss and the scores of the definition', async () => {
    for (const net of [WITH, WITHOUT]) {
      const trainable = await open(backend(), net);
      const { loss } = await trainable.learn(portion(net));
      expect(Math.abs(loss - referenceLoss(net, smallWeights(net), true))).toBeLessThan(TOLERANCE);
      trainable.drop();
      const { x, shape } = portion(net);
      const layers = net.layers.filter(({ kind }) => kind !== 'softmax');
      const { data } = referenceForward({ layers }, smallWeights(net), { data: x, shape }).get(layers.at(-1)!.name)!;
      expectClose(new Map([['scores', await trainable.scores(x, shape)]]), new Map([['scores', data]]), TOLERANCE);
      trainable.dispose();
    }
  });

  it('has the same gradients in portions, without batch normalisation', async () => {
    const trainable = await open(backend(), WITHOUT);
    const whole = await gradients(backend(), trainable, [portion(WITHOUT)]);
    // Portions of 4 and 2: each counts by its pictures.
    expectClose(await gradients(backend(), trainable, [portion(WITHOUT, 0, 4), portion(WITHOUT, 4, 6)]), whole, 1e-5);
    trainable.dispose();
  });

  it.each([
    [
      'batch normalisation and dropout',
      { ...PLAN, dropout: 0.5 },
      {},
      [['pool1'], ['relu1_1', 'conv2_1', 'pool2'], ['conv1_1', 'bn1_1', 'relu6']],
    ],
    ['no batch normalisation', { ...PLAN, batchNorm: false }, {}, [['relu1_1'], ['pool1', 'relu2_1', 'flatten']]],
    ['a pool in front of what learns', PLAN, { unfreeze: 'pool1', freezeStatistics: true }, [['pool1'], ['pool1', 'pool2']]],
  ] as const)('has the same gradients, to the bit, with maps computed anew: %s', async (_name, plan, options, ways) => {
    const net = network(plan as PlanInput);
    const learnt = async (cuts?: readonly string[]) => {
      const trainable = await open(backend(), net, { ...options, ...(cuts && { cuts }) });
      const before = backend().memory().tensors;
      const { loss, correct } = await trainable.learn(portion(net));
      trainable.drop();
      const found = await gradients(backend(), trainable, [portion(net, 0, 4), portion(net, 4, 6)]);
      const statistics = await valuesOf(backend(), trainable.statistics);
      expect(backend().memory().tensors, 'tensors left behind').toBe(before);
      trainable.dispose();
      return { loss, correct, found, statistics };
    };
    const whole = await learnt();
    for (const cuts of ways) expect(await learnt(cuts), cuts.join(' ')).toEqual(whole);
  });

  it.each([[[]], [['pool1']]])('leaves nothing behind of a portion that fails, with cuts %j', async (cuts) => {
    const trainable = await open(backend(), WITH, { cuts });
    const before = backend().memory().tensors;
    await expect(trainable.learn({ ...portion(WITH), labels: labels(COUNT - 1) })).rejects.toMatchObject({ code: 'VGG_SHAPE' });
    expect(backend().memory().tensors).toBe(before);
    const whole = await gradients(backend(), trainable, [portion(WITH)]);
    expect([...whole.keys()]).toEqual([...trainable.parameters.keys()]);
    trainable.dispose();
  });

  it('keeps less with maps computed anew', async () => {
    const net = network({
      ...PLAN,
      blocks: [
        [8, 8, 8],
        [8, 8, 8],
      ],
      dense: [],
      size: 32,
    });
    const most = async (cuts: readonly string[]) => {
      const trainable = await open(backend(), net, { cuts });
      const before = tf.memory().numBytes;
      const { peakBytes } = await tf.profile(async () => {
        await trainable.learn(portion(net));
        return [];
      });
      trainable.dispose();
      return peakBytes - before;
    };
    const map = COUNT * 16 * 16 * 8 * 4;
    const [all, few] = [await most([]), await most(['relu1_1', 'relu1_2', 'pool1'])];
    // Of six maps in the first block two are kept, and two at a time computed anew.
    expect(all - few).toBeGreaterThan(1.5 * map);
  });

  it('follows the statistics of its portions, one after the other', async () => {
    const trainable = await open(backend(), WITH);
    await gradients(backend(), trainable, [portion(WITH, 0, 4), portion(WITH, 4, 6)]);
    // The first layer's inputs do not depend on other statistics, so the definition is at hand.
    const running = Float64Array.from(smallWeights(WITH).get('bn1_1.mean')!.values);
    for (const { x, shape } of [portion(WITH, 0, 4), portion(WITH, 4, 6)]) {
      const { data } = referenceForward(WITH, smallWeights(WITH), { data: x, shape }).get('conv1_1')!;
      running.forEach((value, channel) => {
        const own = data.filter((_, i) => i % running.length === channel);
        running[channel] = 0.9 * value + (0.1 * own.reduce((sum, each) => sum + each, 0)) / own.length;
      });
    }
    const found = await backend().read(trainable.statistics.get('bn1_1.mean')!);
    expectClose(new Map([['mean', found]]), new Map([['mean', running]]), TOLERANCE);
    trainable.dispose();
  });

  it('is not changed by being evaluated, nor by a batch that is dropped', async () => {
    const trainable = await open(backend(), WITH);
    const before = await valuesOf(backend(), trainable.tensors);
    const { x, shape } = portion(WITH);
    const scores = await trainable.scores(x, shape);
    await trainable.learn(portion(WITH));
    trainable.drop();
    expect(await trainable.scores(x, shape)).toEqual(scores);
    expect(await valuesOf(backend(), trainable.tensors)).toEqual(before);
    trainable.dispose();
  });
});
